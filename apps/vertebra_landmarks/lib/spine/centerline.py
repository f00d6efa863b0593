"""The line through the centers: gaps, directions, and which points may move along it without leaving anatomy."""

from __future__ import annotations

import numpy as np

from .geometry import center_distances
from .measurement.anatomy import LIMITS, spans_of, violations
from .schema import VERTEBRAE


def gap_lengths(centers: np.ndarray) -> np.ndarray:
    """``(V,)`` mean distance of each center ``(V, 2)`` from its neighbours."""
    distances = center_distances(centers)
    return np.array([distances[max(0, i - 1) : i + 1].mean() for i in range(len(centers))])


def normals_of(centers: np.ndarray) -> np.ndarray:
    """``(V, 2)`` vectors to the right, normal to the line of centers ``(V, 2)``, as long as its steps."""
    along = np.gradient(centers, axis=0)
    return np.stack([along[:, 1], -along[:, 0]], 1)


def local_frames(centers: np.ndarray) -> np.ndarray:
    """``(V, 2, 2)`` unit vectors at the centers ``(V, 2)``: normal to their line, to the right, and along it, down."""
    across = normals_of(centers)
    across = across / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-9)
    return np.stack([across, np.stack([-across[:, 1], across[:, 0]], 1)], 1)


_MIN_GAP = 0.3  # of the former gap between two vertebrae; nearer, both are taken for the same body


def movable_centers(decoded: np.ndarray, proposed: np.ndarray, reach: np.ndarray, is_fixed: np.ndarray) -> np.ndarray:
    """``(V,)`` which centers can move to proposed positions so that order and steps stay anatomical.

    Args:
        decoded: ``(V, 2)`` present positions.
        proposed: ``(V, 2)`` new positions, NaN where there is none.
        reach: ``(V,)`` largest distance that each may move.
        is_fixed: ``(V,)`` those that move to their proposed position in any case.
    """
    must = is_fixed & np.isfinite(proposed).all(1)
    moves: np.ndarray = must | (np.linalg.norm(proposed - decoded, axis=1) <= reach)
    while True:
        moved = np.where(moves[:, None], proposed, decoded)
        is_moved = moves[1:] | moves[:-1]
        is_unusual = _is_usual_step(decoded) & ~_is_usual_step(moved)
        clash = is_unusual | (is_moved & (np.diff(moved[:, 1]) < _MIN_GAP * np.diff(decoded[:, 1])))
        stays = np.append(clash, False) | np.append(False, clash)
        if (is_unusual & ~is_moved).any():  # the step is the same, but the span that it is compared with is not
            stays[[0, -1]] = True
        remaining = moves & (must | ~stays)
        if (remaining == moves).all():
            return moves
        moves = remaining


def _is_usual_step(centers: np.ndarray) -> np.ndarray:
    """``(V - 1,)`` which distances between centers ``(V, 2)`` lie within the limits of anatomy."""
    low, high = LIMITS.step
    with np.errstate(divide="ignore", invalid="ignore"):
        share = center_distances(centers) / spans_of(centers)
    usual: np.ndarray = (share >= low) & (share <= high)
    return usual


def is_dented(xy: np.ndarray) -> np.ndarray:
    """``(V,)`` whether the corners among ``(V, P, 2)`` points are swapped or their outline is not convex."""
    dented = {violation.vertebrae[0] for violation in violations(xy) if violation.kind == "corners"}
    return np.array([name in dented for name in VERTEBRAE])
