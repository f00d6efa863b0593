"""Reader of the AASCE 2019 ("SpineWeb dataset 16") radiographs in the curated layout of this project.

A folder holds ``index.csv`` (one row per image with curation flags and the group of films of one patient),
``landmarks_repaired.csv`` (corners in pixels) and ``images/{training,test}``.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..spine.geometry import with_centers
from ..spine.schema import CORNERS, VERTEBRAE
from .codec import PRESENT, UNNAMED
from .transforms import IMAGE, LABEL

SPLITS = ("training", "test")
FOLDS = 5
_FLAGS = ("geometry_ok", "suitable", "level_ok", "duplicate_of_training")


@dataclass(frozen=True, eq=False)
class Record:
    """One labelled radiograph.

    Attributes:
        path: image file.
        group: films of one patient share it.
        corners: ``(V, K, 2)`` pixels of the original image.
        geometry_ok: the labelled points pass geometric sanity checks.
        suitable: a curator found the film and its labels usable.
        level_ok: the vertebrae carry their right names.
        duplicate_of_training: a test film that also stands in training.
    """

    path: Path
    group: int
    corners: np.ndarray
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
    rows = [row for row in _read_csv(folder / "index.csv", {"filename", "group", *_FLAGS}) if row["split"] == split]
    corners = _read_corners(folder / "landmarks_repaired.csv", split)
    records = []
    for row in rows:
        name = row["filename"]
        if name not in corners or not np.isfinite(corners[name]).all():
            raise ValueError(f"landmarks_repaired.csv: {name} has not all {len(VERTEBRAE) * len(CORNERS)} corners")
        flags = {flag: row[flag] == "1" for flag in _FLAGS}
        records.append(Record(folder / "images" / split / name, int(row["group"]), corners[name], **flags))
    return records


def _read_csv(path: Path, columns: set[str]) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        missing = sorted(({"split"} | columns) - set(reader.fieldnames or ()))
        if missing:
            raise ValueError(f"{path.name}: missing columns {', '.join(missing)}")
        return list(reader)


def _read_corners(path: Path, split: str) -> dict[str, np.ndarray]:
    corners: dict[str, np.ndarray] = {}
    for row in _read_csv(path, {"filename", "vertebra", "corner", "x_px", "y_px"}):
        if row["split"] != split:
            continue
        points = corners.setdefault(row["filename"], np.full((len(VERTEBRAE), len(CORNERS), 2), np.nan))
        try:
            place = VERTEBRAE.index(row["vertebra"]), CORNERS.index(row["corner"])
            points[place] = float(row["x_px"]), float(row["y_px"])
        except ValueError as error:
            raise ValueError(f"{path.name}: {row['filename']} has a row that is no corner: {error}") from error
    return corners


def folds(records: Sequence[Record], count: int = FOLDS) -> list[int]:
    """Fold of every record; films of one group share it and the folds are of nearly equal size.

    The largest groups are dealt first, each to the fold that has the fewest films; the result depends on nothing but
    the groups.

    Raises:
        ValueError: fewer than two folds.
    """
    if count < 2:
        raise ValueError(f"count of folds must be at least 2, got {count}")
    sizes = Counter(record.group for record in records)
    filled = [0] * count
    fold_of: dict[int, int] = {}
    for group, size in sorted(sizes.items(), key=lambda item: (-item[1], item[0])):
        fold_of[group] = min(range(count), key=lambda fold: (filled[fold], fold))
        filled[fold_of[group]] += size
    return [fold_of[record.group] for record in records]


def to_items(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Training items: paths and labels.

    Records with wrong geometry are left out. Where the curator doubts the names, the points are kept for the offsets
    but marked as unnamed, so that no heatmap channel learns from them.

    Returns:
        Dicts with ``IMAGE`` and ``LABEL`` ``(V, P, 3)``.
    """
    items = []
    for record in records:
        if not record.geometry_ok:
            continue
        points = with_centers(record.corners)
        state = np.full((*points.shape[:-1], 1), PRESENT if record.is_clean else UNNAMED)
        items.append({IMAGE: str(record.path), LABEL: np.concatenate([points, state], -1)})
    return items
