"""Labels that contradict sound anatomy, found by rule: for a look at them, and for figures without them."""

from __future__ import annotations

import csv
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...spine.geometry import body_heights, corners_of
from ...spine.measurement.anatomy import violations
from ...spine.schema import VERTEBRAE

MIN_END_HEIGHT = {"T1": 0.6, "L5": 0.5}
"""Height of an end vertebra over that of its neighbour below which a disc, or a part of a body, was outlined instead.

99 % of the 355 AASCE training labels whose points and names are trusted lie above: 0.61 for T1, 0.49 for L5.
"""
END_HEIGHT, NAMES = "end_height", "names"
COLUMNS = ("filename", "fold", "clean", "rule", "vertebrae", "finding")


@dataclass(frozen=True)
class Finding:
    """One contradiction.

    Attributes:
        rule: a kind of violation of ``spine.measurement.anatomy``, ``END_HEIGHT`` or ``NAMES``.
        vertebrae: names of the vertebrae concerned.
        sentence: what is wrong.
    """

    rule: str
    vertebrae: tuple[str, ...]
    sentence: str


def findings(points: np.ndarray) -> list[Finding]:
    """What contradicts anatomy in the points of a label: the limits of ``anatomy``, and end vertebrae that are too low.

    Args:
        points: ``(V, P, 2)`` upright pixels, NaN where absent.

    Raises:
        ValueError: the shape is wrong.
    """
    found = [Finding(one.kind, one.vertebrae, one.message) for one in violations(points)]
    heights = body_heights(corners_of(points))
    for end, neighbour in ((0, 1), (len(VERTEBRAE) - 1, len(VERTEBRAE) - 2)):
        name, share = VERTEBRAE[end], heights[end] / heights[neighbour]
        if share < MIN_END_HEIGHT[name]:
            sentence = (
                f"{name} is {share:.2f} times as high as {VERTEBRAE[neighbour]}, at least {MIN_END_HEIGHT[name]} is "
                "usual: a disc or a part of the body may have been outlined."
            )
            found.append(Finding(END_HEIGHT, (name,), sentence))
    return found


def contradicted_names(path: Path) -> dict[str, int]:
    """Levels by which names have to move, by file name, from a table of ``audit_names``; of unseen images only.

    Ribs and sacrum are what tells a model the names. An image that it was trained on counts for nothing.

    Raises:
        ValueError: the file is no such table.
        OSError: it cannot be read.
    """
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    try:
        unseen = [row for row in rows if row["use"] and row["fold"] not in row["model_folds"].split()]
        return {row["filename"]: int(row["levels"]) for row in unseen if int(row["levels"])}
    except (KeyError, ValueError, AttributeError) as error:
        raise ValueError(f"{path.name} is no table of audit_names.py: {error!r:.80}") from error


def names_finding(levels: int) -> Finding:
    """The finding that the names are off by so many levels."""
    way = "down" if levels > 0 else "up"
    sentence = f"Ribs and sacrum ask for names {abs(levels)} level{'s' * (abs(levels) > 1)} further {way}."
    return Finding(NAMES, VERTEBRAE, sentence)


def read_doubted(path: Path) -> Collection[str]:
    """File names with a finding in a table of ``audit_labels.py``, other than ``NAMES``, which is a model's opinion.

    Raises:
        ValueError: the file is no such table.
        OSError: it cannot be read.
    """
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise ValueError(f"{path.name} must have the columns {', '.join(COLUMNS)}")
        return {row["filename"] for row in reader if row["rule"] != NAMES}
