"""Pictures of things that a detector might take for a spine: furniture, walls, piles, faces.

Every function takes a source of randomness and the size in pixels, and returns an image ``(H, W)`` of any gray range.
"""

from __future__ import annotations

import numpy as np

from .canvas import band, ellipse, vector
from .easel import box, easel


def drawers(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A chest of drawers with knobs or handles, with or without legs."""
    sheet, pencil = easel(rng, height, width, 6)
    half, rows, columns = rng.uniform(0.12, 0.55), int(rng.integers(3, 20)), int(rng.choice((1, 1, 1, 2)))
    pencil.fill(box(-half, -1, half, 1), 0.4)
    gap, front, knob = rng.uniform(0.03, 0.3), rng.uniform(-0.25, 0.4), rng.uniform(-0.4, 0.5)
    step, wide = 2 / rows, 2 * half / columns
    for row in range(rows):
        for column in range(columns):
            left, top = -half + column * wide, -1 + row * step
            frame = box(left + 0.06 * wide, top + gap * step / 2, left + 0.94 * wide, top + (1 - gap / 2) * step)
            pencil.fill(frame, front + 0.03 * rng.normal())
            pencil.fill(band(frame[:2], 0.03 * step), 0.2)
            pencil.fill(band(frame[2:], 0.03 * step), -0.2)
            for place in ((0.5,), (0.25, 0.75))[int(rows % 2)]:
                spot = (left + place * wide, top + step / 2)
                pencil.fill(ellipse(np.array(spot), (0.12 * step * (1 + rows % 3), 0.12 * step)), knob)
    if rng.random() < 0.5:
        for side in (-0.9, 0.75):
            pencil.fill(box(side * half, 1, (side + 0.15) * half, 1.3), 0.4)
    return sheet.render()


def bookshelf(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Shelves full of upright or lying books."""
    sheet, pencil = easel(rng, height, width, 6)
    rows, half = int(rng.integers(2, 8)), rng.uniform(0.3, 0.9)
    for row in range(rows):
        top, bottom, x = -1 + 2 * row / rows, -1 + 2 * (row + 1) / rows, -half
        pencil.fill(box(-half, bottom - 0.03, half, bottom), 0.6)
        while x < half:
            thick = rng.uniform(0.02, 0.09)
            pencil.fill(
                box(x, top + rng.uniform(0.05, 0.6) / rows, x + 0.9 * thick, bottom - 0.03), rng.uniform(0.1, 1)
            )
            x += thick
    return sheet.render()


def ladder(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A ladder, or rails with sleepers."""
    sheet, pencil = easel(rng, height, width, 25)
    half, rungs, thick = rng.uniform(0.08, 0.35), int(rng.integers(5, 28)), rng.uniform(0.01, 0.05)
    for side in (-half, half):
        pencil.fill(box(side - thick, -1.2, side + thick, 1.2), 0.8)
    for y in np.linspace(-1.1, 1.1, rungs):
        pencil.fill(box(-half * 1.1, y - thick * 0.7, half * 1.1, y + thick * 0.7), 0.6)
    return sheet.render()


def bricks(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A brick wall."""
    sheet, pencil = easel(rng, height, width, 20)
    tall = rng.uniform(0.05, 0.25)
    wide = tall * rng.uniform(1.2, 3)
    joint = rng.uniform(0.04, 0.12)
    for row in range(-int(2 / tall), int(2 / tall)):
        for column in range(-int(2 / wide) - 1, int(2 / wide) + 1):
            left = (column + 0.5 * (row % 2)) * wide
            brick = box(left + joint * tall, (row + joint) * tall, left + wide - joint * tall, (row + 1 - joint) * tall)
            pencil.fill(brick, rng.uniform(0.5, 1))
    return sheet.render()


def stack(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A loose stack of plates, boxes or pebbles of random sizes."""
    sheet, pencil = easel(rng, height, width, 30)
    y = -1.0
    rounded = rng.random() < 0.5
    while y < 1:
        tall, half, x = rng.uniform(0.03, 0.4), rng.uniform(0.05, 0.6), rng.normal(0, 0.12)
        if rounded:
            pencil.dome(ellipse(np.array((x, y + tall / 2)), (half, tall / 2)), rng.uniform(0.2, 1))
        else:
            pencil.fill(box(x - half, y, x + half, y + tall * 0.93), rng.uniform(0.2, 1))
        y += tall
    return sheet.render()


def windows(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """The front of a house."""
    sheet, pencil = easel(rng, height, width, 8)
    rows, columns, half = int(rng.integers(2, 10)), int(rng.integers(2, 7)), rng.uniform(0.3, 0.9)
    pencil.fill(box(-half, -1, half, 1.6), rng.uniform(0.3, 0.6))
    if rng.random() < 0.6:
        pencil.fill(np.array([(-half * 1.1, -1), (0, -1 - half), (half * 1.1, -1)]), 0.7)
    tall, wide = 2 / rows, 2 * half / columns
    for row in range(rows):
        for column in range(columns):
            left, top, glass = -half + column * wide, -1 + row * tall, rng.uniform(-0.3, 0.4)
            pencil.fill(box(left + 0.25 * wide, top + 0.2 * tall, left + 0.75 * wide, top + 0.8 * tall), glass)
            pencil.fill(box(left + 0.48 * wide, top + 0.2 * tall, left + 0.52 * wide, top + 0.8 * tall), 0.3)
    return sheet.render()


def face(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """An oval with eyes, nose, mouth and hair."""
    sheet, pencil = easel(rng, height, width, 25)
    wide = rng.uniform(0.4, 0.65)
    pencil.fill(box(-0.22, 0.4, 0.22, 1.4), 0.35)
    pencil.dome(ellipse(np.array((0.0, 1.7)), (0.95, 0.8)), 0.4)
    pencil.fill(ellipse(np.array((0.0, -0.25)), (wide * 1.12, 0.72)), rng.uniform(-0.4, 0.3))
    pencil.dome(ellipse(np.zeros(2), (wide, 0.75), count=48), 0.6, 4)
    for side in (-1, 1):
        eye = np.array((side * 0.42 * wide, -0.12))
        pencil.fill(ellipse(eye, (0.2 * wide, 0.06)), 0.3)
        pencil.fill(ellipse(eye, (0.05, 0.05)), -0.7)
        pencil.fill(band(np.stack([eye - vector(0.13, 0.13), eye + vector(0.13, -0.14)]), 0.02), -0.4)
    pencil.fill(np.array([(0.0, -0.1), (0.08, 0.18), (-0.08, 0.18)]), -0.12)
    pencil.fill(ellipse(np.array((0.0, 0.38)), (0.45 * wide, rng.uniform(0.02, 0.09))), -0.4)
    return sheet.render()
