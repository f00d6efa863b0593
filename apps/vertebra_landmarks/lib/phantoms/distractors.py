"""Images that a detector might take for a spine: furniture, walls, stacks, faces, text, noise and patterns.

Every function takes a random generator and the size in pixels, and returns an image ``(H, W)`` of any gray range.
"""

from __future__ import annotations

import math

import numpy as np

from .canvas import band, bezier, blur, box, cloud, ellipse, random_sheet, vector
from .exposure import GLYPHS, render_text


def drawers(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A chest of drawers with knobs or handles, with or without legs."""
    sheet, brush = random_sheet(rng, height, width, 6)
    half, rows, columns = rng.uniform(0.12, 0.55), int(rng.integers(3, 20)), int(rng.choice((1, 1, 1, 2)))
    brush.fill(box(-half, -1, half, 1), 0.4)
    gap, front, knob = rng.uniform(0.03, 0.3), rng.uniform(-0.25, 0.4), rng.uniform(-0.4, 0.5)
    step, wide = 2 / rows, 2 * half / columns
    for row in range(rows):
        for column in range(columns):
            left, top = -half + column * wide, -1 + row * step
            frame = box(left + 0.06 * wide, top + gap * step / 2, left + 0.94 * wide, top + (1 - gap / 2) * step)
            brush.fill(frame, front + 0.03 * rng.normal())
            brush.fill(band(frame[:2], 0.03 * step), 0.2)
            brush.fill(band(frame[2:], 0.03 * step), -0.2)
            for share in ((0.5,), (0.25, 0.75))[int(rows % 2)]:
                spot = (left + share * wide, top + step / 2)
                brush.fill(ellipse(np.array(spot), (0.12 * step * (1 + rows % 3), 0.12 * step)), knob)
    if rng.random() < 0.5:
        for side in (-0.9, 0.75):
            brush.fill(box(side * half, 1, (side + 0.15) * half, 1.3), 0.4)
    return sheet.render()


def bookshelf(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Shelves full of upright or lying books."""
    sheet, brush = random_sheet(rng, height, width, 6)
    rows, half = int(rng.integers(2, 8)), rng.uniform(0.3, 0.9)
    for row in range(rows):
        top, bottom, x = -1 + 2 * row / rows, -1 + 2 * (row + 1) / rows, -half
        brush.fill(box(-half, bottom - 0.03, half, bottom), 0.6)
        while x < half:
            thick = rng.uniform(0.02, 0.09)
            brush.fill(box(x, top + rng.uniform(0.05, 0.6) / rows, x + 0.9 * thick, bottom - 0.03), rng.uniform(0.1, 1))
            x += thick
    return sheet.render()


def ladder(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A ladder, or rails with sleepers."""
    sheet, brush = random_sheet(rng, height, width, 25)
    half, rungs, thick = rng.uniform(0.08, 0.35), int(rng.integers(5, 28)), rng.uniform(0.01, 0.05)
    for side in (-half, half):
        brush.fill(box(side - thick, -1.2, side + thick, 1.2), 0.8)
    for y in np.linspace(-1.1, 1.1, rungs):
        brush.fill(box(-half * 1.1, y - thick * 0.7, half * 1.1, y + thick * 0.7), 0.6)
    return sheet.render()


def bricks(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A brick wall."""
    sheet, brush = random_sheet(rng, height, width, 20)
    tall = rng.uniform(0.05, 0.25)
    wide = tall * rng.uniform(1.2, 3)
    joint = rng.uniform(0.04, 0.12)
    for row in range(-int(2 / tall), int(2 / tall)):
        for column in range(-int(2 / wide) - 1, int(2 / wide) + 1):
            left = (column + 0.5 * (row % 2)) * wide
            brick = box(left + joint * tall, (row + joint) * tall, left + wide - joint * tall, (row + 1 - joint) * tall)
            brush.fill(brick, rng.uniform(0.5, 1))
    return sheet.render()


def stack(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A loose stack of plates, boxes or pebbles of random sizes."""
    sheet, brush = random_sheet(rng, height, width, 30)
    y = -1.0
    rounded = rng.random() < 0.5
    while y < 1:
        tall, half, x = rng.uniform(0.03, 0.4), rng.uniform(0.05, 0.6), rng.normal(0, 0.12)
        if rounded:
            brush.dome(ellipse(np.array((x, y + tall / 2)), (half, tall / 2)), rng.uniform(0.2, 1))
        else:
            brush.fill(box(x - half, y, x + half, y + tall * 0.93), rng.uniform(0.2, 1))
        y += tall
    return sheet.render()


def windows(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """The front of a house."""
    sheet, brush = random_sheet(rng, height, width, 8)
    rows, columns, half = int(rng.integers(2, 10)), int(rng.integers(2, 7)), rng.uniform(0.3, 0.9)
    brush.fill(box(-half, -1, half, 1.6), rng.uniform(0.3, 0.6))
    if rng.random() < 0.6:
        brush.fill(np.array([(-half * 1.1, -1), (0, -1 - half), (half * 1.1, -1)]), 0.7)
    tall, wide = 2 / rows, 2 * half / columns
    for row in range(rows):
        for column in range(columns):
            left, top, glass = -half + column * wide, -1 + row * tall, rng.uniform(-0.3, 0.4)
            brush.fill(box(left + 0.25 * wide, top + 0.2 * tall, left + 0.75 * wide, top + 0.8 * tall), glass)
            brush.fill(box(left + 0.48 * wide, top + 0.2 * tall, left + 0.52 * wide, top + 0.8 * tall), 0.3)
    return sheet.render()


def face(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """An oval with eyes, nose, mouth and hair."""
    sheet, brush = random_sheet(rng, height, width, 25)
    wide = rng.uniform(0.4, 0.65)
    brush.fill(box(-0.22, 0.4, 0.22, 1.4), 0.35)
    brush.dome(ellipse(np.array((0.0, 1.7)), (0.95, 0.8)), 0.4)
    brush.fill(ellipse(np.array((0.0, -0.25)), (wide * 1.12, 0.72)), rng.uniform(-0.4, 0.3))
    brush.dome(ellipse(np.zeros(2), (wide, 0.75), count=48), 0.6, 4)
    for side in (-1, 1):
        eye = np.array((side * 0.42 * wide, -0.12))
        brush.fill(ellipse(eye, (0.2 * wide, 0.06)), 0.3)
        brush.fill(ellipse(eye, (0.05, 0.05)), -0.7)
        brush.fill(band(np.stack([eye - vector(0.13, 0.13), eye + vector(0.13, -0.14)]), 0.02), -0.4)
    brush.fill(np.array([(0.0, -0.1), (0.08, 0.18), (-0.08, 0.18)]), -0.12)
    brush.fill(ellipse(np.array((0.0, 0.38)), (0.45 * wide, rng.uniform(0.02, 0.09))), -0.4)
    return sheet.render()


def text(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Lines of letters."""
    image = np.zeros((height, width), dtype=np.float32)
    cell = max(1, int(height / 512 * rng.uniform(1, 5)))
    step = int(cell * 7 * rng.uniform(1.3, 2.5))
    letters = [*GLYPHS, " ", " "]
    for top in range(step, height - 7 * cell, step):
        line = "".join(rng.choice(letters, max(1, int(rng.uniform(0.3, 0.95) * width / (6 * cell)))))
        glyphs = render_text(line, cell)[:, : width - 4]
        left = int(rng.integers(0, max(1, min(width - glyphs.shape[1], 4 * cell))))
        image[top : top + glyphs.shape[0], left : left + glyphs.shape[1]] = glyphs
    return image


def white_noise(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Grain without any shape, or blurred a little."""
    return blur(rng.standard_normal((height, width), dtype=np.float32), float(rng.choice((0.0, 0.7, 2.0))))


def cloud_noise(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Clouds of random size and roughness."""
    return cloud(rng, height, width, height * rng.uniform(0.05, 0.6), int(rng.integers(1, 8)))


def blobs(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Clouds cut at a level, and ellipses strewn at random."""
    image = np.tanh(rng.uniform(2, 12) * cloud(rng, height, width, height * rng.uniform(0.03, 0.3), 2))
    sheet, brush = random_sheet(rng, height, width, 90)
    for _ in range(int(rng.integers(0, 25))):
        radii = tuple(rng.uniform(0.02, 0.3, 2))
        brush.dome(ellipse(rng.uniform(-1, 1, 2), (radii[0], radii[1]), rng.uniform(0, 180)), rng.uniform(-1, 2))
    return np.asarray(image * np.float32(rng.choice((0.1, 1.0))) + sheet.render())


def gradient(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A ramp or a round spot of light, sometimes a bright upright column."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    turn = rng.uniform(0, 2 * np.pi)
    ramp = x * np.float32(math.cos(turn)) + y * np.float32(math.sin(turn))
    spot = np.exp(-(((x - rng.normal(0, 0.3)) / rng.uniform(0.1, 1)) ** 2) - (y / rng.choice((0.7, 2.0, 50.0))) ** 2)
    return np.asarray(rng.uniform(0, 1) * ramp + rng.choice((0.0, 1.0, 2.0)) * spot)


def constant(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """One gray value."""
    return np.full((height, width), rng.choice((0.0, 0.0, 1.0, rng.uniform(0, 1))))


def stripes(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Parallel stripes, soft or hard, most often level like ribs and discs; sometimes only in an upright strip."""
    y, x = np.mgrid[:height, :width].astype(np.float32) / np.float32(height)
    turn = rng.choice((0.0, np.pi / 2, rng.uniform(0, np.pi)), p=(0.5, 0.2, 0.3))
    phase = (y * math.cos(turn) + x * math.sin(turn)) * rng.uniform(4, 60) * 2 * np.pi
    image = np.tanh(np.sin(phase) * rng.choice((0.5, 10.0)))
    if rng.random() < 0.4:
        image = image * (np.abs(x - x.mean()) < rng.uniform(0.03, 0.2))
    return np.asarray(image)


def checkerboard(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A checkerboard, upright or turned."""
    y, x = np.mgrid[:height, :width].astype(float)
    turn, cell = rng.choice((0.0, rng.uniform(0, np.pi))), height * rng.uniform(0.02, 0.2)
    u, v = x * math.cos(turn) + y * math.sin(turn), y * math.cos(turn) - x * math.sin(turn)
    return np.asarray((np.floor(u / cell) + np.floor(v / cell)) % 2)


def scribbles(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Random smooth curves."""
    sheet, brush = random_sheet(rng, height, width, 90)
    for _ in range(int(rng.integers(1, 30))):
        curve = bezier(rng.uniform(-1.4, 1.4, (int(rng.integers(3, 7)), 2)), 60)
        brush.fill(band(curve, rng.choice((0.004, 0.02, 0.08))), rng.uniform(0.2, 1))
    return np.asarray(np.tanh(sheet.render()))
