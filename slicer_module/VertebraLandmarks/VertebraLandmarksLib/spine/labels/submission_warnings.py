"""Likely mistakes in a label that is about to be submitted, for its user to confirm."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Optional, Protocol

import numpy as np

from ..measurement.anatomy import KINDS, violations
from ..schema import CORNERS, POINTS, VERTEBRAE

INCOMPLETE, UNUSUAL, REPLACES = "incomplete", "implausible", "replaces"
"""Kinds of likely mistakes."""
_MAX_NAMED = 3


@dataclass(frozen=True)
class SubmissionWarning:
    """A likely mistake in a label that is about to be submitted.

    Attributes:
        kind: ``INCOMPLETE``, ``UNUSUAL`` or ``REPLACES``.
        text: for the user; ends with what happens if the label is submitted anyway.
        vertebrae: names of the vertebrae concerned.
    """

    kind: str
    text: str
    vertebrae: tuple[str, ...] = ()


class SubmittedLabel(Protocol):
    """What is known about the label that would be replaced."""

    @property
    def user(self) -> str:
        """Who submitted it, "" where unknown."""

    @property
    def timestamp(self) -> Optional[float]:
        """When, in seconds since 1970; ``None`` where unknown."""


def submission_warnings(
    xy: np.ndarray, final: Optional[SubmittedLabel], user: str, is_proposal: bool = False
) -> tuple[SubmissionWarning, ...]:
    """All likely mistakes in a label.

    Args:
        xy: ``(V, P, 2)`` upright pixels, NaN where not visible.
        final: the submitted label on the server; ``None`` without one.
        user: who submits.
        is_proposal: whether some of the points are a model's.
    """
    warnings = (_incomplete(xy), _implausible(xy), _replacing(final, user, is_proposal))
    return tuple(warning for warning in warnings if warning is not None)


def _incomplete(xy: np.ndarray) -> Optional[SubmissionWarning]:
    is_absent = ~np.isfinite(xy).all(-1)
    wholly = [VERTEBRAE[v] for v in np.flatnonzero(is_absent.all(1))]
    partly = [VERTEBRAE[v] for v in np.flatnonzero(is_absent.any(1) & ~is_absent.all(1))]
    if not wholly and not partly:
        return None
    sentences = []
    if wholly:
        sentences.append(f"{_enumerate(wholly)} {'has' if len(wholly) == 1 else 'have'} no points.")
    for name in partly[:_MAX_NAMED]:
        points = [point for p, point in enumerate(POINTS) if is_absent[VERTEBRAE.index(name), p]]
        corners = [point for point in points if point in CORNERS]
        sentences.append(f"{name} lacks {_enumerate(corners or points)}.")
    if len(partly) > _MAX_NAMED:
        sentences.append(f"{len(partly) - _MAX_NAMED} more vertebrae lack points.")
    text = f"{' '.join(sentences)} They will be stored as not visible."
    return SubmissionWarning(INCOMPLETE, text, tuple(name for name in VERTEBRAE if name in (*wholly, *partly)))


def _implausible(xy: np.ndarray) -> Optional[SubmissionWarning]:
    broken = sorted(violations(xy), key=lambda violation: KINDS.index(violation.kind))  # most severe first
    if not broken:
        return None
    names = {name for violation in broken for name in violation.vertebrae}
    sentences = [violation.message for violation in broken[:_MAX_NAMED]]
    if len(broken) > _MAX_NAMED:
        sentences.append(f"And {len(broken) - _MAX_NAMED} more.")
    text = f"This spine looks unusual. {' '.join(sentences)} It will be stored as it is."
    return SubmissionWarning(UNUSUAL, text, tuple(name for name in VERTEBRAE if name in names))


def _replacing(final: Optional[SubmittedLabel], user: str, is_proposal: bool) -> Optional[SubmissionWarning]:
    is_others = final is not None and final.user not in ("", user)
    if final is None or not (is_others or is_proposal):
        return None
    who = final.user if is_others else "You" if final.user else "Somebody"
    points = "Points of the model" if is_proposal else "Yours"
    at = "" if final.timestamp is None else time.strftime(" of %Y-%m-%d %H:%M", time.localtime(final.timestamp))
    return SubmissionWarning(REPLACES, f"{who} labelled this image already. {points} will replace the label{at}.")


def _enumerate(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
