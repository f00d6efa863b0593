"""How far a reader's tilts lie from those of another reader of the same image, and intervals of corrected angles."""

from __future__ import annotations

from typing import Optional

import numpy as np

from ..geometry import check_shape
from ..schema import CORNERS, VERTEBRAE

READER_TILT_HALF_WIDTH_DEG = 3.2
"""Each end vertebra's part in the interval of an angle whose corners a person has placed, degrees.

On 39 radiographs of the AASCE data that were labelled twice the largest angles differ by 4.5 degrees or less in nine
cases of ten; 3.2 is that over the square root of 2, for two ends. ``scripts/reader_error.py`` measures it again, on
those of the training split.
"""


def corrected_half_widths(tilt_half_widths: Optional[np.ndarray], by_reader: np.ndarray) -> np.ndarray:
    """What each vertebra adds to the interval of an angle after a person has placed some of its corners.

    A vertebra whose corners were all placed has a reader's error, one of which some were has its share of it and of
    the model's.

    Args:
        tilt_half_widths: ``(V,)`` degrees as predicted, NaN where unknown; ``None`` where the model does not tell.
        by_reader: ``(V, K)`` which corners a person has placed.

    Returns:
        ``(V,)`` degrees, NaN where a corner is the model's and the model does not tell.

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
