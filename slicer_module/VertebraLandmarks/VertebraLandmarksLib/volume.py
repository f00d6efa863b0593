"""A film as a volume in Slicer's scene, and how its gray values are shown."""

from __future__ import annotations

from typing import Any, Optional, Union

import numpy as np
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from .answers import Film
from .gray import window_of
from .nodes import create, one_change, remove

Window = Union[str, tuple[float, float]]
"""A preset of ``gray.WINDOWS``, or the gray values that become black and white."""

_GRAY, _INVERTED_GRAY = "vtkMRMLColorTableNodeGrey", "vtkMRMLColorTableNodeInvertedGrey"


class FilmVolume:
    """The volume of the film that is open.

    Args:
        scene: where it is.
    """

    def __init__(self, scene: Any) -> None:
        self._scene = scene
        self._node: Any = None
        self._film: Optional[Film] = None
        self._window: Window = "Automatic"
        self._is_inverted = False

    @property
    def node(self) -> Any:
        """The volume node; ``None`` without one."""
        return self._node if self._node is not None and self._scene.IsNodePresent(self._node) else None

    def show(self, film: Film) -> None:
        """Put a film in the place of the one before."""
        self._film = film
        if self.node is None:
            self._node = create(self._scene, "vtkMRMLScalarVolumeNode", "film", "film")
        node, to_ras = self._node, vtk.vtkMatrix4x4()
        for axis, size in enumerate(film.spacing):
            to_ras.SetElement(axis, axis, -size)
        with one_change(node):
            node.SetName(film.id or "film")
            node.SetIJKToRASMatrix(to_ras)
            node.SetAndObserveImageData(_image(film.pixels))
        self._apply()

    def remove(self) -> None:
        """Remove the volume."""
        remove(self._scene, self._node)
        self._node = self._film = None

    def set_window(self, window: Window) -> None:
        """Choose which gray values are seen, of this film and those to come.

        Raises:
            ValueError: there is no such preset, or the values are not two rising numbers.
        """
        if isinstance(window, str):
            window_of(np.zeros((1, 1), np.uint8), window)
        elif not (np.isfinite(window).all() and len(window) == 2 and window[0] < window[1]):
            raise ValueError(f"a window must be two rising gray values, got {window}")
        self._window = window
        self._apply()

    def invert(self, on: bool) -> None:
        """Show bone dark."""
        self._is_inverted = bool(on)
        self._apply()

    def _apply(self) -> None:
        if self.node is None or self._film is None:
            return
        display = self._node.GetDisplayNode()
        low, high = window_of(self._film.pixels, self._window) if isinstance(self._window, str) else self._window
        colors = _INVERTED_GRAY if self._is_inverted else _GRAY
        with one_change(display):
            display.SetAutoWindowLevel(False)
            display.SetWindowLevelMinMax(low, high)
            if self._scene.GetNodeByID(colors) is not None:
                display.SetAndObserveColorNodeID(colors)


def _image(pixels: np.ndarray) -> Any:
    """``(H, W)`` pixels for VTK, without a copy."""
    height, width = pixels.shape
    image = vtk.vtkImageData()
    image.SetDimensions(width, height, 1)
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(pixels).reshape(-1), deep=False))
    return image
