"""What must be asked before a label is submitted."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Optional

import numpy as np

from ...client.responses import LabelFacts
from ...spine.measurement.anatomy import KINDS, violations
from ...spine.schema import CORNERS, POINTS, VERTEBRAE
from ..state import Question

_MOST_NAMED = 3


@dataclass(frozen=True)
class Asked:
    """What the person is asked before a label is submitted, and about which points; the answer counts for these only.

    Attributes:
        key: of the film, from its opening to the next one's.
        revision: of its points, another after every change of them.
        questions: at least one.
    """

    key: str
    revision: int
    questions: tuple[Question, ...]


def questions_about(
    xy: np.ndarray, final: Optional[LabelFacts], user: str, is_proposal: bool = False
) -> tuple[Question, ...]:
    """Everything about a label that may be a slip.

    Args:
        xy: ``(V, P, 2)`` upright pixels, NaN where not visible.
        final: the label that is at the server; ``None`` where there is none.
        user: who submits.
        is_proposal: whether the points are a model's, at least some of them.
    """
    found = (_incomplete(xy), _implausible(xy), _replacing(final, user, is_proposal))
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


def _replacing(final: Optional[LabelFacts], user: str, is_proposal: bool) -> Optional[Question]:
    is_others = final is not None and final.user not in ("", user)
    if final is None or not (is_others or is_proposal):
        return None
    who = final.user if is_others else "You" if final.user else "Somebody"
    points = "Points of the model" if is_proposal else "Yours"
    day = "" if final.when is None else time.strftime(" of %Y-%m-%d %H:%M", time.localtime(final.when))
    return Question("replaces", f"{who} labelled this film already. {points} will replace the label{day}.")


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
