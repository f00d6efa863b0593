"""Reader of the AASCE 2019 ("SpineWeb dataset 16") radiographs in the curated layout of this project.

A folder holds ``index.csv`` (one row per image with curation flags and the group of images of one patient),
``landmarks_repaired.csv`` (corners in pixels), ``images/{training,test}``, and in ``labels/{training,test}`` the
``filenames.csv`` and ``angles.csv`` of the challenge, whose rows belong together.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...spine.geometry import with_centers
from ...spine.schema import CORNERS, VERTEBRAE
from ..codec import PRESENT, UNNAMED
from . import IMAGE, LABEL
from .formats.folds import FOLDS as FOLDS
from .formats.folds import deal

SPLITS = ("training", "test")
_POINT_COLUMNS = ("vertebra", "corner", "x_px", "y_px")
_NUMBERS = tuple(str(number) for number in range(len(VERTEBRAE)))  # what the re-sorted labels call vertebrae
_FLAGS = ("geometry_ok", "suitable", "level_ok", "duplicate_of_training")


@dataclass(frozen=True, eq=False)
class Record:
    """One labelled radiograph.

    Attributes:
        path: image file.
        group: images of one patient share it.
        corners: ``(V, K, 2)`` pixels of the original image, repaired where the original order was wrong.
        resorted: of test images the same as the literature takes them, sorted by position only; else ``None``.
        angles: ``(3,)`` official angles of the challenge, degrees.
        geometry_ok: the labelled points pass geometric sanity checks.
        suitable: a curator found the image and its labels usable.
        level_ok: the vertebrae carry their right names.
        duplicate_of_training: a test image that also stands in training.
    """

    path: Path
    group: int
    corners: np.ndarray
    resorted: np.ndarray | None
    angles: np.ndarray
    geometry_ok: bool
    suitable: bool
    level_ok: bool
    duplicate_of_training: bool

    @property
    def is_clean(self) -> bool:
        """Whether points and names can be trusted."""
        return self.geometry_ok and self.suitable and self.level_ok


def read_aasce(folder: Path, split: str) -> list[Record]:
    """Read one split.

    Args:
        folder: the data set.
        split: "training" or "test".

    Returns:
        One record per row of the index that belongs to the split, in its order.

    Raises:
        ValueError: the split is unknown, a file lacks a column, or an image has not exactly 68 corners.
        OSError: a file is missing.
    """
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
    folder = Path(folder)
    rows = [
        row for row in _read_csv(folder / "index.csv", {"split", "filename", "group", *_FLAGS}) if row["split"] == split
    ]
    repaired = _read_csv(folder / "landmarks_repaired.csv", {"split", *_POINT_COLUMNS, "filename"})
    corners = _corners((row | {"image": row["filename"]} for row in repaired if row["split"] == split), VERTEBRAE)
    resorted = {}
    if split == "test":
        resorted = _corners(_read_csv(folder / "landmarks_test_resorted.csv", {*_POINT_COLUMNS, "image"}), _NUMBERS)
    angles = _read_angles(folder / "labels" / split)
    records = []
    for row in rows:
        name = row["filename"]
        for table in (corners, resorted) if split == "test" else (corners,):
            if name not in table or not np.isfinite(table[name]).all():
                raise ValueError(f"the labels of {name} do not have all {len(VERTEBRAE) * len(CORNERS)} corners")
        if name not in angles or not np.isfinite(angles[name]).all():
            raise ValueError(f"angles.csv: {name} has no three angles")
        flags = {flag: row[flag] == "1" for flag in _FLAGS}
        path = folder / "images" / split / name
        records.append(Record(path, int(row["group"]), corners[name], resorted.get(name), angles[name], **flags))
    return records


def _read_angles(folder: Path) -> dict[str, np.ndarray]:
    names = [row[0] for row in _rows(folder / "filenames.csv") if row]
    rows = [row for row in _rows(folder / "angles.csv") if row]
    if len(names) != len(rows):
        raise ValueError(f"filenames.csv has {len(names)} rows, angles.csv {len(rows)}")
    try:
        return {
            name: np.array([float(value) for value in row])
            for name, row in zip(names, rows, strict=True)
            if len(row) == 3
        }
    except ValueError as error:
        raise ValueError(f"angles.csv: {error}") from error


def _rows(path: Path) -> Iterator[list[str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        yield from csv.reader(stream)


def _read_csv(path: Path, columns: set[str]) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        missing = sorted(columns - set(reader.fieldnames or ()))
        if missing:
            raise ValueError(f"{path.name}: missing columns {', '.join(missing)}")
        rows = list(reader)
    for number, row in enumerate(rows, 1):
        if any(row[column] is None for column in columns):
            raise ValueError(f"{path.name}: row {number} is cut short")
    return rows


def _corners(rows: Iterable[dict[str, str]], vertebrae: Sequence[str]) -> dict[str, np.ndarray]:
    """``(V, K, 2)`` of each image, NaN where there is no row."""
    corners: dict[str, np.ndarray] = {}
    for row in rows:
        points = corners.setdefault(row["image"], np.full((len(VERTEBRAE), len(CORNERS), 2), np.nan))
        try:
            index = vertebrae.index(row["vertebra"]), CORNERS.index(row["corner"])
            points[index] = float(row["x_px"]), float(row["y_px"])
        except ValueError as error:
            what = f"{row['vertebra']} {row['corner']} at ({row['x_px']}, {row['y_px']})"
            raise ValueError(f"the labels of {row['image']} have a row that is no corner: {what}") from error
    return corners


def folds(records: Sequence[Record], count: int = FOLDS) -> list[int]:
    """Fold of every record; images of one group share it, see ``deal``.

    Raises:
        ValueError: fewer than two folds.
    """
    return deal([record.group for record in records], count)


def label_of_record(record: Record) -> np.ndarray | None:
    """``(V, P, 3)`` what a training learns; ``None`` where the geometry is wrong.

    Where the curator doubts the names, the points are kept for the offsets but marked as unnamed, so that no heatmap
    channel learns from them.
    """
    if not record.geometry_ok:
        return None
    points = with_centers(record.corners)
    state = np.full((*points.shape[:-1], 1), PRESENT if record.is_clean else UNNAMED)
    return np.concatenate([points, state], -1)


def to_items(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Training items: paths and labels.

    Records with wrong geometry are left out, see ``label_of_record``.

    Returns:
        Dicts with ``IMAGE`` and ``LABEL`` ``(V, P, 3)``.
    """
    labelled = ((record, label_of_record(record)) for record in records)
    return [{IMAGE: str(record.path), LABEL: label} for record, label in labelled if label is not None]
