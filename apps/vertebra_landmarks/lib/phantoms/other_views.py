"""Radiographs that are none of a frontal spine: a spine from the side, and body parts without one.

They are kept apart from ``SPINELESS``, by whose order the training items of a seed are drawn.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from . import body_parts
from .lateral import lateral_spine

OTHER_VIEWS: dict[str, Callable[[np.random.Generator, int, int], np.ndarray]] = {
    "lateral spine": lateral_spine,
    "chest": body_parts.rib_cage,
    "pelvis": body_parts.pelvis,
    "skull": body_parts.skull,
    "hand": body_parts.hand,
    "knee": body_parts.knee,
    "long bones": body_parts.long_bones,
}
"""What images that are none of a frontal spine show."""


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
