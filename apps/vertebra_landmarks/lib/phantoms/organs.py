"""The soft parts of the trunk: heart, lungs, vessels, bowel gas, and the outline of the body.

They hang on the column, in millimetres of the patient; ``girth`` is the width of the trunk, 1 is average.
"""

from __future__ import annotations

import numpy as np

from .canvas import band, bezier, ellipse, vector
from .column import Column
from .pencil import Pencil


def draw_heart(pencil: Pencil, column: Column, side: float, size: float, rng: np.random.Generator) -> None:
    """Heart, aortic knob and great vessels.

    Args:
        pencil: draws in millimetres.
        column: gives the levels.
        side: where the apex points, +1 to image right, -1 to image left.
        size: 1 is average.
        rng: source of the height of the apex and the width of the vessels.
    """
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
    """The two lung fields, outlines ``(N, 2)`` in mm, each closed below by a dome of the diaphragm."""
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
    """Half width of the trunk: head, neck, shoulders, chest, waist, hips, thighs.

    Args:
        column: gives the heights of the levels.
        y: heights in mm, any shape.
        girth: width of the trunk, 1 is average.

    Returns:
        mm, of the shape of ``y``.
    """
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
