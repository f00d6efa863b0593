"""A sheet for pictures of anything but a patient: a unit of its own, turned and shifted at random."""

from __future__ import annotations

import math

import numpy as np

from .canvas import PolygonSheet
from .pencil import Pencil


def easel(rng: np.random.Generator, height: int, width: int, turn_deg: float = 15.0) -> tuple[PolygonSheet, Pencil]:
    """A sheet and a pencil whose unit is a random share of half the height, turned and shifted at random.

    Args:
        rng: source of turn, size and place.
        height: rows.
        width: columns.
        turn_deg: twice the standard deviation of the turn.
    """
    angle = math.radians(rng.normal(0, turn_deg / 2))
    scale = height / 2 * rng.uniform(0.45, 1.15)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]) * scale
    turn = turn * (rng.choice((-1.0, 1.0)), 1.0)
    origin = np.array([width, height]) / 2 + rng.normal(0, 0.12, 2) * (width, height)
    sheet = PolygonSheet(height, width)
    return sheet, Pencil(sheet, lambda points: np.asarray(points, dtype=float) @ turn.T + origin)


def box(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    """The outline ``(4, 2)`` of an upright rectangle."""
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], dtype=float)
