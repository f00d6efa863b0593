"""Follow-up of one patient: the curves of a reference image, measured at the same end vertebrae in every image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np

from .angle_interval import interval_half_width
from .cobb import measure_curves, turn_deg


@dataclass(frozen=True, eq=False)
class FollowedSpine:
    """The spine of one image.

    Attributes:
        image: id of the image.
        xy: ``(V, P, 2)`` visible points in upright pixels, NaN where absent.
        half_widths: ``(V,)`` degrees, the share of each vertebra in the interval of an angle, NaN where it has none;
            ``None`` without any.
        image_left_is: the patient's side at the left of the upright image; ``None`` where unknown.
    """

    image: str
    xy: np.ndarray
    half_widths: Optional[np.ndarray] = None
    image_left_is: Optional[str] = None


@dataclass(frozen=True)
class SameEnds:
    """A curve of the reference image, measured at its end vertebrae in some image.

    Attributes:
        upper_end: upper end vertebra in the reference image.
        lower_end: lower end vertebra there.
        angle_deg: Cobb angle in degrees, negative where the spine is bent to the other side than in the reference
            image; ``None`` where a corner of an endplate is not visible.
        half_width_deg: half width of its 90 % interval; ``None`` where not estimated.
    """

    upper_end: str
    lower_end: str
    angle_deg: Optional[float]
    half_width_deg: Optional[float]


@dataclass(frozen=True)
class Change:
    """Change of a curve from one image to another, measured at the same end vertebrae.

    Attributes:
        upper_end: upper end vertebra in the reference image.
        lower_end: lower end vertebra there.
        start: id of the earlier image.
        stop: id of the later one.
        change_deg: difference of the angles in degrees, positive where the curve has grown.
        within_error: whether it is no larger than the half width of the difference, ``hypot`` of those of the angles;
            ``None`` where one is unknown.
    """

    upper_end: str
    lower_end: str
    start: str
    stop: str
    change_deg: float
    within_error: Optional[bool]


def measure_at_same_ends(reference: FollowedSpine, spine: FollowedSpine) -> tuple[SameEnds, ...]:
    """The curves of a reference image, measured at the same end vertebrae in an image, from top to bottom.

    Sides are compared as the patient's where both images state them, else as the image's.

    Args:
        reference: whose curves count, see ``measure_curves``.
        spine: to measure; it may be the reference itself.
    """
    sides = {reference.image_left_is, spine.image_left_is}
    is_mirrored = sides == {"left", "right"}
    measured = []
    for curve in measure_curves(reference.xy):
        turn = turn_deg(spine.xy, curve.ends)
        sign = (1.0 if curve.side == "right" else -1.0) * (-1.0 if is_mirrored else 1.0)
        width = math.nan if spine.half_widths is None else interval_half_width(spine.half_widths, curve.ends)
        measured.append(
            SameEnds(
                curve.upper_end,
                curve.lower_end,
                None if turn is None else sign * turn + 0.0,  # no negative zero
                width if turn is not None and math.isfinite(width) else None,
            )
        )
    return tuple(measured)


def changes_of(spines: Sequence[FollowedSpine]) -> tuple[Change, ...]:
    """Changes of the curves of the first image: from it to every other one, and from each to the next.

    Args:
        spines: in the order of time; the first is the reference.
    """
    if not spines:
        return ()
    measured = [measure_at_same_ends(spines[0], spine) for spine in spines]
    last = len(spines) - 1
    pairs = [(0, stop) for stop in range(1, last + 1)] + [(start, start + 1) for start in range(1, last)]
    found = []
    for index in range(len(measured[0])):
        for start, stop in pairs:
            before, after = measured[start][index], measured[stop][index]
            if before.angle_deg is None or after.angle_deg is None:
                continue
            change = after.angle_deg - before.angle_deg
            ends = before.upper_end, before.lower_end
            images = spines[start].image, spines[stop].image
            found.append(Change(*ends, *images, change, _is_within_error(change, before, after)))
    return tuple(found)


def _is_within_error(change: float, before: SameEnds, after: SameEnds) -> Optional[bool]:
    if before.half_width_deg is None or after.half_width_deg is None:
        return None
    return abs(change) <= math.hypot(before.half_width_deg, after.half_width_deg)
