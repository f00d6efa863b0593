"""The vertebral column: C1-S1 stacked along curves, in millimetres of a standing adult.

x to image right, y down, the origin amid T1-L5, before the patient is placed in the image. Sizes follow the priors
measured on radiographs (mean distance of centers 1.385 body heights, distances growing by 1.045, widths by 1.028 and
heights by 1.049 per level, width 1.8 heights); the rest is textbook proportion.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

Curves = tuple[tuple[float, float], ...]
"""From top to bottom: (apex in levels from T1 = 0, signed Cobb angle in degrees); positive bulges to image right."""
LEVELS = 25
"""Vertebrae of the column: C1-C7, T1-L5, S1."""
FIRST = 7
"""Index of T1 in the column; levels are counted from T1 = 0, so C7 is -1 and S1 is 17."""
COUNT = 17
"""Vertebrae from T1 to L5."""
MEAN_HEIGHT_MM = 20.5
"""Height of the middle vertebral body (T9)."""
RELAXATION_LEVELS = 3.5
"""How fast the column straightens beyond its outermost end vertebrae."""
WEDGING = 0.5
"""Share of the bend between two neighbours taken by the bodies; the discs take the rest."""


@dataclass(frozen=True)
class Column:
    """Vertebrae C1-C7, T1-L5, S1 in millimetres.

    Args:
        centers: ``(LEVELS, 2)`` body centers, the mean of the four corners.
        tilts: ``(LEVELS,)`` radians against the horizontal, positive clockwise on screen.
        corners: ``(LEVELS, 4, 2)`` in schema order (top left, top right, bottom left, bottom right).
        twists: ``(LEVELS,)`` rotation about the long axis in radians, positive moves the back parts to image right.
    """

    centers: np.ndarray
    tilts: np.ndarray
    corners: np.ndarray
    twists: np.ndarray

    def at(self, level: float) -> np.ndarray:
        """Point ``(2,)`` of the centerline at a level counted from T1 = 0; between C1 and S1."""
        index = np.arange(LEVELS) - FIRST
        return np.array([np.interp(level, index, self.centers[:, axis]) for axis in (0, 1)])

    def tilt_at(self, level: float) -> float:
        """Tilt in radians at a level counted from T1 = 0."""
        return float(np.interp(level, np.arange(LEVELS) - FIRST, self.tilts))

    def local(self, level: int, offset: np.ndarray) -> np.ndarray:
        """Points ``(N, 2)`` in mm of the body frame for ``offset`` in half widths and half heights of a vertebra."""
        index = level + FIRST
        top_left, top_right, bottom_left, bottom_right = self.corners[index]
        across = (top_right + bottom_right - top_left - bottom_left) / 4
        down = (bottom_left + bottom_right - top_left - top_right) / 4
        offset = np.asarray(offset, dtype=float)
        return np.asarray(self.centers[index] + offset[..., :1] * across + offset[..., 1:] * down)


def tilt_profile(curves: Curves) -> np.ndarray:
    """Tilt of every vertebra of the column for a row of curves.

    The tilt runs in half cosine waves between end vertebrae, so that it is extreme exactly there and the difference of
    two neighbouring extremes is the Cobb angle. A common offset keeps T1 above L5.

    Args:
        curves: (apex level from T1 = 0, signed Cobb angle in degrees) from top to bottom; positive bulges to image
            right. Neighbours have opposite signs.

    Returns:
        ``(LEVELS,)`` radians, positive clockwise on screen.
    """
    levels = np.arange(LEVELS, dtype=float) - FIRST
    if not curves:
        return np.zeros(LEVELS)
    ends = end_levels(curves)
    steps = np.cumsum([0.0] + [np.radians(cobb) for _, cobb in curves])
    bent = _tilt_between(levels, ends, steps)
    lean = _tilt_between(levels, ends, np.ones_like(steps))
    inside = slice(FIRST, FIRST + COUNT)
    return np.asarray(bent - lean * (bent[inside].sum() / lean[inside].sum()))


def end_levels(curves: Curves) -> np.ndarray:
    """The end vertebrae ``(len(curves) + 1,)``: between two apices, and as far beyond the outer ones."""
    apices = [apex for apex, _ in curves]
    inner = [round((a + b) / 2) for a, b in itertools.pairwise(apices)]
    reach = 4.0 if inner else 5.0
    above = max(0, round(apices[0] - (inner[0] - apices[0] if inner else reach)))
    below = min(COUNT - 1, round(apices[-1] + (apices[-1] - inner[-1] if inner else reach)))
    return np.array([above, *inner, below], dtype=float)


def _tilt_between(levels: np.ndarray, ends: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Half cosine waves through ``values`` at ``ends``, relaxing to zero beyond the outer ones."""
    place = np.interp(levels, ends, np.arange(len(ends)))
    low = np.minimum(place.astype(int), len(ends) - 2)
    share = (1 - np.cos(np.pi * (place - low))) / 2
    beyond = np.maximum(ends[0] - levels, 0) + np.maximum(levels - ends[-1], 0)
    relaxed = np.exp(-((beyond / RELAXATION_LEVELS) ** 2))
    return np.asarray((values[low] * (1 - share) + values[low + 1] * share) * relaxed)


def build_column(
    curves: Curves,
    aspect: float,
    spacing: float,
    endplate_jitter_deg: float,
    twist_deg: float,
    rng: np.random.Generator,
) -> Column:
    """Stack the vertebrae along the curves.

    Args:
        curves: see ``tilt_profile``.
        aspect: width of a body over its height, mean of T1-L5.
        spacing: distance of neighbouring centers over the body height, mean of T1-L5.
        endplate_jitter_deg: standard deviation of an endplate about its place in the curve.
        twist_deg: rotation of the whole patient about the long axis.
        rng: source of the individual variation.
    """
    level = np.arange(LEVELS) - FIRST
    middle = level - (COUNT - 1) / 2
    cervical = np.maximum(-level, 0)
    growth = np.array([1.049, 1.028, 1.045])[:, None] * np.exp(np.clip(rng.standard_normal((3, 1)), -2, 2) * 0.008)
    scatter = 1 + np.clip(rng.standard_normal((3, LEVELS)), -2, 2) * np.array([[0.035], [0.03], [0.04]])
    sizes = MEAN_HEIGHT_MM * growth**middle * scatter * 1.025**cervical
    gaps = sizes[2] * spacing
    heights = np.minimum(sizes[0], 0.93 * gaps)
    widths = sizes[1] * aspect * (1 + 0.12 * np.exp(-np.abs(level) / 1.5))
    tilts = tilt_profile(curves)
    centers = _stack(tilts, gaps)
    slope = np.gradient(tilts)
    jitter = np.radians(endplate_jitter_deg) * np.clip(rng.standard_normal((2, LEVELS)), -2, 2)
    upper, lower = tilts - slope * WEDGING / 2 + jitter[0], tilts + slope * WEDGING / 2 + jitter[1]
    _keep_clear(upper, lower, heights, widths, gaps)
    axis = np.stack([-np.sin(tilts), np.cos(tilts)], axis=1) * heights[:, None] / 2
    across = [np.stack([np.cos(a), np.sin(a)], axis=1) * widths[:, None] / 2 for a in (upper, lower)]
    top, bottom = across[0] * 0.98, across[1] * 1.02
    corners = np.stack([-axis - top, -axis + top, axis - bottom, axis + bottom], axis=1) + centers[:, None]
    twists = np.radians(twist_deg) + np.clip(2.2 * slope, -0.5, 0.5)
    return Column(centers, tilts, corners, twists)


def _keep_clear(
    upper: np.ndarray, lower: np.ndarray, heights: np.ndarray, widths: np.ndarray, gaps: np.ndarray
) -> None:
    """Turn facing endplates (radians, changed in place) towards each other until neither end touches the other body."""
    space = (gaps[:-1] + gaps[1:] - heights[:-1] - heights[1:]) / 2
    limit = 0.8 * np.maximum(space, 0) / ((widths[:-1] + widths[1:]) / 4)
    wedge = upper[1:] - lower[:-1]
    excess = wedge - np.clip(wedge, -limit, limit)
    lower[:-1] += excess / 2
    upper[1:] -= excess / 2


def _stack(tilts: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    """Centers ``(LEVELS, 2)`` one ``gaps`` below the other along the tilt, the origin amid T1-L5."""
    between = (tilts[:-1] + tilts[1:]) / 2
    steps = np.stack([-np.sin(between), np.cos(between)], axis=1) * ((gaps[:-1] + gaps[1:]) / 2)[:, None]
    centers = np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])
    inside = centers[FIRST : FIRST + COUNT]
    return np.asarray(centers - (inside.min(axis=0) + inside.max(axis=0)) / 2)
