"""Reader of radiographs with boxes that have no names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lib.learning.codec import ABSENT, UNNAMED
from lib.learning.data import IMAGE, LABEL
from lib.learning.data.boxed_images import FOLDS, BoxRecord, read_boxes, to_items

HEADER = "image,order_from_top,x1_px,y1_px,x2_px,y2_px"


def write(folder: Path, *rows: str, header: str = HEADER) -> Path:
    """A data set with these rows."""
    (folder / "boxes.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return folder


def boxed(count: int, name: str = "film_1.png") -> BoxRecord:
    """An image with boxes of 20 x 10 px, one every 12 px, the first centered on (50, 5)."""
    top = 12.0 * np.arange(count)
    return BoxRecord(Path(name), np.stack([np.full(count, 40.0), top, np.full(count, 60.0), top + 10], -1))


def test_images_come_by_name_and_boxes_from_top_to_bottom(tmp_path: Path) -> None:
    """Numbered beyond nine, so that sorting by text would be seen; columns and rows in another order."""
    rows = [f"x,b.png,{n},1,{10 * n},3,{10 * n + 8}" for n in (10, 2, 1)] + ["x,a.png,1,5.5,6,7.5,9"]
    records = read_boxes(write(tmp_path, *rows, header="split,image,order_from_top,x1_px,y1_px,x2_px,y2_px"))
    assert [record.path for record in records] == [tmp_path / "images" / name for name in ("a.png", "b.png")]
    np.testing.assert_array_equal(records[0].boxes, [[5.5, 6, 7.5, 9]])
    np.testing.assert_array_equal(records[1].boxes, [[1, 10, 3, 18], [1, 20, 3, 28], [1, 100, 3, 108]])
    np.testing.assert_array_equal(records[1].centers, [[2, 14], [2, 24], [2, 104]])


@pytest.mark.parametrize("column", HEADER.split(","))
def test_a_missing_column_is_named(tmp_path: Path, column: str) -> None:
    header = ",".join(name for name in HEADER.split(",") if name != column)
    with pytest.raises(ValueError, match=rf"^boxes\.csv: missing columns {column}$"):
        read_boxes(write(tmp_path, header=header))


def test_an_empty_file_lacks_all_columns(tmp_path: Path) -> None:
    (tmp_path / "boxes.csv").write_bytes(b"")
    with pytest.raises(ValueError, match="missing columns image, order_from_top, x1_px, x2_px, y1_px, y2_px"):
        read_boxes(tmp_path)


@pytest.mark.parametrize(
    "row", ["a.png,1,x,2,3,4", "a.png,1,1,2,3,", "a.png,1,1", "a.png,1,1,2,3,nan", "a.png,1,1,2,inf,4"]
)
def test_a_row_that_is_no_box_is_named_by_its_image(tmp_path: Path, row: str) -> None:
    with pytest.raises(ValueError, match=r"^boxes\.csv: a\.png has a row that is no box: "):
        read_boxes(write(tmp_path, "a.png,2,1,2,3,4", row))


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_boxes(tmp_path)


def test_blocks_of_ten_numbers_share_a_fold() -> None:
    folds = [boxed(1, f"film_{number:03}.png").fold for number in range(100)]
    assert folds == [number // 10 % FOLDS for number in range(100)]
    assert {folds.count(fold) for fold in range(FOLDS)} == {20}
    assert boxed(1, "trunk_274.jpg").fold == boxed(1, "trunk_275.jpg").fold == 2
    assert boxed(1, "unnumbered.png").fold == 0


def test_labels_are_unnamed_centers_without_corners() -> None:
    (item,) = to_items([boxed(15)])
    assert set(item) == {IMAGE, LABEL}
    assert item[IMAGE] == "film_1.png"
    label = item[LABEL]
    assert label.shape == (17, 5, 3)
    np.testing.assert_array_equal(label[:15, 0], [[50, 5 + 12 * n, UNNAMED] for n in range(15)])
    assert (label[15:, 0, 2] == ABSENT).all()
    assert (label[:, 1:, 2] == ABSENT).all()


def test_of_more_than_17_boxes_the_uppermost_are_left_out() -> None:
    exact, more = (to_items([boxed(count)])[0][LABEL] for count in (17, 20))
    assert exact[0, 0].tolist() == [50, 5, UNNAMED]
    assert more[0, 0].tolist() == [50, 5 + 3 * 12, UNNAMED]
    assert more[16, 0].tolist() == [50, 5 + 19 * 12, UNNAMED]
    assert to_items([]) == []
