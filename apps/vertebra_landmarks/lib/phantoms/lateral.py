"""Lateral radiographs of the spine, with its kyphosis and lordosis, and the registry of all views that are not frontal.

The patient looks to image left or right. Bodies are as deep as 1.3 times their height; arches, spinous processes and
ribs follow textbook proportion.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from . import spineless
from .canvas import Brush, band, bezier, ellipse, vector
from .column import COUNT, FIRST, BoneDensity, Column, draw_body
from .exposure import develop, expose, overlay
from .placement import Placement, blank_sheet
from .render import column_of, soft_tissue
from .spec import Part, PhantomSpec, part_rng, random_spec

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
    placement = Placement.fit(spec, column)
    absorption = soft_tissue(spec, column, placement) + _bones(spec, column, placement, back) * spec.bone
    gray = develop(spec, expose(spec, absorption))
    corners = placement.to_px(column.corners[FIRST : FIRST + COUNT].reshape(-1, 2)).reshape(COUNT, 4, 2)
    return overlay(spec, gray, corners)


def _bones(spec: PhantomSpec, column: Column, placement: Placement, back: float) -> np.ndarray:
    sheet, brush = blank_sheet(spec, placement)
    rng = part_rng(spec.seed, Part.VERTEBRAE)
    density = BoneDensity.sample(rng)
    for level in range(-FIRST, COUNT + 1):
        draw_body(brush, column, level, density, rng)
        _draw_behind(brush, column, level, back, density.back * rng.uniform(0.85, 1.15))
    _draw_ribs(brush, column, back, part_rng(spec.seed, Part.RIBS))
    _draw_pelvis(brush, column, back)
    return np.asarray(np.maximum(sheet.render(), 0))


def _draw_behind(brush: Brush, column: Column, level: int, back: float, strength: float) -> None:
    """Pedicle, facet joints and the spinous process, which falls steeply in the chest and stands out in the loins."""
    lumbar = float(np.clip((level - 9) / 3, 0, 1))
    pedicle = np.array([(0.95, -0.65), (1.55, -0.6), (1.55, 0.0), (0.95, 0.1)]) * (back, 1)
    brush.ring(column.local(level, pedicle), 0.16 * strength, 0.6)
    joint = ellipse(vector(1.7 * back, 0.55), (0.2, 0.75), 12 * back, count=14)
    brush.ring(column.local(level, joint), 0.16 * strength, 0.55)
    root, drop = vector(1.85 * back, 0.2), 1.6 - 1.1 * lumbar
    tip = vector((2.9 + 0.4 * lumbar) * back, 0.2 + drop)
    half_width = np.linspace(0.32, 0.26, 6) * (1 + 0.5 * lumbar)
    brush.ring(column.local(level, band(bezier([root, (root + tip) / 2, tip], 6), half_width)), 0.14 * strength, 0.6)


def _draw_ribs(brush: Brush, column: Column, back: float, rng: np.random.Generator) -> None:
    """Both sides' ribs, one a little behind the other, falling from the back to the front."""
    for rib in range(12):
        for offset in (0.0, rng.uniform(3, 9)):
            head = column.local(rib, vector(1.2 * back, -0.6)) + vector(offset * back, offset)
            reach = (55 + 90 * np.sin((rib + 1) / 13 * np.pi)) * rng.uniform(0.95, 1.05)
            far = head + vector(-back * reach, 45 + 6 * rib)
            curve = bezier([head, head + vector(22 * back, 12), head + vector(-0.3 * back * reach, 55), far], 18)
            brush.tube(curve, 4.3, 0.13)


def _draw_pelvis(brush: Brush, column: Column, back: float) -> None:
    """The sacrum curving backwards, the iliac wings over it, and the femoral heads in front."""
    base = column.at(17)
    sacrum = bezier(
        [base, base + vector(22 * back, 40), base + vector(42 * back, 75), base + vector(20 * back, 120)], 16
    )
    brush.tube(sacrum, np.linspace(19, 7, 16), 0.22)
    wing = bezier([base + vector(45 * back, -25), base + vector(-20 * back, -60), base + vector(-70 * back, 10),
                   base + vector(-25 * back, 70), base + vector(30 * back, 60)], 20)  # fmt: skip
    brush.ring(wing, 0.16, 0.8)
    for offset in (0.0, 8.0):
        brush.dome(ellipse(base + vector((-48 + offset) * back, 112 + offset), (25, 25)), 0.2, 3)


OTHER_VIEWS: dict[str, Callable[[np.random.Generator, int, int], np.ndarray]] = {
    "lateral spine": lateral_spine,
    "chest": spineless.rib_cage,
    "pelvis": spineless.pelvis,
    "skull": spineless.skull,
    "hand": spineless.hand,
    "knee": spineless.knee,
    "long bones": spineless.long_bones,
}
"""Generators of radiographs without a frontal spine, by kind.

They are kept apart from ``SPINELESS``, by whose order the training items of a seed are drawn.
"""


def other_view(kind: str, seed: int, height: int = 1024, width: int = 512) -> np.ndarray:
    """An image ``(H, W)`` uint8, bone bright.

    Args:
        kind: one of ``OTHER_VIEWS``.
        seed: decides everything else.
        height: rows, at least 64.
        width: columns, at least 32.

    Raises:
        KeyError: there is no such kind.
    """
    gray = OTHER_VIEWS[kind](np.random.default_rng([int(seed), 202]), height, width)
    low, high = float(gray.min()), float(gray.max())
    return np.round(np.clip((gray - low) / max(high - low, 1e-6), 0, 1) * 255).astype(np.uint8)
