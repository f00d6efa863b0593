"""Readers of radiographs whose vertebrae are marked from top to bottom but not named.

Beside the images of ``boxed_images``: strips with boxes (Fraiwan et al., PLoS ONE 2022, 10.1371/journal.pone.0267851)
and generated trunk images with quadrangles (Spinal-AI2024, arXiv 2411.12604).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ....spine.schema import CORNERS
from ...data.boxed_images import BoxRecord, read_boxes, read_rows

_QUAD_BIAS = (0.25, 0.31)
"""Body heights by which the quadrangles of Spinal-AI2024 lie right of and below the bodies (80 images looked at)."""
_BOX_COLUMNS = ("x0", "y0", "x1", "y1")
_QUAD_COLUMNS = tuple(f"{corner}_{axis}" for corner in CORNERS for axis in "xy")
_TOP, _BOTTOM = ([CORNERS.index(f"{end}{side}") for side in "LR"] for end in "TB")
_ORDER = "k_from_top"


@dataclass(frozen=True, eq=False)
class UnnamedImage:
    """One radiograph with marked bodies.

    Attributes:
        path: image file.
        marks: ``(N, 2)`` middles of the bodies from top to bottom, pixels.
        fold: in 0...4, of images that serve for validation; ``None`` of generated ones.
    """

    path: Path
    marks: np.ndarray
    fold: int | None


def read_boxed(folder: Path) -> list[UnnamedImage]:
    """Images of ``boxed_images.read_boxes``.

    Raises:
        ValueError: a table lacks a column or holds something that is no finite number.
        OSError: a file is missing.
    """
    return [_of_boxes(record) for record in read_boxes(folder)]


def read_strips(folder: Path) -> list[UnnamedImage]:
    """Strips of a folder with ``boxes.csv`` (image, k_from_top, x0, y0, x1, y1), images beside it, sorted by name.

    Raises:
        ValueError: the table lacks a column or holds something that is no finite number.
        OSError: a file is missing.
    """
    folder = Path(folder)
    found = read_rows(folder / "boxes.csv", _ORDER, _BOX_COLUMNS, "box")
    return [_of_boxes(BoxRecord(folder / name, boxes)) for name, boxes in found.items()]


def read_quads(folder: Path) -> list[UnnamedImage]:
    """Images of a folder with ``corners.csv`` (image, k_from_top, TL_x ... BR_y) and ``images``, sorted by name.

    The quadrangles are biased; their middles are moved back, to within about a fifth of a step. Their corners teach
    nothing.

    Raises:
        ValueError: the table lacks a column or holds something that is no finite number.
        OSError: a file is missing.
    """
    folder = Path(folder)
    images = []
    for name, rows in read_rows(folder / "corners.csv", _ORDER, _QUAD_COLUMNS, "quadrangle").items():
        quads = rows.reshape(-1, len(CORNERS), 2)
        down = quads[:, _BOTTOM].mean(1) - quads[:, _TOP].mean(1)
        height = float(np.median(np.linalg.norm(down, axis=-1)))
        images.append(UnnamedImage(folder / "images" / name, quads.mean(1) - height * np.array(_QUAD_BIAS), None))
    return images


def spread(images: Sequence[UnnamedImage], count: int) -> list[UnnamedImage]:
    """As many images, evenly spread over all of them; all where there are no more."""
    if count >= len(images):
        return list(images)
    return [images[number] for number in np.linspace(0, len(images) - 1, count).round().astype(int)]


def _of_boxes(record: BoxRecord) -> UnnamedImage:
    return UnnamedImage(record.path, record.centers, record.fold)
