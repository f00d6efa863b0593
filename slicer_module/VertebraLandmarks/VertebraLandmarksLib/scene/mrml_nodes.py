"""Nodes that belong to this module: made, marked as its own, and the only ones that it ever removes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Optional

ROLE = "VertebraLandmarks.role"
"""Attribute of every node of this module: what it is for."""


def create(scene: Any, kind: str, name: str, role: str, view: Optional[str] = None, is_hidden: bool = False) -> Any:
    """Add a node, with display nodes where its class has them.

    It is not saved with the scene: points are saved as drafts and at the server, all else is made from them.

    Args:
        scene: where it is added.
        kind: its class.
        name: what the user sees.
        role: what it is for.
        view: ID of the only view that shows it; all do when left out.
        is_hidden: whether the user's lists of nodes leave it out.
    """
    node = scene.CreateNodeByClass(kind)
    node.UnRegister(None)
    node.SetName(scene.GenerateUniqueName(name))
    _claim(node, role, is_hidden)
    with _same_place_node(scene):
        scene.AddNode(node)
    if node.IsA("vtkMRMLDisplayableNode"):
        node.CreateDefaultDisplayNodes()
    for display in displays(node):
        _claim(display, role, is_hidden)
        if view is not None:
            display.AddViewNodeID(view)
    return node


def remove(scene: Any, node: Any) -> None:
    """Remove a node of this module with its display nodes; nothing where it is gone already."""
    if node is None or not scene.IsNodePresent(node):
        return
    with _same_place_node(scene):
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
    """Let the nodes say once that they were modified, at the end."""
    before = [node.StartModify() for node in changed]
    try:
        yield
    finally:
        for node, was in zip(changed, before):
            node.EndModify(was)


@contextmanager
def _same_place_node(scene: Any) -> Iterator[None]:
    """Slicer lets clicks go into the list of points that was added last; the user's choice is kept instead."""
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
