"""The 90 % interval of a Cobb angle: its half width, its meaning in a sentence, and when none is shown."""

from __future__ import annotations

import math
from typing import Optional

import numpy as np

from ..geometry import check_shape
from ..schema import CORNERS, VERTEBRAE

MIN_NAMES_RIGHT = 0.8
"""Probability that the names are right below which they are doubtful and no interval is shown."""
READER_TILT_HALF_WIDTH_DEG = 3.2
"""Share of each end vertebra in the half width of an angle whose corners a person has placed, degrees.

On 39 radiographs of the AASCE data that were labelled twice, 90 % of the differences of the largest angle are at most
4.5 degrees; 3.2 is that over the square root of 2, for two ends. ``scripts/reader_error.py`` repeats the measurement.
"""


def are_names_doubtful(names_right: Optional[float]) -> bool:
    """Whether the names are likely to be off by a level.

    Args:
        names_right: probability in 0...1 that they are right; ``None`` where not estimated.
    """
    return names_right is not None and names_right < MIN_NAMES_RIGHT


def interval_sentence(names_right: Optional[float] = None, is_corrected: bool = False) -> str:
    """Meaning of "±" beside an angle; "" where the names are doubtful and no interval is shown.

    Args:
        names_right: probability in 0...1 that the names are right; ``None`` where not estimated.
        is_corrected: whether a person has placed all corners of the end vertebrae.
    """
    if are_names_doubtful(names_right):
        return ""
    if is_corrected:
        return "In nine of ten images another reader's angle lies within ±."
    return "If the names are right, the angle lies within ± in nine of ten images."


def interval_text(half_width_deg: Optional[float]) -> str:
    """`` ± 4`` for display behind an angle in degrees, "" without a half width."""
    return "" if half_width_deg is None else f" ± {half_width_deg:.0f}"


def interval_half_width(tilt_half_widths: np.ndarray, ends: tuple[int, int]) -> float:
    """Half width in degrees of the interval of an angle between two vertebrae with independent tilt errors.

    Args:
        tilt_half_widths: ``(V,)`` degrees, the share of each vertebra.
        ends: indices of the two vertebrae.
    """
    upper, lower = ends
    return math.hypot(tilt_half_widths[upper], tilt_half_widths[lower])


def corrected_half_widths(tilt_half_widths: Optional[np.ndarray], by_reader: np.ndarray) -> np.ndarray:
    """Tilt half widths after a person has placed some corners.

    A vertebra whose four corners were placed has a reader's error, one with fewer a mean of the reader's and the
    model's, weighted by the number of corners.

    Args:
        tilt_half_widths: ``(V,)`` degrees as predicted, NaN where unknown; ``None`` where the model estimates none.
        by_reader: ``(V, K)`` which corners a person has placed.

    Returns:
        ``(V,)`` degrees, NaN where a corner is the model's and has no estimate.

    Raises:
        ValueError: a shape is wrong.
    """
    by_reader = np.asarray(by_reader, dtype=bool)
    check_shape("by_reader", by_reader, (len(VERTEBRAE), len(CORNERS)))
    predicted = np.full(len(VERTEBRAE), np.nan) if tilt_half_widths is None else np.asarray(tilt_half_widths, float)
    check_shape("tilt_half_widths", predicted, (len(VERTEBRAE),))
    share = by_reader.mean(axis=1)
    of_model = np.where(share < 1, (1 - share) * predicted, 0.0)
    half_widths: np.ndarray = of_model + share * READER_TILT_HALF_WIDTH_DEG
    return half_widths
