"""How two readings of one image differ, vertebra by vertebra."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..spine.geometry import body_tilts, corners_of
from ..spine.imaging.pixel_aspect import square_scale
from ..spine.measurement.cobb import measure_curves
from ..spine.schema import CENTER, CORNERS, POINTS, VERTEBRAE, Spine

_CENTER = POINTS.index(CENTER)
_CORNERS = [POINTS.index(name) for name in CORNERS]
MAX_SHIFT_SHARE = 0.5
"""Of the distance of the centers under the same names, below which they count as the same under shifted names."""


class VertebraDifference(NamedTuple):
    """How a vertebra differs between two readings.

    Attributes:
        vertebra: its name.
        center_px: distance of the centers; ``None`` where only one reading has it.
        corners_px: mean distance of the corners that both have; ``None`` likewise.
        tilt_deg: angle between the center lines of the endplates, in degrees; ``None`` likewise.
        is_missing: only one reading has a point of it.
    """

    vertebra: str
    center_px: float | None
    corners_px: float | None
    tilt_deg: float | None
    is_missing: bool


def differences(one: Spine, other: Spine, pixel_aspect: float = 1.0) -> list[VertebraDifference]:
    """Differences of all vertebrae that a reading has, the largest first; those that only one has before all others.

    Args:
        one: visible points count, in stored pixels.
        other: of the same image.
        pixel_aspect: width over height of a stored pixel; distances are in square ones of the same area.
    """
    scale = np.array(square_scale(pixel_aspect))
    first, second = one.visible_xy * scale, other.visible_xy * scale
    distances = np.linalg.norm(first - second, axis=-1)
    turned = np.abs((body_tilts(corners_of(first)) - body_tilts(corners_of(second)) + 90) % 180 - 90)
    has = [np.isfinite(xy).all(-1).any(1) for xy in (first, second)]
    found = [
        VertebraDifference(
            name,
            _finite(distances[v, _CENTER]),
            _mean(distances[v, _CORNERS]),
            _finite(turned[v]),
            bool(has[0][v] != has[1][v]),
        )
        for v, name in enumerate(VERTEBRAE)
        if has[0][v] or has[1][v]
    ]
    return sorted(found, key=lambda it: (not it.is_missing, -(it.corners_px or it.center_px or 0.0)))


def _finite(value: float) -> float | None:
    return round(float(value), 3) if math.isfinite(value) else None


def _mean(values: np.ndarray) -> float | None:
    present = values[np.isfinite(values)]
    return _finite(float(present.mean())) if present.size else None


def names_shift(one: Spine, other: Spine) -> int:
    """By how many levels the second reading names the same vertebrae lower (1) or higher (-1); 0 where not.

    1: what the first calls T7 the second calls T8.
    """
    first, second = one.visible_xy[:, _CENTER], other.visible_xy[:, _CENTER]
    medians = {shift: _median_distance(first, second, shift) for shift in (0, -1, 1)}
    best = min(medians, key=lambda shift: (medians[shift], abs(shift)))
    is_shifted = math.isfinite(medians[0]) and medians[best] < MAX_SHIFT_SHARE * medians[0]
    return best if is_shifted else 0


def _median_distance(first: np.ndarray, second: np.ndarray, shift: int) -> float:
    """Median distance of centers, those of the second taken ``shift`` levels lower."""
    count = len(VERTEBRAE)
    here = slice(max(0, -shift), count - max(0, shift))
    there = slice(max(0, shift), count - max(0, -shift))
    distances = np.linalg.norm(first[here] - second[there], axis=-1)
    present = distances[np.isfinite(distances)]
    return float(np.median(present)) if present.size else math.inf


def largest_angle_deg(upright_xy: np.ndarray) -> float | None:
    """Largest Cobb angle in degrees; ``None`` where there is no curve to measure.

    Args:
        upright_xy: ``(V, P, 2)`` visible points in upright pixels.
    """
    curves = measure_curves(upright_xy)
    return max(curve.angle_deg for curve in curves) if curves else None


def size_of(found: list[VertebraDifference], shift: int, angle_difference_deg: float | None) -> tuple[float, ...]:
    """Sort key of the difference of two readings, the largest first: names, missing vertebrae, angle, corners."""
    corners = [one.corners_px for one in found if one.corners_px is not None]
    return (
        -abs(shift),
        -sum(one.is_missing for one in found),
        -(angle_difference_deg or 0.0),
        -(max(corners) if corners else 0.0),
    )
