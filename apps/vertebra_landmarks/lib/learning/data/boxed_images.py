"""Reader of radiographs whose vertebrae are marked by boxes without names, such as "Spine Region" (CC BY 4.0).

A folder holds ``boxes.csv`` (one axis-aligned box per row, from top to bottom) and ``images``.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...spine.schema import CENTER, POINTS, VERTEBRAE
from ..codec import ABSENT, STATE, UNNAMED
from . import IMAGE, LABEL

FOLDS = 5
_BLOCK = 10
_ORDER, _COLUMNS = "order_from_top", ("x1_px", "y1_px", "x2_px", "y2_px")


@dataclass(frozen=True, eq=False)
class BoxRecord:
    """One radiograph with boxes.

    Attributes:
        path: image file.
        boxes: ``(N, 4)`` x1, y1, x2, y2 in pixels, from top to bottom.
    """

    path: Path
    boxes: np.ndarray

    @property
    def centers(self) -> np.ndarray:
        """``(N, 2)`` middles of the boxes."""
        middles: np.ndarray = (self.boxes[:, :2] + self.boxes[:, 2:]) / 2
        return middles

    @property
    def fold(self) -> int:
        """Fold in 0...4; neighbouring numbers may be one image twice, so blocks of ten numbers stay together."""
        number = re.search(r"\d+", self.path.stem)
        return int(number.group()) // _BLOCK % FOLDS if number else 0


def read_boxes(folder: Path) -> list[BoxRecord]:
    """Read all radiographs of a folder, sorted by name.

    Raises:
        ValueError: ``boxes.csv`` lacks a column or holds something that is no finite number.
        OSError: a file is missing.
    """
    folder = Path(folder)
    found = read_rows(folder / "boxes.csv", _ORDER, _COLUMNS, "box")
    return [BoxRecord(folder / "images" / name, boxes) for name, boxes in found.items()]


def read_rows(path: Path, order: str, columns: Sequence[str], what: str) -> dict[str, np.ndarray]:
    """Numbers of the vertebrae of every image of a table.

    Args:
        path: a CSV file with a row per vertebra.
        order: column with the number of the vertebra, counted from the top.
        columns: with the numbers.
        what: a row describes, for errors.

    Returns:
        Image to ``(N, C)`` numbers of its N vertebrae from top to bottom; images are sorted by name.

    Raises:
        ValueError: the table lacks a column or holds something that is no finite number.
        OSError: it cannot be read.
    """
    found: dict[str, list[tuple[float, ...]]] = {}
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        missing = sorted({"image", order, *columns} - set(reader.fieldnames or ()))
        if missing:
            raise ValueError(f"{path.name}: missing columns {', '.join(missing)}")
        for row in reader:
            try:
                values = tuple(float(row[name]) for name in (order, *columns))
            except (TypeError, ValueError) as error:  # a row that is too short holds None
                raise ValueError(f"{path.name}: {row['image']} has a row that is no {what}: {error}") from error
            if not all(map(math.isfinite, values)):
                raise ValueError(f"{path.name}: {row['image']} has a row that is no {what}: {values}")
            found.setdefault(row["image"], []).append(values)
    return {name: np.array(sorted(rows))[:, 1:] for name, rows in sorted(found.items())}


def unnamed_label(centers: np.ndarray) -> np.ndarray:
    """``(V, P, 3)`` of unnamed centers ``(N, 2)`` from top to bottom, without corners.

    Where there are more than named vertebrae, the uppermost are left out, since they lie in the neck.
    """
    centers = centers[-len(VERTEBRAE) :]
    label = np.zeros((len(VERTEBRAE), len(POINTS), 3))
    label[..., STATE] = ABSENT
    label[: len(centers), POINTS.index(CENTER), :STATE] = centers
    label[: len(centers), POINTS.index(CENTER), STATE] = UNNAMED
    return label


def to_items(records: Iterable[BoxRecord]) -> list[dict[str, Any]]:
    """Training items: dicts with ``IMAGE`` and ``LABEL`` ``(V, P, 3)``, see ``unnamed_label``."""
    return [{IMAGE: str(record.path), LABEL: unnamed_label(record.centers)} for record in records]
