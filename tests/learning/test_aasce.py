"""The AASCE data set: a small one in its layout, and the real one where it is."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from lib.learning.aasce import Record, folds, read_aasce, to_items
from lib.learning.codec import PRESENT, UNNAMED
from lib.learning.transforms import IMAGE, LABEL
from lib.spine.schema import CORNERS, VERTEBRAE

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "aasce"
INDEX = ("split", "row", "filename", "group", "geometry_ok", "suitable", "level_ok", "duplicate_of_training")
POINTS = ("split", "filename", "vertebra", "corner", "x_px", "y_px")
ROWS = [
    ("training", 0, "a.jpg", 7, 1, 1, 1, 0),
    ("training", 1, "b.jpg", 7, 1, 1, 0, 0),
    ("test", 0, "a.jpg", 8, 1, 0, 1, 1),
    ("training", 2, "c.jpg", 9, 0, 1, 1, 0),
]


def corner_rows(split: str, name: str, shift: float) -> list[tuple[object, ...]]:
    """68 rows; x tells the corner and y the vertebra."""
    return [
        (split, name, vertebra, corner, 10.0 * k + shift, 20.0 * v)
        for v, vertebra in enumerate(VERTEBRAE)
        for k, corner in enumerate(CORNERS)
    ]


def write(path: Path, header: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    """Write a CSV file."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([header, *rows])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data set of three training films and a test film that shares a name with one of them."""
    write(tmp_path / "index.csv", INDEX, list(ROWS))
    rows = [r for n, row in enumerate(ROWS) for r in corner_rows(str(row[0]), str(row[2]), 100.0 * n)]
    write(tmp_path / "landmarks_repaired.csv", POINTS, rows[::-1])  # the order of rows means nothing
    return tmp_path


def test_records_hold_what_the_files_say(folder: Path) -> None:
    records = read_aasce(folder, "training")
    assert [r.path for r in records] == [folder / "images" / "training" / f"{n}.jpg" for n in "abc"]
    assert [r.group for r in records] == [7, 7, 9]
    assert [r.geometry_ok for r in records] == [True, True, False]
    assert [r.is_clean for r in records] == [True, False, False]
    assert records[0].corners.shape == (17, 4, 2)
    assert records[0].corners[3, 2].tolist() == [20.0, 60.0]
    assert records[1].corners[16, 3].tolist() == [130.0, 320.0]


def test_splits_with_equal_names_do_not_mix(folder: Path) -> None:
    (record,) = read_aasce(folder, "test")
    assert record.path == folder / "images" / "test" / "a.jpg"
    assert record.corners[0, 0].tolist() == [200.0, 0.0]
    assert record.duplicate_of_training
    assert not record.suitable
    assert not record.is_clean


def test_an_unknown_split_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="split must be one of training, test, got 'validation'"):
        read_aasce(folder, "validation")


@pytest.mark.parametrize("name", ["index.csv", "landmarks_repaired.csv"])
def test_a_missing_file_is_an_os_error(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError):
        read_aasce(folder, "training")


@pytest.mark.parametrize(("name", "column"), [("index.csv", "level_ok"), ("landmarks_repaired.csv", "x_px")])
def test_a_missing_column_is_named(folder: Path, name: str, column: str) -> None:
    path = folder / name
    path.write_text(path.read_text().replace(column, "other"))
    with pytest.raises(ValueError, match=f"{name}: missing columns {column}"):
        read_aasce(folder, "training")


def test_an_empty_file_lacks_its_columns(folder: Path) -> None:
    (folder / "index.csv").write_text("")
    with pytest.raises(ValueError, match=r"index\.csv: missing columns"):
        read_aasce(folder, "training")


def test_an_image_without_all_corners_is_named(folder: Path) -> None:
    path = folder / "landmarks_repaired.csv"
    lines = [line for line in path.read_text().splitlines() if not line.startswith("training,b.jpg,L3,BL")]
    path.write_text("\n".join(lines))
    with pytest.raises(ValueError, match=r"b\.jpg has not all 68 corners"):
        read_aasce(folder, "training")
    path.write_text("\n".join(line for line in lines if ",b.jpg," not in line))
    with pytest.raises(ValueError, match=r"b\.jpg has not all 68 corners"):
        read_aasce(folder, "training")


def record(group: int) -> Record:
    """A clean record of a group."""
    return Record(Path("a.jpg"), group, np.zeros((17, 4, 2)), True, True, True, False)


def test_folds_keep_groups_together_and_are_nearly_equal() -> None:
    random = np.random.default_rng(0)
    records = [record(int(g)) for g in random.integers(0, 40, 200)]
    result = folds(records)
    assert len(result) == 200
    assert max(Counter(result).values()) - min(Counter(result).values()) <= 2
    for group in range(40):
        assert len({f for f, r in zip(result, records, strict=True) if r.group == group}) <= 1


def test_folds_by_hand() -> None:
    """Groups of 3, 2 and 1 films in two folds: 3 | 2 + 1."""
    assert folds([record(g) for g in (5, 4, 5, 4, 5, 6)], 2) == [0, 1, 0, 1, 0, 1]


def test_folds_do_not_depend_on_the_order_of_records() -> None:
    groups = [int(g) for g in np.random.default_rng(1).integers(0, 12, 50)]
    forward = dict(zip(groups, folds([record(g) for g in groups]), strict=True))
    backward = dict(zip(groups[::-1], folds([record(g) for g in groups[::-1]]), strict=True))
    assert forward == backward


def test_folds_of_nothing_and_too_few_folds() -> None:
    assert folds([]) == []
    with pytest.raises(ValueError, match="at least 2, got 1"):
        folds([record(1)], 1)


def test_items_mark_doubtful_names_and_leave_wrong_geometry_out(folder: Path) -> None:
    clean, doubtful = to_items(read_aasce(folder, "training"))
    assert clean[IMAGE] == str(folder / "images" / "training" / "a.jpg")
    assert clean[LABEL].shape == (17, 5, 3)
    assert (clean[LABEL][..., 2] == PRESENT).all()
    assert (doubtful[LABEL][..., 2] == UNNAMED).all()
    assert clean[LABEL][2, 0, :2].tolist() == [15.0, 40.0]  # the mean of x = 0, 10, 20, 30
    assert clean[LABEL][2, 4, :2].tolist() == [30.0, 40.0]


def test_an_unsuitable_film_is_unnamed(folder: Path) -> None:
    (item,) = to_items(read_aasce(folder, "test"))
    assert (item[LABEL][..., 2] == UNNAMED).all()


@pytest.mark.skipif(not (REAL / "index.csv").is_file(), reason=f"the AASCE data set is not at {REAL}")
def test_the_real_data_set() -> None:
    training, test = read_aasce(REAL, "training"), read_aasce(REAL, "test")
    assert (len(training), len(test)) == (481, 128)
    assert all(r.path.is_file() for r in (*training, *test))
    assert not any(r.duplicate_of_training for r in training)
    result = folds(training)
    assert set(Counter(result).values()) <= {96, 97}
    assert sorted(set(result)) == [0, 1, 2, 3, 4]
    fold_of: dict[int, set[int]] = {}
    for r, fold in zip(training, result, strict=True):
        fold_of.setdefault(r.group, set()).add(fold)
    assert all(len(seen) == 1 for seen in fold_of.values())
    items = to_items(training)
    assert len(items) == sum(r.geometry_ok for r in training)
    for r in training:
        if r.geometry_ok:
            assert (r.corners[:, 0, 0] < r.corners[:, 1, 0]).all()  # left is left of right
            assert (r.corners[:, 0, 1] < r.corners[:, 2, 1]).all()  # top is above bottom
            assert (np.diff(r.corners.mean(1)[:, 1]) > 0).all()  # from T1 down to L5
