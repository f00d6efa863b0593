"""Calibration of expected errors: compared with observed errors decile by decile; coverage of intervals."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

DECILES = 10


@dataclass(frozen=True)
class Decile:
    """One decile of the points by expected error.

    Attributes:
        count: number of points.
        expected: mean expected error, pixels.
        observed: mean distance from the label, pixels.
    """

    count: int
    expected: float
    observed: float

    @property
    def ratio(self) -> float | None:
        """Expected over observed error, below 1 where it is underestimated; ``None`` without an observed error."""
        return self.expected / self.observed if self.observed > 0 else None


def calibrate(expected: np.ndarray, observed: np.ndarray) -> tuple[Decile, ...]:
    """Split points into deciles by expected error, and average both errors in each.

    Points of one image are not independent, and an image whose names are off by one adds an error of a step to all of
    its points: the last deciles of a small set rest on few images.

    Args:
        expected: ``(M,)`` expected errors in pixels, NaN where not estimated.
        observed: ``(M,)`` distances from the label in pixels, NaN where there is no label.

    Returns:
        Ten groups from the smallest to the largest expected error, whose counts differ by at most one. Points that lack
        an error do not count; ties at a boundary keep their order.

    Raises:
        ValueError: a shape is wrong, an error is negative or infinite, or fewer than ten points have both errors.
    """
    expected, observed = np.asarray(expected, dtype=float), np.asarray(observed, dtype=float)
    if expected.ndim != 1 or expected.shape != observed.shape:
        raise ValueError(f"expected and observed must have one shape (M,), got {expected.shape} and {observed.shape}")
    for name, errors in (("expected", expected), ("observed", observed)):
        wrong = np.flatnonzero((errors < 0) | np.isinf(errors))
        if len(wrong):
            raise ValueError(f"{name} error {wrong[0]} must be a number of pixels from 0 up, got {errors[wrong[0]]}")
    complete = np.flatnonzero(~(np.isnan(expected) | np.isnan(observed)))
    if len(complete) < DECILES:
        raise ValueError(f"at least {DECILES} points with both errors are needed, got {len(complete)}")
    order = complete[np.argsort(expected[complete], kind="stable")]
    return tuple(
        Decile(len(part), float(expected[part].mean()), float(observed[part].mean()))
        for part in np.array_split(order, DECILES)
    )


def ratio_range(deciles: Iterable[Decile]) -> tuple[float, float] | None:
    """Smallest and largest ratio of expected to observed error; ``None`` where a decile has none.

    Raises:
        ValueError: there is no decile.
    """
    ratios = [decile.ratio for decile in deciles]
    if not ratios:
        raise ValueError("there is no decile")
    finite = [ratio for ratio in ratios if ratio is not None]
    return (min(finite), max(finite)) if len(finite) == len(ratios) else None


def share_inside(error: np.ndarray, half_width: np.ndarray) -> float:
    """Share of errors in 0...1 that lie inside their intervals, ends included.

    Args:
        error: ``(M,)`` signed or absolute differences from the truth, in any unit; NaN where there is no truth.
        half_width: ``(M,)`` half widths of the intervals around the predictions in the same unit, NaN where there is
            no interval.

    Raises:
        ValueError: the shapes differ, a half width is negative, or no error has an interval.
    """
    error, half_width = np.asarray(error, dtype=float), np.asarray(half_width, dtype=float)
    if error.ndim != 1 or error.shape != half_width.shape:
        raise ValueError(f"error and half_width must have one shape (M,), got {error.shape} and {half_width.shape}")
    if (half_width < 0).any():
        raise ValueError(f"a half width must not be negative, got {half_width[half_width < 0][0]}")
    has_interval = ~(np.isnan(error) | np.isnan(half_width))
    if not has_interval.any():
        raise ValueError("there is no error with an interval")
    return float((np.abs(error[has_interval]) <= half_width[has_interval]).mean())
