"""A trained model as a teacher: its points become labels of images that have marks but neither names nor corners.

A teacher errs, so it is followed where two predictions of an image agree, as many bodies are found as are marked, in
the same places and order, and nothing contradicts anatomy. Its names count where both predictions are sure of them.
Where it skips or invents a body, but finds most of them, the marks say where the rest are: then centers are taught,
without names.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ....evaluation.box_matching import BoxMatch, match_boxes
from ....spine.geometry import center_distances
from ....spine.measurement.anatomy import violations
from ....spine.schema import CENTER, POINTS, VERTEBRAE
from ...codec import ABSENT, PRESENT, STATE, UNKNOWN, UNNAMED
from ...data.boxed_images import unnamed_label
from ...data.labelled_items import gross_error

IMAGES_FILE, POINTS_FILE = "images.csv", "points.csv"
TEACHER_FILE = "teacher.json"
"""What the teacher was trained on, as ``provenance.init_facts`` states it."""
_MODEL_COLUMNS = "model_folds", "model_box_folds"
IMAGE_COLUMNS = ("source", "image", "fold", "marks", "kept", "reason", "named", "lead", "apart_steps", *_MODEL_COLUMNS)
_READ_COLUMNS = "source", "image", "kept"
POINT_COLUMNS = ("source", "image", "vertebra", "point", "x", "y", "state")
ALL_POINTS, CENTERS_ONLY = "points", "centers"
"""What is kept of an image, in the column "kept"; empty where nothing is."""
MIN_LEAD = 12.0
"""Log score by which names have to lead in either prediction to be taught, as for boxed images in ``use_of``."""
MAX_APART = 0.25
"""Steps that a center may lie from itself in the other prediction."""
MAX_CORNER_APART = 0.15
"""Steps beyond which a corner is not taught."""
MIN_MATCHED = 0.7
"""Share of the marks that have to be matched for the others to be placed by them."""
_STATES = (ABSENT, PRESENT, UNNAMED, UNKNOWN)
_MAX_SHIFT = 2  # levels by which the names of two predictions may differ
_CENTER = POINTS.index(CENTER)


@dataclass(frozen=True, eq=False)
class TeacherPrediction:
    """What a model finds in one view of an image.

    Attributes:
        xy: ``(V, P, 2)`` pixels of the image.
        score: mean score of the centers.
        lead: log score by which the names lead others, negative where others lead.
    """

    xy: np.ndarray
    score: float
    lead: float


@dataclass(frozen=True, eq=False)
class TaughtLabel:
    """What is taught of one image.

    Attributes:
        label: ``(V, P, 3)`` x, y, state; ``None`` where nothing is.
        reason: why not all points are taught, in words; "" where they are.
        is_named: whether the names are taught as well.
        apart: largest distance of a center from itself in the other prediction, steps; NaN where not compared.
    """

    label: np.ndarray | None
    reason: str
    is_named: bool = False
    apart: float = float("nan")

    @property
    def kept(self) -> str:
        """``ALL_POINTS``, ``CENTERS_ONLY`` or ""."""
        if self.label is None:
            return ""
        return CENTERS_ONLY if self.reason else ALL_POINTS


def taught_label(
    first: TeacherPrediction, second: TeacherPrediction, marks: np.ndarray, min_score: float
) -> TaughtLabel:
    """What two predictions of an image teach.

    Args:
        first: of the image.
        second: of another view of it.
        marks: ``(N, 2)`` middles of the bodies from top to bottom, pixels.
        min_score: mean score below which an image shows no spine.
    """
    if min(first.score, second.score) < min_score:
        return TaughtLabel(None, "no spine was found")
    try:
        match = match_boxes(first.xy[:, _CENTER], marks)
    except ValueError as error:
        return TaughtLabel(None, f"the marks cannot be compared: {error}")
    shift, apart = names_apart(first.xy[:, _CENTER], second.xy[:, _CENTER])
    reason = _doubt(first.xy, match, apart)
    if reason:
        is_enough = len(match.pairs) >= MIN_MATCHED * match.boxes
        label = _completed(first.xy[:, _CENTER], marks, match) if is_enough else None
        return TaughtLabel(label, reason, apart=apart)
    is_named = shift == 0 and min(first.lead, second.lead) >= MIN_LEAD
    matched = np.zeros(len(first.xy), bool)
    matched[[center for center, _ in match.pairs]] = True
    return TaughtLabel(_label(first.xy, second.xy, matched, shift, is_named), "", is_named, apart)


def _doubt(xy: np.ndarray, match: BoxMatch, apart: float) -> str:
    """Why the points of a prediction are not all taught, in words; "" where they are."""
    error = gross_error(xy)
    if error:
        return error
    if not match.is_complete:
        return f"{len(match.pairs)} of {match.boxes} marks are matched"
    if match.between or match.astray:
        return f"{len(match.between) + len(match.astray)} points lie where no body is marked"
    broken = violations(xy)
    if broken:
        return broken[0].message
    return "the predictions differ" if apart > MAX_APART else ""


def _completed(centers: np.ndarray, marks: np.ndarray, match: BoxMatch) -> np.ndarray:
    """Unnamed centers of all marked bodies: those found, and the marks of the others moved as their neighbours say."""
    kept = marks[match.left_out :]
    found = np.array([mark - match.left_out for _, mark in match.pairs])
    off = centers[[center for center, _ in match.pairs]] - kept[found]
    every = np.arange(len(kept))
    moved = np.stack([np.interp(every, found, off[:, axis]) for axis in (0, 1)], 1)
    label = unnamed_label(kept + moved)
    label[: len(kept), :_CENTER, STATE] = UNKNOWN
    label[: len(kept), _CENTER + 1 :, STATE] = UNKNOWN
    return label


def names_apart(first: np.ndarray, second: np.ndarray) -> tuple[int, float]:
    """By how many levels the names of two predictions differ, and how far apart the same bodies lie.

    Args:
        first: ``(V, 2)`` centers.
        second: ``(V, 2)`` centers of the other prediction.

    Returns:
        Levels by which the names of the first lie higher, and the largest distance in mean steps.
    """
    step = max(float(center_distances(first).mean()), 1e-6)
    found = []
    for shift in range(-_MAX_SHIFT, _MAX_SHIFT + 1):
        here, there = _overlap(len(first), shift)
        found.append((float(np.linalg.norm(first[here] - second[there], axis=-1).max()) / step, abs(shift), shift))
    apart, _, shift = min(found)
    return shift, apart


def _overlap(count: int, shift: int) -> tuple[slice, slice]:
    """Bodies of the first prediction, and the same ones of the second, whose names lie ``shift`` levels lower."""
    return slice(max(0, -shift), count - max(0, shift)), slice(max(0, shift), count - max(0, -shift))


def _label(first: np.ndarray, second: np.ndarray, matched: np.ndarray, shift: int, is_named: bool) -> np.ndarray:
    """The label of the matched bodies: the mean of both predictions; corners on which they differ are unknown."""
    same = np.full_like(first, np.nan)
    here, there = _overlap(len(first), shift)
    same[here] = second[there]
    step = float(center_distances(first[:, _CENTER]).mean())
    apart = np.linalg.norm(first - same, axis=-1) / step  # NaN where only one has the body
    agrees = apart <= MAX_CORNER_APART
    agrees[:, _CENTER] = True
    taught = PRESENT if is_named else UNNAMED
    state = np.where(matched[:, None] & agrees, taught, UNKNOWN)
    if not is_named:
        state[~matched] = ABSENT
    xy = np.where(np.isfinite(same), (first + same) / 2, first)
    label = np.concatenate([xy, state[..., None]], -1)
    label[label[..., STATE] == ABSENT] = (0.0, 0.0, ABSENT)
    return label


def point_rows(source: str, image: str, label: np.ndarray) -> Iterator[tuple[str, ...]]:
    """Rows of ``POINT_COLUMNS`` of the points of a label that are there, and of those of which nothing is known."""
    for vertebra, points in zip(VERTEBRAE, label, strict=True):
        for point, (x, y, state) in zip(POINTS, points, strict=True):
            if state != ABSENT:
                yield source, image, vertebra, point, f"{x:.2f}", f"{y:.2f}", f"{state:.0f}"


def read_taught_labels(folder: Path) -> dict[tuple[str, str], tuple[np.ndarray, str]]:
    """What ``scripts/teacher_labels.py`` has kept: source and image to a label ``(V, P, 3)`` and what is in it.

    Raises:
        ValueError: a table lacks a column or holds something that is no point.
        OSError: a table cannot be read.
    """
    kept: dict[tuple[str, str], tuple[np.ndarray, str]] = {}
    for row in _table(folder / IMAGES_FILE, _READ_COLUMNS):
        if row["kept"]:
            label = np.zeros((len(VERTEBRAE), len(POINTS), 3))
            label[..., STATE] = ABSENT
            kept[row["source"], row["image"]] = label, row["kept"]
    for number, row in enumerate(_table(folder / POINTS_FILE, POINT_COLUMNS), start=2):
        found = kept.get((row["source"], row["image"]))
        try:
            place, values = _point(row)
        except ValueError as error:
            raise ValueError(f"{POINTS_FILE}: row {number}, of {row['image']}, is no point: {error}") from error
        if found is not None:
            found[0][place] = values
    return kept


def _point(row: Mapping[str, str]) -> tuple[tuple[int, int], tuple[float, float, float]]:
    """Which point a row is of, and its x, y and state.

    Raises:
        ValueError: a name or a state is unknown, or x or y is no finite number.
    """
    place = VERTEBRAE.index(row["vertebra"]), POINTS.index(row["point"])
    x, y, state = float(row["x"]), float(row["y"]), float(row["state"])
    if not (math.isfinite(x) and math.isfinite(y)):
        raise ValueError(f"x and y must be finite numbers, got {row['x']:.20}, {row['y']:.20}")
    if state not in _STATES:
        raise ValueError(f"the state must be one of {', '.join(f'{s:.0f}' for s in _STATES)}, got {row['state']:.20}")
    return place, (x, y, state)


def read_teacher(folder: Path) -> dict[str, Any] | None:
    """What ``TEACHER_FILE`` of a folder states, see ``provenance.stated``; ``None`` where the folder has none.

    Raises:
        ValueError: it is no JSON object.
        OSError: it cannot be read.
    """
    path = folder / TEACHER_FILE
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path.name} of {folder.name} is no JSON file: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path.name} of {folder.name} must hold a JSON object")
    return content


def _table(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        missing = sorted(set(columns) - set(reader.fieldnames or ()))
        if missing:
            raise ValueError(f"{path.name}: missing columns {', '.join(missing)}")
        rows = list(reader)
    if any(row[name] is None for row in rows for name in columns):
        raise ValueError(f"{path.name}: a row is cut short")
    return rows
