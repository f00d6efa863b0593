"""Overlay of lines and texts in the slice view, which the mouse cannot move."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

import numpy as np
import vtk
from vtk.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray

from ..spine.display import DOUBTFUL, MEASURED, NAME, unit_color
from ..spine.overlay_geometry import PALETTE, Lines, Text
from .mrml_nodes import SceneFrame, create, one_change, remove

_LINE_PX, _COBB_PX = 1, 2
_TEXT_SCALES = {"names": 2.4, "angles": 3.0}
_TEXT_COLORS = {"names": (NAME, DOUBTFUL), "angles": (MEASURED, MEASURED)}
_NO_GLYPH_SIZE = 0.01
FONT_PX = {name: 5 * scale for name, scale in _TEXT_SCALES.items()}
"""Height of the letters in pixels of the view: Slicer's Markups draw texts of scale 1 with 5 pixels."""


class OverlayNodes:
    """Two models with a palette (bodies, Cobb lines) and two lists of texts (names, angles).

    Args:
        scene: of the nodes.
    """

    def __init__(self, scene: Any) -> None:
        self._scene = scene
        self._frame = SceneFrame()
        self._nodes: dict[str, Any] = {}
        self._written: dict[str, tuple[Text, ...]] = {}

    @property
    def is_there(self) -> bool:
        """Whether the nodes are in the scene."""
        return bool(self._nodes) and all(self._scene.IsNodePresent(node) for node in self._nodes.values())

    def create(self, frame: SceneFrame, view: Optional[str] = None) -> None:
        """Create the nodes, empty, where they do not exist yet.

        Args:
            frame: of the upright image, in whose pixels lines and texts are given.
            view: ID of the slice view that shows them.
        """
        if frame != self._frame:
            self._written = {}
        self._frame = frame
        if self.is_there:
            return
        self.remove()
        self._nodes["palette"] = self._palette()
        for role, width in (("bodies", _LINE_PX), ("cobb", _COBB_PX)):
            self._nodes[role] = self._model(role, width, view)
        for role in _TEXT_SCALES:
            self._nodes[role] = self._texts(role, view)

    def remove(self) -> None:
        """Remove the nodes."""
        for node in self._nodes.values():
            remove(self._scene, node)
        self._nodes, self._written = {}, {}

    def draw_lines(self, role: str, lines: Lines) -> None:
        """Replace the lines of "bodies" or "cobb"."""
        if role not in self._nodes:
            return
        mesh = self._nodes[role].GetPolyData()
        set_lines(mesh, self._frame.to_ras(lines.ends.reshape(-1, 2)))
        color_indices = numpy_to_vtk(np.asarray(lines.colors, np.uint8), deep=True)
        color_indices.SetName("color")
        mesh.GetCellData().SetScalars(color_indices)
        mesh.Modified()

    def write_texts(self, role: str, texts: Sequence[Text]) -> None:
        """Replace the texts of "names" or "angles"; highlighted ones have the second color."""
        node, texts, before = self._nodes.get(role), tuple(texts), self._written.get(role, ())
        if node is None or texts == before:
            return
        self._written[role] = texts
        positions = self._frame.to_ras(np.array([(text.x, text.y) for text in texts]).reshape(-1, 2)).tolist()
        with one_change(node):
            for i in range(len(before) - 1, len(texts) - 1, -1):
                node.RemoveNthControlPoint(i)
            for i, (text, position) in enumerate(zip(texts, positions)):
                if i >= len(before):
                    node.AddControlPoint(*position, text.text)
                elif text == before[i]:
                    continue
                else:
                    node.SetNthControlPointPosition(i, *position)
                    node.SetNthControlPointLabel(i, text.text)
                node.SetNthControlPointSelected(i, not text.is_highlighted)

    def set_visible(self, role: str, on: bool) -> None:
        """Show or hide "bodies", "cobb", "names" or "angles"."""
        node = self._nodes.get(role)
        if node is not None:
            node.GetDisplayNode().SetVisibility(on)

    def _palette(self) -> Any:
        node = create(self._scene, "vtkMRMLColorTableNode", "Vertebra lines", "palette", is_hidden=True)
        node.SetTypeToUser()
        node.SetNumberOfColors(len(PALETTE))
        for i, color in enumerate(PALETTE):
            node.SetColor(i, f"line {i}", *unit_color(color), 1.0)
        return node

    def _model(self, role: str, width: int, view: Optional[str]) -> Any:
        node = create_lines(self._scene, role, width, view)
        display = node.GetDisplayNode()
        with one_change(display):
            display.SetAndObserveColorNodeID(self._nodes["palette"].GetID())
            display.SetScalarRangeFlag(display.UseManualScalarRange)
            display.SetScalarRange(0, len(PALETTE) - 1)
            display.SetActiveScalar("color", vtk.vtkAssignAttribute.CELL_DATA)
            display.SetScalarVisibility(True)
        return node

    def _texts(self, role: str, view: Optional[str]) -> Any:
        return create_texts(self._scene, role, _TEXT_SCALES[role], _TEXT_COLORS[role], view)


def create_lines(scene: Any, role: str, width: int, view: Optional[str]) -> Any:
    """Add a model for lines in the image plane; see ``set_lines``.

    Args:
        scene: where it is added.
        role: its purpose.
        width: of the lines in pixels of the view.
        view: ID of the slice view that shows it.
    """
    node = create(scene, "vtkMRMLModelNode", f"Vertebra {role}", role, view, is_hidden=True)
    node.SetAndObserveMesh(vtk.vtkPolyData())
    display = node.GetDisplayNode()
    with one_change(display):
        display.SetVisibility2D(True)
        display.SetVisibility3D(False)
        display.SetSliceDisplayModeToProjection()  # lines that lie in the slice plane have no intersection with it
        display.SetSliceIntersectionThickness(width)
    return node


def set_lines(mesh: Any, ends: np.ndarray) -> None:
    """Replace the lines of a mesh.

    Args:
        mesh: of the model.
        ends: ``(2 N, 3)`` millimetres, two for each line.
    """
    count = len(ends) // 2
    points, cells = vtk.vtkPoints(), vtk.vtkCellArray()
    points.SetData(numpy_to_vtk(ends, deep=True))
    numbers = np.column_stack([np.full(count, 2), np.arange(2 * count).reshape(-1, 2)]).astype(np.int64)
    cells.ImportLegacyFormat(numpy_to_vtkIdTypeArray(numbers.reshape(-1), deep=True))
    mesh.SetPoints(points)
    mesh.SetLines(cells)
    mesh.Modified()


def create_texts(
    scene: Any, role: str, scale: float, colors: tuple[tuple[int, int, int], ...], view: Optional[str]
) -> Any:
    """Add a list of texts without points, which the mouse cannot move.

    Args:
        scene: where it is added.
        role: its purpose.
        scale: of the texts.
        colors: of plain and of highlighted ones; the latter are those that are not selected.
        view: ID of the slice view that shows it.
    """
    node = create(scene, "vtkMRMLMarkupsFiducialNode", f"Vertebra {role}", role, view, is_hidden=True)
    node.SetLocked(True)
    display = node.GetDisplayNode()
    plain, highlighted = colors
    with one_change(display):
        display.SetSelectedColor(*unit_color(plain))
        display.SetColor(*unit_color(highlighted))
        display.SetUseGlyphScale(False)
        display.SetGlyphSize(_NO_GLYPH_SIZE)
        display.SetTextScale(scale)
        display.SetPropertiesLabelVisibility(False)
        display.SetPointLabelsVisibility(True)
    return node
