"""Fixed landmarks: points that a user has placed, kept bit for bit while the other points are decoded around them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from reprlib import repr as short

import numpy as np

from .geometry import centers_of, transform_points
from .schema import CENTER, POINTS, VERTEBRAE

_MAX_PX = 1e6


@dataclass(frozen=True, eq=False)
class FixedLandmarks:
    """The fixed points of one spine.

    Attributes:
        xy: ``(V, P, 2)``, NaN where a point is free. One with a coordinate that is not finite is free, too.
    """

    xy: np.ndarray

    @classmethod
    def none(cls) -> FixedLandmarks:
        """No point is fixed."""
        return cls(np.full((len(VERTEBRAE), len(POINTS), 2), np.nan))

    @classmethod
    def parse(cls, values: object) -> FixedLandmarks:
        """Read ``{"T12": {"center": [x, y]}, "T7": {"TL": [x, y]}}``.

        Raises:
            ValueError: a name is unknown, or a position is not two numbers of at most a million; the message names it.
        """
        fixed = cls.none()
        if not isinstance(values, Mapping):
            raise ValueError(f'fixed must be a table such as {{"T12": {{"center": [x, y]}}}}, got {short(values)}')
        for vertebra, points in values.items():
            if vertebra not in VERTEBRAE:
                raise ValueError(f"fixed: {short(vertebra)} is not one of {', '.join(VERTEBRAE)}")
            if not isinstance(points, Mapping):
                raise ValueError(f'fixed: {vertebra} must be a table such as {{"center": [x, y]}}, got {short(points)}')
            for point, position in points.items():
                if point not in POINTS:
                    raise ValueError(f"fixed: {vertebra} {short(point)} is not one of {', '.join(POINTS)}")
                index = VERTEBRAE.index(vertebra), POINTS.index(point)
                fixed.xy[index] = _parse_position(position, f"fixed: {vertebra} {point}")
        return fixed

    @property
    def mask(self) -> np.ndarray:
        """``(V, P)`` which points are fixed."""
        mask: np.ndarray = np.isfinite(self.xy).all(-1)
        return mask

    @property
    def centers(self) -> np.ndarray:
        """``(V, 2)`` fixed centers; the mean of the corners where only these are fixed, NaN where neither is."""
        xy = self.only(self.mask).xy
        center, corners = xy[:, POINTS.index(CENTER)], xy[:, 1:]
        return np.where(np.isfinite(center), center, centers_of(corners))

    @property
    def determined(self) -> np.ndarray:
        """``(V, P)`` which points are fixed, or follow from fixed ones as the center of four corners does."""
        determined = self.mask
        determined[:, POINTS.index(CENTER)] |= np.isfinite(self.centers).all(-1)
        return determined

    def moved(self, matrix: np.ndarray) -> FixedLandmarks:
        """The same points after an affine map ``(3, 3)``."""
        return FixedLandmarks(transform_points(matrix, self.xy))

    def only(self, mask: np.ndarray) -> FixedLandmarks:
        """The points selected by a mask ``(V, P)``."""
        return FixedLandmarks(np.where(mask[..., None], self.xy, np.nan))

    def applied_to(self, xy: np.ndarray) -> np.ndarray:
        """A copy of points ``(V, P, 2)`` with the fixed ones exactly at their positions."""
        placed = np.where(self.mask[..., None], self.xy, xy)
        centers = self.centers
        placed[:, 0] = np.where(np.isfinite(centers), centers, placed[:, 0])
        return placed


def _parse_position(value: object, where: str) -> tuple[float, float]:
    is_pair = isinstance(value, (list, tuple)) and len(value) == 2
    if is_pair and all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in value):  # type: ignore[attr-defined]
        try:
            x, y = (float(v) for v in value)  # type: ignore[attr-defined]
        except OverflowError:
            x = y = float("inf")
        if np.isfinite([x, y]).all() and max(abs(x), abs(y)) <= _MAX_PX:
            return x, y
    raise ValueError(f"{where} must be [x, y], two numbers of pixels up to {_MAX_PX:,.0f}, got {short(value)}")
