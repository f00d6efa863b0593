"""Synthetic images: training items from the phantom generator, and images put into a larger field."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ...image_io import Radiograph
from ...phantoms import random_spec, random_spineless, render_phantom
from ...spine.schema import POINTS, VERTEBRAE
from ..codec import ABSENT, PRESENT
from . import IMAGE, LABEL

_HEIGHT = 640
_WIDTHS = (220, 400)
_TALLER = (1.15, 2.2)
_WIDER = (1.1, 2.5)
_MIN_WIDTH = (0.35, 0.7)  # of the height, as radiographs of a trunk have it
_NOISE = (0.01, 0.06)  # of the range of gray values


def synthetic_items(phantoms: int, spineless: int, seed: int) -> list[dict[str, Any]]:
    """Render items.

    Args:
        phantoms: how many with a spine.
        spineless: how many without; their labels say that every point is absent.
        seed: of all that is random.

    Returns:
        Dicts with ``IMAGE`` ``(H, W)`` uint8 and ``LABEL`` ``(V, P, 3)``.
    """
    random = np.random.default_rng(seed)
    items = []
    for number in range(phantoms):
        phantom = render_phantom(random_spec(seed + number, _HEIGHT, int(random.integers(*_WIDTHS))))
        label = np.concatenate([phantom.spine.xy, np.full((len(VERTEBRAE), len(POINTS), 1), PRESENT)], -1)
        items.append({IMAGE: phantom.pixels, LABEL: label})
    for number in range(spineless):
        pixels = random_spineless(seed + number, _HEIGHT, int(random.integers(*_WIDTHS)))
        label = np.zeros((len(VERTEBRAE), len(POINTS), 3))
        label[..., 2] = ABSENT
        items.append({IMAGE: pixels, LABEL: label})
    return items


def padded(radiograph: Radiograph, seed: int) -> tuple[Radiograph, np.ndarray]:
    """Put an image at a random place into a random field: black, gray or a gradient, half of them with noise.

    Args:
        radiograph: the image; its gray values stay as they are.
        seed: of all that is random.

    Returns:
        The field, and ``(2,)`` x, y by which points have moved.
    """
    random = np.random.default_rng(seed)
    pixels = radiograph.pixels
    low, high = float(pixels.min()), float(pixels.max())
    height = round(radiograph.height * random.uniform(*_TALLER))
    width = round(max(radiograph.width * random.uniform(*_WIDER), height * random.uniform(*_MIN_WIDTH)))
    x = int(random.integers(0, width - radiograph.width + 1))
    y = int(random.integers(0, height - radiograph.height + 1))
    begin, end = {
        0: (low, low),
        1: (float(pixels.mean()),) * 2,
        2: tuple(random.uniform(low, high, 2)),
    }[int(random.integers(3))]
    field = np.linspace(begin, end, height)[:, None] + np.zeros(width)
    if random.uniform() < 0.5:
        field += random.normal(0, random.uniform(*_NOISE) * (high - low), field.shape)
    field = np.clip(field, low, high).astype(pixels.dtype)
    field[y : y + radiograph.height, x : x + radiograph.width] = pixels
    return replace(radiograph, pixels=field), np.array([x, y], dtype=float)
