"""Which curve of one reading is which of another.

Two curves are the same one where they bend to the same side of the image and the levels from end vertebra to end
vertebra that both span are at least half of those that either spans. Of all pairings with one partner each, that with
the largest sum of these shares is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from ..spine.measurement.cobb import REGIONS, Curve

MIN_OVERLAP = 0.5
"""Common levels over all levels of two curves, from which they are the same one."""


class CurvePair(NamedTuple):
    """The same curve in two readings.

    Attributes:
        first: of the first reading.
        second: of the second reading.
        overlap: common levels over all levels, in 0.5...1.
    """

    first: Curve
    second: Curve
    overlap: float

    @property
    def region(self) -> str:
        """By the apex of the larger one."""
        return (self.first if self.first.angle_deg >= self.second.angle_deg else self.second).region

    @property
    def end_shifts(self) -> tuple[int, int]:
        """By how many levels the second reading's upper and lower end lie lower than the first's."""
        (upper, lower), (other_upper, other_lower) = self.first.ends, self.second.ends
        return other_upper - upper, other_lower - lower


def overlap(one: Curve, other: Curve) -> float:
    """Levels that both curves span over those that either spans; 0 for curves to different sides.

    Ends count as levels: T5-T12 and T6-L1 have 7 of 9 levels in common.
    """
    if one.side != other.side:
        return 0.0
    (upper, lower), (other_upper, other_lower) = one.ends, other.ends
    common = min(lower, other_lower) - max(upper, other_upper) + 1
    return max(common, 0) / (max(lower, other_lower) - min(upper, other_upper) + 1)


def match_curves(first: Sequence[Curve], second: Sequence[Curve]) -> list[CurvePair]:
    """The curves that two readings of an image have in common, from top to bottom.

    Args:
        first: of one reading, with sides of the image.
        second: of the other.
    """
    if not (first and second):
        return []
    shares = np.array([[overlap(one, other) for other in second] for one in first])
    shares[shares < MIN_OVERLAP] = 0.0
    rows, columns = linear_sum_assignment(shares, maximize=True)
    return [
        CurvePair(first[row], second[column], float(shares[row, column]))
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
        if shares[row, column] > 0
    ]


def largest_by_region(pairs: Sequence[CurvePair]) -> dict[str, CurvePair]:
    """Of each region the pair with the largest mean angle, so that an image counts once."""
    ordered = sorted(pairs, key=lambda pair: pair.first.angle_deg + pair.second.angle_deg)
    found = {pair.region: pair for pair in ordered}
    return {region: found[region] for region in REGIONS if region in found}
