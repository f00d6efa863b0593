"""The best chain through candidates, and of the names along it, exactly, by dynamic programming over steps."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Steps(NamedTuple):
    """Steps from one candidate to the next that a chain may take.

    Attributes:
        begin: ``(E,)`` candidate that a step leads from.
        end: ``(E,)`` candidate that it leads to.
        before: ``(E, P)`` steps that end where this one begins; E where there are fewer than P.
    """

    begin: np.ndarray
    end: np.ndarray
    before: np.ndarray

    @classmethod
    def of(cls, possible: np.ndarray) -> Steps:
        """The steps ``(C, C)`` from row to column that a mask allows."""
        begin, end = np.nonzero(possible)
        order = np.argsort(end, kind="stable")
        begin, end = begin[order], end[order]
        count = np.bincount(end, minlength=len(possible))
        first = np.cumsum(count) - count
        number = np.arange(max(1, count.max(initial=0)))
        before = np.where(number < count[begin, None], first[begin, None] + number, len(begin))
        return cls(begin, end, before)


class Chain(NamedTuple):
    """The best sequence of candidates.

    Attributes:
        candidates: ``(V,)``.
        states: ``(V,)``, which of the S scores counts at each position.
        total: sum of all scores less what changes of state cost; minus infinity where no chain is possible.
    """

    candidates: np.ndarray
    states: np.ndarray
    total: float


def best_chain(unary: np.ndarray, change: np.ndarray, steps: Steps, pair: np.ndarray, triple: np.ndarray) -> Chain:
    """The sequence of candidates and states with the highest sum of scores.

    Args:
        unary: ``(S, V, C)`` score of candidate c at position v and state s, finite; V is at least 3.
        change: ``(S, S)`` what it costs to go from one state to another, finite.
        steps: E steps between candidates; no chain takes others.
        pair: ``(E,)`` score of each step, finite.
        triple: ``(E, P)`` score of each step right after each of those before it, finite.

    Raises:
        ValueError: a shape is wrong.

    Reference:
        Viterbi decoding of a second-order chain.
    """
    s, v = unary.shape[:2]
    e, p = steps.before.shape
    if v < 3 or change.shape != (s, s) or pair.shape != (e,) or triple.shape != (e, p):
        shapes = f"unary {unary.shape}, change {change.shape}, pair {pair.shape}, triple {triple.shape}"
        raise ValueError(f"shapes do not fit {e} steps: {shapes}")
    if not e:
        return Chain(np.zeros(v, int), np.zeros(v, int), -np.inf)
    ahead = unary[:, :, steps.end] + pair  # (S, V, E)
    moved, state = _changed(unary[:, 0, steps.begin], change)
    best = np.full((s, e + 1), -np.inf, dtype=ahead.dtype)  # of the chain so far; the last stands for no step before
    best[:, :-1] = moved + ahead[:, 1]
    came_from = [(state, np.zeros((s, 0), int))]
    for level in range(2, v):
        moved, state = _changed(best, change)
        onward = moved[:, steps.before] + triple  # (S, E, P)
        choice = onward.argmax(-1)
        best[:, :-1] = onward.max(-1) + ahead[:, level]
        came_from.append((state, choice))
    last, step = (int(i) for i in np.unravel_index(best[:, :-1].argmax(), (s, e)))
    total = float(best[last, step])
    states, chain = [last], [int(steps.end[step])]
    for state, choice in reversed(came_from[1:]):
        step = int(steps.before[step, choice[states[-1], step]]) if np.isfinite(total) else step
        states.append(int(state[states[-1], step]))
        chain.append(int(steps.end[step]))
    states.append(int(came_from[0][0][states[-1], step]))
    chain.append(int(steps.begin[step]))
    return Chain(np.array(chain[::-1]), np.array(states[::-1]), total)


def _changed(best: np.ndarray, change: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores ``(S, E)`` after a change of state, and the states ``(S, E)`` that they came from."""
    total = best[:, None] - change[:, :, None]  # (from, to, E)
    return total.max(0), total.argmax(0)
