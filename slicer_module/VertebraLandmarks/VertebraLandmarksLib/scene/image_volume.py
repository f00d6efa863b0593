"""The open image as a volume node, with its gray window."""

from __future__ import annotations

from typing import Any, Optional, Union

import numpy as np
import vtk
from vtk.util.numpy_support import numpy_to_vtk

from ..client.radiograph import Radiograph
from .gray_window import window_of
from .mrml_nodes import Observers, SceneFrame, create, one_change, remove

Window = Union[str, tuple[float, float]]
"""A preset of ``gray_window.WINDOWS``, or the gray values that become black and white."""

_GRAY, _INVERTED_GRAY = "vtkMRMLColorTableNodeGrey", "vtkMRMLColorTableNodeInvertedGrey"


class ImageVolume:
    """Volume node of the open image.

    Args:
        scene: of the node.
    """

    def __init__(self, scene: Any) -> None:
        self._scene = scene
        self._node: Any = None
        self._radiograph: Optional[Radiograph] = None
        self._window: Window = "Automatic"
        self._is_inverted = False
        self._shown: Optional[tuple[float, float]] = None
        self._by_mouse: Optional[tuple[np.dtype, tuple[float, float]]] = None
        self._observers = Observers()

    @property
    def node(self) -> Any:
        """The volume node; ``None`` without one."""
        return self._node if self._node is not None and self._scene.IsNodePresent(self._node) else None

    def show(self, radiograph: Radiograph, frame: SceneFrame) -> None:
        """Show an image upright, replacing the one before."""
        self._radiograph = radiograph
        if self.node is None:
            self._node = create(self._scene, "vtkMRMLScalarVolumeNode", "image", "image")
        node, to_ras = self._node, vtk.vtkMatrix4x4()
        for axis, size in enumerate(frame.upright.spacing):
            to_ras.SetElement(axis, axis, -size)
        with one_change(node):
            node.SetName(radiograph.id or "image")
            node.SetIJKToRASMatrix(to_ras)
            node.SetAndObserveImageData(_image(frame.orientation.upright_pixels(radiograph.pixels)))
        self._observers.remove()
        self._apply()
        self._observers.add(node.GetDisplayNode(), "ModifiedEvent", lambda *_: self._on_display_changed())

    def remove(self) -> None:
        """Remove the volume."""
        self._observers.remove()
        remove(self._scene, self._node)
        self._node = self._radiograph = None

    def set_window(self, window: Window) -> None:
        """Set the gray window, for this image and later ones.

        A window set with the mouse in the view takes precedence from then on, for images of the same bit depth.

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
        if self.node is None or self._radiograph is None:
            return
        display = self._node.GetDisplayNode()
        low, high = self._limits(self._radiograph.pixels)
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

    def _on_display_changed(self) -> None:
        """Keep a window that was set with the mouse."""
        if self.node is None or self._radiograph is None or self._shown is None:
            return
        display = self._node.GetDisplayNode()
        window = (display.GetWindowLevelMin(), display.GetWindowLevelMax())
        if not np.allclose(window, self._shown, atol=1e-6):
            self._by_mouse = (self._radiograph.pixels.dtype, window)


def _image(pixels: np.ndarray) -> Any:
    """``(H, W)`` pixels as VTK image, without a copy where they are contiguous."""
    height, width = pixels.shape
    image = vtk.vtkImageData()
    image.SetDimensions(width, height, 1)
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(pixels).reshape(-1), deep=False))
    return image
