"""Which of a body's four points is which corner, where a file does not say."""

from __future__ import annotations

import numpy as np

from ..geometry import check_shape
from ..schema import CORNERS, VERTEBRAE

_MIN_AREA_PX = 1.0


def order_corners(quadrilaterals: np.ndarray) -> np.ndarray:
    """Sort the four points of every body into the order of ``CORNERS``.

    Upwards is where the next labelled bodies lie, so that a tilted body keeps its corners, as an image that lies on its
    side does.

    Args:
        quadrilaterals: ``(V, 4, 2)`` pixels in any order, NaN for bodies that are absent.

    Returns:
        ``(V, K, 2)`` pixels.

    Raises:
        ValueError: four points are the outline of no body, or the levels run from the bottom to the top.
    """
    check_shape("quadrilaterals", quadrilaterals, (len(VERTEBRAE), len(CORNERS), 2))
    centers = quadrilaterals.mean(1)
    present = np.flatnonzero(np.isfinite(centers).all(-1))
    if len(present) > 1:
        down = centers[present[-1]] - centers[present[0]]
        if down[1] < 0 and abs(down[1]) >= abs(down[0]):
            first, last = (VERTEBRAE[v] for v in present[[0, -1]])
            raise ValueError(f"{first} lies below {last}: names go from T1 at the top to L5 at the bottom")
    ordered = np.full(quadrilaterals.shape, np.nan)
    for place, v in enumerate(present):
        above, below = present[max(0, place - 1)], present[min(len(present) - 1, place + 1)]
        up = centers[above] - centers[below] if above != below else np.array([0.0, -1.0])
        ordered[v] = _ordered(quadrilaterals[v] - centers[v], up) + centers[v]
        if not _is_outline(ordered[v]):
            raise ValueError(f"the four points of {VERTEBRAE[v]} are the outline of no body")
    return ordered


def _ordered(points: np.ndarray, up: np.ndarray) -> np.ndarray:
    """TL, TR, BL, BR of ``(4, 2)`` points, seen with ``up`` upwards."""
    right = np.array([-up[1], up[0]])
    by_height = np.argsort(-(points @ up), kind="stable")
    pairs = [pair[np.argsort(points[pair] @ right, kind="stable")] for pair in (by_height[:2], by_height[2:])]
    ordered: np.ndarray = points[np.concatenate(pairs)]
    return ordered


def _is_outline(corners: np.ndarray) -> bool:
    """Whether TL, TR, BR, BL go around a convex body clockwise, as the image is seen."""
    around = corners[[0, 1, 3, 2]]
    sides = np.roll(around, -1, axis=0) - around
    following = np.roll(sides, -1, axis=0)
    turns = sides[:, 0] * following[:, 1] - sides[:, 1] * following[:, 0]
    return bool((turns > _MIN_AREA_PX).all())
