"""The points of a film as two Markups nodes, and what the mouse does to them."""

from __future__ import annotations

from typing import Any, Callable, Optional

import numpy as np

from ..spine.display import CORNER, DOUBTFUL, HOVERED, SURE, unit_color
from ..spine.labels.markups import LISTS, label_of
from ..spine.schema import POINTS, VERTEBRAE
from .mrml_nodes import Observers, SceneFrame, create, one_change, remove

KINDS = tuple(LISTS)
"""The two lists: "centers" and "corners"."""

_PLACES = {
    kind: tuple((v, POINTS.index(name)) for v in range(len(VERTEBRAE)) for name in names)
    for kind, names in LISTS.items()
}
"""(vertebra, point) of every control point of a list."""

_LOOKS = {
    "centers": {"name": "Vertebra centers", "color": SURE, "glyph": "Circle2D", "scale": 0.9},
    "corners": {"name": "Vertebra corners", "color": CORNER, "glyph": "Circle2D", "scale": 1.1},
}
_TEXT_SCALE = 2.4
_DEFINED = 2  # vtkMRMLMarkupsNode::PositionDefined
_UNSET = None


class LandmarkNodes:
    """Two fiducial nodes that show the points and hear what the user does to them.

    Args:
        scene: where they are.
        began: called when the user takes hold of a point: (vertebra, point).
        moved: called when the user moved or set a point: (vertebra, point, (x, y) pixels).
        unset: called when the user took a point away: (vertebra, point).
        ended: called when the user lets go.
        hovered: called with the (vertebra, point) under the mouse, ``None`` where there is none.
    """

    def __init__(
        self,
        scene: Any,
        began: Callable[[int, int], None],
        moved: Callable[[int, int, np.ndarray], None],
        unset: Callable[[int, int], None],
        ended: Callable[[], None],
        hovered: Callable[[Optional[tuple[int, int]]], None],
    ) -> None:
        self._scene = scene
        self._began, self._moved, self._unset, self._ended = began, moved, unset, ended
        self._hovered = hovered
        self._nodes: dict[str, Any] = {}
        self._shown: dict[str, list[Optional[tuple[float, ...]]]] = {}
        self._sure: dict[str, list[bool]] = {}
        self._hovering: dict[str, Optional[tuple[int, int]]] = {}
        self._observers = Observers()
        self._frame = SceneFrame()
        self._is_ours = False

    @property
    def are_there(self) -> bool:
        """Whether both nodes are in the scene."""
        return len(self._nodes) == len(KINDS) and all(self._scene.IsNodePresent(n) for n in self._nodes.values())

    def node(self, kind: str) -> Any:
        """The node of a list; ``None`` without one."""
        return self._nodes.get(kind)

    def create(self, frame: SceneFrame, view: Optional[str] = None) -> None:
        """Make the nodes, without a visible point, where they are not there yet.

        Args:
            frame: of the film.
            view: ID of the slice view that shows them.
        """
        self._frame = frame
        if self.are_there:
            return
        self.remove()
        for kind in KINDS:
            look, places = _LOOKS[kind], _PLACES[kind]
            node = create(self._scene, "vtkMRMLMarkupsFiducialNode", look["name"], kind, view)
            with one_change(node):
                for v, p in places:
                    node.AddControlPoint(0.0, 0.0, 0.0, label_of(VERTEBRAE[v], POINTS[p]))
                node.UnsetAllControlPoints()
                node.SetFixedNumberOfControlPoints(True)
            self._dress(node.GetDisplayNode(), look)
            self._nodes[kind] = node
            self._shown[kind] = [_UNSET] * len(places)
            self._sure[kind] = [True] * len(places)
            self._observe(kind, node)

    def remove(self) -> None:
        """Remove the nodes."""
        self._observers.remove()
        for node in self._nodes.values():
            remove(self._scene, node)
        self._nodes, self._shown, self._sure, self._hovering = {}, {}, {}, {}

    def show(self, xy: np.ndarray, is_doubtful: np.ndarray) -> None:
        """Let the nodes show these points; only what differs is written.

        Args:
            xy: ``(V, P, 2)`` pixels, NaN where not visible.
            is_doubtful: ``(V,)`` whether a vertebra's points have the color of doubt.
        """
        ras = self._frame.to_ras(xy)
        is_visible = np.isfinite(ras).all(axis=-1)
        for kind, node in self._nodes.items():
            wanted = [tuple(ras[at].tolist()) if is_visible[at] else _UNSET for at in _PLACES[kind]]
            sure = [not is_doubtful[v] for v, _ in _PLACES[kind]]
            if wanted != self._shown[kind] or sure != self._sure[kind]:
                self._write(kind, node, wanted, sure)

    def _write(self, kind: str, node: Any, wanted: list[Optional[tuple[float, ...]]], sure: list[bool]) -> None:
        before, was_sure = self._shown[kind], self._sure[kind]
        self._shown[kind], self._sure[kind] = wanted, sure
        was_ours, self._is_ours = self._is_ours, True
        try:
            with one_change(node):
                for i, place in enumerate(wanted):
                    if place != before[i] and place is None:
                        node.UnsetNthControlPointPosition(i)
                    elif place is not None and place != before[i]:
                        node.SetNthControlPointPosition(i, *place)
                    if sure[i] != was_sure[i]:
                        node.SetNthControlPointSelected(i, bool(sure[i]))
        finally:
            self._is_ours = was_ours

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
        """Let the mouse move no point."""
        for node in self._nodes.values():
            node.SetLocked(on)

    def _dress(self, display: Any, look: dict[str, Any]) -> None:
        with one_change(display):
            display.SetSelectedColor(*unit_color(look["color"]))
            display.SetColor(*unit_color(DOUBTFUL))
            display.SetActiveColor(*unit_color(HOVERED))
            display.SetGlyphTypeFromString(look["glyph"])
            display.SetUseGlyphScale(True)
            display.SetGlyphScale(look["scale"])
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
        add(node, node.PointEndInteractionEvent, lambda *_: self._ended())
        add(node.GetDisplayNode(), "ModifiedEvent", lambda *_: self._on_display(kind))

    def _on_start(self, kind: str) -> None:
        at = self._active(kind)
        if at is not None:
            self._began(*at)

    def _on_points(self, kind: str) -> None:
        """Find out what differs from what was shown: events of several points at once do not say which."""
        if self._is_ours:
            return
        node = self._nodes[kind]
        for i, (v, p) in enumerate(_PLACES[kind]):
            is_set = node.GetNthControlPointPositionStatus(i) == _DEFINED
            place = node.GetNthControlPointPosition(i) if is_set else _UNSET
            if place == self._shown[kind][i]:  # asked anew for every point: what one brings about is shown meanwhile
                continue
            self._shown[kind][i] = place
            if is_set:
                self._moved(v, p, self._frame.to_pixels(np.array(place)))
            else:
                self._unset(v, p)

    def _on_display(self, kind: str) -> None:
        at = self._active(kind)
        if at != self._hovering.get(kind):
            self._hovering[kind] = at
            self._hovered(at)

    def _active(self, kind: str) -> Optional[tuple[int, int]]:
        display = self._nodes[kind].GetDisplayNode()
        if display is None or display.GetActiveComponentType() != display.ComponentControlPoint:
            return None
        index = display.GetActiveComponentIndex()
        return _PLACES[kind][index] if 0 <= index < len(_PLACES[kind]) else None
