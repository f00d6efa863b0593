"""Randomness by part of the picture."""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Part(IntEnum):
    """Parts of a phantom that vary on their own."""

    CURVES = 0
    COLUMN = 1
    VERTEBRAE = 2
    PELVIS = 3
    SHOULDERS = 4
    SKULL = 5
    RIBS = 6
    ORGANS = 7
    TRUNK = 8
    TEXTURE = 9
    IMPLANTS = 10
    EXPOSURE = 11
    OVERLAY = 12


def stream(seed: int, part: Part) -> np.random.Generator:
    """The random stream of one part of a phantom, so that one setting does not stir the other parts."""
    return np.random.default_rng([int(seed), int(part)])
