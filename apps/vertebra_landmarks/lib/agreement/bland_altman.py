"""Limits of agreement: Bland and Altman, Lancet i (1986) 307, and Stat Methods Med Res 8 (1999) 135."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, t

from .reliability import LEVEL, Estimate

COVERAGE_FACTOR = float(norm.ppf((1 + LEVEL) / 2))
"""1.96 standard deviations hold 95 % of the differences."""


@dataclass(frozen=True)
class LimitsOfAgreement:
    """How the differences of two measurements are distributed.

    Attributes:
        count: of differences.
        bias: their mean.
        deviation: their standard deviation.
        lower: limit below which 2.5 % of the differences lie, if they are normally distributed.
        upper: limit above which 2.5 % lie.
    """

    count: int
    bias: Estimate
    deviation: float
    lower: Estimate
    upper: Estimate


def limits_of_agreement(first: np.ndarray, second: np.ndarray, factor: float = COVERAGE_FACTOR) -> LimitsOfAgreement:
    """Bias and limits of agreement of the differences ``first - second``.

    Intervals are those of 1986: the standard error of the bias is s / sqrt(n), that of a limit sqrt(3 / n) s, with
    Student's t at n - 1 degrees of freedom.

    Args:
        first: ``(n,)`` values of one reader, or of the model.
        second: ``(n,)`` values of the other, for the same images.
        factor: standard deviations between bias and limit; 2 as in the paper of 1986.

    Raises:
        ValueError: the shapes differ, there are fewer than two pairs, or a value is not finite; a sentence.
    """
    first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if first.ndim != 1 or first.shape != second.shape or first.size < 2:
        raise ValueError(f"limits of agreement need two pairs of values at least, got {first.shape} and {second.shape}")
    differences = first - second
    if not np.isfinite(differences).all():
        raise ValueError("limits of agreement need finite numbers")
    n, bias, deviation = differences.size, float(differences.mean()), float(differences.std(ddof=1))
    quantile = float(t.ppf((1 + LEVEL) / 2, n - 1))

    def around(value: float, error: float) -> Estimate:
        return Estimate(value, value - quantile * error, value + quantile * error)

    error = deviation / math.sqrt(n)
    lower, upper = bias - factor * deviation, bias + factor * deviation
    return LimitsOfAgreement(
        n, around(bias, error), deviation, around(lower, math.sqrt(3) * error), around(upper, math.sqrt(3) * error)
    )
