"""The spine from the side: kyphosis of the chest and lordosis of the loins, with all that lies behind the bodies.

The patient looks to image left or right. Bodies are as deep as 1.3 times their height; arches, spinous processes and
ribs follow textbook proportion.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .absorption import column_of, soft_tissue
from .canvas import band, bezier, ellipse, vector
from .column import COUNT, FIRST, Column
from .exposure import develop, expose, overlay
from .pencil import Pencil
from .placement import Placement, blank_sheet
from .spec import PhantomSpec, random_spec
from .streams import Part, stream
from .vertebra import BoneLook, draw_body

KYPHOSIS_DEG, LORDOSIS_DEG = (20.0, 55.0), (25.0, 55.0)
"""Usual angles of the thoracic and the lumbar curve."""
_ASPECT = (1.15, 1.45)
"""Depth of a body over its height."""


def lateral_spine(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A radiograph ``(H, W)`` in 0...1 of a spine from the side, C1 to the sacrum as far as the image reaches.

    Args:
        rng: decides everything but the size.
        height: rows.
        width: columns.
    """
    back = float(rng.choice((-1.0, 1.0)))  # the side of the image at which the patient's back lies
    curves = ((6.5, back * rng.uniform(*KYPHOSIS_DEG)), (14.0, -back * rng.uniform(*LORDOSIS_DEG)))
    random = random_spec(int(rng.integers(2**31)), height, width)
    spec = replace(random, curves=curves, aspect=float(rng.uniform(*_ASPECT)), twist_deg=0.0, lungs=0.4, implants=())
    column = column_of(spec)
    place = Placement.fit(spec, column)
    absorption = soft_tissue(spec, column, place) + _bones(spec, column, place, back) * spec.bone
    gray = develop(spec, expose(spec, absorption))
    corners = place.to_px(column.corners[FIRST : FIRST + COUNT].reshape(-1, 2)).reshape(COUNT, 4, 2)
    return overlay(spec, gray, corners)


def _bones(spec: PhantomSpec, column: Column, place: Placement, back: float) -> np.ndarray:
    sheet, pencil = blank_sheet(spec, place)
    rng = stream(spec.seed, Part.VERTEBRAE)
    look = BoneLook.sample(rng)
    for level in range(-FIRST, COUNT + 1):
        draw_body(pencil, column, level, look, rng)
        _draw_behind(pencil, column, level, back, look.back * rng.uniform(0.85, 1.15))
    _draw_ribs(pencil, column, back, stream(spec.seed, Part.RIBS))
    _draw_pelvis(pencil, column, back)
    return np.asarray(np.maximum(sheet.render(), 0))


def _draw_behind(pencil: Pencil, column: Column, level: int, back: float, strength: float) -> None:
    """Pedicle, facet joints and the spinous process, which falls steeply in the chest and stands out in the loins."""
    lumbar = float(np.clip((level - 9) / 3, 0, 1))
    pedicle = np.array([(0.95, -0.65), (1.55, -0.6), (1.55, 0.0), (0.95, 0.1)]) * (back, 1)
    pencil.ring(column.local(level, pedicle), 0.16 * strength, 0.6)
    joint = ellipse(vector(1.7 * back, 0.55), (0.2, 0.75), 12 * back, count=14)
    pencil.ring(column.local(level, joint), 0.16 * strength, 0.55)
    root, drop = vector(1.85 * back, 0.2), 1.6 - 1.1 * lumbar
    tip = vector((2.9 + 0.4 * lumbar) * back, 0.2 + drop)
    half_width = np.linspace(0.32, 0.26, 6) * (1 + 0.5 * lumbar)
    pencil.ring(column.local(level, band(bezier([root, (root + tip) / 2, tip], 6), half_width)), 0.14 * strength, 0.6)


def _draw_ribs(pencil: Pencil, column: Column, back: float, rng: np.random.Generator) -> None:
    """Both sides' ribs, one a little behind the other, falling from the back to the front."""
    for rib in range(12):
        for offset in (0.0, rng.uniform(3, 9)):
            head = column.local(rib, vector(1.2 * back, -0.6)) + vector(offset * back, offset)
            reach = (55 + 90 * np.sin((rib + 1) / 13 * np.pi)) * rng.uniform(0.95, 1.05)
            far = head + vector(-back * reach, 45 + 6 * rib)
            curve = bezier([head, head + vector(22 * back, 12), head + vector(-0.3 * back * reach, 55), far], 18)
            pencil.tube(curve, 4.3, 0.13)


def _draw_pelvis(pencil: Pencil, column: Column, back: float) -> None:
    """The sacrum curving backwards, the iliac wings over it, and the femoral heads in front."""
    base = column.at(17)
    sacrum = bezier(
        [base, base + vector(22 * back, 40), base + vector(42 * back, 75), base + vector(20 * back, 120)], 16
    )
    pencil.tube(sacrum, np.linspace(19, 7, 16), 0.22)
    wing = bezier([base + vector(45 * back, -25), base + vector(-20 * back, -60), base + vector(-70 * back, 10),
                   base + vector(-25 * back, 70), base + vector(30 * back, 60)], 20)  # fmt: skip
    pencil.ring(wing, 0.16, 0.8)
    for offset in (0.0, 8.0):
        pencil.dome(ellipse(base + vector((-48 + offset) * back, 112 + offset), (25, 25)), 0.2, 3)
