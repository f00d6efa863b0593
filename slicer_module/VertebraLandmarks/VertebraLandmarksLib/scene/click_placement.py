"""Manual placement with clicks in the view, through Slicer's place mode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Optional

import numpy as np

from ..editor.placement_guide import GUIDED, PlacementGuide, sort_corners, spine_direction
from ..editor.spine_editor import SpineEditor
from ..spine.display import CORNER, unit_color
from ..spine.labels.markups import label_of
from ..spine.schema import CORNERS, POINTS, VERTEBRAE
from .mrml_nodes import Observers, SceneFrame, create, one_change, remove

GUIDED_MODE, FREE_MODE = "guided", "free"
"""Placement modes: point by point in the guided order; four corners of a vertebra in any order."""

_CORNER_NAMES = {"TL": "top left", "TR": "top right", "BL": "bottom left", "BR": "bottom right"}


@dataclass(frozen=True)
class PlacementStep:
    """What the next click places.

    Attributes:
        mode: ``GUIDED_MODE`` or ``FREE_MODE``.
        vertebra: name of the vertebra.
        point: name of the point, such as "TL"; ``None`` for any corner.
        text: instruction for the user.
    """

    mode: str
    vertebra: str
    point: Optional[str]
    text: str


class ClickPlacement:
    """Guided placement, from ``start`` to ``stop`` or the last point.

    Args:
        scene: with the nodes of the mouse mode.
        editor: of the points.
        on_change: called when the next point changes, or placement ends.
    """

    def __init__(self, scene: Any, editor: SpineEditor, on_change: Callable[[], None]) -> None:
        self._scene, self._editor, self._on_change = scene, editor, on_change
        self._mode = GUIDED_MODE
        self._guide: Optional[PlacementGuide] = None
        self._clicked: list[tuple[int, np.ndarray]] = []
        self._node: Any = None
        self._frame = SceneFrame()
        self._before: Optional[tuple[str, str, int, int]] = None
        self._observers = Observers()

    @property
    def step(self) -> Optional[PlacementStep]:
        """What the next click places; ``None`` while nothing is placed."""
        if self._guide is None or self._guide.current is None:
            return None
        v, p = self._guide.current
        name, point = VERTEBRAE[v], POINTS[p]
        if self._mode == GUIDED_MODE:
            return PlacementStep(
                self._mode, name, point, f"Click {label_of(name, point)}: its {_CORNER_NAMES[point]} corner."
            )
        done = f"{len(self._clicked)} of {len(CORNERS)}"
        return PlacementStep(self._mode, name, None, f"Click the four corners of {name} in any order: {done} done.")

    def start(self, mode: str, vertebra: Optional[str], frame: SceneFrame, view: Optional[str]) -> None:
        """Begin.

        Args:
            mode: ``GUIDED_MODE`` or ``FREE_MODE``.
            vertebra: name of the one to begin at; left out, the first that lacks a corner.
            frame: of the image.
            view: ID of the slice view.

        Raises:
            ValueError: mode or vertebra is unknown.
        """
        if mode not in (GUIDED_MODE, FREE_MODE):
            raise ValueError(f"mode {mode!r:.40} is neither {GUIDED_MODE!r} nor {FREE_MODE!r}")
        if vertebra is not None and vertebra not in VERTEBRAE:
            raise ValueError(f"vertebra {vertebra!r:.40} is not one of {', '.join(VERTEBRAE)}")
        self.stop()
        self._mode, self._frame = mode, frame
        guide = PlacementGuide(self._editor.xy, GUIDED)
        if vertebra is not None:
            guide.go_to(VERTEBRAE.index(vertebra), self._editor.xy)
        if guide.current is None:
            return
        self._guide = guide
        self._enter_place_mode(view)
        self._on_change()

    def stop(self) -> None:
        """End placement and restore the mouse mode; clicks on an incomplete vertebra are dropped."""
        if self._guide is None:
            return
        self._guide, self._clicked = None, []
        self._show_clicks()
        self._leave_place_mode()
        self._on_change()

    def remove(self) -> None:
        """End placement and remove its node; not to be called while Slicer handles a click."""
        self.stop()
        remove(self._scene, self._node)
        self._node = None

    def skip(self) -> None:
        """Skip the next point; in the free mode, the vertebra."""
        if self._guide is not None:
            if self._mode == GUIDED_MODE:
                self._guide.advance(self._editor.xy)
            else:
                self._guide.skip_vertebra(self._editor.xy)
            self._proceed()

    def back(self) -> None:
        """Go back to the previous point; in the free mode, drop the last click, or go to the vertebra above."""
        if self._guide is None:
            return
        if self._mode == GUIDED_MODE:
            self._guide.back()
        elif self._clicked:
            self._clicked.pop()
        elif self._guide.current is not None and self._guide.current[0] > 0:
            self._guide.go_to(self._guide.current[0] - 1)
        self._proceed(keeps_clicks=True)

    def _take(self, index: int, xy: np.ndarray) -> None:
        """Use a click: its control point index and its (x, y) stored pixels."""
        if self._guide is None or self._guide.current is None:
            return
        v, p = self._guide.current
        if self._mode == GUIDED_MODE:
            self._editor.place(v, p, xy)
            self._guide.advance(self._editor.xy)
            self._proceed()
            return
        if not any(np.array_equal(xy, before) for _, before in self._clicked):
            self._clicked.append((index, xy))
        if len(self._clicked) == len(CORNERS):
            four = self._frame.to_upright(np.stack([position for _, position in self._clicked]))
            down = spine_direction(self._frame.to_upright(self._editor.xy), v, four.mean(axis=0))
            self._editor.place_corners(v, self._frame.to_stored(sort_corners(four, down)))
            self._guide.skip_vertebra(self._editor.xy)
            self._proceed()
        else:
            self._proceed(keeps_clicks=True)

    def _proceed(self, keeps_clicks: bool = False) -> None:
        if not keeps_clicks:
            self._clicked = []
        if self._guide is None or self._guide.current is None:
            self.stop()
            return
        self._show_clicks()
        self._name_next()
        self._on_change()

    def _enter_place_mode(self, view: Optional[str]) -> None:
        interaction, selection = self._singletons()
        if self._node is None or not self._scene.IsNodePresent(self._node):
            self._node = _click_node(self._scene, view)
        node = self._node
        node.RemoveAllControlPoints()
        self._observers.add(node, node.PointPositionDefinedEvent, lambda *_: self._on_defined())
        self._name_next()
        if interaction is None or selection is None:
            return
        self._before = (
            selection.GetActivePlaceNodeClassName() or "",
            selection.GetActivePlaceNodeID() or "",
            interaction.GetCurrentInteractionMode(),
            interaction.GetPlaceModePersistence(),
        )
        selection.SetActivePlaceNodeClassName(node.GetClassName())
        selection.SetActivePlaceNodeID(node.GetID())
        interaction.SetPlaceModePersistence(1)
        interaction.SetCurrentInteractionMode(interaction.Place)
        self._observers.add(interaction, interaction.InteractionModeChangedEvent, lambda *_: self._on_mode())

    def _leave_place_mode(self) -> None:
        self._observers.remove()
        interaction, selection = self._singletons()
        if interaction is not None and selection is not None and self._before is not None:
            kind, node_id, mode, persistence = self._before
            interaction.SetCurrentInteractionMode(mode)
            interaction.SetPlaceModePersistence(persistence)
            selection.SetActivePlaceNodeClassName(kind or None)
            selection.SetActivePlaceNodeID(node_id if node_id and self._scene.GetNodeByID(node_id) else None)
        self._before = None

    def _name_next(self) -> None:
        """Rename the node, as its name is shown beside the mouse."""
        step = self.step
        if self._node is not None and step is not None:
            self._node.SetName(step.vertebra if step.point is None else label_of(step.vertebra, step.point))

    def _show_clicks(self) -> None:
        """Show only the clicks of an incomplete vertebra; none is removed, as Slicer may be handling one."""
        waiting = {index for index, _ in self._clicked}
        with one_change(self._node):
            for i in self._defined():
                self._node.SetNthControlPointVisibility(i, i in waiting)

    def _defined(self) -> list[int]:
        """Indices of the clicked control points, without the preview at the mouse."""
        node = self._node
        return [
            i
            for i in range(node.GetNumberOfControlPoints())
            if node.GetNthControlPointPositionStatus(i) == node.PositionDefined
        ]

    def _on_defined(self) -> None:
        newest = self._defined()[-1]
        self._take(newest, self._frame.to_pixels(np.array(self._node.GetNthControlPointPosition(newest))))

    def _on_mode(self) -> None:
        interaction, _ = self._singletons()
        if interaction is None or interaction.GetCurrentInteractionMode() != interaction.Place:
            self.stop()

    def _singletons(self) -> tuple[Any, Any]:
        first = self._scene.GetFirstNodeByClass
        return first("vtkMRMLInteractionNode"), first("vtkMRMLSelectionNode")


def _click_node(scene: Any, view: Optional[str]) -> Any:
    """Fiducial node that receives the clicks."""
    node = create(scene, "vtkMRMLMarkupsFiducialNode", "Placement", "placement", view, is_hidden=True)
    node.SetControlPointLabelFormat("%N")
    display = node.GetDisplayNode()
    with one_change(display):
        display.SetSelectedColor(*unit_color(CORNER))
        display.SetGlyphScale(1.3)
        display.SetGlyphTypeFromString("CrossDot2D")
        display.SetTextScale(2.6)
        display.SetPointLabelsVisibility(True)
    return node
