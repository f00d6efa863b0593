"""Whether the points of a label lie on its image."""

from __future__ import annotations

import numpy as np

from ..schema import Spine

MAX_OUTSIDE = 0.5
"""Share of a label's points that may lie outside the image; with more it is the label of another one."""


def fit_to_image(spine: Spine, width: int, height: int) -> Spine:
    """A label as it is kept and learnt from: what lies off the image is not visible.

    Args:
        spine: points in stored pixels, as they were placed.
        width: of the image in pixels.
        height: of the image in pixels.

    Raises:
        ValueError: most of the points that count as visible lie outside the image.
    """
    placed = spine.visible_xy[spine.visible]
    outside = ((placed < -0.5) | (placed > np.array([width, height]) - 0.5)).any(-1)
    if outside.sum() > MAX_OUTSIDE * len(placed):
        raise ValueError(
            f"{outside.sum()} of {len(placed)} points lie outside the image of {width} x {height} pixels (x from 0 to "
            f"{width - 1}, y from 0 to {height - 1} were expected): the label belongs to another image"
        )
    return spine.cut_to(width, height)
