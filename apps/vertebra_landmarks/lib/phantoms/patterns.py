"""Pictures of nothing: noise, stripes, letters, scribbles.

Every function takes a source of randomness and the size in pixels, and returns an image ``(H, W)`` of any gray range.
"""

from __future__ import annotations

import math

import numpy as np

from .canvas import band, bezier, blur, cloud, ellipse
from .easel import easel
from .letters import GLYPHS, stamp


def text(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Lines of letters."""
    image = np.zeros((height, width), dtype=np.float32)
    cell = max(1, int(height / 512 * rng.uniform(1, 5)))
    step = int(cell * 7 * rng.uniform(1.3, 2.5))
    letters = [*GLYPHS, " ", " "]
    for top in range(step, height - 7 * cell, step):
        line = "".join(rng.choice(letters, max(1, int(rng.uniform(0.3, 0.95) * width / (6 * cell)))))
        mark = stamp(line, cell)[:, : width - 4]
        left = int(rng.integers(0, max(1, min(width - mark.shape[1], 4 * cell))))
        image[top : top + mark.shape[0], left : left + mark.shape[1]] = mark
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
    sheet, pencil = easel(rng, height, width, 90)
    for _ in range(int(rng.integers(0, 25))):
        radii = tuple(rng.uniform(0.02, 0.3, 2))
        pencil.dome(ellipse(rng.uniform(-1, 1, 2), (radii[0], radii[1]), rng.uniform(0, 180)), rng.uniform(-1, 2))
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
    sheet, pencil = easel(rng, height, width, 90)
    for _ in range(int(rng.integers(1, 30))):
        curve = bezier(rng.uniform(-1.4, 1.4, (int(rng.integers(3, 7)), 2)), 60)
        pencil.fill(band(curve, rng.choice((0.004, 0.02, 0.08))), rng.uniform(0.2, 1))
    return np.asarray(np.tanh(sheet.render()))
