"""Level assignment: what a model says about the level names in a label, and labels renamed by it.

A label that is right but for its names has them all off by the same number of levels, so few namings are compared.
"Levels" are counted downwards: with 1, what was called T1 becomes T2.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...spine.schema import VERTEBRAE
from ..codec import PRESENT, STATE, UNKNOWN, UNNAMED
from ..data import IMAGE, LABEL

MAX_LEVELS = 4
_SCORE_FLOOR = 1e-3
_NAMELESS_SCORE = 0.03  # of a vertebra that would lie beyond T1 or L5
COLUMNS = ("filename", "fold", "trusted", "bodies", "levels", "margin", "use", "model_folds")
"""The last one, the same in every row: folds of the AASCE training split that the model was trained on."""
_NO_NAMES = "none"
_NO_FOLD = "none"
_MIN_SHARE = 0.02  # of the score of a body that one channel counts as at least
_MIN_BODY_SCORE = 0.15  # score of all channels together below which there is no body to be seen
_NAMELESS_SHARE = 0.1  # of a vertebra that would lie beyond T1 or L5
_END_NOT_VISIBLE = -1.5  # stands for the logarithm of the score of T1 or L5 where the image does not show it
_FAR = 3.0
_EVIDENCE = np.array([12.72, 3.58, 11.27, 12.35, -9.33, 6.66])
"""Constant, then the weights of ``evidence_parts``.

Those of a logistic model over 0.211, so that the stored error models (``ErrorModel.naming_slope``) make chances of it;
the constant is for images fewer of which are misnamed than of those that it was fitted on.
"""
_DOUBT_MARGIN = 2.0  # from which a model may doubt trusted names; one that sees nothing has no margin


@dataclass(frozen=True)
class Naming:
    """The likeliest names of a spine.

    Attributes:
        levels: by which the label's names have to move, -4...4, or down to L5 where the label is shorter than 13.
        margin: log score by which this naming leads the second best.
    """

    levels: int
    margin: float


def naming_totals(scores: np.ndarray) -> dict[int, float]:
    """Log score of every naming of a spine, by its levels.

    Args:
        scores: ``(V, N)`` score of each channel at each of N vertebrae from top to bottom, the first called T1.

    Raises:
        ValueError: there are not 17 channels, or no vertebra.
    """
    if scores.ndim != 2 or len(scores) != len(VERTEBRAE) or not scores.shape[1]:
        raise ValueError(f"scores must have shape ({len(VERTEBRAE)}, N), N at least 1, got {scores.shape}")
    log_scores = np.log(np.maximum(scores, _SCORE_FLOOR))
    index = np.arange(scores.shape[1])
    totals = {}
    for levels in range(-MAX_LEVELS, max(MAX_LEVELS, len(VERTEBRAE) - len(index)) + 1):
        named = (index + levels >= 0) & (index + levels < len(VERTEBRAE))
        nameless = (~named).sum() * np.log(_NAMELESS_SCORE)
        totals[levels] = float(log_scores[index[named] + levels, index[named]].sum() + nameless)
    return totals


def likeliest_naming(scores: np.ndarray) -> Naming:
    """The best of all namings of a spine.

    Args:
        scores: as for ``naming_totals``.

    Raises:
        ValueError: there are not 17 channels, or no vertebra.
    """
    totals = naming_totals(scores)
    first, second = sorted(totals, key=lambda levels: -totals[levels])[:2]
    return Naming(first, totals[first] - totals[second])


def evidence_parts(scores: np.ndarray, is_visible: np.ndarray) -> np.ndarray:
    """What speaks for or against the names of a predicted spine.

    Args:
        scores: ``(V, V)`` score of each channel at each predicted vertebra.
        is_visible: ``(V,)`` which of these lie on the image.

    Returns:
        ``(5,)``, in this order: by how much the logarithms of the shares that the names have of each body's score lead
        those of names some levels off, per visible vertebra; logarithms of how surely there are bodies at T1 and at
        L5; how many visible vertebrae have none; how many are not visible.

    Raises:
        ValueError: there are not 17 channels and vertebrae.
    """
    if scores.shape != (len(VERTEBRAE),) * 2 or is_visible.shape != (len(VERTEBRAE),):
        raise ValueError(f"17 channels at 17 vertebrae are expected, got {scores.shape} and {is_visible.shape}")
    bodies, count = scores.sum(0), max(1, int(is_visible.sum()))
    log_shares = np.log(np.maximum(scores / np.maximum(bodies, _MIN_BODY_SCORE), _MIN_SHARE))
    index = np.arange(len(VERTEBRAE))
    totals = {}
    for levels in range(-MAX_LEVELS, MAX_LEVELS + 1):
        named = is_visible & (index + levels >= 0) & (index + levels < len(VERTEBRAE))
        nameless = int(is_visible.sum() - named.sum()) * np.log(_NAMELESS_SHARE)
        totals[levels] = float(log_shares[index[named] + levels, index[named]].sum() + nameless)
    lead = (totals[0] - max(total for levels, total in totals.items() if levels)) / count
    ends = np.where(is_visible, np.log(np.clip(bodies, _MIN_SHARE, 1.0)), _END_NOT_VISIBLE)
    hidden = (is_visible & (bodies < _MIN_BODY_SCORE)).sum()
    return np.array([np.clip(lead, -_FAR, _FAR), ends[0], ends[-1], hidden, len(VERTEBRAE) - is_visible.sum()])


def names_evidence(scores: np.ndarray, is_visible: np.ndarray) -> float:
    """How much speaks for the names of a predicted spine; more is better, and 0 is little.

    A linear discriminant of ``evidence_parts``, fitted by ``scripts/hard_to_count.py --fit``. ``ErrorModel.misnamed``
    makes a chance of it.

    Args:
        scores: as for ``evidence_parts``.
        is_visible: as for ``evidence_parts``.

    Raises:
        ValueError: there are not 17 channels and vertebrae.
    """
    return float(_EVIDENCE[0] + evidence_parts(scores, is_visible) @ _EVIDENCE[1:])


def renamed(label: np.ndarray, levels: int | None) -> np.ndarray:
    """A label whose names have moved and are trusted from now on; vertebrae that get no points are unknown.

    Args:
        label: ``(V, P, 3)`` x, y, state.
        levels: by which to move; ``None`` keeps the points in place but trusts no name.

    Returns:
        A label of the same shape; what moves beyond T1 or L5 is left out.
    """
    if levels is None:
        unnamed = label.copy()
        unnamed[..., STATE] = np.where(label[..., STATE] == PRESENT, UNNAMED, label[..., STATE])
        return unnamed
    moved = np.zeros_like(label)
    moved[..., STATE] = UNKNOWN
    present = np.flatnonzero(np.isin(label[:, 0, STATE], (PRESENT, UNNAMED)))
    present = present[(present + levels >= 0) & (present + levels < len(label))]
    moved[present + levels] = label[present]
    moved[..., STATE] = np.where(moved[..., STATE] == UNNAMED, PRESENT, moved[..., STATE])
    return moved


def rename_items(items: Sequence[Mapping[str, Any]], names: Mapping[str, int | None]) -> list[dict[str, Any]]:
    """Training items with the names of a table.

    Args:
        items: dicts with ``IMAGE``, a path, and ``LABEL`` ``(V, P, 3)``.
        names: file name to what ``renamed`` takes; items of other files stay as they are.
    """
    changed = []
    for item in items:
        name = Path(item[IMAGE]).name
        changed.append({**item, LABEL: renamed(item[LABEL], names[name])} if name in names else dict(item))
    return changed


def read_names(path: Path) -> dict[str, int | None]:
    """File name to levels, or to ``None`` for names that are not to be trusted.

    Args:
        path: a table of ``scripts/audit_names.py``; rows with an empty "use" say nothing.

    Raises:
        ValueError: it lacks a column, or "use" is neither empty, "none" nor a whole number.
        OSError: it cannot be read.
    """
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        if not {"filename", "use"} <= set(reader.fieldnames or ()):
            raise ValueError(f"{path.name} has no columns 'filename' and 'use'; scripts/audit_names.py writes them")
        rows = [(row["filename"], row["use"] or "") for row in reader]
    try:
        return {name: None if use == _NO_NAMES else int(use) for name, use in rows if use}
    except ValueError as error:
        raise ValueError(f"{path.name}: 'use' must be empty, {_NO_NAMES!r} or a number of levels: {error}") from error


def folds_cell(folds: Iterable[int]) -> str:
    """Folds as a table has them, such as "1 2 3 4"."""
    return " ".join(map(str, sorted(folds))) or _NO_FOLD


def read_model_folds(path: Path) -> frozenset[int] | None:
    """Folds of the AASCE training split that the model behind a table was trained on; ``None`` if it does not say.

    A model is meant to be asked about images that it was trained on: its opinion is about their names alone, and only
    training makes use of it. A table has no part in what held-out images are compared with, since those keep their
    names. Only so much can come through it: a model that knows the held-out images may name others a little better
    than one that does not. So such a table may be used, but not without a word (``scripts/train.py``).

    Args:
        path: a table of ``scripts/audit_names.py``; older ones do not say it.

    Raises:
        ValueError: what stands there is no list of folds.
        OSError: it cannot be read.
    """
    with path.open(newline="", encoding="utf-8") as stream:
        cells = {row.get("model_folds") or "" for row in csv.DictReader(stream)}
    if "" in cells or not cells:
        return None
    try:
        return frozenset(int(fold) for cell in cells - {_NO_FOLD} for fold in cell.split())
    except ValueError as error:
        raise ValueError(f"{path.name}: 'model_folds' must be numbers of folds or {_NO_FOLD!r}: {error}") from error


def use_of(naming: Naming, bodies: int, trusted: bool | None) -> str:
    """What a table says about a spine: as which names to learn it.

    A model may err, so it is followed where it is clear and plausible only: a curator's doubt takes less than a
    curator's trust, and boxes may lack vertebrae at the ends but name none beyond T1 and L5. A model that sees nothing
    takes no trusted name away.

    Args:
        naming: what the model makes of it.
        bodies: vertebrae in the label.
        trusted: whether a curator trusts the label's names; ``None`` if it has none.

    Returns:
        "" to learn it as it is, "none" for no names, or a number of levels.
    """
    if trusted:
        if naming.levels == 0:
            return ""
        if naming.margin > 20:
            return str(naming.levels)
        return _NO_NAMES if naming.margin > _DOUBT_MARGIN else ""
    if trusted is None:
        fits = 0 <= naming.levels <= len(VERTEBRAE) - bodies
        return str(naming.levels) if fits and naming.margin > 12 else ""
    return str(naming.levels) if abs(naming.levels) <= 1 and naming.margin > 15 else ""
