"""Whether a trained model may take the place of the served one: by its errors on films that were held out.

Where none is held out, by those on films that it learnt from: a model that does worse on these is broken.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...learning.prediction.item_errors import item_errors
from ...learning.prediction.predictor import LandmarkPredictor

GATE, ALWAYS, NEVER = "gate", "always", "never"
"""When to publish: where the gate lets it through, in any case, or not at all."""
FEW = 5
"""Fewer held-out films than this are a weak check."""


@dataclass(frozen=True)
class Gate:
    """What was measured and what follows from it.

    Attributes:
        before: mean over the films of the error of the whole prediction with the served model, in steps, see
            ``item_errors``; ``None`` where there was no film to measure on.
        after: the same with the trained model.
        films: how many films were compared.
        films_better: on how many of them the error became smaller.
        are_held_out: whether the trained model has not learnt from them.
        seen: how many of them an earlier version had learnt from.
        is_passed: whether the error did not grow.
        publish: what was asked for: ``GATE``, ``ALWAYS`` or ``NEVER``.
        is_published: what was decided.
        why: the same in a sentence.
    """

    before: float | None
    after: float | None
    films: int
    films_better: int
    are_held_out: bool
    seen: int
    is_passed: bool
    publish: str
    is_published: bool
    why: str

    @property
    def is_weak(self) -> bool:
        """Whether the films are too few to tell much, or some of them were learnt from before."""
        return not self.are_held_out or self.films - self.seen < FEW

    def to_dict(self) -> dict[str, Any]:
        """In plain values."""
        return {**asdict(self), "unit": "steps", "is_weak": self.is_weak}


def measure(weights: Path, items: Sequence[Mapping[str, Any]], device: torch.device) -> np.ndarray:
    """``(N,)`` errors of a weight file on labelled items, see ``item_errors``.

    Raises:
        ValueError: it is no weight file that can be used.
        OSError: a file cannot be read.
    """
    return item_errors(LandmarkPredictor(weights, device), items)


def decide(
    before: np.ndarray,
    after: np.ndarray,
    learnt_before: Collection[bool],
    publish: str,
    all_worse: bool = False,
    are_held_out: bool = True,
) -> Gate:
    """Compare two models film by film.

    Args:
        before: ``(N,)`` errors of the served model.
        after: ``(N,)`` those of the trained one on the same films. Films on which the served model has none are left
            out; where the trained one alone has none, it does not pass.
        learnt_before: ``(N,)`` whether an earlier version had learnt from the film.
        publish: ``GATE``, ``ALWAYS`` or ``NEVER``.
        all_worse: whether every network that was trained did worse on these films by its own measure.
        are_held_out: whether the trained model has not learnt from the films.
    """
    is_known, after = np.isfinite(before), np.where(np.isfinite(after), after, np.inf)
    films, better = int(is_known.sum()), int((after < before)[is_known].sum())
    seen = int(np.asarray(list(learnt_before), dtype=bool)[is_known].sum())
    old, new = (float(errors[is_known].mean()) if films else math.nan for errors in (before, after))
    is_measured = films > 0 and 2 * films >= len(before)
    is_passed = is_measured and not all_worse and not new > old
    is_published = publish == ALWAYS or (publish == GATE and is_passed)
    gate = Gate(
        before=old if films else None,
        after=new if films else None,
        films=films,
        films_better=better,
        are_held_out=are_held_out,
        seen=seen,
        is_passed=is_passed,
        publish=publish,
        is_published=is_published,
        why="",
    )
    return replace(gate, why=_in_words(gate, len(before), all_worse))


def _in_words(gate: Gate, count: int, all_worse: bool) -> str:
    kind, found = ("held-out", "") if gate.are_held_out else ("learnt", "No labelled film is held out; ")
    if not gate.films or 2 * gate.films < count or gate.before is None or gate.after is None:
        found += f"only {gate.films} of {count} {kind} films could be measured"
    else:
        change = "grew" if gate.after > gate.before else "did not grow"
        found += (
            f"the error on {gate.films} {kind} film{'s' * (gate.films > 1)} {change}: mean {gate.before:.4f} steps "
            f"before, {gate.after:.4f} after"
        )
        if not gate.are_held_out:
            found += "; films that it learnt from are a weak check"
        elif gate.films < FEW:
            found += "; so few films are a weak check"
        if all_worse:
            found += "; yet every network did worse by its own measure"
        if gate.are_held_out and gate.seen:
            found += f"; an earlier version had learnt from {gate.seen} of them"
    found = found[0].upper() + found[1:]
    if gate.is_published == gate.is_passed:
        return f"{found}."
    return f"{found}; it was asked to publish {'in any case' if gate.publish == ALWAYS else 'nothing'}."
