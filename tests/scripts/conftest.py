"""A small folder of images for the scripts that are about names."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from lib.spine.schema import CORNERS, VERTEBRAE

NAMED = [  # image, group, geometry_ok, suitable, level_ok; one fold each, from 0 to 4 and again
    ("fits.png", 1, 1, 1, 1),
    ("moved.png", 2, 1, 1, 1),
    ("unclear.png", 3, 1, 1, 1),
    ("doubted.png", 4, 1, 1, 0),
    ("open.png", 5, 1, 0, 1),
    ("broken.png", 6, 0, 1, 1),
]
BOXED = {"film_001.png": 16, "film_011.png": 15}
"""Images of folds 0 and 1, and how many boxes they have."""


class ImageFolders(NamedTuple):
    """Folders, and which image has which gray value in all its pixels but the last."""

    data: Path
    boxes: Path
    grays: dict[str, int]


def _write(path: Path, rows: Sequence[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)


@pytest.fixture
def folders(tmp_path: Path, ladder: np.ndarray) -> ImageFolders:
    """Six images in the AASCE layout with the straight spine of ``ladder``, and two with boxes around its vertebrae."""
    found = ImageFolders(tmp_path / "data", tmp_path / "boxed", {})
    flags = ("geometry_ok", "suitable", "level_ok", "duplicate_of_training")
    index = [("split", "filename", "group", *flags), *(("training", *row, 0) for row in NAMED)]
    corners = [
        ("training", name, vertebra, corner, *ladder[v, 1 + k].tolist())
        for name, *_ in NAMED
        for v, vertebra in enumerate(VERTEBRAE)
        for k, corner in enumerate(CORNERS)
    ]
    boxes = [
        (name, n + 1, *ladder[n, 1].tolist(), *ladder[n, 4].tolist())
        for name, count in BOXED.items()
        for n in range(count)
    ]
    _write(found.data / "index.csv", index)
    columns = ("split", "filename", "vertebra", "corner", "x_px", "y_px")
    _write(found.data / "landmarks_repaired.csv", [columns, *corners])
    _write(found.data / "labels" / "training" / "filenames.csv", [(name,) for name, *_ in NAMED])
    _write(found.data / "labels" / "training" / "angles.csv", [(30, 20, 10)] * len(NAMED))
    _write(found.boxes / "boxes.csv", [("image", "order_from_top", "x1_px", "y1_px", "x2_px", "y2_px"), *boxes])
    folders = {name: found.data / "images" / "training" for name, *_ in NAMED}
    for number, (name, folder) in enumerate({**folders, **dict.fromkeys(BOXED, found.boxes / "images")}.items(), 1):
        pixels = np.full((300, 100), number, np.uint8)
        pixels[-1, -1] = 255
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / name)
        found.grays[name] = number
    return found
