"""The readings that an adjudicator compares: outlines and names in a color each; never part of the edited points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

import numpy as np

from ..spine.display import READINGS, unit_color
from ..spine.overlay_geometry import outlines
from ..spine.schema import VERTEBRAE
from .mrml_nodes import SceneFrame, one_change, remove
from .overlay_nodes import create_lines, create_texts, set_lines

_LINES_PX, _TEXT_SCALE = (4, 2, 2), 2.4
"""Width of the lines: where the first and the second lie on each other, the first shows at either side."""
_NAMED = 2
"""The first and the second have names; a third, such as their mean, lies between them."""
_LETTER_PX = 5.4
"""Width of a letter in pixels of the view."""


class ReadingNodes:
    """Outlines of at most three spines; the names of the first stand at its left, of the second at its right.

    Args:
        scene: of the nodes.
    """

    def __init__(self, scene: Any) -> None:
        self._scene = scene
        self._frame = SceneFrame()
        self._shown: tuple[np.ndarray, ...] = ()
        self._lines: list[Any] = []
        self._texts: list[Any] = []
        self._written: tuple[float, ...] = ()

    @property
    def xy(self) -> tuple[np.ndarray, ...]:
        """``(V, P, 2)`` upright pixels of the visible points of each spine, NaN elsewhere."""
        return self._shown

    @property
    def are_there(self) -> bool:
        """Whether all nodes are in the scene; true where nothing is shown."""
        return all(self._scene.IsNodePresent(node) for node in (*self._lines, *self._texts))

    def show(self, readings: Sequence[np.ndarray], frame: SceneFrame, view: Optional[str]) -> None:
        """Replace what is shown.

        Args:
            readings: ``(V, P, 2)`` upright pixels of each, NaN where not visible; none to show nothing.
            frame: of the upright image.
            view: ID of the slice view.
        """
        self.remove()
        self._frame, self._shown = frame, tuple(readings)
        for number, (xy, color, width) in enumerate(zip(readings, READINGS, _LINES_PX), 1):
            lines = create_lines(self._scene, f"reading {number}", width, view)
            with one_change(lines.GetDisplayNode()):
                lines.GetDisplayNode().SetColor(*unit_color(color))
                lines.GetDisplayNode().SetScalarVisibility(False)
            set_lines(lines.GetPolyData(), frame.to_ras(outlines(xy).reshape(-1, 2)))
            self._lines.append(lines)
            if number <= _NAMED:
                self._texts.append(create_texts(self._scene, f"names {number}", _TEXT_SCALE, (color, color), view))

    def set_visible(self, on: bool) -> None:
        """Show or hide the outlines."""
        for node in self._lines:
            node.GetDisplayNode().SetVisibility(on)

    def write_names(self, gap: float, pixel: float, down: float, is_visible: bool) -> None:
        """Write the names for the present zoom.

        Args:
            gap: between vertebra and name in pixels of the image.
            pixel: size of a pixel of the view in pixels of the image.
            down: from the middle of a vertebra to where its text begins, in pixels of the image.
            is_visible: whether they are shown at all.
        """
        for node in self._texts:
            node.GetDisplayNode().SetVisibility(is_visible)
        if not is_visible or not self._shown or (gap, pixel, down) == self._written:
            return
        self._written = gap, pixel, down
        all_points = np.concatenate(self._shown, axis=1)  # names stand beside the outlines of all
        for number, (node, xy) in enumerate(zip(self._texts, self._shown)):
            with one_change(node):
                node.RemoveAllControlPoints()
                for name, points, beside in zip(VERTEBRAE, xy, all_points):
                    there = points[np.isfinite(points).all(axis=1)]
                    if len(there):
                        right = np.nanmax(beside[:, 0]) + gap
                        left = np.nanmin(beside[:, 0]) - gap - _LETTER_PX * pixel * (len(name) + 1)
                        at = np.array([right if number else left, there[:, 1].mean() + down])
                        node.AddControlPoint(*self._frame.to_ras(at).tolist(), name)

    def remove(self) -> None:
        """Remove the nodes."""
        for node in (*self._lines, *self._texts):
            remove(self._scene, node)
        self._lines, self._texts, self._shown, self._written = [], [], (), ()
