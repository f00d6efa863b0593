"""Reliability of a measurement: intraclass correlations, standard error of measurement, minimal detectable change.

Mean squares and coefficients: Shrout and Fleiss, Psychol Bull 86 (1979) 420; intervals: McGraw and Wong, Psychol
Methods 1 (1996) 30. Where images have different numbers of readings, the mean number of the one-way analysis of
variance stands for it (Searle, Casella and McCulloch, Variance components, 1992), and intervals are approximate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.stats import chi2, f, norm

LEVEL = 0.95
"""Of all intervals."""
_RELATIVE_ZERO = 1e-12
"""Share of the total sum of squares below which a part of it is rounding."""


class Estimate(NamedTuple):
    """A figure and its 95 % interval; NaN where it is not defined."""

    value: float
    low: float
    high: float


UNDEFINED = Estimate(math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class Reliability:
    """What repeated measurements of some images amount to.

    Attributes:
        images: how many images.
        readings: mean number of readings of an image.
        icc_1_1: one-way random effects, absolute agreement, of a single reading.
        icc_2_1: two-way random effects, absolute agreement, of a single reading; not defined without a table in which
            every reader has read every image.
        icc_3_1: two-way mixed effects, consistency, of a single reading; likewise.
        sem: standard error of measurement, in the unit of the values: the standard deviation within an image, in which
            differences between the readers' means count; its interval is for these readers.
        mdc: minimal detectable change: the difference that two readings of the same image exceed in 5 %.
    """

    images: int
    readings: float
    icc_1_1: Estimate
    icc_2_1: Estimate
    icc_3_1: Estimate
    sem: Estimate
    mdc: Estimate


def reliability_of_table(table: np.ndarray) -> Reliability:
    """Reliability where every reader has read every image.

    Args:
        table: ``(n, k)`` values, a row per image and a column per reader.

    Raises:
        ValueError: fewer than two images or readers, or a value is not finite; a sentence.
    """
    table = _checked(np.asarray(table, dtype=float))
    n, k = table.shape
    total = float(((table - table.mean()) ** 2).sum())
    between, readers = (
        _sum(k * (table.mean(1) - table.mean()) ** 2, total),
        _sum(n * (table.mean(0) - table.mean()) ** 2, total),
    )
    within = _sum((table - table.mean(1, keepdims=True)) ** 2, total)
    rest = max(within - readers, 0.0)
    rest = rest if rest > _RELATIVE_ZERO * total else 0.0
    ms_between, ms_within = between / (n - 1), within / (n * (k - 1))
    ms_readers, ms_error = readers / (k - 1), rest / ((n - 1) * (k - 1))
    sem = _deviation(ms_within, n * (k - 1))
    return Reliability(
        n,
        float(k),
        _icc_one_way(ms_between, ms_within, n - 1, n * (k - 1), k),
        _icc_agreement(ms_between, ms_readers, ms_error, n, k),
        _icc_one_way(ms_between, ms_error, n - 1, (n - 1) * (k - 1), k),
        sem,
        minimal_detectable_change(sem),
    )


def reliability_of_groups(groups: Sequence[Sequence[float]]) -> Reliability:
    """Reliability where images have readings by different readers, and different numbers of them: one-way only.

    Args:
        groups: the values of each image; those of an image with a single one are left out.

    Raises:
        ValueError: fewer than two images have two values, or a value is not finite; a sentence.
    """
    arrays = [np.asarray(values, dtype=float) for values in groups if len(values) > 1]
    if len(arrays) < 2:
        raise ValueError(f"reliability needs two images that were read twice, got {len(arrays)}")
    values = np.concatenate(arrays)
    _check_finite(values)
    counts = np.array([len(array) for array in arrays])
    n, total = len(arrays), float(((values - values.mean()) ** 2).sum())
    means = np.array([array.mean() for array in arrays])
    between = _sum(counts * (means - values.mean()) ** 2, total) / (n - 1)
    freedom = int(counts.sum()) - n
    within = _sum(np.concatenate([(array - array.mean()) ** 2 for array in arrays]), total) / freedom
    mean_count = float((counts.sum() - (counts**2).sum() / counts.sum()) / (n - 1))
    sem = _deviation(within, freedom)
    icc = _icc_one_way(between, within, n - 1, freedom, mean_count)
    return Reliability(n, mean_count, icc, UNDEFINED, UNDEFINED, sem, minimal_detectable_change(sem))


def minimal_detectable_change(sem: Estimate) -> Estimate:
    """Difference that two readings exceed in 5 % by error alone: 1.96 times the square root of 2 times the error."""
    factor = float(norm.ppf((1 + LEVEL) / 2)) * math.sqrt(2)
    return Estimate(*(factor * value for value in sem))


def _checked(table: np.ndarray) -> np.ndarray:
    if table.ndim != 2 or min(table.shape) < 2:
        raise ValueError(f"reliability needs a table of two images and two readers at least, got {table.shape}")
    _check_finite(table)
    return table


def _check_finite(values: np.ndarray) -> None:
    if not np.isfinite(values).all():
        raise ValueError(f"{int((~np.isfinite(values)).sum())} of {values.size} values are not finite numbers")


def _sum(squares: np.ndarray, total: float) -> float:
    """Sum of squares, exactly zero where it is rounding."""
    found = float(np.broadcast_to(squares, squares.shape).sum())
    return found if found > _RELATIVE_ZERO * total else 0.0


def _icc_one_way(ms_between: float, ms_rest: float, df_between: int, df_rest: int, k: float) -> Estimate:
    """ICC(1,1) of the mean squares between and within images; ICC(3,1) of those between images and of the residual."""
    if ms_between == 0 and ms_rest == 0:
        return UNDEFINED
    if ms_rest == 0:
        return Estimate(1.0, 1.0, 1.0)
    observed, tail = ms_between / ms_rest, (1 + LEVEL) / 2
    ratios = observed, observed / f.ppf(tail, df_between, df_rest), observed * f.ppf(tail, df_rest, df_between)
    return Estimate(*(float((ratio - 1) / (ratio + k - 1)) for ratio in ratios))


def _icc_agreement(ms_between: float, ms_readers: float, ms_error: float, n: int, k: int) -> Estimate:
    """ICC(2,1), which McGraw and Wong call ICC(A,1), and its interval by Satterthwaite's degrees of freedom."""
    below = ms_between + (k - 1) * ms_error + k * (ms_readers - ms_error) / n
    if ms_between == 0 or below <= 0:
        return UNDEFINED
    icc = (ms_between - ms_error) / below
    if ms_error == 0 and ms_readers == 0:
        return Estimate(1.0, 1.0, 1.0)
    if icc == 1:
        return Estimate(1.0, math.nan, math.nan)
    a, b = k * icc / (n * (1 - icc)), 1 + k * icc * (n - 1) / (n * (1 - icc))
    parts = a * ms_readers, b * ms_error
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / (k - 1) + parts[1] ** 2 / ((n - 1) * (k - 1)))
    lower, upper = f.ppf((1 + LEVEL) / 2, n - 1, freedom), f.ppf((1 + LEVEL) / 2, freedom, n - 1)
    rest = k * ms_readers + (k * n - k - n) * ms_error
    low = n * (ms_between - lower * ms_error) / (lower * rest + n * ms_between)
    high = n * (upper * ms_between - ms_error) / (rest + n * upper * ms_between)
    return Estimate(float(icc), float(low), float(high))


def _deviation(mean_square: float, freedom: int) -> Estimate:
    """Standard deviation of a mean square, with the interval of the chi-squared distribution."""
    tails = chi2.ppf([(1 + LEVEL) / 2, (1 - LEVEL) / 2], freedom)
    low, high = np.sqrt(mean_square * freedom / tails)
    return Estimate(math.sqrt(mean_square), float(low), float(high))
