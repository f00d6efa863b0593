"""What may move without leaving anatomy: order, steps and outlines."""

from __future__ import annotations

import numpy as np

from .geometry import center_distances
from .measurement.anatomy import LIMITS, spans_of, violations
from .schema import VERTEBRAE

_LEAST_GAP = 0.3  # of the gap between two vertebrae before; nearer, both are taken for the same body


def may_move(decoded: np.ndarray, found: np.ndarray, reach: np.ndarray, is_fixed: np.ndarray) -> np.ndarray:
    """``(V,)`` which centers ``(V, 2)`` may leave their decoded places.

    Args:
        decoded: where they are.
        found: where they would go, NaN where that is unknown.
        reach: ``(V,)`` how far each may go.
        is_fixed: ``(V,)`` those that go wherever they were found.
    """
    must = is_fixed & np.isfinite(found).all(1)
    moves: np.ndarray = must | (np.linalg.norm(found - decoded, axis=1) <= reach)
    while True:
        placed = np.where(moves[:, None], found, decoded)
        is_moved = moves[1:] | moves[:-1]
        is_unusual = _is_usual_step(decoded) & ~_is_usual_step(placed)
        clash = is_unusual | (is_moved & (np.diff(placed[:, 1]) < _LEAST_GAP * np.diff(decoded[:, 1])))
        stays = np.append(clash, False) | np.append(False, clash)
        if (is_unusual & ~is_moved).any():  # not the step has changed, but the span that it is compared with
            stays[[0, -1]] = True
        kept = moves & (must | ~stays)
        if (kept == moves).all():
            return moves
        moves = kept


def _is_usual_step(centers: np.ndarray) -> np.ndarray:
    """``(V - 1,)`` which steps between centers ``(V, 2)`` keep to the limits of anatomy."""
    low, high = LIMITS.step
    with np.errstate(divide="ignore", invalid="ignore"):
        share = center_distances(centers) / spans_of(centers)
    usual: np.ndarray = (share >= low) & (share <= high)
    return usual


def is_dented(xy: np.ndarray) -> np.ndarray:
    """``(V,)`` whether the corners of ``(V, P, 2)`` points are swapped or their outline is not convex."""
    dented = {violation.vertebrae[0] for violation in violations(xy) if violation.kind == "corners"}
    return np.array([name in dented for name in VERTEBRAE])
