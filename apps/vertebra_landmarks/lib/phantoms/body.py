"""The anatomy around the column: ribs, shoulders, pelvis, skull, lungs, heart, vessels, bowel gas, body outline.

They hang on the column, in millimetres of the patient; ``girth`` is the width of the trunk, 1 is average.
"""

from __future__ import annotations

import numpy as np

from .canvas import Brush, band, bezier, ellipse, vector
from .column import FIRST, Column

RIB_REACH_MM = (58, 84, 102, 113, 121, 127, 131, 133, 133, 130, 112, 78)
RIB_DROP_MM = (10, 26, 40, 52, 62, 72, 82, 90, 96, 98, 78, 52)
RIB_RETURN_MM = (26, 40, 50, 56, 60, 62, 62, 60, 52, 40, 0, 0)
"""Per rib: how far it reaches sideways, how far its back falls, how far its front falls further (0: a floating rib)."""


def draw_ribs(brush: Brush, column: Column, girth: float, rng: np.random.Generator) -> None:
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
            brush.tube(back, thick * taper, 0.20 * strength)
            if front is not None:
                widening = thick * np.linspace(1.0, 1.35, len(front))
                brush.tube(front, widening, 0.11 * strength)
                brush.fill(band(front[-5:], widening[-5:]), -0.04 * strength)  # gristle takes over


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


def draw_shoulders(brush: Brush, column: Column, girth: float, rng: np.random.Generator) -> None:
    """Clavicles, shoulder blades and the heads of the upper arms."""
    lift = rng.uniform(-14, 12)
    notch = column.at(2.2)
    for side in (-1.0, 1.0):
        inner = notch + vector(side * 14, 0.0)
        outer = np.array([notch[0] + side * 142 * girth, column.at(0.4)[1] + lift + rng.uniform(-6, 6)])
        step = outer - inner
        clavicle = bezier([inner, inner + step * 0.35 + vector(0, 9), inner + step * 0.65 - vector(0, 12), outer], 16)
        brush.tube(clavicle, np.linspace(7.5, 5.0, 16), 0.20)
        corner = outer + vector(-side * 58, 22)
        blade = np.array(
            [corner, outer + vector(-side * 8, 16), outer + vector(-side * 4, 40), corner + vector(side * 16, 118)]
        )
        brush.fill(blade, 0.06)
        brush.tube(bezier([corner, corner + vector(-side * 8, 55), corner + vector(side * 16, 118)], 10), 2.5, 0.12)
        head = outer + vector(side * 10, 26)
        brush.dome(ellipse(head, (24, 25)), 0.16, 3)
        brush.fill(ellipse(head, (24, 25)), 0.10)
        shaft = np.array([head + vector(side * 6, 14), head + vector(side * 12, 90), head + vector(side * 14, 320)])
        brush.tube(shaft, np.array([17.0, 12.0, 14.0]), 0.30)


def draw_pelvis(brush: Brush, column: Column, girth: float, rng: np.random.Generator) -> None:
    """Sacrum, iliac wings with their crests at the level of L4/L5, and the femoral heads."""
    base, tilt = column.at(17), column.tilt_at(17)
    _draw_sacrum(brush, column, rng)
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
        brush.fill(wing, 0.11)
        brush.fill(band(crest, 3.0), 0.16)
        brush.fill(band(groove, 2.2), 0.16)
        brim = bezier(put((56, 50), (70, 108), (50, 150), (6, 158)), 16)
        brush.fill(band(brim, 2.4), 0.16)
        brush.fill(np.concatenate([brim, put((8, 182), (46, 176), (96, 140), (112, 104))]), 0.16)
        hip = put((98, 116))[0]
        brush.dome(ellipse(hip, (24 * size, 24 * size)), 0.20, 2)
        brush.fill(band(np.concatenate([ellipse(hip, (27 * size, 27 * size), 180, 24)[:13]]), 2.0), 0.18)
        brush.ring(ellipse(put((62, 168))[0], (23 * size, 15 * size), 20 * side), 0.12, 0.7)
        neck = put((104, 122), (134, 142), (148, 168), (142, 260))
        brush.tube(neck, np.array([17.0, 17.0, 20.0, 15.0]) * size, 0.34)


def _draw_sacrum(brush: Brush, column: Column, rng: np.random.Generator) -> None:
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
    brush.fill(shield, 0.12)
    plate = bezier([top_left, middle - 5 * down, top_right], 10)
    brush.fill(np.concatenate([plate, (plate + 3.5 * down)[::-1]]), 0.22)
    for row in range(4):
        for side in (-1.0, 1.0):
            hole = middle + side * (0.85 - 0.12 * row) * across + (22 + row * 19) * down
            brush.fill(ellipse(hole, (5.5 - 0.6 * row, 4.5 - 0.5 * row), count=12), -0.10)
        crest = middle + (20 + row * 19) * down
        brush.ring(ellipse(crest, (4.0, 7.0), count=12), 0.10, 0.5)


def draw_skull(brush: Brush, column: Column, rng: np.random.Generator) -> None:
    """Skull base, face, and a jaw with teeth above the neck."""
    jaw = column.at(-4.2) + vector(rng.uniform(-8, 8), rng.uniform(-14, 10))
    brush.dome(ellipse(jaw - vector(0, 105), (74, 96), count=32), 0.6, 8)
    brush.ring(ellipse(jaw - vector(0, 105), (76, 98), count=32), 0.35, 0.94)
    arch = bezier([jaw + vector(-50, -62), jaw + vector(-48, 14), jaw + vector(48, 14), jaw + vector(50, -62)], 20)
    brush.tube(arch, 9.0, 0.5)
    for row, y in enumerate((-22, -35)):
        for k in range(-4, 5):
            brush.fill(ellipse(jaw + vector(7.4 * k, y - 0.35 * k * k * (1 - 2 * row)), (3.2, 6.5), count=10), 0.4)
    for side in (-1.0, 1.0):
        brush.fill(ellipse(jaw + vector(side * 32, -112), (19, 16), count=16), -0.25)


def draw_heart(brush: Brush, column: Column, side: float, size: float, rng: np.random.Generator) -> None:
    """Heart, aortic knob and great vessels.

    Args:
        brush: draws in millimetres.
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
    brush.dome(np.concatenate([outline, lower, flank]), 0.32, 7)
    brush.dome(ellipse(top + vector(side * 20, 8), (15, 17)), 0.14, 2)
    along = np.stack([column.at(level) * (0.75, 1.0) for level in np.linspace(-1.5, 12, 16)])
    for half in np.linspace(34, 12, 6) * rng.uniform(0.8, 1.15):
        brush.fill(band(along, half * np.linspace(0.8, 1.0, 16)), 0.012)


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


def draw_vessels(brush: Brush, column: Column, girth: float, rng: np.random.Generator) -> None:
    """Lung vessels that fan out from both roots."""
    for side in (-1.0, 1.0):
        root = column.at(5.2) * (0.4, 1.0) + vector(side * 34, 0)
        brush.dome(ellipse(root, (13, 22), 12 * side), 0.05, 5)
        for _ in range(26):
            angle, length = rng.uniform(-1.5, 1.4), rng.uniform(30, 75) * girth
            start = root + rng.normal(0, (6, 12))
            end = root + length * np.array([side * np.cos(angle), np.sin(angle)])
            bend = (start + end) / 2 + rng.uniform(-9, 9, 2)
            brush.fill(band(bezier(np.array([start, bend, end]), 8), np.linspace(2.6, 0.5, 8)), rng.uniform(0.02, 0.09))


def draw_bowel_gas(brush: Brush, column: Column, girth: float, rng: np.random.Generator) -> None:
    """Gas in stomach and bowel: clusters of dark bubbles beside and across the lumbar spine and in the pelvis."""
    side = rng.choice((-1.0, 1.0))
    if rng.random() < 0.6:
        stomach = column.at(10.4) * (0.4, 1.0) + vector(side * rng.uniform(48, 80), rng.uniform(-12, 18))
        brush.dome(ellipse(stomach, (rng.uniform(16, 38), rng.uniform(12, 28)), rng.uniform(-30, 30)), -0.22, 2)
    for _ in range(int(rng.integers(2, 7))):
        start = np.array([rng.uniform(-105, 105) * girth, column.at(rng.uniform(13, 17))[1] + rng.uniform(0, 70)])
        heading, size = rng.uniform(0, 2 * np.pi), rng.uniform(5, 15)
        for _ in range(int(rng.integers(2, 9))):
            radii = (size * rng.uniform(0.6, 1.3), size * rng.uniform(0.5, 1.0))
            brush.dome(ellipse(start, radii, rng.uniform(0, 180), 16), -rng.uniform(0.05, 0.2), 2)
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
