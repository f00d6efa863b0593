"""MRML nodes of this module, their observers, and the image plane in which they lie."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Callable, Optional

import numpy as np

from ..spine.geometry import transform_points
from ..spine.imaging.orientation import UPRIGHT, Orientation

ROLE = "VertebraLandmarks.role"
"""Attribute of every node of this module: its purpose."""


def create(scene: Any, kind: str, name: str, role: str, view: Optional[str] = None, is_hidden: bool = False) -> Any:
    """Add a node, with display nodes where its class has them.

    It is not saved with the scene: points are saved as drafts and on the server, all else is derived from them.

    Args:
        scene: where it is added.
        kind: its class.
        name: for display.
        role: its purpose.
        view: ID of the only view that shows it; all views when left out.
        is_hidden: whether it is hidden from the lists of nodes.
    """
    node = scene.CreateNodeByClass(kind)
    node.UnRegister(None)
    node.SetName(scene.GenerateUniqueName(name))
    _claim(node, role, is_hidden)
    with _kept_place_node(scene):
        scene.AddNode(node)
    if node.IsA("vtkMRMLDisplayableNode"):
        node.CreateDefaultDisplayNodes()
    for display in displays(node):
        _claim(display, role, is_hidden)
        if view is not None:
            display.AddViewNodeID(view)
    return node


def remove(scene: Any, node: Any) -> None:
    """Remove a node of this module with its display nodes, if it is still there."""
    if node is None or not scene.IsNodePresent(node):
        return
    with _kept_place_node(scene):
        for display in displays(node):
            scene.RemoveNode(display)
        scene.RemoveNode(node)


def displays(node: Any) -> list[Any]:
    """Its display nodes."""
    if not node.IsA("vtkMRMLDisplayableNode"):
        return []
    return [node.GetNthDisplayNode(i) for i in range(node.GetNumberOfDisplayNodes())]


def is_own(node: Any) -> bool:
    """Whether a node belongs to this module."""
    return node.GetAttribute(ROLE) is not None


@contextmanager
def one_change(*changed: Any) -> Iterator[None]:
    """Batch the modified events of the nodes into one at the end."""
    before = [node.StartModify() for node in changed]
    try:
        yield
    finally:
        for node, was in zip(changed, before):
            node.EndModify(was)


@contextmanager
def _kept_place_node(scene: Any) -> Iterator[None]:
    """Keep the user's active place node, which Slicer would replace by the Markups node added last."""
    selection = scene.GetFirstNodeByClass("vtkMRMLSelectionNode")
    if selection is None:
        yield
        return
    kind, node_id = selection.GetActivePlaceNodeClassName(), selection.GetActivePlaceNodeID()
    yield
    with one_change(selection):
        selection.SetActivePlaceNodeClassName(kind)
        selection.SetActivePlaceNodeID(node_id if node_id and scene.GetNodeByID(node_id) is not None else None)


def _claim(node: Any, role: str, is_hidden: bool) -> None:
    node.SetAttribute(ROLE, role)
    node.SetSaveWithScene(False)
    node.SetHideFromEditors(is_hidden)


class Observers:
    """Observers of VTK objects that are removed together."""

    def __init__(self) -> None:
        self._tags: list[tuple[Any, int]] = []

    def __len__(self) -> int:
        return len(self._tags)

    def add(self, observed: Any, event: Any, callback: Callable[[Any, str], None]) -> None:
        """Call back with the object and the event's name at every such event of the object."""
        self._tags.append((observed, observed.AddObserver(event, callback)))

    def remove(self) -> None:
        """Remove all of them."""
        for observed, tag in self._tags:
            observed.RemoveObserver(tag)
        self._tags = []


@dataclass(frozen=True)
class SceneFrame:
    """Placement of an image in the scene, in the plane z = 0: upright pixel (x, y) is at RAS ``(-x sx, -y sy, 0)``.

    This is the module's own placement, upright on the screen; where Slicer's reader places the pixels of a file is in
    ``ImageGeometry``.

    Attributes:
        width: columns of the stored raster.
        height: rows of the stored raster.
        spacing: (x, y) millimetres per stored pixel.
        orientation: how the stored raster is turned upright.
    """

    width: int = 1
    height: int = 1
    spacing: tuple[float, float] = (1.0, 1.0)
    orientation: Orientation = UPRIGHT

    @property
    def upright(self) -> SceneFrame:
        """The frame of the upright image: the same positions, for upright pixels."""
        width, height = self.orientation.size(self.width, self.height)
        return SceneFrame(width, height, self._upright_spacing)

    @property
    def _upright_spacing(self) -> tuple[float, float]:
        x, y = self.spacing
        return (y, x) if self.orientation.quarter_turns % 2 else (x, y)

    @property
    def _matrix(self) -> np.ndarray:
        return self.orientation.matrix(self.width, self.height)

    def to_upright(self, xy: np.ndarray) -> np.ndarray:
        """``(..., 2)`` upright pixels of ``(..., 2)`` stored ones."""
        return transform_points(self._matrix, np.asarray(xy, dtype=float))

    def to_stored(self, xy: np.ndarray) -> np.ndarray:
        """``(..., 2)`` stored pixels of ``(..., 2)`` upright ones."""
        matrix = self._matrix
        stored: np.ndarray = (np.asarray(xy, dtype=float) - matrix[:2, 2]) @ matrix[
            :2, :2
        ]  # the inverse of an orthogonal matrix is its transpose
        return stored

    def shift_to_stored(self, dxy: np.ndarray) -> np.ndarray:
        """``(..., 2)`` shift in stored pixels, of one in upright pixels."""
        stored: np.ndarray = np.asarray(dxy, dtype=float) @ self._matrix[:2, :2]
        return stored

    def to_ras(self, xy: np.ndarray) -> np.ndarray:
        """``(..., 3)`` millimetres of ``(..., 2)`` stored pixels."""
        ras = np.zeros((*np.shape(xy)[:-1], 3))
        ras[..., :2] = -self.to_upright(xy) * self._upright_spacing
        return ras

    def to_pixels(self, ras: np.ndarray) -> np.ndarray:
        """``(..., 2)`` stored pixels of ``(..., 3)`` millimetres, projected onto the plane."""
        return self.to_stored(-np.asarray(ras, dtype=float)[..., :2] / self._upright_spacing)
