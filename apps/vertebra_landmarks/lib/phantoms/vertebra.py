"""How one vertebra absorbs: body, arch and processes, drawn in millimetres of the patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .canvas import band, bezier, ellipse
from .column import FIRST, Column
from .pencil import Pencil


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
    """One vertebra: body with cortical rims, pedicles, lamina, spinous and transverse processes.

    Args:
        pencil: draws in millimetres.
        column: all vertebrae.
        level: which one, counted from T1 = 0.
        look: how the patient's vertebrae look.
        rng: source of what differs between vertebrae of one patient.
    """
    draw_body(pencil, column, level, look, rng)
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


def draw_body(pencil: Pencil, column: Column, level: int, look: BoneLook, rng: np.random.Generator) -> None:
    """The body: spongy filling between denser endplates and side walls; the corners are vertices of the outline.

    Args:
        pencil: draws in millimetres.
        column: all vertebrae.
        level: which one, counted from T1 = 0.
        look: how the patient's vertebrae look.
        rng: source of what differs between vertebrae of one patient.
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
    pencil.fill(outline, look.body)
    pencil.fill(middle + (outline - middle) * 0.8, 0.04)
    height = float(np.linalg.norm((bottom_left + bottom_right - top_left - top_right) / 2))
    for edge, thickness, value in zip(sides, (0.09, 0.06, 0.09, 0.06), (look.plate, look.wall) * 2, strict=True):
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
