"""Markups nodes and editor: what the mouse does to the points, in the rendered view."""

from __future__ import annotations

import numpy as np
import pytest
from VertebraLandmarksLib.editor.spine_editor import MOVED
from VertebraLandmarksLib.spine.labels.markups import label_of
from VertebraLandmarksLib.spine.schema import CORNERS, VERTEBRAE, Spine

from lib.phantoms import Phantom

from .conftest import SPACING

pytestmark = pytest.mark.slicer

CENTER, TL, TR, BL, BR = range(5)
T7, L5 = 6, 16


def corner_index(v: int, p: int) -> int:
    return 4 * v + p - 1


def test_there_is_one_list_of_centers_and_one_of_corners_with_names(labelled) -> None:
    (centers,), (corners,) = labelled.nodes("centers"), labelled.nodes("corners")
    assert [centers.GetNthControlPointLabel(i) for i in range(17)] == list(VERTEBRAE)
    expected = [label_of(vertebra, corner) for vertebra in VERTEBRAE for corner in CORNERS]
    assert [corners.GetNthControlPointLabel(i) for i in range(68)] == expected
    for node, count in ((centers, 17), (corners, 68)):
        assert node.GetNumberOfControlPoints() == count
        assert node.GetFixedNumberOfControlPoints()


def test_points_lie_at_pixel_times_spacing(labelled, phantom: Phantom) -> None:
    xy = phantom.spine.xy
    assert np.allclose(labelled.markups_xy("centers"), xy[:, CENTER])
    assert np.allclose(labelled.markups_xy("corners"), xy[:, 1:].reshape(-1, 2))
    (centers,) = labelled.nodes("centers")
    x, y = xy[T7, CENTER]
    assert centers.GetNthControlPointPosition(T7) == pytest.approx((-0.5 * x, -0.25 * y, 0.0))


def test_dragging_a_corner_moves_it_and_its_center_follows(labelled, phantom: Phantom) -> None:
    xy, (corners,) = phantom.spine.xy, labelled.nodes("corners")
    events, changes = [], []
    for name in ("PointStartInteractionEvent", "PointModifiedEvent", "PointEndInteractionEvent"):
        corners.AddObserver(getattr(corners, name), lambda *_, name=name: events.append(name))
    labelled.logic.editor.subscribe(changes.append)
    start = labelled.point(T7, TL)
    stop = (start[0] - 30, start[1] + 20)
    labelled.stage.drag(start, stop, steps=6)
    assert events == ["PointStartInteractionEvent", *["PointModifiedEvent"] * 6, "PointEndInteractionEvent"]
    moved = labelled.logic.editor.xy
    assert np.hypot(*np.subtract(labelled.point(T7, TL), stop)) < 1.5  # the mouse is at whole pixels of the view
    assert np.allclose(moved[T7, CENTER], moved[T7, 1:].mean(axis=0))
    assert np.allclose(labelled.markups_xy("centers")[T7], moved[T7, CENTER])
    others = np.ones((17, 5), dtype=bool)
    others[T7, [CENTER, TL]] = False
    assert np.array_equal(moved[others], xy[others])
    assert [change.kind for change in changes] == [MOVED if not c.is_ongoing else "placed" for c in changes]
    assert [change.is_ongoing for change in changes] == [True] * 6 + [False]
    assert labelled.logic.editor.edits == 1
    assert list(labelled.logic.editor.fixed()) == ["T7"]


def test_dragging_a_center_takes_its_corners_along(labelled, phantom: Phantom) -> None:
    xy = phantom.spine.xy
    start = labelled.point(T7, CENTER)
    labelled.stage.drag(start, (start[0] + 25, start[1]))
    shift = labelled.logic.editor.xy[T7] - xy[T7]
    assert np.allclose(shift, shift[0])
    assert shift[0, 0] > 5
    assert np.allclose(labelled.markups_xy("corners")[4 * T7 : 4 * T7 + 4], labelled.logic.editor.xy[T7, 1:])
    assert list(labelled.logic.editor.fixed()["T7"]) == ["center"]


def test_a_drag_is_undone_in_the_scene_too(labelled, phantom: Phantom) -> None:
    start = labelled.point(T7, TL)
    labelled.stage.drag(start, (start[0] - 30, start[1]))
    labelled.logic.editor.undo()
    assert np.array_equal(labelled.logic.editor.xy, phantom.spine.xy)
    assert np.allclose(labelled.markups_xy("corners"), phantom.spine.xy[:, 1:].reshape(-1, 2))
    labelled.logic.editor.redo()
    assert not np.allclose(labelled.markups_xy("corners")[corner_index(T7, TL)], phantom.spine.xy[T7, TL])


def test_a_second_drag_goes_on_where_the_first_ended(labelled) -> None:
    for _ in range(2):
        start = labelled.point(T7, TL)
        labelled.stage.drag(start, (start[0] - 12, start[1]))
    assert labelled.logic.editor.edits == 2


def test_in_vertebra_mode_a_corner_takes_the_whole_vertebra_along(labelled, phantom: Phantom) -> None:
    labelled.logic.drag_mode = "vertebra"
    start = labelled.point(T7, TL)
    labelled.stage.drag(start, (start[0] - 20, start[1] + 8))
    shift = labelled.logic.editor.xy[T7] - phantom.spine.xy[T7]
    assert np.allclose(shift, shift[0])
    assert np.hypot(*np.subtract(labelled.point(T7, TL), (start[0] - 20, start[1] + 8))) < 1.5
    assert set(labelled.logic.editor.fixed()["T7"]) == {"center", *CORNERS}
    assert np.allclose(labelled.markups_xy("centers")[T7], labelled.logic.editor.xy[T7, CENTER])


def test_in_rotate_mode_a_corner_turns_its_vertebra_about_the_center(labelled, phantom: Phantom) -> None:
    labelled.logic.drag_mode = "rotate"
    before = phantom.spine.xy[T7]
    start = labelled.point(T7, TR)
    labelled.stage.drag(start, (start[0], start[1] - 25), steps=10)
    after = labelled.logic.editor.xy[T7]
    assert np.allclose(after[CENTER], before[CENTER])
    in_mm = before * SPACING, after * SPACING
    lengths = [np.linalg.norm(points[1:] - points[CENTER], axis=1) for points in in_mm]
    assert np.allclose(lengths[0], lengths[1])
    turned = np.degrees([np.arctan2(*(p[TR] - p[TL])[::-1]) for p in in_mm])
    assert turned[1] - turned[0] > 10  # the right side went down: clockwise
    assert np.allclose(labelled.markups_xy("corners")[corner_index(T7, TR)], after[TR])
    assert labelled.logic.editor.edits == 1


def test_an_unknown_drag_mode_is_refused(labelled) -> None:
    with pytest.raises(ValueError, match="drag_mode 'shear' is not one of point, vertebra, rotate"):
        labelled.logic.drag_mode = "shear"


def test_a_locked_point_does_not_move(labelled, phantom: Phantom) -> None:
    labelled.logic.editor.locked = True
    start = labelled.point(T7, TL)
    labelled.stage.drag(start, (start[0] - 30, start[1]))
    assert np.array_equal(labelled.logic.editor.xy, phantom.spine.xy)
    labelled.logic.editor.locked = False
    labelled.stage.drag(start, (start[0] - 30, start[1]))
    assert labelled.logic.editor.edits == 1


def test_what_moves_a_locked_point_otherwise_is_put_back(labelled, phantom: Phantom) -> None:
    labelled.logic.editor.locked = True
    (corners,) = labelled.nodes("corners")
    corners.SetNthControlPointPosition(corner_index(T7, TL), 1.0, 2.0, 0.0)
    corners.UnsetNthControlPointPosition(corner_index(L5, TL))
    assert np.array_equal(labelled.logic.editor.xy, phantom.spine.xy)
    assert np.allclose(labelled.markups_xy("corners"), phantom.spine.xy[:, 1:].reshape(-1, 2))


def test_unsetting_a_point_in_slicer_marks_it_as_not_visible(labelled) -> None:
    """As the menu of a point does; deleting is refused by Slicer, as the number of points is fixed."""
    (corners,) = labelled.nodes("corners")
    corners.UnsetNthControlPointPosition(corner_index(T7, TL))
    assert np.isnan(labelled.logic.editor.xy[T7, TL]).all()
    assert np.isfinite(labelled.logic.editor.xy[T7, TR]).all()
    labelled.logic.editor.undo()
    assert np.isfinite(labelled.markups_xy("corners")).all()


def test_hidden_points_are_unset_and_come_back(labelled, phantom: Phantom) -> None:
    labelled.logic.editor.hide(L5)
    assert np.isnan(labelled.markups_xy("centers")[L5]).all()
    assert np.isnan(labelled.markups_xy("corners")[4 * L5 :]).all()
    assert np.isfinite(labelled.markups_xy("corners")[: 4 * L5]).all()
    labelled.logic.editor.undo()
    assert np.allclose(labelled.markups_xy("centers"), phantom.spine.xy[:, CENTER])


def test_all_points_written_at_once_by_others_reach_the_editor(labelled, phantom: Phantom) -> None:
    """Bulk updates fire one event that does not say which points it is about."""
    (corners,) = labelled.nodes("corners")
    was = corners.StartModify()
    for v in (T7, L5):
        x, y = phantom.spine.xy[v, TL] + 4
        corners.SetNthControlPointPosition(corner_index(v, TL), -0.5 * x, -0.25 * y, 0.0)
    corners.EndModify(was)
    assert np.allclose(labelled.logic.editor.xy[[T7, L5], TL], phantom.spine.xy[[T7, L5], TL] + 4)
    assert np.allclose(labelled.markups_xy("centers")[T7], phantom.spine.xy[T7, CENTER] + 1)


def test_points_of_doubtful_vertebrae_have_another_color(labelled, phantom: Phantom) -> None:
    scores = np.full((17, 5), 0.9)
    scores[T7] = 0.2
    labelled.logic.editor.load(Spine.from_arrays(phantom.spine.xy, scores))
    (corners,), (centers,) = labelled.nodes("corners"), labelled.nodes("centers")
    doubtful = [i for i in range(68) if not corners.GetNthControlPointSelected(i)]
    assert doubtful == [corner_index(T7, p) for p in (TL, TR, BL, BR)]
    assert [i for i in range(17) if not centers.GetNthControlPointSelected(i)] == [T7]
    labelled.logic.editor.move_point(T7, CENTER, phantom.spine.xy[T7, CENTER] + 1)
    assert all(centers.GetNthControlPointSelected(i) for i in range(17))


def test_the_point_under_the_mouse_is_named(labelled) -> None:
    (names,) = labelled.nodes("names")
    labelled.stage.move(labelled.point(T7, TR))
    assert labelled.logic.hovered == (T7, TR)
    assert names.GetNthControlPointLabel(names.GetNumberOfControlPoints() - 1) == "T7 TR"
    labelled.stage.move((3, 3))
    assert labelled.logic.hovered is None
    assert names.GetNumberOfControlPoints() == 17


def test_labels_of_all_points_are_seen_only_when_zoomed_in(labelled) -> None:
    (corners,) = labelled.nodes("corners")
    assert not corners.GetDisplayNode().GetPointLabelsVisibility()
    labelled.logic.jump_to("T7")
    assert corners.GetDisplayNode().GetPointLabelsVisibility()
    (names,) = labelled.nodes("names")
    assert names.GetNumberOfControlPoints() == 0  # the points' own labels say it
    labelled.logic.set_layer("labels", False)
    assert not corners.GetDisplayNode().GetPointLabelsVisibility()
    labelled.logic.set_layer("labels", True)
    labelled.logic.fit()
    assert not corners.GetDisplayNode().GetPointLabelsVisibility()
    assert names.GetNumberOfControlPoints() == 17
