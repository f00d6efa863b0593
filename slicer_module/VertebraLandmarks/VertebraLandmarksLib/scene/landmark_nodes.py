"""The points as two Markups nodes, and the user's interaction with them."""

from __future__ import annotations

from typing import Any, Callable, Optional

import numpy as np

from ..spine.display import CORNER, DOUBTFUL, HOVERED, SURE, unit_color
from ..spine.labels.markups import LISTS, label_of
from ..spine.schema import POINTS, VERTEBRAE
from .mrml_nodes import Observers, SceneFrame, create, one_change, remove

KINDS = tuple(LISTS)
"""The two lists: "centers" and "corners"."""

_POINTS_OF = {
    kind: tuple((v, POINTS.index(name)) for v in range(len(VERTEBRAE)) for name in names)
    for kind, names in LISTS.items()
}
"""(vertebra, point) indices of the control points of a list."""

_STYLES = {
    "centers": {"name": "Vertebra centers", "color": SURE, "glyph": "Circle2D", "scale": 0.9},
    "corners": {"name": "Vertebra corners", "color": CORNER, "glyph": "Circle2D", "scale": 1.1},
}
_TEXT_SCALE = 2.4
_DEFINED = 2  # vtkMRMLMarkupsNode::PositionDefined
_UNSET = None


class LandmarkNodes:
    """Two fiducial nodes that show the points and report the user's interaction.

    Args:
        scene: of the nodes.
        on_begin: called when the user grabs a point: (vertebra, point).
        on_move: called when the user moved or set a point: (vertebra, point, (x, y) stored pixels).
        on_unset: called when the user removed a point: (vertebra, point).
        on_end: called when the user releases a point.
        on_hover: called with the (vertebra, point) under the mouse, ``None`` without one.
    """

    def __init__(
        self,
        scene: Any,
        on_begin: Callable[[int, int], None],
        on_move: Callable[[int, int, np.ndarray], None],
        on_unset: Callable[[int, int], None],
        on_end: Callable[[], None],
        on_hover: Callable[[Optional[tuple[int, int]]], None],
    ) -> None:
        self._scene = scene
        self._on_begin, self._on_move, self._on_unset, self._on_end = on_begin, on_move, on_unset, on_end
        self._on_hover = on_hover
        self._nodes: dict[str, Any] = {}
        self._shown: dict[str, list[Optional[tuple[float, ...]]]] = {}
        self._sure: dict[str, list[bool]] = {}
        self._hovered: dict[str, Optional[tuple[int, int]]] = {}
        self._observers = Observers()
        self._frame = SceneFrame()
        self._is_writing = False

    @property
    def are_there(self) -> bool:
        """Whether both nodes are in the scene."""
        return len(self._nodes) == len(KINDS) and all(self._scene.IsNodePresent(n) for n in self._nodes.values())

    def node(self, kind: str) -> Any:
        """The node of a list; ``None`` without one."""
        return self._nodes.get(kind)

    def create(self, frame: SceneFrame, view: Optional[str] = None) -> None:
        """Create the nodes, without a visible point, where they do not exist yet.

        Args:
            frame: of the image.
            view: ID of the slice view that shows them.
        """
        self._frame = frame
        if self.are_there:
            return
        self.remove()
        for kind in KINDS:
            style, points = _STYLES[kind], _POINTS_OF[kind]
            node = create(self._scene, "vtkMRMLMarkupsFiducialNode", style["name"], kind, view)
            with one_change(node):
                for v, p in points:
                    node.AddControlPoint(0.0, 0.0, 0.0, label_of(VERTEBRAE[v], POINTS[p]))
                node.UnsetAllControlPoints()
                node.SetFixedNumberOfControlPoints(True)
            self._apply_style(node.GetDisplayNode(), style)
            self._nodes[kind] = node
            self._shown[kind] = [_UNSET] * len(points)
            self._sure[kind] = [True] * len(points)
            self._observe(kind, node)

    def remove(self) -> None:
        """Remove the nodes."""
        self._observers.remove()
        for node in self._nodes.values():
            remove(self._scene, node)
        self._nodes, self._shown, self._sure, self._hovered = {}, {}, {}, {}

    def show(self, xy: np.ndarray, is_doubtful: np.ndarray) -> None:
        """Show these points; only differences are written.

        Args:
            xy: ``(V, P, 2)`` stored pixels, NaN where not visible.
            is_doubtful: ``(V,)`` whether a vertebra's points have the color of doubt.
        """
        ras = self._frame.to_ras(xy)
        is_visible = np.isfinite(ras).all(axis=-1)
        for kind, node in self._nodes.items():
            wanted = [tuple(ras[at].tolist()) if is_visible[at] else _UNSET for at in _POINTS_OF[kind]]
            sure = [not is_doubtful[v] for v, _ in _POINTS_OF[kind]]
            if wanted != self._shown[kind] or sure != self._sure[kind]:
                self._write(kind, node, wanted, sure)

    def _write(self, kind: str, node: Any, wanted: list[Optional[tuple[float, ...]]], sure: list[bool]) -> None:
        before, was_sure = self._shown[kind], self._sure[kind]
        self._shown[kind], self._sure[kind] = wanted, sure
        was_writing, self._is_writing = self._is_writing, True
        try:
            with one_change(node):
                for i, position in enumerate(wanted):
                    if position != before[i] and position is None:
                        node.UnsetNthControlPointPosition(i)
                    elif position is not None and position != before[i]:
                        node.SetNthControlPointPosition(i, *position)
                    if sure[i] != was_sure[i]:
                        node.SetNthControlPointSelected(i, bool(sure[i]))
        finally:
            self._is_writing = was_writing

    def set_visible(self, kind: str, on: bool) -> None:
        """Show or hide a list."""
        node = self._nodes.get(kind)
        if node is not None:
            node.GetDisplayNode().SetVisibility(on)

    def set_labels(self, kind: str, on: bool) -> None:
        """Show or hide the labels of all points of a list."""
        node = self._nodes.get(kind)
        if node is not None and bool(node.GetDisplayNode().GetPointLabelsVisibility()) != on:
            node.GetDisplayNode().SetPointLabelsVisibility(on)

    def set_locked(self, on: bool) -> None:
        """Prevent the mouse from moving points."""
        for node in self._nodes.values():
            node.SetLocked(on)

    def _apply_style(self, display: Any, style: dict[str, Any]) -> None:
        with one_change(display):
            display.SetSelectedColor(*unit_color(style["color"]))
            display.SetColor(*unit_color(DOUBTFUL))
            display.SetActiveColor(*unit_color(HOVERED))
            display.SetGlyphTypeFromString(style["glyph"])
            display.SetUseGlyphScale(True)
            display.SetGlyphScale(style["scale"])
            display.SetTextScale(_TEXT_SCALE)
            display.SetPointLabelsVisibility(False)
            display.SetPropertiesLabelVisibility(False)
            display.SetSliceProjection(False)
            display.SetSnapMode(display.SnapModeUnconstrained)

    def _observe(self, kind: str, node: Any) -> None:
        add = self._observers.add
        add(node, node.PointStartInteractionEvent, lambda *_: self._on_start(kind))
        add(node, node.PointModifiedEvent, lambda *_: self._on_points(kind))
        add(node, node.PointPositionDefinedEvent, lambda *_: self._on_points(kind))
        add(node, node.PointPositionUndefinedEvent, lambda *_: self._on_points(kind))
        add(node, node.PointEndInteractionEvent, lambda *_: self._on_end())
        add(node.GetDisplayNode(), "ModifiedEvent", lambda *_: self._on_display(kind))

    def _on_start(self, kind: str) -> None:
        at = self._active(kind)
        if at is not None:
            self._on_begin(*at)

    def _on_points(self, kind: str) -> None:
        """Find the differences from what was shown: events of several points at once do not name them."""
        if self._is_writing:
            return
        node = self._nodes[kind]
        for i, (v, p) in enumerate(_POINTS_OF[kind]):
            is_set = node.GetNthControlPointPositionStatus(i) == _DEFINED
            position = node.GetNthControlPointPosition(i) if is_set else _UNSET
            if position == self._shown[kind][i]:  # read anew for every point, as one callback may move others
                continue
            self._shown[kind][i] = position
            if is_set:
                self._on_move(v, p, self._frame.to_pixels(np.array(position)))
            else:
                self._on_unset(v, p)

    def _on_display(self, kind: str) -> None:
        at = self._active(kind)
        if at != self._hovered.get(kind):
            self._hovered[kind] = at
            self._on_hover(at)

    def _active(self, kind: str) -> Optional[tuple[int, int]]:
        display = self._nodes[kind].GetDisplayNode()
        if display is None or display.GetActiveComponentType() != display.ComponentControlPoint:
            return None
        index = display.GetActiveComponentIndex()
        return _POINTS_OF[kind][index] if 0 <= index < len(_POINTS_OF[kind]) else None
