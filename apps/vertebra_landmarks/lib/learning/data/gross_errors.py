"""Points that cannot be those of a spine, whatever its curves: slips of the hand that nothing should learn from."""

from __future__ import annotations

import numpy as np

from ...spine.geometry import check_shape
from ...spine.schema import CENTER, POINTS, VERTEBRAE

NEAR, FAR = 0.1, 3.0
"""In steps, the median distance of neighbouring centers: the nearest that two centers may be to each other, and the
furthest that a corner may be from its center. In the 432 films of the AASCE training split that can be learnt from, no
two centers are nearer than 0.40 and no corner is further than 1.65."""
_CENTER = POINTS.index(CENTER)
_LEFT, _RIGHT = ([POINTS.index(name) for name in names] for names in (("TL", "BL"), ("TR", "BR")))


def gross_error(xy: np.ndarray) -> str:
    """Why points cannot be those of a spine, in words; "" where they may be.

    Args:
        xy: ``(V, P, 2)`` pixels, NaN where a point is missing.

    Raises:
        ValueError: the shape is wrong.
    """
    check_shape("xy", xy, (len(VERTEBRAE), len(POINTS), 2))
    centers = xy[:, _CENTER]
    gaps = np.diff(centers, axis=0)
    lengths = np.linalg.norm(gaps, axis=-1)
    is_known = np.isfinite(lengths)
    if not is_known.any():
        return ""
    step = float(np.median(lengths[is_known]))
    if step < 1:
        return "the centers lie in one place"
    if (gaps[is_known, 1] < 0).mean() > 0.5:
        return "the spine runs upwards: names go from T1 at the top to L5 at the bottom"
    for what, is_wrong in (("lie in one place", lengths < NEAR * step), ("stand in the wrong order", gaps[:, 1] < 0)):
        if is_wrong.any():
            upper = int(np.argmax(is_wrong))
            return f"{VERTEBRAE[upper]} and {VERTEBRAE[upper + 1]} {what}"
    away = np.linalg.norm(xy - centers[:, None], axis=-1)
    if (away > FAR * step).any():
        v, p = np.argwhere(away > FAR * step)[0]
        return f"{VERTEBRAE[v]} {POINTS[p]} is {away[v, p] / step:.0f} steps away from the center of {VERTEBRAE[v]}"
    across = xy[:, _RIGHT, 0] - xy[:, _LEFT, 0]
    if (across < 0).sum() > np.isfinite(across).sum() / 2:
        return "left and right corners are exchanged: left is the left side of the image"
    return ""
