"""Whether a trained model may take the place of the served one: by its errors on films that neither learnt from."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..learning.film_errors import film_errors
from ..learning.prediction import LandmarkPredictor

GATE, ALWAYS, NEVER = "gate", "always", "never"
"""When to publish: where the gate lets it through, in any case, or not at all."""
FEW = 5
"""Fewer held-out films than this are a weak check."""


@dataclass(frozen=True)
class Gate:
    """What was measured and what follows from it.

    Attributes:
        before: mean over the held-out films of the error of the whole prediction with the served model, in steps, see
            ``film_errors``; ``None`` where there was no film to measure on.
        after: the same with the trained model.
        films: how many films were compared.
        films_better: on how many of them the error became smaller.
        seen: how many of them an earlier version had learnt from.
        is_passed: whether the error did not grow, or nothing could be compared.
        publish: what was asked for: ``GATE``, ``ALWAYS`` or ``NEVER``.
        is_published: what was decided.
        why: the same in a sentence.
    """

    before: float | None
    after: float | None
    films: int
    films_better: int
    seen: int
    is_passed: bool
    publish: str
    is_published: bool
    why: str

    @property
    def is_weak(self) -> bool:
        """Whether the films are too few to tell much, or some of them were learnt from before."""
        return self.films - self.seen < FEW

    def to_dict(self) -> dict[str, Any]:
        """In plain values."""
        return {**asdict(self), "unit": "steps", "is_weak": self.is_weak}


def measure(weights: Path, items: Sequence[Mapping[str, Any]], device: torch.device) -> np.ndarray:
    """``(N,)`` errors of a weight file on held-out items, see ``film_errors``.

    Raises:
        ValueError: it is no weight file that can be used.
        OSError: a file cannot be read.
    """
    return film_errors(LandmarkPredictor(weights, device), items) if items else np.zeros(0)


def decide(
    before: np.ndarray, after: np.ndarray, learnt_before: Collection[bool], publish: str, all_worse: bool = False
) -> Gate:
    """Compare two models film by film.

    Args:
        before: ``(N,)`` errors of the served model.
        after: ``(N,)`` those of the trained one on the same films. Films on which the served model has none are left
            out; where the trained one alone has none, it does not pass.
        learnt_before: ``(N,)`` whether an earlier version had learnt from the film.
        publish: ``GATE``, ``ALWAYS`` or ``NEVER``.
        all_worse: whether every network that was trained did worse on these films by its own measure.
    """
    is_known, after = np.isfinite(before), np.where(np.isfinite(after), after, np.inf)
    films, better = int(is_known.sum()), int((after < before)[is_known].sum())
    seen = int(np.asarray(list(learnt_before), dtype=bool)[is_known].sum())
    old, new = (float(errors[is_known].mean()) if films else math.nan for errors in (before, after))
    is_measured = 2 * films >= len(before)
    is_passed = is_measured and not all_worse and not new > old
    is_published = publish == ALWAYS or (publish == GATE and is_passed)
    gate = Gate(
        before=old if films else None,
        after=new if films else None,
        films=films,
        films_better=better,
        seen=seen,
        is_passed=is_passed,
        publish=publish,
        is_published=is_published,
        why="",
    )
    return replace(gate, why=_in_words(gate, len(before), all_worse))


def _in_words(gate: Gate, held_out: int, all_worse: bool) -> str:
    if not held_out:
        found = "No labelled film is held out, so that nothing was checked"
    elif 2 * gate.films < held_out or gate.before is None or gate.after is None:
        found = f"Only {gate.films} of {held_out} held-out films could be measured"
    else:
        change = "grew" if gate.after > gate.before else "did not grow"
        found = (
            f"The error on {gate.films} held-out film{'s' * (gate.films > 1)} {change}: mean {gate.before:.4f} steps "
            f"before, {gate.after:.4f} after"
        )
        if gate.films < FEW:
            found += "; so few films are a weak check"
        if all_worse:
            found += "; yet every network did worse by its own measure"
        if gate.seen:
            found += f"; an earlier version had learnt from {gate.seen} of them"
    if gate.is_published == gate.is_passed:
        return f"{found}."
    return f"{found}; it was asked to publish {'in any case' if gate.publish == ALWAYS else 'nothing'}."
