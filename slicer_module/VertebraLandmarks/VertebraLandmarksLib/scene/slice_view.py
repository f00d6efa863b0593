"""The slice view that shows the image, controlled through MRML nodes only."""

from __future__ import annotations

from typing import Any, Callable, Optional

import numpy as np

from .mrml_nodes import Observers, SceneFrame, one_change

NAME = "Red"
_MARGIN = 1.02


class SliceView:
    """One slice view, fitted to the image while that is open, and restored when it is closed.

    Has no effect without a slice view in the scene.

    Args:
        scene: with the nodes of the view.
        on_zoom: called when field of view or size of the view change.
    """

    def __init__(self, scene: Any, on_zoom: Callable[[], None]) -> None:
        self._scene, self._on_zoom = scene, on_zoom
        self._frame = SceneFrame()
        self._volume_id: Optional[str] = None
        self._before: Optional[_ViewState] = None
        self._observers = Observers()
        self._shown: tuple[float, ...] = ()

    @property
    def slice_node(self) -> Any:
        """Slice node of the view; ``None`` without one."""
        return self._scene.GetNodeByID(f"vtkMRMLSliceNode{NAME}")

    @property
    def node_id(self) -> Optional[str]:
        """ID of the slice node; ``None`` without one."""
        node = self.slice_node
        return None if node is None else node.GetID()

    @property
    def composite_node(self) -> Any:
        """Composite node of the view, with its volumes; ``None`` without one."""
        return self._scene.GetNodeByID(f"vtkMRMLSliceCompositeNode{NAME}")

    @property
    def pixel_size(self) -> float:
        """Size of a pixel of the view in pixels of the image, horizontally; 1 without a view."""
        node = self.slice_node
        if node is None or node.GetDimensions()[0] < 1:
            return 1.0
        return float(node.GetFieldOfView()[0] / node.GetDimensions()[0] / self._frame.spacing[0])

    def open(self, frame: SceneFrame, volume_id: str) -> None:
        """Show an image in a layout with this view only.

        Args:
            frame: of the upright image.
            volume_id: of its volume node.
        """
        self._frame, self._volume_id = frame, volume_id
        node = self.slice_node
        if node is None or self.composite_node is None:
            return
        if self._before is None:  # a layout chosen afterwards is kept for later images
            self._before = _ViewState(self._scene, node, self.composite_node)
            layout = self._scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
            if layout is not None:
                layout.SetViewArrangement(layout.SlicerLayoutOneUpRedSliceView)
        self._observers.remove()
        self._observers.add(node, "ModifiedEvent", lambda *_: self._on_modified())
        self.show_image(True)
        self.fit()

    def close(self) -> None:
        """Restore the view as it was before the first image."""
        self._observers.remove()
        before, self._before, self._volume_id = self._before, None, None
        if before is not None:
            before.restore(self._scene, self.slice_node, self.composite_node)

    def show_image(self, on: bool) -> None:
        """Show or hide the image, without its overlay."""
        composite = self.composite_node
        if composite is None or self._volume_id is None:
            return
        with one_change(composite):
            composite.SetBackgroundVolumeID(self._volume_id if on else None)
            composite.SetForegroundVolumeID(None)
            composite.SetLabelVolumeID(None)

    def fit(self) -> None:
        """Show the whole image."""
        width, height = self._frame.width, self._frame.height
        self._aim(((width - 1) / 2, (height - 1) / 2), (width, height))

    def jump(self, points: np.ndarray, height: float) -> None:
        """Show a part of the image.

        Args:
            points: ``(N, 2)`` pixels, whose mean becomes the center; NaN are left out.
            height: of the part, in pixels.
        """
        there = points[np.isfinite(points).all(axis=1)]
        if len(there):
            self._aim(tuple(there.mean(axis=0)), (0.0, height))

    def _aim(self, center: tuple[float, ...], size: tuple[float, float]) -> None:
        """Show at least ``size`` around ``center``, both in pixels of the image."""
        node = self.slice_node
        if node is None or min(node.GetDimensions()[:2]) < 1:
            return
        columns, rows, _ = node.GetDimensions()
        per_pixel = max(size[0] * self._frame.spacing[0] / columns, size[1] * self._frame.spacing[1] / rows) * _MARGIN
        right, anterior, _ = self._frame.to_ras(np.array(center)).tolist()
        with one_change(node):
            node.SetOrientation("Axial")
            to_ras = node.GetSliceToRAS()
            for axis, value in enumerate((right, anterior, 0.0)):
                to_ras.SetElement(axis, 3, value)
            node.SetXYZOrigin(0.0, 0.0, 0.0)
            node.SetFieldOfView(columns * per_pixel, rows * per_pixel, node.GetFieldOfView()[2])
            node.UpdateMatrices()

    def _on_modified(self) -> None:
        node = self.slice_node
        if node is None:
            return
        shown = (*node.GetFieldOfView()[:2], *node.GetDimensions()[:2])
        if shown != self._shown:
            self._shown = shown
            self._on_zoom()


class _ViewState:
    """State of a view, to be restored."""

    def __init__(self, scene: Any, node: Any, composite: Any) -> None:
        layout = scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
        self._layout = None if layout is None else layout.GetViewArrangement()
        self._volumes = (
            composite.GetBackgroundVolumeID(),
            composite.GetForegroundVolumeID(),
            composite.GetLabelVolumeID(),
        )
        self._field, self._origin = node.GetFieldOfView(), node.GetXYZOrigin()
        matrix = node.GetSliceToRAS()
        self._to_ras = [[matrix.GetElement(i, j) for j in range(4)] for i in range(4)]

    def restore(self, scene: Any, node: Any, composite: Any) -> None:
        layout = scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
        if layout is not None and self._layout is not None:
            layout.SetViewArrangement(self._layout)
        if composite is not None:
            ids = [one if one and scene.GetNodeByID(one) is not None else None for one in self._volumes]
            with one_change(composite):
                composite.SetBackgroundVolumeID(ids[0])
                composite.SetForegroundVolumeID(ids[1])
                composite.SetLabelVolumeID(ids[2])
        if node is not None:
            with one_change(node):
                for i, row in enumerate(self._to_ras):
                    for j, value in enumerate(row):
                        node.GetSliceToRAS().SetElement(i, j, value)
                node.SetFieldOfView(*self._field)
                node.SetXYZOrigin(*self._origin)
                node.UpdateMatrices()
