"""Landmarks that a person has fixed: they stay where they are, bit for bit, and the rest is decoded around them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from reprlib import repr as short

import numpy as np

from .geometry import centers_of, transform_points
from .schema import CENTER, POINTS, VERTEBRAE

_FARTHEST = 1e6  # pixels, beyond any image


@dataclass(frozen=True, eq=False)
class FixedLandmarks:
    """Which points are fixed and where.

    Attributes:
        xy: ``(V, P, 2)``, NaN where a point is free.
    """

    xy: np.ndarray

    @classmethod
    def none(cls) -> FixedLandmarks:
        """Every point is free."""
        return cls(np.full((len(VERTEBRAE), len(POINTS), 2), np.nan))

    @classmethod
    def parse(cls, values: object) -> FixedLandmarks:
        """Read ``{"T12": {"center": [x, y]}, "T7": {"TL": [x, y]}}``.

        Raises:
            ValueError: a name is unknown or a place is not two numbers of pixels up to a million; the message names it.
        """
        fixed = cls.none()
        if not isinstance(values, Mapping):
            raise ValueError(f'fixed must be a table such as {{"T12": {{"center": [x, y]}}}}, got {short(values)}')
        for vertebra, points in values.items():
            if vertebra not in VERTEBRAE:
                raise ValueError(f"fixed: {short(vertebra)} is not one of {', '.join(VERTEBRAE)}")
            if not isinstance(points, Mapping):
                raise ValueError(f'fixed: {vertebra} must be a table such as {{"center": [x, y]}}, got {short(points)}')
            for point, place in points.items():
                if point not in POINTS:
                    raise ValueError(f"fixed: {vertebra} {short(point)} is not one of {', '.join(POINTS)}")
                fixed.xy[VERTEBRAE.index(vertebra), POINTS.index(point)] = _place(place, f"fixed: {vertebra} {point}")
        return fixed

    @property
    def mask(self) -> np.ndarray:
        """``(V, P)`` which points are fixed."""
        mask: np.ndarray = np.isfinite(self.xy).all(-1)
        return mask

    @property
    def centers(self) -> np.ndarray:
        """``(V, 2)`` fixed centers, the mean of the corners where all four are fixed, NaN where free."""
        center, corners = self.xy[:, POINTS.index(CENTER)], self.xy[:, 1:]
        return np.where(np.isfinite(center), center, centers_of(corners))

    @property
    def known(self) -> np.ndarray:
        """``(V, P)`` which points are fixed, or follow from fixed ones as the center of four corners does."""
        known = self.mask
        known[:, POINTS.index(CENTER)] |= np.isfinite(self.centers).all(-1)
        return known

    def moved(self, matrix: np.ndarray) -> FixedLandmarks:
        """The same points after an affine map ``(3, 3)``."""
        return FixedLandmarks(transform_points(matrix, self.xy))

    def only(self, mask: np.ndarray) -> FixedLandmarks:
        """Those of the points that a mask ``(V, P)`` names."""
        return FixedLandmarks(np.where(mask[..., None], self.xy, np.nan))

    def applied_to(self, xy: np.ndarray) -> np.ndarray:
        """A copy of points ``(V, P, 2)`` in which the fixed ones stand exactly where they were fixed."""
        placed = np.where(self.mask[..., None], self.xy, xy)
        centers = self.centers
        placed[:, 0] = np.where(np.isfinite(centers), centers, placed[:, 0])
        return placed


def _place(value: object, where: str) -> tuple[float, float]:
    is_pair = isinstance(value, (list, tuple)) and len(value) == 2
    if is_pair and all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in value):  # type: ignore[attr-defined]
        try:
            x, y = (float(v) for v in value)  # type: ignore[attr-defined]
        except OverflowError:
            x = y = float("inf")
        if np.isfinite([x, y]).all() and max(abs(x), abs(y)) <= _FARTHEST:
            return x, y
    raise ValueError(f"{where} must be [x, y], two numbers of pixels up to {_FARTHEST:,.0f}, got {short(value)}")
