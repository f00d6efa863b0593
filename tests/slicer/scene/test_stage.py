"""The stage: a scene and a slice view as in the desktop, with a mouse that Slicer's own interaction answers."""

from __future__ import annotations

import numpy as np
import pytest
import slicer

from harness.fake_slicer.slice_view import Stage, observers, stage

pytestmark = pytest.mark.slicer


def fiducials(opened: Stage, *places: tuple[float, float]):
    node = opened.scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode")
    node.CreateDefaultDisplayNodes()
    for place in places:
        node.AddControlPoint(*place, 0.0)
    opened.render()
    return node


def test_the_scene_is_slicers_own_while_the_stage_is_open() -> None:
    before = getattr(slicer, "mrmlScene", None)
    with stage() as opened:
        assert slicer.mrmlScene is opened.scene
        assert opened.node_counts()["vtkMRMLSliceNode"] == 1
    assert slicer.mrmlScene is before


def test_the_picture_is_as_large_as_the_view_and_black_without_nodes() -> None:
    with stage((120, 80)) as opened:
        assert opened.size == (120, 80)
        image = opened.screenshot()
    assert image.shape == (80, 120, 3)
    assert not image.any()


def test_a_markup_is_drawn_where_it_lies(slicer_stage: Stage) -> None:
    fiducials(slicer_stage, (20.0, 30.0))
    x, y = slicer_stage.position_of((20.0, 30.0))
    image = slicer_stage.screenshot()
    row, column = round(slicer_stage.size[1] - 1 - y), round(x)
    assert image[row - 3 : row + 4, column - 3 : column + 4].any()
    assert slicer_stage.ras_of((x, y)) == pytest.approx((20.0, 30.0))


def test_a_drag_moves_a_markup_as_in_the_desktop(slicer_stage: Stage) -> None:
    node = fiducials(slicer_stage, (20.0, 30.0), (-40.0, 0.0))
    events = []
    for name in ("PointStartInteractionEvent", "PointModifiedEvent", "PointEndInteractionEvent"):
        node.AddObserver(getattr(node, name), lambda *_, name=name: events.append(name))
    steps = []
    slicer_stage.drag(slicer_stage.position_of((20.0, 30.0)), (400, 300), 5, lambda: steps.append(len(events)))
    assert events == ["PointStartInteractionEvent", *["PointModifiedEvent"] * 5, "PointEndInteractionEvent"]
    assert steps == [2, 3, 4, 5, 6]
    assert node.GetNthControlPointPosition(0)[:2] == pytest.approx(slicer_stage.ras_of((400, 300)))
    assert node.GetNthControlPointPosition(1) == (-40.0, 0.0, 0.0)


def test_a_drag_beside_a_markup_does_not_move_it(slicer_stage: Stage) -> None:
    node = fiducials(slicer_stage, (20.0, 30.0))
    slicer_stage.drag((10, 10), (60, 60))
    assert node.GetNthControlPointPosition(0) == (20.0, 30.0, 0.0)


def test_observers_are_counted(slicer_stage: Stage) -> None:
    node = fiducials(slicer_stage)
    before = observers(node)
    tags = [node.AddObserver("ModifiedEvent", lambda *_: None) for _ in range(3)]
    assert observers(node) == before + 3
    assert slicer_stage.observer_counts()[node.GetID()] == before + 3
    for tag in tags:
        node.RemoveObserver(tag)
    assert observers(node) == before


def test_stages_follow_each_other() -> None:
    for _ in range(2):
        with stage((200, 200)) as opened:
            node = fiducials(opened, (0.0, 0.0))
            opened.drag(opened.position_of((0.0, 0.0)), (150, 150))
            assert not np.allclose(node.GetNthControlPointPosition(0), 0)
