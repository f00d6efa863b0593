"""Intervals of means over images and of shares, without an assumption of how errors are distributed."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import beta, t

from .reliability import LEVEL, UNDEFINED, Estimate

RESAMPLES = 2_000
SEED = 1


def mean_with_interval(values: np.ndarray, clusters: Sequence[str] | None = None, seed: int = SEED) -> Estimate:
    """Mean with its interval: that of the bootstrap or of Student's t, at either end the wider one.

    Percentiles of the bootstrap (Efron and Tibshirani, Introduction to the bootstrap, 1993) take no distribution for
    granted, but are too narrow where few clusters are drawn; the other interval takes the differences of the clusters'
    sums from what the mean makes of their sizes, with a degree of freedom less than there are clusters.

    Args:
        values: ``(n,)`` a value per image.
        clusters: of each image, such as its patient: images of one are drawn together; each on its own without.
        seed: of the draws; the same seed gives the same interval.

    Returns:
        Without an interval where there are fewer than two clusters; not defined without values.

    Raises:
        ValueError: a value is not finite, or there are more or fewer clusters than values.
    """
    values = np.asarray(values, dtype=float)
    if not np.isfinite(values).all():
        raise ValueError("the mean needs finite numbers")
    if clusters is not None and len(clusters) != len(values):
        raise ValueError(f"{len(values)} values need as many clusters, got {len(clusters)}")
    if not values.size:
        return UNDEFINED
    _, index = np.unique(np.arange(len(values)) if clusters is None else np.array(clusters), return_inverse=True)
    sums, counts = np.bincount(index, values), np.bincount(index)
    n = len(counts)
    if n < 2:
        return Estimate(float(values.mean()), math.nan, math.nan)
    drawn = np.random.default_rng(seed).integers(n, size=(RESAMPLES, n))
    means = sums[drawn].sum(1) / counts[drawn].sum(1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    mean = float(values.mean())
    error = math.sqrt(n / (n - 1) * float(((sums - mean * counts) ** 2).sum())) / len(values)
    half = float(t.ppf((1 + LEVEL) / 2, n - 1)) * error
    return Estimate(mean, min(float(low), mean - half), max(float(high), mean + half))


def share_with_interval(count: int, of: int) -> Estimate:
    """A share with its exact interval (Clopper and Pearson, Biometrika 26 (1934) 404).

    Args:
        count: how many are so.
        of: how many there are.

    Raises:
        ValueError: ``count`` does not lie in 0...of.
    """
    if not 0 <= count <= of:
        raise ValueError(f"the count must lie in 0...{of}, got {count}")
    if of == 0:
        return UNDEFINED
    tail = (1 - LEVEL) / 2
    low = float(beta.ppf(tail, count, of - count + 1)) if count else 0.0
    high = float(beta.ppf(1 - tail, count + 1, of - count)) if count < of else 1.0
    return Estimate(count / of, low, high)
