"""The anatomy of the phantom: a vertebral column bent by curves, and the organs around it as absorbers.

Everything here is in millimetres of a standing adult, x to image right, y down, before the patient is placed in the
image. Sizes follow the priors measured on radiographs (mean distance of centers 1.385 body heights, distances growing
by 1.045, widths by 1.028 and heights by 1.049 per level, width 1.8 heights); the rest is textbook proportion.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

import numpy as np

from .raster import PolygonSheet, band, bezier, ellipse, vector

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


def tilt_profile(curves: tuple[tuple[float, float], ...]) -> np.ndarray:
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


def end_levels(curves: tuple[tuple[float, float], ...]) -> np.ndarray:
    """The end vertebrae ``(len(curves) + 1,)``: between two apices, and as far beyond the outer ones."""
    apices = [apex for apex, _ in curves]
    inner = [round((a + b) / 2) for a, b in zip(apices, apices[1:])]
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
    curves: tuple[tuple[float, float], ...],
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


class Pencil:
    """Draws absorbers given in millimetres on a sheet of pixels.

    Args:
        sheet: where to draw.
        to_px: maps ``(N, 2)`` millimetres to pixels.
    """

    def __init__(self, sheet: PolygonSheet, to_px: Callable[[np.ndarray], np.ndarray]) -> None:
        self._sheet = sheet
        self._to_px = to_px

    def fill(self, outline: np.ndarray, value: float) -> None:
        """A flat absorber."""
        self._sheet.add(self._to_px(outline), value)

    def dome(self, outline: np.ndarray, value: float, steps: int = 3) -> None:
        """An absorber that thickens towards its middle: nested copies of the outline."""
        middle = outline.mean(axis=0)
        for k in range(steps):
            self.fill(middle + (outline - middle) * np.sqrt(1 - k / steps), value / steps)

    def ring(self, outline: np.ndarray, value: float, inner: float = 0.6) -> None:
        """A shell, ``inner`` of its radius hollow but for a third of the value."""
        self.fill(outline, value)
        middle = outline.mean(axis=0)
        self.fill(middle + (outline - middle) * inner, -0.65 * value)

    def tube(self, curve: np.ndarray, half_width: float | np.ndarray, value: float) -> None:
        """A long bone along a curve: dense cortex at both borders, spongy between."""
        half_width = np.broadcast_to(np.asarray(half_width, dtype=float), len(curve))
        self.fill(band(curve, half_width), value)
        self.fill(band(curve, half_width * 0.62), -0.35 * value)


@dataclass(frozen=True)
class BoneLook:
    """How strongly the parts of every vertebra of one patient absorb; vertebrae of one patient look alike.

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
    def sample(cls, rng: np.random.Generator) -> BoneLook:
        """A random patient."""
        low = np.array([0.10, 0.06, 0.04, 0.7, 0.02, 0.05])
        high = np.array([0.25, 0.28, 0.20, 1.7, 0.14, 0.22])
        return cls(*(float(value) for value in rng.uniform(low, high)))


def draw_vertebra(pencil: Pencil, column: Column, level: int, look: BoneLook, rng: np.random.Generator) -> None:
    """One vertebra: body with cortical rims, pedicles, lamina, spinous and transverse processes."""
    _draw_body(pencil, column, level, look, rng)
    shift = 0.55 * float(np.sin(column.twists[level + FIRST]))
    lumbar = float(np.clip((level - 9) / 3, 0, 1))
    strength = look.back * rng.uniform(0.85, 1.15)
    for side in (-1.0, 1.0):
        pedicle = ellipse((0.56 * side + 0.8 * shift, -0.22), (0.15 + 0.03 * lumbar, 0.36), count=14)
        pencil.ring(column.local(level, pedicle), 0.26 * strength, 0.55)
        _draw_arch(pencil, column, level, side, shift, lumbar, strength)
        if level >= 0:
            _draw_transverse(pencil, column, level, side, shift, lumbar, strength)
    _draw_spinous(pencil, column, level, shift, lumbar, strength)


def _draw_spinous(pencil: Pencil, column: Column, level: int, shift: float, lumbar: float, strength: float) -> None:
    """The spinous process seen end on: a drop below the middle, long and slim in the loins."""
    middle, reach = 1.6 * shift, 1.35 - 0.05 * lumbar
    slim = 0.24 - 0.05 * lumbar
    drop = [(middle - 0.04, 0.0), (middle - slim, reach), (middle + slim, reach), (middle + 0.04, 0.0)]
    pencil.ring(column.local(level, bezier(np.array(drop), 14)), (0.20 + 0.06 * lumbar) * strength, 0.6)


def _draw_arch(
    pencil: Pencil, column: Column, level: int, side: float, shift: float, lumbar: float, strength: float
) -> None:
    """Lamina and facet joint on one side; they reach across the disc space below."""
    lamina = [(shift, -0.1), (0.45 * side + shift, 0.0), (0.62 * side + shift, 0.5), (0.58 * side + shift, 1.15),
              (0.34 * side + shift, 1.2), (0.25 * side + shift, 0.8), (shift, 0.75)]  # fmt: skip
    pencil.ring(column.local(level, np.array(lamina)), (0.07 + 0.07 * lumbar) * strength, 0.75)
    joint = ellipse((0.5 * side + shift, 1.12), (0.13 + 0.03 * lumbar, 0.46), -9.0 * side, count=12)
    pencil.ring(column.local(level, joint), (0.07 + 0.15 * lumbar) * strength, 0.5)


def _draw_transverse(
    pencil: Pencil, column: Column, level: int, side: float, shift: float, lumbar: float, strength: float
) -> None:
    """The transverse process on one side; short and rising in the chest, long and thin in the loins."""
    tip = 1.55 + 0.2 * lumbar - 0.25 * (level == 11)
    rise = -0.5 + 0.45 * lumbar
    curve = bezier(np.array([(0.6 * side + shift, -0.1), (1.1 * side + shift, -0.15), (tip * side + shift, rise)]), 8)
    outline = band(curve, np.linspace(0.24, 0.15, 8))
    pencil.ring(column.local(level, outline), (0.13 - 0.05 * lumbar) * strength, 0.6)


def _draw_body(pencil: Pencil, column: Column, level: int, look: BoneLook, rng: np.random.Generator) -> None:
    """The body: spongy filling between denser endplates and side walls; the corners are vertices of the outline."""
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
    pencil.fill(outline, look.body)
    pencil.fill(middle + (outline - middle) * 0.8, 0.04)
    height = float(np.linalg.norm((bottom_left + bottom_right - top_left - top_right) / 2))
    for edge, thickness, value in zip(sides, (0.09, 0.06, 0.09, 0.06), (look.plate, look.wall) * 2):
        pencil.fill(_rim(edge, middle, thickness * height), value * rng.uniform(0.75, 1.25))
    for near, opposite in ((sides[0], sides[2]), (sides[2], sides[0])):
        if rng.random() < 0.5:  # the far rim of an endplate seen at a slant
            far = middle + (near - middle) * 0.97 + (opposite[::-1] - near) * look.slant
            pencil.fill(_rim(far, middle, 0.05 * height), 0.5 * look.plate)
    disc = column.local(level, np.array([(-0.8, 0.9), (0.8, 0.9), (0.82, 1.9), (-0.82, 1.9)]))
    pencil.fill(disc, look.between)


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


RIB_REACH_MM = (58, 84, 102, 113, 121, 127, 131, 133, 133, 130, 112, 78)
RIB_DROP_MM = (10, 26, 40, 52, 62, 72, 82, 90, 96, 98, 78, 52)
RIB_RETURN_MM = (26, 40, 50, 56, 60, 62, 62, 60, 52, 40, 0, 0)
"""Per rib: how far it reaches sideways, how far its back falls, how far its front falls further (0: a floating rib)."""


def draw_ribs(pencil: Pencil, column: Column, girth: float, rng: np.random.Generator) -> None:
    """Twelve pairs of ribs from the thoracic vertebrae; the front parts are fainter than the backs."""
    slant = rng.uniform(0.75, 1.25)
    lean = rng.uniform(0.9, 1.1)
    twelfth = rng.uniform(0.6, 1.15)
    for rib in range(12):
        strength = rng.uniform(0.85, 1.15)
        for side in (-1.0, 1.0):
            reach = RIB_REACH_MM[rib] * girth * (twelfth if rib == 11 else 1.0) * rng.uniform(0.97, 1.03)
            back, front = _rib_curves(column, rib, side, reach, slant * rng.uniform(0.93, 1.07), lean)
            thick = (4.2 + 0.12 * min(rib, 7)) * rng.uniform(0.9, 1.1)
            taper = np.linspace(1.0, 0.45, len(back)) if rib > 9 else np.linspace(0.9, 1.05, len(back))
            pencil.tube(back, thick * taper, 0.20 * strength)
            if front is not None:
                widening = thick * np.linspace(1.0, 1.35, len(front))
                pencil.tube(front, widening, 0.11 * strength)
                pencil.fill(band(front[-5:], widening[-5:]), -0.04 * strength)  # gristle takes over


def _rib_curves(
    column: Column, rib: int, side: float, reach: float, slant: float, lean: float
) -> tuple[np.ndarray, np.ndarray | None]:
    """Back and front part of one rib; the front is ``None`` for a floating rib."""
    head = column.local(rib, np.array([0.95 * side, -0.75 if rib else -0.3]))
    axis = 0.45 * head[0] * (rib / 11 if rib < 6 else 1.0)  # the cage follows the column only in part
    tilt = 0.7 * column.tilt_at(rib) * side
    drop = RIB_DROP_MM[rib] * slant + np.sin(tilt) * reach * 0.6
    lateral = np.array([axis + side * reach, head[1] + drop])
    start = head + vector(side * 16, -7.0 if rib < 10 else 1.0)
    back = bezier([head, start, (head[0] * 0.4 + lateral[0] * 0.6, head[1] - 2.0),
                   (lateral[0] + side * 3 * lean, head[1] + 0.35 * drop), lateral], 20)  # fmt: skip
    if rib > 9:
        back = bezier([head, start, head * 0.4 + lateral * 0.6 + vector(0.0, -8.0), lateral], 16)
        return back, None
    fall = RIB_RETURN_MM[rib] * slant
    stop = np.array([axis + side * (22 + 0.42 * reach * min(1.0, 0.5 + rib / 8)), lateral[1] + fall])
    front = bezier(
        [lateral, lateral + vector(side * 2, 0.45 * fall), (stop + lateral) / 2 + vector(0.0, 0.42 * fall), stop], 14
    )
    return back, front


def draw_shoulders(pencil: Pencil, column: Column, girth: float, rng: np.random.Generator) -> None:
    """Clavicles, shoulder blades and the heads of the upper arms."""
    lift = rng.uniform(-14, 12)
    notch = column.at(2.2)
    for side in (-1.0, 1.0):
        inner = notch + vector(side * 14, 0.0)
        outer = np.array([notch[0] + side * 142 * girth, column.at(0.4)[1] + lift + rng.uniform(-6, 6)])
        step = outer - inner
        clavicle = bezier([inner, inner + step * 0.35 + vector(0, 9), inner + step * 0.65 - vector(0, 12), outer], 16)
        pencil.tube(clavicle, np.linspace(7.5, 5.0, 16), 0.20)
        corner = outer + vector(-side * 58, 22)
        blade = np.array(
            [corner, outer + vector(-side * 8, 16), outer + vector(-side * 4, 40), corner + vector(side * 16, 118)]
        )
        pencil.fill(blade, 0.06)
        pencil.tube(bezier([corner, corner + vector(-side * 8, 55), corner + vector(side * 16, 118)], 10), 2.5, 0.12)
        head = outer + vector(side * 10, 26)
        pencil.dome(ellipse(head, (24, 25)), 0.16, 3)
        pencil.fill(ellipse(head, (24, 25)), 0.10)
        shaft = np.array([head + vector(side * 6, 14), head + vector(side * 12, 90), head + vector(side * 14, 320)])
        pencil.tube(shaft, np.array([17.0, 12.0, 14.0]), 0.30)


def draw_pelvis(pencil: Pencil, column: Column, girth: float, rng: np.random.Generator) -> None:
    """Sacrum, iliac wings with their crests at the level of L4/L5, and the femoral heads."""
    base, tilt = column.at(17), column.tilt_at(17)
    _draw_sacrum(pencil, column, rng)
    size = (0.9 + 0.1 * girth) * rng.uniform(0.95, 1.06)
    rise = rng.uniform(32, 52)
    turn = np.array([[np.cos(tilt / 2), -np.sin(tilt / 2)], [np.sin(tilt / 2), np.cos(tilt / 2)]])
    for side in (-1.0, 1.0):

        def put(*points: tuple[float, float], side: float = side) -> np.ndarray:
            return np.asarray(base + np.array(points) * (side * size, size) @ turn.T)

        crest = bezier(put((44, 6), (58, -rise - 22), (120, -rise - 16), (146, 34)), 18)
        flank = bezier(put((146, 34), (140, 66), (122, 84), (112, 104)), 8)
        groove = bezier(put((112, 104), (70, 92), (62, 60), (44, 6)), 12)
        wing = np.concatenate([crest, flank, groove])
        pencil.fill(wing, 0.11)
        pencil.fill(band(crest, 3.0), 0.16)
        pencil.fill(band(groove, 2.2), 0.16)
        brim = bezier(put((56, 50), (70, 108), (50, 150), (6, 158)), 16)
        pencil.fill(band(brim, 2.4), 0.16)
        pencil.fill(np.concatenate([brim, put((8, 182), (46, 176), (96, 140), (112, 104))]), 0.16)
        hip = put((98, 116))[0]
        pencil.dome(ellipse(hip, (24 * size, 24 * size)), 0.20, 2)
        pencil.fill(band(np.concatenate([ellipse(hip, (27 * size, 27 * size), 180, 24)[:13]]), 2.0), 0.18)
        pencil.ring(ellipse(put((62, 168))[0], (23 * size, 15 * size), 20 * side), 0.12, 0.7)
        neck = put((104, 122), (134, 142), (148, 168), (142, 260))
        pencil.tube(neck, np.array([17.0, 17.0, 20.0, 15.0]) * size, 0.34)


def _draw_sacrum(pencil: Pencil, column: Column, rng: np.random.Generator) -> None:
    """The sacrum: a shield below L5 with paired holes and the upper plate of S1."""
    top_left, top_right = column.corners[17 + FIRST][:2]
    across = (top_right - top_left) / 2
    down = np.array([-across[1], across[0]])
    down /= max(float(np.linalg.norm(down)), 1e-9)
    middle = (top_left + top_right) / 2
    length = rng.uniform(95, 120)
    right = [0.95 * across, 2.1 * across + 10 * down, 2.0 * across + 38 * down, 0.55 * across + length * down]
    left = [0.95 * -across, -2.1 * across + 10 * down, -2.0 * across + 38 * down, -0.55 * across + length * down]
    shield = middle + np.array(right + left[::-1])
    pencil.fill(shield, 0.12)
    plate = bezier([top_left, middle - 5 * down, top_right], 10)
    pencil.fill(np.concatenate([plate, (plate + 3.5 * down)[::-1]]), 0.22)
    for row in range(4):
        for side in (-1.0, 1.0):
            hole = middle + side * (0.85 - 0.12 * row) * across + (22 + row * 19) * down
            pencil.fill(ellipse(hole, (5.5 - 0.6 * row, 4.5 - 0.5 * row), count=12), -0.10)
        crest = middle + (20 + row * 19) * down
        pencil.ring(ellipse(crest, (4.0, 7.0), count=12), 0.10, 0.5)


def draw_skull(pencil: Pencil, column: Column, rng: np.random.Generator) -> None:
    """Skull base, face, and a jaw with teeth above the neck."""
    jaw = column.at(-4.2) + vector(rng.uniform(-8, 8), rng.uniform(-14, 10))
    pencil.dome(ellipse(jaw - vector(0, 105), (74, 96), count=32), 0.6, 8)
    pencil.ring(ellipse(jaw - vector(0, 105), (76, 98), count=32), 0.35, 0.94)
    arch = bezier([jaw + vector(-50, -62), jaw + vector(-48, 14), jaw + vector(48, 14), jaw + vector(50, -62)], 20)
    pencil.tube(arch, 9.0, 0.5)
    for row, y in enumerate((-22, -35)):
        for k in range(-4, 5):
            pencil.fill(ellipse(jaw + vector(7.4 * k, y - 0.35 * k * k * (1 - 2 * row)), (3.2, 6.5), count=10), 0.4)
    for side in (-1.0, 1.0):
        pencil.fill(ellipse(jaw + vector(side * 32, -112), (19, 16), count=16), -0.25)


def draw_heart(pencil: Pencil, column: Column, side: float, size: float, rng: np.random.Generator) -> None:
    """Heart, aortic knob and great vessels; ``side`` is where the apex points (+1 image right)."""
    apex_level = rng.uniform(7.6, 8.8)
    base = column.at(5.5) * (0.4, 1.0)
    tip = np.array([base[0] + side * 80 * size, column.at(apex_level)[1] + 8])
    far = np.array([base[0] - side * 32 * size, tip[1] - 10])
    top = np.array([base[0], column.at(3.2)[1]])
    outline = bezier(
        [
            top + vector(side * 18, 0),
            top + vector(side * 26, 40),
            tip + vector(side * 22, -45),
            tip + vector(side * 6, 4),
        ],
        14,
    )
    lower = bezier([tip + vector(side * 6, 4), tip + vector(-side * 30, 24), far + vector(0, 26), far], 10)
    flank = bezier([far, far + vector(-side * 10, -30), top + vector(-side * 22, 30), top + vector(-side * 16, 0)], 12)
    pencil.dome(np.concatenate([outline, lower, flank]), 0.32, 7)
    pencil.dome(ellipse(top + vector(side * 20, 8), (15, 17)), 0.14, 2)
    along = np.stack([column.at(level) * (0.75, 1.0) for level in np.linspace(-1.5, 12, 16)])
    for half in np.linspace(34, 12, 6) * rng.uniform(0.8, 1.15):
        pencil.fill(band(along, half * np.linspace(0.8, 1.0, 16)), 0.012)


def lung_outlines(column: Column, girth: float, rng: np.random.Generator) -> list[np.ndarray]:
    """The two lung fields, each closed below by a dome of the diaphragm."""
    outlines = []
    floor = rng.uniform(8.6, 10.2)
    for side in (-1.0, 1.0):
        shift = 0.4 * column.at(6)[0]
        apex = np.array([shift + side * 40, column.at(0.3)[1]])
        dome = column.at(floor + rng.uniform(-0.35, 0.35))[1]
        sulcus = np.array([shift + side * 128 * girth, dome + rng.uniform(25, 48)])
        outer = bezier([apex, apex + vector(side * 52 * girth, 6), (sulcus[0] - side * 14, apex[1] + 80),
                        (sulcus[0] + side * 4, dome - 60), sulcus], 22)  # fmt: skip
        lower = bezier(
            [sulcus, sulcus + vector(-side * 30, -50), (shift + side * 45, dome - 14), (shift + side * 14, dome + 14)],
            14,
        )
        inner = bezier(
            [(shift + side * 14, dome + 14), (shift + side * 14, apex[1] + 90), apex + vector(-side * 26, 30), apex], 14
        )
        outlines.append(np.concatenate([outer, lower[1:], inner[1:-1]]))
    return outlines


def draw_vessels(pencil: Pencil, column: Column, girth: float, rng: np.random.Generator) -> None:
    """Lung vessels that fan out from both roots."""
    for side in (-1.0, 1.0):
        root = column.at(5.2) * (0.4, 1.0) + vector(side * 34, 0)
        pencil.dome(ellipse(root, (13, 22), 12 * side), 0.05, 5)
        for _ in range(26):
            angle, length = rng.uniform(-1.5, 1.4), rng.uniform(30, 75) * girth
            start = root + rng.normal(0, (6, 12))
            end = root + length * np.array([side * np.cos(angle), np.sin(angle)])
            bend = (start + end) / 2 + rng.uniform(-9, 9, 2)
            pencil.fill(
                band(bezier(np.array([start, bend, end]), 8), np.linspace(2.6, 0.5, 8)), rng.uniform(0.02, 0.09)
            )


def draw_bowel_gas(pencil: Pencil, column: Column, girth: float, rng: np.random.Generator) -> None:
    """Gas in stomach and bowel: clusters of dark bubbles beside and across the lumbar spine and in the pelvis."""
    side = rng.choice((-1.0, 1.0))
    if rng.random() < 0.6:
        stomach = column.at(10.4) * (0.4, 1.0) + vector(side * rng.uniform(48, 80), rng.uniform(-12, 18))
        pencil.dome(ellipse(stomach, (rng.uniform(16, 38), rng.uniform(12, 28)), rng.uniform(-30, 30)), -0.22, 2)
    for _ in range(int(rng.integers(2, 7))):
        start = np.array([rng.uniform(-105, 105) * girth, column.at(rng.uniform(13, 17))[1] + rng.uniform(0, 70)])
        heading, size = rng.uniform(0, 2 * np.pi), rng.uniform(5, 15)
        for _ in range(int(rng.integers(2, 9))):
            radii = (size * rng.uniform(0.6, 1.3), size * rng.uniform(0.5, 1.0))
            pencil.dome(ellipse(start, radii, rng.uniform(0, 180), 16), -rng.uniform(0.05, 0.2), 2)
            heading += rng.normal(0, 0.6)
            start = start + size * 1.25 * np.array([np.cos(heading), np.sin(heading)])


def body_half_width(column: Column, y: np.ndarray, girth: float) -> np.ndarray:
    """Half width of the trunk in mm at heights ``y`` (mm): head, neck, shoulders, chest, waist, hips, thighs."""
    stations = ((-7, 70), (-4.2, 62), (-3.6, 52), (-1.6, 56), (-0.6, 85), (0.6, 160), (2, 196), (4, 176), (6, 150),
                (9, 143), (12, 130), (13.5, 128), (15, 140), (17, 160), (17.01, 164))  # fmt: skip
    heights = [column.at(level)[1] for level, _ in stations]
    widths = [width * (girth if level > -1 else 0.5 + 0.5 * girth) for level, width in stations]
    heights += [heights[-1] + 120, heights[-1] + 400]
    widths += [178 * girth, 165 * girth]
    fine = np.arange(heights[0] - 60, heights[-1], 6.0)
    kernel = np.hanning(11) / np.hanning(11).sum()
    smooth = np.convolve(np.pad(np.interp(fine, heights, widths), 5, mode="edge"), kernel, mode="valid")
    return np.asarray(np.interp(y, fine, smooth))
