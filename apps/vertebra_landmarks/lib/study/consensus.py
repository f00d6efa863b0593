"""One spine of two readings."""

from __future__ import annotations

import numpy as np

from ..spine.geometry import with_centers
from ..spine.schema import CENTER, CORNERS, POINTS, Spine
from .differences import names_shift

_CENTER = POINTS.index(CENTER)
_CORNERS = [POINTS.index(name) for name in CORNERS]


def mean_spine(one: Spine, other: Spine) -> Spine:
    """The mean of two readings: of each corner that both have; centers are those of the corners, else of the centers.

    A point is visible where it is in both readings. What only one of them has is left out.

    Raises:
        ValueError: the readings name the vertebrae differently, or have no vertebra in common; a sentence.
    """
    shift = names_shift(one, other)
    if shift:
        raise ValueError(
            f"the readings name the vertebrae differently, by {abs(shift)} level: their mean would be between two "
            "bodies; take one of them, or edit it"
        )
    corners = (one.xy[:, _CORNERS] + other.xy[:, _CORNERS]) / 2
    if not np.isfinite(corners).all(-1).any():
        raise ValueError("the readings have no vertebra in common, so there is no mean; take one of them, or edit it")
    xy = with_centers(corners)
    xy[:, _CENTER] = np.where(
        np.isfinite(xy[:, _CENTER]), xy[:, _CENTER], (one.xy[:, _CENTER] + other.xy[:, _CENTER]) / 2
    )
    visible = one.visible & other.visible
    return Spine.from_arrays(xy, visible=visible & np.isfinite(xy).all(-1))
