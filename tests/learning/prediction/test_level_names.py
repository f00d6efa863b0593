"""Whose name is which: namings compared, labels renamed, tables read."""

from __future__ import annotations

import copy
import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lib.learning.codec import ABSENT, PRESENT, UNKNOWN, UNNAMED
from lib.learning.data import IMAGE, LABEL
from lib.learning.data.boxed_images import BoxRecord, to_items
from lib.learning.prediction.level_names import (
    COLUMNS,
    MAX_LEVELS,
    Naming,
    evidence_parts,
    folds_cell,
    likeliest_naming,
    names_evidence,
    naming_totals,
    read_model_folds,
    read_names,
    rename_items,
    renamed,
    use_of,
)
from lib.spine.schema import VERTEBRAE


def scores_of(first: int, count: int, at: float = 0.8, beside: float = 0.2) -> np.ndarray:
    """``(V, N)`` scores of N vertebrae of which the uppermost is number ``first``, which may lie above T1."""
    true = first + np.arange(count)
    distance = np.abs(np.arange(17)[:, None] - true)
    return np.where(distance == 0, at, np.where(distance == 1, beside, 0.0))


@pytest.mark.parametrize("levels", range(-MAX_LEVELS, MAX_LEVELS + 1))
def test_the_true_shift_of_a_whole_spine_is_found(levels: int) -> None:
    """Of 17 vertebrae that begin beside T1, those beyond T1 or L5 have no channel."""
    naming = likeliest_naming(scores_of(levels, 17))
    assert naming.levels == levels
    assert naming.margin > 5


@pytest.mark.parametrize("levels", range(4))
def test_the_true_shift_of_a_part_of_a_spine_is_found(levels: int) -> None:
    naming = likeliest_naming(scores_of(levels, 13))
    assert naming.levels == levels
    assert naming.margin > 5


@pytest.mark.parametrize(("count", "levels"), [(12, 5), (5, 12), (1, 16), (1, 0)])
def test_a_label_of_few_vertebrae_may_lie_far_down(count: int, levels: int) -> None:
    """T1 to T5 of a label may be L1 to L5 in truth: that is among the namings that are compared."""
    assert likeliest_naming(scores_of(levels, count)).levels == levels


def test_the_margin_by_hand() -> None:
    """Two vertebrae with one score each at T1 and T2, 0.1 and 0.4, and at T2 and T3, 0.2 and 0.4.

    The namings that have other vertebrae get the floor of 0.001 for each, unless they lie beyond T1.
    """
    scores = np.zeros((17, 2))
    scores[[0, 1], [0, 1]] = 0.1, 0.4
    scores[[1, 2], [0, 1]] = 0.2, 0.4
    naming = likeliest_naming(scores)
    assert naming.levels == 1
    assert naming.margin == pytest.approx(np.log(2))


def test_vertebrae_beyond_the_ends_by_hand() -> None:
    """All 17 at 0.5: each naming but the present one has some without a name, 0.03 instead of 0.5."""
    naming = likeliest_naming(np.full((17, 17), 0.5))
    assert naming.levels == 0
    assert naming.margin == pytest.approx(np.log(0.5 / 0.03))


def test_scores_below_the_floor_are_all_the_same() -> None:
    """A channel that says 0 has no logarithm, and 1e-9 is no more of a reason than 1e-6."""
    low = scores_of(2, 10)
    for floor in (1e-9, 1e-6, 1e-3):
        assert likeliest_naming(np.maximum(low, floor)) == likeliest_naming(low)


def test_a_network_that_sees_nothing_prefers_no_naming() -> None:
    assert likeliest_naming(np.zeros((17, 17))).margin == pytest.approx(0)


def test_one_wrong_vertebra_does_not_rename_a_spine() -> None:
    scores = scores_of(0, 17)
    scores[:, 8] = scores_of(1, 17)[:, 8]
    naming = likeliest_naming(scores)
    assert naming.levels == 0
    assert 0 < naming.margin < likeliest_naming(scores_of(0, 17)).margin


def test_comparing_leaves_the_scores_alone() -> None:
    scores = scores_of(1, 17)
    before = scores.copy()
    likeliest_naming(scores)
    np.testing.assert_array_equal(scores, before)


@pytest.mark.parametrize("judge", [likeliest_naming, naming_totals])
@pytest.mark.parametrize("shape", [(17, 0), (1, 17), (16, 17), (17,), (17, 17, 1)], ids=str)
def test_scores_of_another_shape_are_refused(shape: tuple[int, ...], judge: Callable[[np.ndarray], object]) -> None:
    with pytest.raises(ValueError, match=r"scores must have shape \(17, N\), N at least 1, got \("):
        judge(np.ones(shape))


@pytest.mark.parametrize(("count", "most"), [(17, 4), (13, 4), (12, 5), (1, 16)])
def test_totals_are_of_every_naming_that_is_compared(count: int, most: int) -> None:
    assert list(naming_totals(scores_of(0, count))) == list(range(-MAX_LEVELS, most + 1))


def test_totals_by_hand() -> None:
    """All 17 at 0.5: each level leaves one vertebra more without a name, which counts 0.03."""
    totals = naming_totals(np.full((17, 17), 0.5))
    for levels, total in totals.items():
        assert total == pytest.approx((17 - abs(levels)) * np.log(0.5) + abs(levels) * np.log(0.03))


ALL_VISIBLE = np.ones(17, bool)


def test_parts_of_the_evidence_by_hand() -> None:
    """Every body has 0.6 of its own channel and 0.2 of that below, the last one none of that."""
    scores = 0.6 * np.eye(17) + 0.2 * np.eye(17, k=-1)
    lead, first, last, hidden, off = evidence_parts(scores, ALL_VISIBLE)
    own, below = 16 * np.log(0.75), 16 * np.log(0.25) + np.log(0.1)
    assert lead == pytest.approx((own - below) / 17)
    assert (first, last) == pytest.approx((np.log(0.8), np.log(0.6)))
    assert (hidden, off) == (0, 0)


def test_bodies_that_are_hidden_or_off_the_image_are_counted() -> None:
    scores, visible = scores_of(0, 17, at=0.6, beside=0.1), ALL_VISIBLE.copy()
    scores[:, 5] = 0.0
    visible[15:] = False
    _, first, last, hidden, off = evidence_parts(scores, visible)
    assert (hidden, off) == (1, 2)
    assert first == pytest.approx(np.log(0.7))
    assert last == -1.5


def test_nothing_seen_is_no_evidence() -> None:
    nothing = names_evidence(np.zeros((17, 17)), ALL_VISIBLE)
    assert nothing < 0 < names_evidence(scores_of(0, 17, at=0.6, beside=0.1), ALL_VISIBLE)
    assert np.isfinite(names_evidence(np.zeros((17, 17)), ~ALL_VISIBLE))


def test_evidence_falls_as_another_naming_gains() -> None:
    found = [names_evidence(scores_of(0, 17, at=1.0, beside=beside), ALL_VISIBLE) for beside in (0.05, 0.1, 0.2, 0.4)]
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize("levels", [-2, -1, 1, 2])
def test_names_that_others_beat_have_less_evidence(levels: int) -> None:
    right, wrong = (names_evidence(scores_of(first, 17), ALL_VISIBLE) for first in (0, levels))
    assert wrong < 0 < right


def test_a_missing_end_is_evidence_against_the_names() -> None:
    """All names one level off where the channels say nothing of it: the body called L5 is none."""
    right = scores_of(0, 17, at=0.6, beside=0.1)
    without = right.copy()
    without[:, 16] = 0.0
    assert names_evidence(without, ALL_VISIBLE) < names_evidence(right, ALL_VISIBLE) - 10


@pytest.mark.parametrize("judge", [evidence_parts, names_evidence])
def test_evidence_is_of_17_vertebrae(judge: Callable[[np.ndarray, np.ndarray], object]) -> None:
    for scores, visible in ((np.ones((17, 16)), ALL_VISIBLE), (np.ones((17, 17)), ALL_VISIBLE[:-1])):
        with pytest.raises(ValueError, match="17 channels at 17 vertebrae are expected"):
            judge(scores, visible)


@pytest.fixture
def label(ladder: np.ndarray) -> np.ndarray:
    """``(17, 5, 3)`` with all points and trusted names."""
    return np.concatenate([ladder, np.full((17, 5, 1), PRESENT)], -1)


def boxed(count: int) -> np.ndarray:
    """The label of an image with so many boxes: centers without a name, no corners."""
    top = 12.0 * np.arange(count)
    boxes = np.stack([np.full(count, 40.0), top, np.full(count, 60.0), top + 10], -1)
    result: np.ndarray = to_items([BoxRecord(Path("film_1.png"), boxes)])[0][LABEL]
    return result


@pytest.mark.parametrize("levels", [1, 2, 4])
@pytest.mark.parametrize("state", [PRESENT, UNNAMED])
def test_names_move_down(label: np.ndarray, state: float, levels: int) -> None:
    """What was T1 is T2, of T1 nobody has spoken, and what would be below L5 is left out."""
    label[..., 2] = state
    moved = renamed(label, levels)
    np.testing.assert_array_equal(moved[levels:, :, :2], label[:-levels, :, :2])
    assert (moved[levels:, :, 2] == PRESENT).all()
    assert (moved[:levels, :, 2] == UNKNOWN).all()


@pytest.mark.parametrize("levels", [-1, -2, -4])
@pytest.mark.parametrize("state", [PRESENT, UNNAMED])
def test_names_move_up(label: np.ndarray, state: float, levels: int) -> None:
    label[..., 2] = state
    moved = renamed(label, levels)
    np.testing.assert_array_equal(moved[:levels, :, :2], label[-levels:, :, :2])
    assert (moved[:levels, :, 2] == PRESENT).all()
    assert (moved[levels:, :, 2] == UNKNOWN).all()


@pytest.mark.parametrize("state", [PRESENT, UNNAMED])
def test_names_that_do_not_move_are_trusted(label: np.ndarray, state: float) -> None:
    expected = label.copy()
    label[..., 2] = state
    np.testing.assert_array_equal(renamed(label, 0), expected)


def test_names_move_back_but_for_what_was_left_out(label: np.ndarray) -> None:
    back = renamed(renamed(label, 3), -3)
    np.testing.assert_array_equal(back[:14], label[:14])
    assert (back[14:, :, 2] == UNKNOWN).all()


@pytest.mark.parametrize("levels", [17, -17, 40])
def test_names_that_move_beyond_both_ends_leave_nothing(label: np.ndarray, levels: int) -> None:
    assert (renamed(label, levels)[..., 2] == UNKNOWN).all()


@pytest.mark.parametrize("levels", [0, 1, 2])
def test_boxes_get_names_but_no_corners(levels: int) -> None:
    """15 of them: the two places that stay free may be on the image or not."""
    label = boxed(15)
    moved = renamed(label, levels)
    there = slice(levels, levels + 15)
    np.testing.assert_array_equal(moved[there, 0, :2], label[:15, 0, :2])
    assert (moved[there, 0, 2] == PRESENT).all()
    assert (moved[there, 1:, 2] == ABSENT).all()
    rest = np.setdiff1d(np.arange(17), np.arange(17)[there])
    assert len(rest) == 2
    assert (moved[rest, :, 2] == UNKNOWN).all()


def test_boxes_move_up_beyond_t1() -> None:
    moved = renamed(boxed(15), -1)
    np.testing.assert_array_equal(moved[:14, 0, :2], boxed(15)[1:15, 0, :2])
    assert (moved[14:, :, 2] == UNKNOWN).all()


def test_without_names_points_stay_where_they_are(label: np.ndarray) -> None:
    label[15:, :, 2] = ABSENT
    label[0, :, 2] = UNKNOWN
    label[3, 2, 2] = ABSENT
    unnamed = renamed(label, None)
    np.testing.assert_array_equal(unnamed[..., :2], label[..., :2])
    np.testing.assert_array_equal(unnamed[..., 2] == UNNAMED, label[..., 2] == PRESENT)
    others = label[..., 2] != PRESENT
    np.testing.assert_array_equal(unnamed[others], label[others])
    np.testing.assert_array_equal(renamed(unnamed, None), unnamed)


@pytest.mark.parametrize("levels", [None, 0, 1, -1])
def test_renaming_leaves_the_label_alone(label: np.ndarray, levels: int | None) -> None:
    before = label.copy()
    moved = renamed(label, levels)
    moved[:] = 7
    np.testing.assert_array_equal(label, before)
    assert renamed(label.astype(np.float32), levels).dtype == np.float32


def test_items_of_the_table_are_renamed_and_no_others(label: np.ndarray) -> None:
    items: list[dict[str, Any]] = [
        {IMAGE: path, LABEL: label.copy(), "note": path} for path in ("x/a.png", "x/b.png", "y/c.png", "y/d.png")
    ]
    before = copy.deepcopy(items)
    changed = rename_items(items, {"a.png": 1, "b.png": None, "c.png": 0, "z.png": 2})
    assert [item[IMAGE] for item in changed] == [item["note"] for item in changed] == [item[IMAGE] for item in items]
    for item, levels in zip(changed[:3], (1, None, 0), strict=True):
        np.testing.assert_array_equal(item[LABEL], renamed(label, levels))
    np.testing.assert_array_equal(changed[3][LABEL], label)
    for item, old in zip(items, before, strict=True):
        assert set(item) == set(old)
        np.testing.assert_array_equal(item[LABEL], old[LABEL])
    changed[3]["note"] = "new"
    assert items[3]["note"] == "y/d.png"


def test_nothing_is_renamed_without_a_table_or_items(label: np.ndarray) -> None:
    (same,) = rename_items([{IMAGE: Path("a.png"), LABEL: label}], {})
    np.testing.assert_array_equal(same[LABEL], label)
    assert rename_items([], {"a.png": 1}) == []


def write(path: Path, *rows: tuple[object, ...], columns: tuple[str, ...] = COLUMNS) -> Path:
    """A table of names."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([columns, *rows])
    return path


USES = {"a b.jpg": "1", "ä,b.jpg": "-2", "c.jpg": "0", "d.jpg": "none", "e.jpg": ""}


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    rows = [(name, 3, "yes", 17, 1, "25.0", use) for name, use in USES.items()]
    assert read_names(write(tmp_path / "names.csv", *rows)) == {"a b.jpg": 1, "ä,b.jpg": -2, "c.jpg": 0, "d.jpg": None}


def test_two_columns_are_enough_in_any_order(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", ("1", "x", "a.jpg"), ("none", "y", "b.jpg"), columns=("use", "why", "filename"))
    assert read_names(path) == {"a.jpg": 1, "b.jpg": None}
    assert read_names(write(tmp_path / "b.csv")) == {}


def test_a_row_that_is_cut_short_says_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", ("a.jpg", 3, "yes", 17), ("b.jpg", 3, "yes", 17, 1, "20.1", "1"))
    assert read_names(path) == {"b.jpg": 1}


@pytest.mark.parametrize("columns", [("filename", "levels"), ("image", "use"), ()], ids=["use", "filename", "both"])
def test_a_table_without_its_columns_is_named(tmp_path: Path, columns: tuple[str, ...]) -> None:
    """Such as those of version 0.2.0, which had no "use"."""
    path = write(tmp_path / "names.csv", ("a.jpg", "1"), columns=columns)
    with pytest.raises(ValueError, match=r"^names\.csv has no columns 'filename' and 'use'; scripts/audit_names\.py"):
        read_names(path)


def test_an_empty_file_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "names.csv").write_bytes(b"")
    with pytest.raises(ValueError, match=r"names\.csv has no columns"):
        read_names(tmp_path / "names.csv")


@pytest.mark.parametrize("use", ["None", "one", "1.0", "1 level", "-"])
def test_a_use_that_is_no_number_is_named(tmp_path: Path, use: str) -> None:
    path = write(tmp_path / "names.csv", ("a.jpg", use), columns=("filename", "use"))
    with pytest.raises(ValueError, match=rf"^names\.csv: 'use' must be empty, 'none' or a number of levels: .*'{use}'"):
        read_names(path)


def test_a_missing_table_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_names(tmp_path / "none.csv")


USE_CASES = {
    "trusted, not moved": ((0, 99.0), 17, True, ""),
    "trusted, hardly not moved": ((0, 0.1), 17, True, ""),
    "trusted, clearly moved": ((1, 20.1), 17, True, "1"),
    "trusted, clearly moved up": ((-1, 20.1), 17, True, "-1"),
    "trusted, clearly moved far": ((3, 20.1), 17, True, "3"),
    "trusted, not so clear": ((1, 20.0), 17, True, "none"),
    "trusted, a little doubted": ((-2, 2.1), 17, True, "none"),
    "trusted, hardly moved": ((-2, 2.0), 17, True, ""),
    "trusted, no margin at all": ((4, 0.0), 17, True, ""),
    "doubted, not moved": ((0, 15.1), 17, False, "0"),
    "doubted, moved": ((1, 15.1), 17, False, "1"),
    "doubted, moved up": ((-1, 15.1), 17, False, "-1"),
    "doubted, not clear": ((1, 15.0), 17, False, ""),
    "doubted, not clear that not moved": ((0, 15.0), 17, False, ""),
    "doubted, moved too far": ((2, 99.0), 17, False, ""),
    "doubted, moved too far up": ((-2, 99.0), 17, False, ""),
    "boxes, as from T1": ((0, 12.1), 15, None, "0"),
    "boxes, down to L5": ((2, 12.1), 15, None, "2"),
    "boxes, beyond L5": ((3, 99.0), 15, None, ""),
    "boxes, beyond T1": ((-1, 99.0), 15, None, ""),
    "boxes, not clear": ((1, 12.0), 15, None, ""),
    "boxes, all 17": ((0, 12.1), 17, None, "0"),
    "boxes, all 17 and one more": ((1, 99.0), 17, None, ""),
}


@pytest.mark.parametrize(("naming", "bodies", "trusted", "use"), USE_CASES.values(), ids=USE_CASES.keys())
def test_a_model_is_followed_where_it_is_clear_and_plausible(
    naming: tuple[int, float], bodies: int, trusted: bool | None, use: str
) -> None:
    assert use_of(Naming(*naming), bodies, trusted) == use


def test_a_network_that_sees_nothing_takes_no_name_away() -> None:
    """It prefers namings with vertebrae that need no name, but none of the two with the most such."""
    naming = likeliest_naming(np.zeros((17, 17)))
    assert naming.levels != 0
    assert use_of(naming, 17, True) == ""


def test_every_use_can_be_read(tmp_path: Path) -> None:
    rows = [(name, use_of(Naming(*naming), *rest)) for name, (naming, *rest, _) in USE_CASES.items()]
    names = read_names(write(tmp_path / "a.csv", *rows, columns=("filename", "use")))
    assert names == {name: None if use == "none" else int(use) for name, (*_, use) in USE_CASES.items() if use}


def test_a_label_off_by_one_is_found_and_put_right(label: np.ndarray, tmp_path: Path) -> None:
    """The points called T1 to L5 are T2 to L5 and one below: the model says so and the label is moved."""
    naming = likeliest_naming(scores_of(1, len(VERTEBRAE), at=0.9, beside=0.05))
    rows = [("a.png", 0, "yes", 17, naming.levels, f"{naming.margin:.1f}", use_of(naming, 17, True))]
    names = read_names(write(tmp_path / "names.csv", *rows))
    (item,) = rename_items([{IMAGE: "films/a.png", LABEL: label}], names)
    np.testing.assert_array_equal(item[LABEL][1:, :, :2], label[:-1, :, :2])
    assert (item[LABEL][0, :, 2] == UNKNOWN).all()


@pytest.mark.parametrize("folds", [frozenset({1, 2, 3, 4}), frozenset(range(5)), frozenset()])
def test_folds_of_the_model_are_read_as_they_were_written(tmp_path: Path, folds: frozenset[int]) -> None:
    rows = [(name, "1", folds_cell(folds)) for name in ("a.jpg", "b.jpg")]
    path = write(tmp_path / "names.csv", *rows, columns=("filename", "use", "model_folds"))
    assert read_model_folds(path) == folds


def test_rows_of_several_models_are_counted_together(tmp_path: Path) -> None:
    rows = [("a.jpg", "1", "1 2 3 4"), ("b.jpg", "", "0 1 2 3"), ("c.jpg", "", "none")]
    path = write(tmp_path / "names.csv", *rows, columns=("filename", "use", "model_folds"))
    assert read_model_folds(path) == frozenset(range(5))


@pytest.mark.parametrize(
    ("columns", "rows"),
    [
        pytest.param(("filename", "use"), [("a.jpg", "1")], id="older"),
        pytest.param(("filename", "use", "model_folds"), [("a.jpg", "1", "0"), ("b.jpg", "1", "")], id="empty"),
        pytest.param(("filename", "use", "model_folds"), [("a.jpg", "1")], id="cut short"),
        pytest.param(("filename", "use", "model_folds"), [], id="no row"),
    ],
)
def test_a_table_may_not_say_what_its_model_was_trained_on(
    tmp_path: Path, columns: tuple[str, ...], rows: list[tuple[str, ...]]
) -> None:
    path = write(tmp_path / "names.csv", *rows, columns=columns)
    assert read_model_folds(path) is None
    assert read_names(path).get("a.jpg", 1) == 1


def test_folds_that_are_none_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "names.csv", ("a.jpg", "1", "0, 1"), columns=("filename", "use", "model_folds"))
    with pytest.raises(ValueError, match=r"^names\.csv: 'model_folds' must be numbers of folds or 'none'"):
        read_model_folds(path)
