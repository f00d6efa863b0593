"""Points that a person corrects: what follows what, what counts as touched, undo and redo."""

from __future__ import annotations

import numpy as np
import pytest
from VertebraLandmarksLib.editor.spine_editor import (
    ADOPTED,
    CANCELLED,
    HIDDEN,
    LOADED,
    LOCKED,
    MOVED,
    PLACED,
    REDONE,
    SHIFTED,
    UNDONE,
    Change,
    SpineEditor,
)
from VertebraLandmarksLib.spine.measurement.origin import Origin
from VertebraLandmarksLib.spine.schema import CORNERS, POINTS, VERTEBRAE, Spine

pytestmark = pytest.mark.slicer

CENTER, TL, TR, BL, BR = range(5)
T1, T7, L5 = 0, 6, 16


@pytest.fixture
def editor(ladder: np.ndarray) -> SpineEditor:
    """Loaded with the ladder, scores 0.5 and expected errors of 3 px."""
    made = SpineEditor()
    made.load(Spine.from_arrays(ladder, np.full((17, 5), 0.5), np.full((17, 5), 3.0)))
    return made


def listened(editor: SpineEditor) -> list[Change]:
    changes: list[Change] = []
    editor.subscribe(changes.append)
    return changes


def test_an_editor_begins_without_points() -> None:
    editor = SpineEditor()
    assert np.isnan(editor.xy).all()
    assert not editor.can_undo
    assert not editor.is_changed
    assert editor.fixed() == {}


def test_loaded_points_come_back_as_they_were(editor: SpineEditor, ladder: np.ndarray) -> None:
    assert np.array_equal(editor.xy, ladder)
    assert (editor.scores == 0.5).all()
    assert (editor.errors == 3.0).all()
    assert np.array_equal(editor.spine().xy, ladder)


def test_loading_keeps_what_was_touched(ladder: np.ndarray) -> None:
    touched = np.zeros((17, 5), dtype=bool)
    touched[T7, TL] = True
    editor = SpineEditor()
    editor.load(Spine.from_arrays(ladder), touched)
    assert editor.fixed() == {"T7": {"TL": ladder[T7, TL].tolist()}}


def test_loading_refuses_touched_of_another_shape(ladder: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"touched must have shape \(17, 5\), got \(17, 4\)"):
        SpineEditor().load(Spine.from_arrays(ladder), np.zeros((17, 4)))


def test_what_is_handed_out_does_not_change_the_points(editor: SpineEditor, ladder: np.ndarray) -> None:
    editor.xy[:] = 0
    editor.touched[:] = True
    assert np.array_equal(editor.xy, ladder)
    assert not editor.touched.any()


def test_the_center_of_a_moved_corner_is_the_mean_of_the_corners(editor: SpineEditor, ladder: np.ndarray) -> None:
    assert editor.move_point(T7, TL, ladder[T7, TL] + (8, -4))
    expected = ladder.copy()
    expected[T7, TL] += (8, -4)
    expected[T7, CENTER] += (2, -1)
    assert np.allclose(editor.xy, expected)


def test_corners_follow_a_moved_center(editor: SpineEditor, ladder: np.ndarray) -> None:
    editor.move_point(T7, CENTER, ladder[T7, CENTER] + (3, 5))
    expected = ladder.copy()
    expected[T7] += (3, 5)
    assert np.allclose(editor.xy, expected)


@pytest.mark.parametrize("moved", [TL, BR], ids=["the lone corner of its side", "the corner of the other diagonal"])
def test_the_center_lies_on_the_whole_diagonal_while_a_corner_is_hidden(
    editor: SpineEditor, ladder: np.ndarray, moved: int
) -> None:
    editor.hide(T7, BL)
    editor.move_point(T7, moved, ladder[T7, moved] + (4, 2))
    assert np.allclose(editor.xy[T7, CENTER], ladder[T7, CENTER] + (2, 1))


def test_the_center_stays_while_no_diagonal_is_whole(editor: SpineEditor, ladder: np.ndarray) -> None:
    editor.hide(T7, BL)
    editor.hide(T7, BR)
    editor.move_point(T7, TL, ladder[T7, TL] + (4, 2))
    assert np.array_equal(editor.xy[T7, CENTER], ladder[T7, CENTER])


def test_a_hidden_center_comes_back_with_four_corners_only(editor: SpineEditor, ladder: np.ndarray) -> None:
    editor.hide(T7, CENTER)
    editor.hide(T7, BR)
    editor.move_point(T7, TL, ladder[T7, TL] + (4, 0))
    assert np.isnan(editor.xy[T7, CENTER]).all()
    editor.place(T7, BR, ladder[T7, BR])
    assert np.allclose(editor.xy[T7, CENTER], ladder[T7, CENTER] + (1, 0))


def test_moving_a_vertebra_moves_all_its_points(editor: SpineEditor, ladder: np.ndarray) -> None:
    editor.move_vertebra(T7, (-2, 7))
    expected = ladder.copy()
    expected[T7] += (-2, 7)
    assert np.allclose(editor.xy, expected)


def test_rotating_turns_clockwise_on_the_screen_about_the_center(editor: SpineEditor, ladder: np.ndarray) -> None:
    editor.rotate_vertebra(T7, 90)
    x, y = ladder[T7, CENTER]
    assert np.allclose(editor.xy[T7], [(x, y), (x + 6, y - 10), (x + 6, y + 10), (x - 6, y - 10), (x - 6, y + 10)])


def test_rotating_without_a_center_turns_about_the_mean_of_the_corners(editor: SpineEditor, ladder: np.ndarray) -> None:
    editor.hide(T7, CENTER)
    editor.rotate_vertebra(T7, 180)
    assert np.isnan(editor.xy[T7, CENTER]).all()
    assert np.allclose(editor.xy[T7, TL], ladder[T7, BR])


def test_a_vertebra_that_is_not_visible_is_not_moved(editor: SpineEditor) -> None:
    editor.hide(L5)
    assert not editor.move_vertebra(L5, (1, 1))
    assert not editor.rotate_vertebra(L5, 10)
    assert editor.edits == 1


@pytest.mark.parametrize(
    ("change", "points"),
    [
        (lambda e, xy: e.move_point(T7, TL, xy[T7, TL] + 1), [TL]),
        (lambda e, xy: e.move_point(T7, CENTER, xy[T7, CENTER] + 1), [CENTER]),
        (lambda e, xy: e.move_vertebra(T7, (1, 0)), [CENTER, TL, TR, BL, BR]),
        (lambda e, xy: e.rotate_vertebra(T7, 1), [CENTER, TL, TR, BL, BR]),
        (lambda e, xy: e.place(T7, BR, xy[T7, BR] + 1), [BR]),
        (lambda e, xy: e.place_corners(T7, xy[T7, 1:] + 1), [TL, TR, BL, BR]),
        (lambda e, xy: e.hide(T7, BL), [BL]),
        (lambda e, xy: e.hide(T7), [CENTER, TL, TR, BL, BR]),
    ],
    ids=["corner", "center", "vertebra", "turned", "placed", "four placed", "hidden corner", "hidden"],
)
def test_what_a_change_touches(editor: SpineEditor, ladder: np.ndarray, change, points: list[int]) -> None:
    change(editor, ladder)
    expected = np.zeros((17, 5), dtype=bool)
    expected[T7, points] = True
    assert np.array_equal(editor.touched, expected)
    assert (editor.scores == np.where(expected, 1.0, 0.5)).all()
    assert np.array_equal(np.isnan(editor.errors), expected)


def test_fixed_holds_what_is_touched_and_visible(editor: SpineEditor, ladder: np.ndarray) -> None:
    editor.move_point(T7, TL, (12.5, 13.25))
    editor.move_point(L5, CENTER, (50, 300))
    editor.hide(T1)
    assert editor.fixed() == {"T7": {"TL": [12.5, 13.25]}, "L5": {"center": [50.0, 300.0]}}


def test_touched_points_leave_with_score_one_and_no_error(editor: SpineEditor) -> None:
    editor.move_point(T7, TL, (12.5, 13.25))
    point = editor.spine()["T7"].TL
    assert point is not None
    assert (point.score, point.error) == (1.0, None)


def test_placing_corner_by_corner_brings_the_center_with_the_fourth() -> None:
    editor = SpineEditor()
    for p, xy in ((TL, (0, 0)), (TR, (10, 0)), (BL, (0, 6))):
        editor.place(T1, p, xy)
        assert np.isnan(editor.xy[T1, CENTER]).all()
    editor.place(T1, BR, (10, 6))
    assert np.allclose(editor.xy[T1, CENTER], (5, 3))
    assert not editor.touched[T1, CENTER]


def test_placing_four_corners_at_once_is_one_step(ladder: np.ndarray) -> None:
    editor = SpineEditor()
    assert editor.place_corners(T7, ladder[T7, 1:])
    assert np.allclose(editor.xy[T7], ladder[T7])
    assert editor.edits == 1
    editor.undo()
    assert np.isnan(editor.xy).all()


def test_undo_and_redo_walk_through_the_states(editor: SpineEditor, ladder: np.ndarray) -> None:
    states = [editor.xy]
    editor.move_point(T7, TL, (30, 100))
    states.append(editor.xy)
    editor.hide(L5)
    states.append(editor.xy)
    editor.rotate_vertebra(T1, 20)
    states.append(editor.xy)
    for expected in states[-2::-1]:
        assert editor.undo()
        assert np.array_equal(editor.xy, expected, equal_nan=True)
    assert not editor.undo()
    assert not editor.is_changed
    for expected in states[1:]:
        assert editor.redo()
        assert np.array_equal(editor.xy, expected, equal_nan=True)
    assert not editor.redo()


def test_undo_takes_scores_and_touched_back(editor: SpineEditor) -> None:
    editor.move_vertebra(T7, (1, 1))
    editor.undo()
    assert not editor.touched.any()
    assert (editor.scores == 0.5).all()
    assert (editor.errors == 3.0).all()


def test_a_new_edit_ends_what_can_be_redone(editor: SpineEditor) -> None:
    editor.hide(T7)
    editor.undo()
    editor.hide(T1)
    assert not editor.can_redo


def test_a_drag_is_one_step(editor: SpineEditor, ladder: np.ndarray) -> None:
    editor.begin()
    for step in range(1, 11):
        editor.move_point(T7, TL, ladder[T7, TL] + step)
    assert editor.can_undo
    assert not editor.can_redo
    assert editor.edits == 1
    editor.end()
    assert editor.edits == 1
    editor.undo()
    assert np.array_equal(editor.xy, ladder)
    editor.redo()
    assert np.allclose(editor.xy[T7, TL], ladder[T7, TL] + 10)


def test_a_click_without_a_move_is_no_step(editor: SpineEditor) -> None:
    editor.begin()
    editor.end()
    assert not editor.is_changed
    editor.end()
    assert editor.edits == 0


def test_undo_in_the_middle_of_a_drag_takes_the_drag_back(editor: SpineEditor, ladder: np.ndarray) -> None:
    editor.hide(L5)
    editor.begin()
    editor.move_point(T7, TL, (0, 0))
    assert editor.undo()
    assert np.array_equal(editor.xy[T7], ladder[T7])
    assert np.isnan(editor.xy[L5]).all()
    editor.end()
    assert editor.edits == 1


def test_cancelling_without_a_drag_does_nothing(editor: SpineEditor) -> None:
    editor.hide(L5)
    assert not editor.cancel()
    assert editor.edits == 1


def test_edits_counts_the_persons_steps(editor: SpineEditor, ladder: np.ndarray) -> None:
    editor.hide(T1)
    editor.adopt(Spine.from_arrays(ladder))
    editor.hide(L5)
    assert editor.edits == 2
    editor.undo()
    assert editor.edits == 1
    assert editor.is_changed
    editor.undo()
    editor.undo()
    assert (editor.edits, editor.is_changed) == (0, False)


def test_names_go_down_and_up_by_one(editor: SpineEditor, ladder: np.ndarray) -> None:
    editor.move_point(T7, TL, (30, 100))
    before, touched = editor.xy, editor.touched
    assert editor.shift_names(1)
    assert np.isnan(editor.xy[T1]).all()
    assert np.array_equal(editor.xy[1:], before[:-1])
    assert np.array_equal(editor.touched[1:, TL:], touched[:-1, TL:])
    assert not editor.touched[T1].any()
    assert editor.fixed()["T8"] == {"center": before[T7, CENTER].tolist(), "TL": [30.0, 100.0]}


def test_shifted_names_stay_with_the_next_prediction(editor: SpineEditor, ladder: np.ndarray) -> None:
    """The model would name the vertebrae as it did before."""
    assert not editor.is_touched
    editor.hide(T1)
    editor.shift_names(1)
    assert editor.is_touched
    assert editor.fixed() == {VERTEBRAE[v]: {"center": ladder[v - 1, CENTER].tolist()} for v in range(2, 17)}
    shifted = editor.xy
    assert editor.propose(Spine.from_arrays(ladder))
    assert np.allclose(editor.xy[2:], shifted[2:])
    assert np.array_equal(editor.xy[T1], ladder[T1])
    assert np.isnan(editor.xy[T1 + 1]).all()  # marked as not visible under another name
    editor.undo()
    editor.undo()
    assert editor.fixed() == {}


def test_a_prediction_is_a_beginning_only_where_there_is_nobodys_work(ladder: np.ndarray) -> None:
    spine, touched = Spine.from_arrays(ladder), np.zeros((17, 5), bool)
    touched[T7, TL] = True
    editor = SpineEditor()
    assert not editor.propose(spine)
    assert not editor.propose(spine)
    assert not editor.can_undo
    editor.load(spine, is_own=True)
    assert editor.propose(Spine.from_arrays(ladder + 1))
    assert (editor.prediction_count, editor.edits, editor.can_undo) == (1, 0, True)
    editor.undo()
    assert editor.prediction_count == 0
    assert np.array_equal(editor.xy, ladder)
    editor.load(spine, touched)
    assert editor.propose(spine)
    editor.load(spine)
    editor.hide(L5)
    assert editor.propose(spine)
    editor.load(spine)
    editor.is_own = True  # it was submitted
    assert editor.propose(spine)


def test_origin_goes_with_the_points(editor: SpineEditor, ladder: np.ndarray) -> None:
    first = Origin("1", 0.9, tuple(float(v) for v in range(17)))
    second = Origin("2", 0.5)
    editor.load(Spine.from_arrays(ladder), origin=first)
    editor.shift_names(1)
    assert editor.origin == Origin("1", None, (None, *range(16)))
    assert editor.propose(Spine.from_arrays(ladder), second)
    assert editor.origin == second
    editor.undo()
    editor.undo()
    assert editor.origin == first
    editor.redo()
    editor.redo()
    assert editor.origin == second


def test_what_a_shift_pushes_over_the_end_comes_back(editor: SpineEditor, ladder: np.ndarray) -> None:
    editor.shift_names(1)
    editor.shift_names(1)
    editor.move_vertebra(T7, (5, 0))
    editor.shift_names(-1)
    editor.shift_names(-1)
    expected = ladder.copy()
    expected[T7 - 2] += (5, 0)
    assert np.allclose(editor.xy, expected)
    for _ in range(5):
        editor.undo()
    assert np.array_equal(editor.xy, ladder)


def test_names_are_not_shifted_off_the_spine(ladder: np.ndarray) -> None:
    editor = SpineEditor()
    editor.place_corners(T1, ladder[T1, 1:])
    assert not editor.shift_names(-1)
    assert np.allclose(editor.xy[T1], ladder[T1])


def test_adopting_keeps_touched_points_bit_for_bit(editor: SpineEditor, ladder: np.ndarray) -> None:
    editor.move_point(T7, TL, (1 / 3, 2 / 7))
    editor.hide(L5)
    prediction = Spine.from_arrays(ladder + 0.125, np.full((17, 5), 0.25), np.full((17, 5), 9.0))
    editor.adopt(prediction)
    assert editor.xy[T7, TL].tolist() == [1 / 3, 2 / 7]
    assert np.isnan(editor.xy[L5]).all()
    assert np.array_equal(editor.xy[T1], ladder[T1] + 0.125)
    assert editor.scores[T7, TL] == 1
    assert editor.scores[T1, TL] == 0.25
    editor.undo()
    assert np.array_equal(editor.xy[T1], ladder[T1])


def test_adopting_does_not_move_points_beside_a_touched_one_that_was_asked_for(
    editor: SpineEditor, ladder: np.ndarray
) -> None:
    editor.move_point(T7, TL, ladder[T7, TL] + (0.1, 0.3))
    prediction = ladder + 1.0
    prediction[T7, TL] = editor.xy[T7, TL]
    editor.adopt(Spine.from_arrays(prediction))
    assert np.array_equal(editor.xy, prediction)


def test_adopting_carries_a_vertebra_along_that_was_moved_meanwhile(editor: SpineEditor, ladder: np.ndarray) -> None:
    editor.move_point(T7, CENTER, ladder[T7, CENTER] + (40, 0))
    editor.adopt(Spine.from_arrays(ladder))
    assert np.allclose(editor.xy[T7], ladder[T7] + (40, 0))


def test_what_follows_an_edit_is_a_part_of_it(editor: SpineEditor, ladder: np.ndarray) -> None:
    editor.move_point(T7, TL, (1 / 3, 2 / 7))
    editor.hide(L5)
    told = listened(editor)
    origin = Origin("2")
    assert editor.follow(Spine.from_arrays(ladder + 0.125), origin)
    assert [change.kind for change in told] == [ADOPTED]
    assert (editor.edits, editor.prediction_count, editor.origin) == (2, 0, origin)
    followed = editor.xy
    assert followed[T7, TL].tolist() == [1 / 3, 2 / 7]
    assert np.isnan(followed[L5]).all()
    assert np.array_equal(followed[T1], ladder[T1] + 0.125)
    editor.undo()
    assert np.array_equal(editor.xy[T1], ladder[T1])
    assert np.array_equal(editor.xy[L5], ladder[L5])
    editor.redo()
    assert np.array_equal(editor.xy, followed, equal_nan=True)
    editor.undo()
    editor.undo()
    assert np.array_equal(editor.xy, ladder)


def test_nothing_follows_without_an_edit_or_amid_one(editor: SpineEditor, ladder: np.ndarray) -> None:
    prediction = Spine.from_arrays(ladder + 1)
    assert not editor.follow(prediction)
    editor.adopt(Spine.from_arrays(ladder))
    assert not editor.follow(prediction)
    editor.begin()
    editor.move_point(T7, TL, (1, 2))
    assert not editor.follow(prediction)
    editor.move_point(T7, TL, (3, 4))
    editor.end()
    assert editor.edits == 1
    assert editor.follow(prediction)


def test_adopting_forgets_what_was_pushed_over_the_end(editor: SpineEditor, ladder: np.ndarray) -> None:
    editor.shift_names(1)
    editor.adopt(Spine.from_arrays(ladder))
    editor.shift_names(-1)
    assert np.isnan(editor.xy[L5]).all()


def test_adopting_in_the_middle_of_a_drag_ends_it(editor: SpineEditor, ladder: np.ndarray) -> None:
    editor.begin()
    editor.move_point(T7, TL, (1, 2))
    editor.adopt(Spine.from_arrays(ladder))
    editor.move_point(T7, TL, (3, 4))
    editor.end()
    assert editor.edits == 2
    editor.undo()
    assert editor.xy[T7, TL].tolist() == [1, 2]


def test_a_locked_editor_refuses_every_change(editor: SpineEditor, ladder: np.ndarray) -> None:
    editor.hide(L5)
    before = editor.xy
    editor.locked = True
    refused = [
        editor.move_point(T7, TL, (0, 0)),
        editor.place(T7, TL, (0, 0)),
        editor.place_corners(T7, ladder[T1, 1:]),
        editor.move_vertebra(T7, (1, 1)),
        editor.rotate_vertebra(T7, 5),
        editor.hide(T7),
        editor.shift_names(1),
        editor.undo(),
        editor.redo(),
    ]
    assert not any(refused)
    assert not editor.can_undo
    assert np.array_equal(editor.xy, before, equal_nan=True)
    editor.locked = False
    assert editor.undo()
    assert np.array_equal(editor.xy, ladder)


def test_locking_ends_a_drag(editor: SpineEditor) -> None:
    editor.begin()
    editor.move_point(T7, TL, (1, 2))
    editor.locked = True
    editor.begin()
    editor.end()
    editor.locked = False
    assert editor.edits == 1


def test_listeners_hear_what_happened(editor: SpineEditor, ladder: np.ndarray) -> None:
    changes = listened(editor)
    everything = tuple(range(17))
    editor.begin()
    editor.move_point(T7, TL, (1, 2))
    editor.end()
    editor.hide(L5)
    editor.place(T1, TL, (0, 0))
    editor.shift_names(1)
    editor.undo()
    editor.undo()
    editor.redo()
    editor.begin()
    editor.move_vertebra(T7, (1, 1))
    editor.cancel()
    editor.adopt(Spine.from_arrays(ladder))
    editor.locked = True
    editor.load(Spine.from_arrays(ladder))
    assert changes == [
        Change(MOVED, (T7,), is_ongoing=True),
        Change(MOVED, (T7,)),
        Change(HIDDEN, (L5,)),
        Change(PLACED, (T1,)),
        Change(SHIFTED, everything),
        Change(UNDONE, everything),
        Change(UNDONE, (T1,)),
        Change(REDONE, (T1,)),
        Change(MOVED, (T7,), is_ongoing=True),
        Change(CANCELLED, (T7,)),
        Change(ADOPTED, everything),
        Change(LOCKED, ()),
        Change(LOADED, everything),
    ]


def test_who_unsubscribes_hears_nothing_more(editor: SpineEditor) -> None:
    changes: list[Change] = []
    end = editor.subscribe(changes.append)
    end()
    end()
    editor.hide(L5)
    assert changes == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: e.move_point(17, TL, (0, 0)), r"a vertebra is a number from 0 \(T1\) to 16 \(L5\), got 17"),
        (lambda e: e.place(-1, TL, (0, 0)), "a vertebra is a number"),
        (lambda e: e.hide(T1, 5), r"a point is a number from 0 \(center\) to 4 \(BR\), got 5"),
        (lambda e: e.place(T1, TL, (np.nan, 0)), "a position must be two finite numbers"),
        (lambda e: e.place(T1, TL, (1, 2, 3)), "a position must be two finite numbers"),
        (lambda e: e.move_vertebra(T1, (np.inf, 0)), "a position must be two finite numbers"),
        (lambda e: e.rotate_vertebra(T1, np.nan), "degrees must be a finite number"),
        (lambda e: e.place_corners(T1, np.zeros((3, 2))), "corners must be four points"),
        (lambda e: e.shift_names(2), "names are shifted by 1 or -1, got 2"),
    ],
)
def test_bad_requests_are_refused_and_change_nothing(editor: SpineEditor, change, message: str) -> None:
    before = editor.xy
    with pytest.raises(ValueError, match=message):
        change(editor)
    assert np.array_equal(editor.xy, before)
    assert not editor.is_changed


def test_a_point_that_is_not_visible_is_placed_and_not_moved(editor: SpineEditor) -> None:
    editor.hide(T7, TL)
    with pytest.raises(ValueError, match="T7 TL is not visible and cannot be moved; place it"):
        editor.move_point(T7, TL, (0, 0))
    assert editor.place(T7, TL, (30, 100))
    assert editor.xy[T7, TL].tolist() == [30, 100]


def test_any_walk_is_undone_to_the_beginning_and_redone_to_the_end(editor: SpineEditor, ladder: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    steps = (
        lambda v, p, xy: editor.place(v, p, xy),
        lambda v, p, xy: editor.hide(v, p),
        lambda v, p, xy: editor.hide(v),
        lambda v, p, xy: editor.move_vertebra(v, xy / 100),
        lambda v, p, xy: editor.rotate_vertebra(v, xy[0] / 10),
        lambda v, p, xy: editor.shift_names(1 if p % 2 else -1),
        lambda v, p, xy: editor.adopt(Spine.from_arrays(ladder + xy / 50)),
    )
    for _ in range(200):
        step = steps[rng.integers(len(steps))]
        step(int(rng.integers(len(VERTEBRAE))), int(rng.integers(len(POINTS))), rng.uniform(0, 100, 2))
    end = editor.xy, editor.touched
    while editor.undo():
        pass
    assert np.array_equal(editor.xy, ladder)
    assert not editor.touched.any()
    while editor.redo():
        pass
    assert np.array_equal(editor.xy, end[0], equal_nan=True)
    assert np.array_equal(editor.touched, end[1])


def test_names_of_points_are_those_of_the_schema() -> None:
    assert [POINTS[p] for p in (TL, TR, BL, BR)] == list(CORNERS)
    assert (VERTEBRAE[T7], VERTEBRAE[L5]) == ("T7", "L5")
