"""The vertebral column: C1-S1 stacked along curves, and how one vertebra is drawn, in millimetres of a standing adult.

x to image right, y down, the origin amid T1-L5, before the patient is placed in the image. Sizes follow the priors
measured on radiographs (mean distance of centers 1.385 body heights, distances growing by 1.045, widths by 1.028 and
heights by 1.049 per level, width 1.8 heights); the rest is textbook proportion.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from .canvas import Brush, band, bezier, ellipse

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
    placement = np.interp(levels, ends, np.arange(len(ends)))
    low = np.minimum(placement.astype(int), len(ends) - 2)
    share = (1 - np.cos(np.pi * (placement - low))) / 2
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
        endplate_jitter_deg: standard deviation of an endplate about its placement in the curve.
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


@dataclass(frozen=True)
class BoneDensity:
    """How strongly the parts of a vertebra absorb, the same for all vertebrae of one patient.

    Args:
        body: spongy bone.
        plate: endplates.
        wall: side walls.
        back: pedicles, arches and processes behind the body.
        between: everything dense in the disc spaces.
        slant: how far the far rim of an endplate shows inside the body, in heights.
    """

    body: float
    plate: float
    wall: float
    back: float
    between: float
    slant: float

    @classmethod
    def sample(cls, rng: np.random.Generator) -> BoneDensity:
        """A random patient."""
        low = np.array([0.10, 0.06, 0.04, 0.7, 0.02, 0.05])
        high = np.array([0.25, 0.28, 0.20, 1.7, 0.14, 0.22])
        return cls(*(float(value) for value in rng.uniform(low, high)))


def draw_vertebra(brush: Brush, column: Column, level: int, density: BoneDensity, rng: np.random.Generator) -> None:
    """One vertebra: body with cortical rims, pedicles, lamina, spinous and transverse processes.

    Args:
        brush: draws in millimetres.
        column: all vertebrae.
        level: which one, counted from T1 = 0.
        density: of the patient's vertebrae.
        rng: source of what differs between vertebrae of one patient.
    """
    draw_body(brush, column, level, density, rng)
    shift = 0.55 * float(np.sin(column.twists[level + FIRST]))
    lumbar = float(np.clip((level - 9) / 3, 0, 1))
    strength = density.back * rng.uniform(0.85, 1.15)
    for side in (-1.0, 1.0):
        pedicle = ellipse((0.56 * side + 0.8 * shift, -0.22), (0.15 + 0.03 * lumbar, 0.36), count=14)
        brush.ring(column.local(level, pedicle), 0.26 * strength, 0.55)
        _draw_arch(brush, column, level, side, shift, lumbar, strength)
        if level >= 0:
            _draw_transverse(brush, column, level, side, shift, lumbar, strength)
    _draw_spinous(brush, column, level, shift, lumbar, strength)


def _draw_spinous(brush: Brush, column: Column, level: int, shift: float, lumbar: float, strength: float) -> None:
    """The spinous process seen end on: a drop below the middle, long and slim in the loins."""
    middle, reach = 1.6 * shift, 1.35 - 0.05 * lumbar
    slim = 0.24 - 0.05 * lumbar
    drop = [(middle - 0.04, 0.0), (middle - slim, reach), (middle + slim, reach), (middle + 0.04, 0.0)]
    brush.ring(column.local(level, bezier(np.array(drop), 14)), (0.20 + 0.06 * lumbar) * strength, 0.6)


def _draw_arch(
    brush: Brush, column: Column, level: int, side: float, shift: float, lumbar: float, strength: float
) -> None:
    """Lamina and facet joint on one side; they reach across the disc space below."""
    lamina = [(shift, -0.1), (0.45 * side + shift, 0.0), (0.62 * side + shift, 0.5), (0.58 * side + shift, 1.15),
              (0.34 * side + shift, 1.2), (0.25 * side + shift, 0.8), (shift, 0.75)]  # fmt: skip
    brush.ring(column.local(level, np.array(lamina)), (0.07 + 0.07 * lumbar) * strength, 0.75)
    joint = ellipse((0.5 * side + shift, 1.12), (0.13 + 0.03 * lumbar, 0.46), -9.0 * side, count=12)
    brush.ring(column.local(level, joint), (0.07 + 0.15 * lumbar) * strength, 0.5)


def _draw_transverse(
    brush: Brush, column: Column, level: int, side: float, shift: float, lumbar: float, strength: float
) -> None:
    """The transverse process on one side; short and rising in the chest, long and thin in the loins."""
    tip = 1.55 + 0.2 * lumbar - 0.25 * (level == 11)
    rise = -0.5 + 0.45 * lumbar
    curve = bezier(np.array([(0.6 * side + shift, -0.1), (1.1 * side + shift, -0.15), (tip * side + shift, rise)]), 8)
    outline = band(curve, np.linspace(0.24, 0.15, 8))
    brush.ring(column.local(level, outline), (0.13 - 0.05 * lumbar) * strength, 0.6)


def draw_body(brush: Brush, column: Column, level: int, density: BoneDensity, rng: np.random.Generator) -> None:
    """The body: spongy filling between denser endplates and side walls; the corners are vertices of the outline.

    The arguments are those of ``draw_vertebra``.
    """
    top_left, top_right, bottom_left, bottom_right = column.corners[level + FIRST]
    middle = column.centers[level + FIRST]
    sag, waist = rng.uniform(0.02, 0.10), rng.uniform(0.04, 0.12)
    sides = [
        _edge(top_left, top_right, middle, sag),
        _edge(top_right, bottom_right, middle, waist),
        _edge(bottom_right, bottom_left, middle, sag),
        _edge(bottom_left, top_left, middle, waist),
    ]
    outline = np.concatenate([edge[:-1] for edge in sides])
    brush.fill(outline, density.body)
    brush.fill(middle + (outline - middle) * 0.8, 0.04)
    height = float(np.linalg.norm((bottom_left + bottom_right - top_left - top_right) / 2))
    for edge, thickness, value in zip(sides, (0.09, 0.06, 0.09, 0.06), (density.plate, density.wall) * 2, strict=True):
        brush.fill(_rim(edge, middle, thickness * height), value * rng.uniform(0.75, 1.25))
    for near, opposite in ((sides[0], sides[2]), (sides[2], sides[0])):
        if rng.random() < 0.5:  # the far rim of an endplate seen at a slant
            far = middle + (near - middle) * 0.97 + (opposite[::-1] - near) * density.slant
            brush.fill(_rim(far, middle, 0.05 * height), 0.5 * density.plate)
    disc = column.local(level, np.array([(-0.8, 0.9), (0.8, 0.9), (0.82, 1.9), (-0.82, 1.9)]))
    brush.fill(disc, density.between)


def _edge(start: np.ndarray, end: np.ndarray, middle: np.ndarray, depth: float, count: int = 8) -> np.ndarray:
    """From corner to corner, bending towards the middle by ``depth`` of the way."""
    t = np.linspace(0, 1, count)[:, None]
    straight = start + (end - start) * t
    return np.asarray(straight + (middle - (start + end) / 2) * depth * 4 * t * (1 - t))


def _rim(edge: np.ndarray, middle: np.ndarray, thickness: float) -> np.ndarray:
    """A strip of the given thickness along an edge, on the side of the body's middle."""
    inward = middle - (edge[0] + edge[-1]) / 2
    inward = inward / max(float(np.linalg.norm(inward)), 1e-9)
    return np.concatenate([edge, (edge + inward * thickness)[::-1]])
