"""A film as a volume in Slicer's scene, and how its gray values are shown."""

from __future__ import annotations

from typing import Any, Optional, Union

import numpy as np
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from ..client.radiograph import Radiograph
from .gray_window import window_of
from .mrml_nodes import Observers, SceneFrame, create, one_change, remove

Window = Union[str, tuple[float, float]]
"""A preset of ``gray.WINDOWS``, or the gray values that become black and white."""

_GRAY, _INVERTED_GRAY = "vtkMRMLColorTableNodeGrey", "vtkMRMLColorTableNodeInvertedGrey"


class ImageVolume:
    """The volume of the film that is open.

    Args:
        scene: where it is.
    """

    def __init__(self, scene: Any) -> None:
        self._scene = scene
        self._node: Any = None
        self._film: Optional[Radiograph] = None
        self._window: Window = "Automatic"
        self._is_inverted = False
        self._shown: Optional[tuple[float, float]] = None
        self._by_mouse: Optional[tuple[np.dtype, tuple[float, float]]] = None
        self._observers = Observers()

    @property
    def node(self) -> Any:
        """The volume node; ``None`` without one."""
        return self._node if self._node is not None and self._scene.IsNodePresent(self._node) else None

    def show(self, film: Radiograph, frame: SceneFrame) -> None:
        """Put a film, turned upright, in the place of the one before."""
        self._film = film
        if self.node is None:
            self._node = create(self._scene, "vtkMRMLScalarVolumeNode", "film", "film")
        node, to_ras = self._node, vtk.vtkMatrix4x4()
        for axis, size in enumerate(frame.upright.spacing):
            to_ras.SetElement(axis, axis, -size)
        with one_change(node):
            node.SetName(film.id or "film")
            node.SetIJKToRASMatrix(to_ras)
            node.SetAndObserveImageData(_image(frame.orientation.upright_pixels(film.pixels)))
        self._observers.remove()
        self._apply()
        self._observers.add(node.GetDisplayNode(), "ModifiedEvent", lambda *_: self._look())

    def remove(self) -> None:
        """Remove the volume."""
        self._observers.remove()
        remove(self._scene, self._node)
        self._node = self._film = None

    def set_window(self, window: Window) -> None:
        """Choose which gray values are seen, of this film and those to come.

        What the mouse chooses in the view counts instead, from then on, for films of as many bits.

        Raises:
            ValueError: there is no such preset, or the values are not two rising numbers.
        """
        if isinstance(window, str):
            window_of(np.zeros((1, 1), np.uint8), window)
        elif not (np.isfinite(window).all() and len(window) == 2 and window[0] < window[1]):
            raise ValueError(f"a window must be two rising gray values, got {window}")
        self._window, self._by_mouse = window, None
        self._apply()

    def invert(self, on: bool) -> None:
        """Show bone dark."""
        self._is_inverted = bool(on)
        self._apply()

    def _apply(self) -> None:
        if self.node is None or self._film is None:
            return
        display = self._node.GetDisplayNode()
        low, high = self._limits(self._film.pixels)
        self._shown = (low, high)
        colors = _INVERTED_GRAY if self._is_inverted else _GRAY
        with one_change(display):
            display.SetAutoWindowLevel(False)
            display.SetWindowLevelMinMax(low, high)
            if self._scene.GetNodeByID(colors) is not None:
                display.SetAndObserveColorNodeID(colors)

    def _limits(self, pixels: np.ndarray) -> tuple[float, float]:
        if self._by_mouse is not None and self._by_mouse[0] == pixels.dtype:
            return self._by_mouse[1]
        return window_of(pixels, self._window) if isinstance(self._window, str) else self._window

    def _look(self) -> None:
        """The display changed: keep a window that is not the one which was set here."""
        if self.node is None or self._film is None or self._shown is None:
            return
        display = self._node.GetDisplayNode()
        seen = (display.GetWindowLevelMin(), display.GetWindowLevelMax())
        if not np.allclose(seen, self._shown, atol=1e-6):
            self._by_mouse = (self._film.pixels.dtype, seen)


def _image(pixels: np.ndarray) -> Any:
    """``(H, W)`` pixels for VTK, without a copy where they lie row by row."""
    height, width = pixels.shape
    image = vtk.vtkImageData()
    image.SetDimensions(width, height, 1)
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(pixels).reshape(-1), deep=False))
    return image
