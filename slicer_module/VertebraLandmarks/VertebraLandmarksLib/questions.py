"""What must be asked before a label is submitted."""

from __future__ import annotations

import time
from typing import Optional

import numpy as np

from .answers import LABELLED, ImageEntry
from .spine.anatomy import KINDS, violations
from .spine.schema import CORNERS, POINTS, VERTEBRAE
from .state import Question

_MOST_NAMED = 3


def questions_about(xy: np.ndarray, entry: Optional[ImageEntry], user: str) -> tuple[Question, ...]:
    """Everything about a label that may be a slip.

    Args:
        xy: ``(V, P, 2)`` pixels, NaN where not visible.
        entry: the image in the server's list; ``None`` where it is not there.
        user: who submits.
    """
    found = (_incomplete(xy), _implausible(xy), _replacing(entry, user))
    return tuple(question for question in found if question is not None)


def _incomplete(xy: np.ndarray) -> Optional[Question]:
    is_absent = ~np.isfinite(xy).all(-1)
    wholly = [VERTEBRAE[v] for v in np.flatnonzero(is_absent.all(1))]
    partly = [VERTEBRAE[v] for v in np.flatnonzero(is_absent.any(1) & ~is_absent.all(1))]
    if not wholly and not partly:
        return None
    sentences = []
    if wholly:
        sentences.append(f"{_listed(wholly)} {'has' if len(wholly) == 1 else 'have'} no points.")
    for name in partly[:_MOST_NAMED]:
        points = [point for p, point in enumerate(POINTS) if is_absent[VERTEBRAE.index(name), p]]
        corners = [point for point in points if point in CORNERS]
        sentences.append(f"{name} lacks {_listed(corners or points)}.")
    if len(partly) > _MOST_NAMED:
        sentences.append(f"{len(partly) - _MOST_NAMED} more vertebrae lack points.")
    text = f"{' '.join(sentences)} They will be stored as not visible."
    return Question("incomplete", text, tuple(name for name in VERTEBRAE if name in (*wholly, *partly)))


def _implausible(xy: np.ndarray) -> Optional[Question]:
    broken = sorted(violations(xy), key=lambda violation: KINDS.index(violation.kind))  # what is gravest first
    if not broken:
        return None
    names = {name for violation in broken for name in violation.vertebrae}
    sentences = [violation.message for violation in broken[:_MOST_NAMED]]
    if len(broken) > _MOST_NAMED:
        sentences.append(f"And {len(broken) - _MOST_NAMED} more.")
    text = f"This spine looks unusual. {' '.join(sentences)} It will be stored as it is."
    return Question("implausible", text, tuple(name for name in VERTEBRAE if name in names))


def _replacing(entry: Optional[ImageEntry], user: str) -> Optional[Question]:
    if entry is None or entry.status != LABELLED or entry.user in ("", user):
        return None
    day = "" if entry.when is None else time.strftime(" of %Y-%m-%d %H:%M", time.localtime(entry.when))
    return Question("replaces", f"{entry.user} labelled this film already. Yours will replace the label{day}.")


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
