"""The AASCE data set: a small one in its layout, and the real one where it is."""

from __future__ import annotations

import csv
import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from lib.learning.codec import PRESENT, UNNAMED
from lib.learning.data import IMAGE, LABEL
from lib.learning.data.aasce import Record, folds, read_aasce, to_items
from lib.spine.schema import CORNERS, VERTEBRAE

REAL = Path(__file__).resolve().parents[4] / "shared" / "data" / "aasce"
INDEX = ("split", "row", "filename", "group", "geometry_ok", "suitable", "level_ok", "duplicate_of_training")
POINTS = ("split", "filename", "vertebra", "corner", "x_px", "y_px")
RESORTED = ("image", "vertebra", "corner", "x_px", "y_px")
ANGLES = {
    "training": {"b.jpg": "4,5,6", "a.jpg": "41.139,14.63,40.147", "c.jpg": "7,8,9"},
    "test": {"a.jpg": "3,2,1.5"},
}
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


def write_angles(folder: Path, split: str, angles: dict[str, str]) -> None:
    """The two files whose rows belong together; the challenge's have no header."""
    labels = folder / "labels" / split
    labels.mkdir(parents=True, exist_ok=True)
    (labels / "filenames.csv").write_text("".join(f"{name}\n" for name in angles))
    (labels / "angles.csv").write_text("".join(f"{row}\n" for row in angles.values()))


def without(path: Path, *words: str) -> None:
    """Take the lines that hold all these words out of a file."""
    lines = path.read_text().splitlines()
    kept = [line for line in lines if not all(word in line for word in words)]
    assert len(kept) < len(lines)
    path.write_text("\n".join(kept) + "\n")


def write(path: Path, header: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
    """Write a CSV file."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([header, *rows])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data set of three training images and a test image that shares a name with one of them."""
    write(tmp_path / "index.csv", INDEX, list(ROWS))
    rows = [r for n, row in enumerate(ROWS) for r in corner_rows(str(row[0]), str(row[2]), 100.0 * n)]
    write(tmp_path / "landmarks_repaired.csv", POINTS, rows[::-1])  # the order of rows means nothing
    resorted = [("a.jpg", v, corner, 1000.0 + 10 * k, 20.0 * v) for v in range(17) for k, corner in enumerate(CORNERS)]
    write(tmp_path / "landmarks_test_resorted.csv", RESORTED, resorted[::-1])
    for split, angles in ANGLES.items():
        write_angles(tmp_path, split, angles)
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
    assert [r.angles.tolist() for r in records] == [[41.139, 14.63, 40.147], [4, 5, 6], [7, 8, 9]]
    assert [r.resorted for r in records] == [None] * 3


def test_splits_with_equal_names_do_not_mix(folder: Path) -> None:
    (record,) = read_aasce(folder, "test")
    assert record.path == folder / "images" / "test" / "a.jpg"
    assert record.corners[0, 0].tolist() == [200.0, 0.0]
    assert record.angles.tolist() == [3, 2, 1.5]
    assert record.duplicate_of_training
    assert not record.suitable
    assert not record.is_clean


def test_test_images_have_the_resorted_corners_of_the_literature_too(folder: Path) -> None:
    (record,) = read_aasce(folder, "test")
    assert record.resorted is not None
    assert record.resorted.shape == (17, 4, 2)
    assert record.resorted[0, 0].tolist() == [1000, 0]
    assert record.resorted[16, 3].tolist() == [1030, 320]
    assert record.corners[16, 3].tolist() == [230, 320]


def test_training_needs_no_files_of_the_test_split(folder: Path) -> None:
    (folder / "landmarks_test_resorted.csv").unlink()
    shutil.rmtree(folder / "labels" / "test")
    assert len(read_aasce(folder, "training")) == 3
    with pytest.raises(FileNotFoundError):
        read_aasce(folder, "test")


def test_an_unknown_split_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="split must be one of training, test, got 'validation'"):
        read_aasce(folder, "validation")


@pytest.mark.parametrize(
    "name",
    [
        "index.csv",
        "landmarks_repaired.csv",
        "landmarks_test_resorted.csv",
        "labels/test/filenames.csv",
        "labels/test/angles.csv",
    ],
)
def test_a_missing_file_is_an_os_error(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError):
        read_aasce(folder, "test")


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("index.csv", "level_ok"),
        ("landmarks_repaired.csv", "x_px"),
        ("landmarks_repaired.csv", "filename"),
        ("landmarks_test_resorted.csv", "image"),
        ("landmarks_test_resorted.csv", "corner"),
    ],
)
def test_a_missing_column_is_named(folder: Path, name: str, column: str) -> None:
    path = folder / name
    path.write_text(path.read_text().replace(column, "other"))
    with pytest.raises(ValueError, match=f"{name}: missing columns {column}"):
        read_aasce(folder, "test")


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("index.csv", "test,9,z.jpg"),
        ("landmarks_repaired.csv", "test,a.jpg,T1,TL,5"),
        ("landmarks_test_resorted.csv", "a.jpg,0"),
    ],
)
def test_a_row_that_is_cut_short_is_named(folder: Path, name: str, end: str) -> None:
    count = len((folder / name).read_text().splitlines())
    with (folder / name).open("a") as stream:
        stream.write(end)
    with pytest.raises(ValueError, match=rf"^{name}: row {count} is cut short"):
        read_aasce(folder, "test")


@pytest.mark.parametrize(
    "row",
    [
        ("T18", "TL", "1", "2"),
        ("0", "TL", "1", "2"),
        ("T1", "center", "1", "2"),
        ("T1", "TL", "1", "two"),
        ("", "", "", ""),
    ],
    ids=",".join,
)
def test_a_row_that_is_no_corner_is_named(folder: Path, row: tuple[str, ...]) -> None:
    with (folder / "landmarks_repaired.csv").open("a") as stream:
        stream.write(",".join(["training", "b.jpg", *row]))
    vertebra, corner, x, y = row
    words = re.escape(f"the labels of b.jpg have a row that is no corner: {vertebra} {corner} at ({x}, {y})")
    with pytest.raises(ValueError, match=words):
        read_aasce(folder, "training")


@pytest.mark.parametrize("number", ["17", "-1", "T1", "0.0"])
def test_resorted_vertebrae_are_numbers_from_0_to_16(folder: Path, number: str) -> None:
    with (folder / "landmarks_test_resorted.csv").open("a") as stream:
        stream.write(f"a.jpg,{number},TL,1,2")
    with pytest.raises(
        ValueError, match=rf"the labels of a\.jpg have a row that is no corner: {number} TL at \(1, 2\)"
    ):
        read_aasce(folder, "test")


def test_an_empty_file_lacks_its_columns(folder: Path) -> None:
    (folder / "index.csv").write_text("")
    with pytest.raises(ValueError, match=r"index\.csv: missing columns"):
        read_aasce(folder, "training")


def test_an_image_without_all_corners_is_named(folder: Path) -> None:
    path = folder / "landmarks_repaired.csv"
    for words in (("training", "b.jpg", "L3,BL"), ("training", "b.jpg")):
        without(path, *words)
        with pytest.raises(ValueError, match=r"the labels of b\.jpg do not have all 68 corners"):
            read_aasce(folder, "training")
    assert len(read_aasce(folder, "test")) == 1


@pytest.mark.parametrize("words", [("a.jpg,4,TR",), ("a.jpg",)], ids=["one", "all"])
def test_an_image_without_all_resorted_corners_is_named(folder: Path, words: tuple[str, ...]) -> None:
    without(folder / "landmarks_test_resorted.csv", *words)
    with pytest.raises(ValueError, match=r"the labels of a\.jpg do not have all 68 corners"):
        read_aasce(folder, "test")


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_corner_that_is_not_finite_is_none(folder: Path, value: str) -> None:
    with (folder / "landmarks_repaired.csv").open("a") as stream:
        stream.write(f"training,c.jpg,T5,BL,{value},3")
    with pytest.raises(ValueError, match=r"the labels of c\.jpg do not have all 68 corners"):
        read_aasce(folder, "training")


@pytest.mark.parametrize("row", ["1,2", "1,2,3,4", "nan,1,2", "1,2,inf"])
def test_an_image_without_three_angles_is_named(folder: Path, row: str) -> None:
    write_angles(folder, "training", {**ANGLES["training"], "b.jpg": row})
    with pytest.raises(ValueError, match=r"angles\.csv: b\.jpg has no three angles"):
        read_aasce(folder, "training")


def test_an_image_that_the_angles_do_not_know_is_named(folder: Path) -> None:
    write_angles(folder, "training", {"a.jpg": "1,2,3", "c.jpg": "1,2,3"})
    with pytest.raises(ValueError, match=r"angles\.csv: b\.jpg has no three angles"):
        read_aasce(folder, "training")


def test_angles_that_are_no_numbers_are_refused(folder: Path) -> None:
    write_angles(folder, "training", {**ANGLES["training"], "b.jpg": "1,two,3"})
    with pytest.raises(ValueError, match=r"angles\.csv: .*'two'"):
        read_aasce(folder, "training")


def test_angles_of_images_that_the_index_does_not_know_do_not_matter(folder: Path) -> None:
    write_angles(folder, "training", {"z.jpg": "1,2,3", "y.jpg": "1,2", **ANGLES["training"]})
    assert [r.angles[0] for r in read_aasce(folder, "training")] == [41.139, 4, 7]


def test_names_and_angles_must_be_equally_many(folder: Path) -> None:
    with (folder / "labels" / "training" / "filenames.csv").open("a") as stream:
        stream.write("d.jpg\n")
    with pytest.raises(ValueError, match=r"filenames\.csv has 4 rows, angles\.csv 3"):
        read_aasce(folder, "training")


@pytest.mark.parametrize("end", ["\n", "\r\n\r\n"])
def test_empty_lines_mean_nothing(folder: Path, end: str) -> None:
    before = read_aasce(folder, "training")
    for path in folder.rglob("*.csv"):
        with path.open("a", newline="") as stream:
            stream.write(end)
    after = read_aasce(folder, "training")
    assert [r.angles.tolist() for r in after] == [r.angles.tolist() for r in before]
    assert [r.corners.tolist() for r in after] == [r.corners.tolist() for r in before]


def record(group: int) -> Record:
    """A clean record of a group."""
    return Record(Path("a.jpg"), group, np.zeros((17, 4, 2)), None, np.zeros(3), True, True, True, False)


def test_folds_keep_groups_together_and_are_nearly_equal() -> None:
    random = np.random.default_rng(0)
    records = [record(int(g)) for g in random.integers(0, 40, 200)]
    result = folds(records)
    assert len(result) == 200
    assert max(Counter(result).values()) - min(Counter(result).values()) <= 2
    for group in range(40):
        assert len({f for f, r in zip(result, records, strict=True) if r.group == group}) <= 1


def test_folds_by_hand() -> None:
    """Groups of 3, 2 and 1 images in two folds: 3 | 2 + 1."""
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


def test_an_unsuitable_image_is_unnamed(folder: Path) -> None:
    (item,) = to_items(read_aasce(folder, "test"))
    assert (item[LABEL][..., 2] == UNNAMED).all()


@pytest.mark.skipif(not (REAL / "index.csv").is_file(), reason=f"the AASCE data set is not at {REAL}")
def test_the_real_data_set() -> None:
    training, test = read_aasce(REAL, "training"), read_aasce(REAL, "test")
    assert (len(training), len(test)) == (481, 128)
    assert all(r.path.is_file() for r in (*training, *test))
    assert not any(r.duplicate_of_training for r in training)
    assert {r.angles.shape for r in (*training, *test)} == {(3,)}
    assert training[0].angles.tolist() == [41.139, 14.63, 40.147]
    assert test[0].angles.tolist() == [43.423, 15.872, 40.687]
    assert all(r.resorted is None for r in training)
    for r in test:
        assert r.resorted is not None
        middles = r.resorted.mean(1)
        assert (np.diff(middles[:, 1]) > 0).all()
        assert np.abs(middles - r.corners.mean(1)).max() < np.ptp(middles[:, 1])  # the same image
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
