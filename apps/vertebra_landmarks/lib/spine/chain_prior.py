"""Prior of the steps from vertebra to vertebra, measured on labelled spines; independent of scale and position."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from .geometry import body_heights, center_distances, check_shape, corners_of
from .schema import POINTS, VERTEBRAE

MIN_SPINES = 10


@dataclass(frozen=True)
class Normal:
    """A normal distribution.

    Raises:
        ValueError: the mean is not finite or the standard deviation not positive.
    """

    mean: float
    std: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.mean):
            raise ValueError(f"a mean must be finite, got {self.mean}")
        if not 0 < self.std < math.inf:
            raise ValueError(f"a standard deviation must be positive, got {self.std}")

    def penalty(self, values: np.ndarray, cap: float, noise: float = 0.0) -> np.ndarray:
        """Negative log density relative to that of the mean.

        Args:
            values: any shape.
            cap: upper bound of the penalty of an outlier.
            noise: standard deviation of the measurement error.
        """
        variance = self.std**2 + noise**2
        penalty: np.ndarray = np.minimum((values - self.mean) ** 2 / (2 * variance), cap)
        return penalty


@dataclass(frozen=True)
class ChainPrior:
    """Distributions of the steps between neighbouring centers.

    Attributes:
        step_per_height: logarithm of the step length over the mean body height of its two vertebrae.
        step_ratio: logarithm of the step length over the one above it.
        turn_deg: angle between a step and the next, degrees.
        tilt_deg: angle of a step to the vertical, degrees.
    """

    step_per_height: Normal
    step_ratio: Normal
    turn_deg: Normal
    tilt_deg: Normal

    def to_dict(self) -> dict[str, dict[str, float]]:
        """As nested plain values, which ``from_dict`` reads."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ChainPrior:
        """Read nested plain values.

        Raises:
            ValueError: a distribution is missing or invalid.
        """
        try:
            normals = {field.name: values[field.name] for field in fields(cls)}
            return cls(**{name: Normal(float(v["mean"]), float(v["std"])) for name, v in normals.items()})
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"not a chain prior: {error!r}") from error


DEFAULT_PRIOR = ChainPrior(Normal(0.307, 0.104), Normal(0.040, 0.088), Normal(-0.5, 8.2), Normal(-1.0, 15.4))
"""Of the 355 radiographs of the AASCE training split with trusted points and names; for weights that store none."""


def tilts(centers: np.ndarray) -> np.ndarray:
    """Angles of the steps to the vertical.

    Args:
        centers: ``(..., V, 2)`` from top to bottom.

    Returns:
        ``(..., V - 1)`` degrees, positive where the spine goes to the right on its way down.

    Raises:
        ValueError: the last axis is not 2.
    """
    check_shape("centers", centers, (None, 2))
    step = np.diff(centers, axis=-2)
    angles: np.ndarray = np.degrees(np.arctan2(step[..., 0], step[..., 1]))
    return angles


def measure_prior(points: np.ndarray) -> ChainPrior:
    """Measure the prior on labelled spines.

    Args:
        points: ``(N, V, P, 2)`` pixels, NaN where a point is absent.

    Raises:
        ValueError: the shape is wrong, or there are fewer than 10 spines.
    """
    check_shape("points", points, (len(VERTEBRAE), len(POINTS), 2))
    if points.ndim != 4 or len(points) < MIN_SPINES:
        raise ValueError(f"at least {MIN_SPINES} spines are needed, got an array of shape {points.shape}")
    centers, heights = points[:, :, 0], body_heights(corners_of(points))
    length, angle = center_distances(centers), tilts(centers)
    return ChainPrior(
        _fit(np.log(length / ((heights[:, 1:] + heights[:, :-1]) / 2))),
        _fit(np.log(length[:, 1:] / length[:, :-1])),
        _fit(np.diff(angle, axis=-1)),
        _fit(angle),
    )


def _fit(values: np.ndarray) -> Normal:
    return Normal(float(np.nanmean(values)), float(np.nanstd(values)))
