"""Radiographs of body parts without a spine: limbs, and a chest and a pelvis from which the vertebrae are left out.

Every function takes a source of randomness and the size in pixels, and returns an image ``(H, W)`` of any gray range.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .absorption import column_of, soft_tissue
from .body import draw_pelvis, draw_ribs, draw_shoulders, draw_skull
from .canvas import band, ellipse
from .column import Column
from .easel import easel
from .exposure import develop, expose
from .pencil import Pencil
from .placement import Placement, blank_sheet
from .spec import PhantomSpec, random_spec
from .streams import Part, stream


def _long_bone(pencil: Pencil, start: np.ndarray, end: np.ndarray, half_width: float) -> None:
    """A shaft with two thick ends inside a sleeve of flesh."""
    t = np.linspace(0, 1, 16)
    flare = 1 + 1.1 * (2 * np.abs(t - 0.5)) ** 6
    curve = start + (end - start) * t[:, None]
    pencil.fill(band(curve, 3.2 * half_width), 0.25)
    pencil.tube(curve, half_width * flare, 0.7)
    for tip in (start, end):
        pencil.dome(ellipse(tip, (2.1 * half_width, 1.2 * half_width)), 0.35)


def hand(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """The bones of a hand: five rays of short capsules, wrist, forearm."""
    sheet, pencil = easel(rng, height, width, 90)
    pencil.dome(ellipse(np.array((0.0, 0.2)), (0.34, 0.4)), 0.3, 4)
    for finger in range(5):
        heading = math.radians(-90 + (finger - 2) * rng.uniform(9, 15) - 15 * (finger == 0))
        at, along = np.array([0.13 * (finger - 2), 0.25]), np.array([math.cos(heading), math.sin(heading)])
        for length in (0.38, 0.26, 0.17, 0.12)[: 3 if finger == 0 else 4]:
            _long_bone(pencil, at, at + along * length, 0.028)
            at = at + along * (length + 0.035)
    for _ in range(8):
        pencil.ring(ellipse(rng.normal((0, 0.36), (0.11, 0.05)), (0.06, 0.05)), 0.5, 0.8)
    for x in (-0.09, 0.09):
        _long_bone(pencil, np.array((x, 0.5)), np.array((x, 1.6)), 0.05)
    return sheet.render()


def knee(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """One or two knees: thigh and shin bones meeting at a joint space."""
    sheet, pencil = easel(rng, height, width, 40)
    for x in ((0.0,), (-0.35, 0.35))[int(rng.integers(2))]:
        wide = rng.uniform(0.07, 0.12)
        _long_bone(pencil, np.array((x, -1.6)), np.array((x, -0.1)), wide)
        _long_bone(pencil, np.array((x, 0.1)), np.array((x, 1.5)), wide * 0.9)
        _long_bone(pencil, np.array((x + 2.2 * wide, 0.25)), np.array((x + 2 * wide, 1.5)), wide * 0.35)
    return sheet.render()


def long_bones(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A few capsules anywhere, bright as bones."""
    sheet, pencil = easel(rng, height, width, 90)
    for _ in range(int(rng.integers(1, 6))):
        start, heading = rng.uniform(-0.7, 0.7, 2), rng.uniform(0, 2 * np.pi)
        end = start + rng.uniform(0.3, 1.6) * np.array([math.cos(heading), math.sin(heading)])
        _long_bone(pencil, start, end, rng.uniform(0.03, 0.12))
    return sheet.render()


def rib_cage(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A chest with ribs, lungs and heart, but without vertebrae."""

    def bones(pencil: Pencil, column: Column, spec: PhantomSpec) -> None:
        draw_ribs(pencil, column, spec.girth, stream(spec.seed, Part.RIBS))
        draw_shoulders(pencil, column, spec.girth, stream(spec.seed, Part.SHOULDERS))

    return _body_part(rng, height, width, 5.0, 250.0, bones)


def pelvis(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A pelvis with the thighs, but without lumbar vertebrae."""

    def bones(pencil: Pencil, column: Column, spec: PhantomSpec) -> None:
        draw_pelvis(pencil, column, spec.girth, stream(spec.seed, Part.PELVIS))

    return _body_part(rng, height, width, 17.0, 330.0, bones)


def skull(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A skull from the front, without the neck."""

    def bones(pencil: Pencil, column: Column, spec: PhantomSpec) -> None:
        draw_skull(pencil, column, stream(spec.seed, Part.SKULL))

    return _body_part(rng, height, width, -9.0, 300.0, bones)


def _body_part(
    rng: np.random.Generator,
    height: int,
    width: int,
    level: float,
    extent_mm: float,
    draw_bones: Callable[[Pencil, Column, PhantomSpec], None],
) -> np.ndarray:
    """A radiograph of the soft tissue around ``level`` with only the bones that ``draw_bones`` draws."""
    spec = random_spec(int(rng.integers(2**31)), height, width)
    column = column_of(spec)
    scale = max(height, width) / extent_mm / rng.uniform(0.8, 1.6)
    middle = np.array([width, height]) * rng.uniform(0.4, 0.6, 2)
    below = (0.0, 60.0 if level > 16 else 0.0)
    place = Placement(scale, np.eye(2), middle - scale * (column.at(level) + below))
    sheet, pencil = blank_sheet(spec, place)
    draw_bones(pencil, column, spec)
    absorption = soft_tissue(spec, column, place) + np.maximum(sheet.render(), 0) * spec.bone
    return develop(spec, expose(spec, absorption))
