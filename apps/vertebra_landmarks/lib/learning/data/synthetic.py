"""Training items from the phantom generator: radiographs with exact labels, and images without a spine."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...phantoms import random_spec, random_spineless, render_phantom
from ...spine.schema import POINTS, VERTEBRAE
from ..codec import ABSENT, PRESENT
from .transforms import IMAGE, LABEL

_HEIGHT = 640
_WIDTHS = (220, 400)


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
