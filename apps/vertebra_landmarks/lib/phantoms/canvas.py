"""Drawing in plain numpy: anti-aliased polygons (sheet, brush), curves, blur and smooth noise.

Points are ``(x, y)`` in pixels, x to the right, y down, pixel centers at whole numbers; images are indexed ``[y, x]``.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

SCANLINES = 4
"""Scanlines per pixel row; along x the coverage of a pixel is exact."""


class Sheet:
    """A sheet that sums weighted polygons, the way absorbers sum along a ray.

    A row of a polygon is a step up and a step down, and steps add: the sheet keeps only the edges and integrates all
    polygons together, once. A thousand polygons cost little more than one.
    """

    def __init__(self, height: int, width: int) -> None:
        self._shape = (height, width)
        self._polygons: list[np.ndarray] = []
        self._values: list[float] = []

    def add(self, points: np.ndarray, value: float) -> None:
        """Add ``value`` inside the closed polygon ``points`` (``(N, 2)``, either orientation, anywhere)."""
        self._polygons.append(np.asarray(points, dtype=float))
        self._values.append(value)

    def render(self) -> np.ndarray:
        """The sum of all polygons, ``(H, W)`` float32."""
        height, width = self._shape
        steps = np.zeros(height * (width + 2))
        if self._polygons:
            row, x, weight = _crossings(_edges(self._polygons, self._values), height)
            x = np.clip(x + 0.5, 0, width)
            column = x.astype(np.int64)
            inside = x - column
            index = row * (width + 2) + column
            steps += np.bincount(index, weight * (1 - inside), minlength=len(steps))
            steps += np.bincount(index + 1, weight * inside, minlength=len(steps))
        levels = np.cumsum(steps.reshape(height, width + 2), axis=1)
        return levels[:, :width].astype(np.float32)


def _edges(polygons: list[np.ndarray], values: list[float]) -> np.ndarray:
    """The edges ``(E, 5)`` of all polygons: x0, y0, x1, y1, and the value, negative where a polygon runs backwards."""
    sizes = np.array([len(points) for points in polygons])
    starts = np.cumsum(sizes) - sizes
    points = np.concatenate(polygons)
    following = np.arange(1, len(points) + 1)
    following[starts + sizes - 1] = starts
    x0, y0, x1, y1 = points[:, 0], points[:, 1], points[following, 0], points[following, 1]
    area = np.add.reduceat(x0 * y1 - x1 * y0, starts)
    return np.stack([x0, y0, x1, y1, np.repeat(np.sign(area) * values, sizes)], axis=1)


def _crossings(edges: np.ndarray, height: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where ``edges`` (``(E, 5)``: x0, y0, x1, y1, value) cross the scanlines: pixel row, x, and step height."""
    x0, y0, x1, y1, value = edges.T
    first = np.ceil((np.minimum(y0, y1) + 0.5) * SCANLINES - 0.5)
    last = np.ceil((np.maximum(y0, y1) + 0.5) * SCANLINES - 0.5)
    first, last = (np.clip(line, 0, height * SCANLINES).astype(np.int64) for line in (first, last))
    count = last - first
    edge = np.repeat(np.arange(len(edges)), count)
    line = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count) + first[edge]
    y = (line + 0.5) / SCANLINES - 0.5
    x = x0[edge] + (y - y0[edge]) * ((x1 - x0)[edge] / (y1 - y0)[edge])
    weight = (value * np.sign(y0 - y1))[edge] / SCANLINES
    return line // SCANLINES, x, weight


def vector(x: float, y: float) -> np.ndarray:
    """A point or a step ``(2,)``."""
    return np.array([x, y], dtype=float)


def band(curve: np.ndarray, half_width: float | np.ndarray) -> np.ndarray:
    """The outline ``(2N, 2)`` of a band along ``curve`` (``(N, 2)``); ``half_width`` is one number or one per point."""
    curve = np.asarray(curve, dtype=float)
    direction = np.gradient(curve, axis=0)
    direction /= np.maximum(np.hypot(direction[:, 0], direction[:, 1]), 1e-9)[:, None]
    normal = direction[:, ::-1] * (-1.0, 1.0) * np.broadcast_to(half_width, len(curve))[:, None]
    return np.concatenate([curve + normal, (curve - normal)[::-1]])


def ellipse(center: ArrayLike, radii: tuple[float, float], angle_deg: float = 0.0, count: int = 24) -> np.ndarray:
    """The outline ``(count, 2)`` of an ellipse whose first radius points along ``angle_deg`` (clockwise on screen)."""
    phi = np.linspace(0, 2 * np.pi, count, endpoint=False)
    u, v = radii[0] * np.cos(phi), radii[1] * np.sin(phi)
    cos, sin = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    return np.asarray(np.stack([u * cos - v * sin, u * sin + v * cos], axis=1) + np.asarray(center, dtype=float))


def bezier(control: ArrayLike, count: int = 16) -> np.ndarray:
    """``(count, 2)`` points along the Bezier curve with ``(N, 2)`` control points (de Casteljau)."""
    t = np.linspace(0, 1, count)[:, None, None]
    fixed = np.asarray(control, dtype=float)
    points = np.broadcast_to(fixed, (count, *fixed.shape))
    while points.shape[1] > 1:
        points = points[:, :-1] * (1 - t) + points[:, 1:] * t
    return points[:, 0]


def blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of ``(H, W)`` with edge replication; ``sigma`` in pixels, 0 changes nothing."""
    if sigma <= 0:
        return image
    radius = max(1, int(np.ceil(2.5 * sigma)))
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    kernel = (kernel / kernel.sum()).astype(image.dtype)
    for axis in (0, 1):
        size = image.shape[axis]
        padded = np.pad(image, [(radius, radius) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
        shifted = (padded[k : k + size] if axis == 0 else padded[:, k : k + size] for k in range(len(kernel)))
        image = sum((w * part for w, part in zip(kernel, shifted, strict=True)), np.zeros_like(image))
    return image


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear resize of ``(h, w)``; the outer pixel borders coincide. For shrinking, blur first."""
    for axis, size in ((0, height), (1, width)):
        source = image.shape[axis]
        at = np.clip((np.arange(size) + 0.5) * source / size - 0.5, 0, source - 1)
        low = np.minimum(at.astype(np.int64), max(source - 2, 0))
        high = np.minimum(low + 1, source - 1)
        share = (at - low).astype(image.dtype)
        share = share[:, None] if axis == 0 else share[None, :]
        image = image.take(low, axis) * (1 - share) + image.take(high, axis) * share
    return image


def cloud(rng: np.random.Generator, height: int, width: int, cell: float, octaves: int = 1) -> np.ndarray:
    """Smooth noise ``(H, W)`` float32, roughly in -1...1.

    Args:
        rng: source of randomness.
        height: rows.
        width: columns.
        cell: size of the largest blobs in pixels.
        octaves: how many times finer noise of half the size and half the strength is added.
    """
    total = np.zeros((height, width), dtype=np.float32)
    for octave in range(octaves):
        step = max(1.0, cell / 2**octave)
        grid = rng.standard_normal((int(height / step) + 2, int(width / step) + 2)).astype(np.float32)
        total += resize(grid, height, width) * np.float32(0.5 ** (octave + 1))
    return total


class Brush:
    """Draws absorbers on a sheet of pixels, in a unit of its own: millimetres of the patient, or a share of the image.

    Outlines and curves are ``(N, 2)`` in that unit; a value is what is added to the sheet, negative to take away.

    Args:
        sheet: where to draw.
        to_px: maps ``(N, 2)`` points of that unit to pixels.
    """

    def __init__(self, sheet: Sheet, to_px: Callable[[np.ndarray], np.ndarray]) -> None:
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


def random_sheet(rng: np.random.Generator, height: int, width: int, turn_deg: float = 15.0) -> tuple[Sheet, Brush]:
    """An empty sheet, and a brush whose unit is a random share of half the height, rotated and shifted at random.

    Args:
        rng: source of rotation, scale and shift.
        height: rows.
        width: columns.
        turn_deg: twice the standard deviation of the rotation.
    """
    angle = math.radians(rng.normal(0, turn_deg / 2))
    scale = height / 2 * rng.uniform(0.45, 1.15)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]) * scale
    turn = turn * (rng.choice((-1.0, 1.0)), 1.0)
    origin = np.array([width, height]) / 2 + rng.normal(0, 0.12, 2) * (width, height)
    sheet = Sheet(height, width)
    return sheet, Brush(sheet, lambda points: np.asarray(points, dtype=float) @ turn.T + origin)


def box(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    """The outline ``(4, 2)`` of an upright rectangle."""
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], dtype=float)
