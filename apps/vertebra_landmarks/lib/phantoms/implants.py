"""Implants, leads and clothing, drawn in millimetres of the patient."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .canvas import Brush, band, bezier, ellipse, vector
from .column import COUNT, Column


def draw_implant(name: str, brush: Brush, column: Column, rng: np.random.Generator) -> None:
    """One foreign body.

    Args:
        name: one of ``spec.IMPLANTS``.
        brush: draws in millimetres.
        column: the vertebrae it is fixed to or lies over.
        rng: source of position, size and number.
    """
    _DRAWERS[name](brush, column, rng)


def _draw_rods(brush: Brush, column: Column, rng: np.random.Generator) -> None:
    """Two rods along the spine with screws in most of the vertebrae between."""
    first = int(rng.integers(1, 10))
    last = int(rng.integers(first + 3, COUNT))
    for side in (-1.0, 1.0):
        heads = np.concatenate([column.local(v, np.array([[0.5 * side, -0.15]])) for v in range(first, last + 1)])
        brush.fill(band(heads, 2.8), 0.9)
        for level, head in zip(range(first, last + 1), heads, strict=True):
            if rng.random() < 0.75:
                tip = column.local(level, np.array([0.12 * side, rng.uniform(-0.3, 0.2)]))
                brush.fill(band(np.stack([head, tip]), np.array([2.6, 1.4])), 0.7)
                brush.fill(ellipse(head, (5.0, 5.5), count=14), 0.7)


def _draw_pacemaker(brush: Brush, column: Column, rng: np.random.Generator) -> None:
    """A pacemaker below one clavicle with its lead to the heart."""
    side = rng.choice((-1.0, 1.0))
    middle = column.at(rng.uniform(3, 5)) + vector(side * rng.uniform(75, 105), 0)
    phi = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    box = np.stack([np.cos(phi), np.sin(phi)], axis=1)
    box = np.sign(box) * np.abs(box) ** 0.5 * (24, 20) + middle
    brush.fill(box, 0.8)
    brush.ring(middle + (box - middle) * 0.8, 0.3)
    lead = bezier(
        [
            middle,
            middle + vector(-side * 30, -60),
            column.at(4) + vector(0, -20),
            column.at(8) + vector(side * 40, 0),
        ],
        30,
    )
    brush.fill(band(lead, 1.1), 0.6)


def _draw_leads(brush: Brush, column: Column, rng: np.random.Generator) -> None:
    """ECG electrodes with their wires."""
    for _ in range(int(rng.integers(2, 6))):
        spot = column.at(rng.uniform(1, 13)) + vector(rng.uniform(-120, 120), 0)
        brush.fill(ellipse(spot, (7, 7)), 0.25)
        brush.fill(ellipse(spot, (3.2, 3.2)), 0.7)
        wire = bezier([spot, *(spot + rng.uniform(-130, 130, (3, 2)))], 40)
        brush.fill(band(wire, 0.9), 0.4)


def _draw_garment(brush: Brush, column: Column, rng: np.random.Generator) -> None:
    """Rings, clips and buckles."""
    for _ in range(int(rng.integers(2, 8))):
        spot = column.at(rng.uniform(-1, 17)) + vector(rng.uniform(-130, 130), 0)
        if rng.random() < 0.5:
            brush.ring(ellipse(spot, (5, 5)), 0.5, 0.5)
        else:
            turn = math.radians(rng.uniform(-45, 45))
            along = np.array([math.cos(turn), math.sin(turn)]) * rng.uniform(6, 14)
            box = band(np.stack([spot - along, spot + along]), rng.uniform(3, 8))
            brush.ring(box, 0.6, 0.75)


_DRAWERS: dict[str, Callable[[Brush, Column, np.random.Generator], None]] = {
    "rods": _draw_rods,
    "pacemaker": _draw_pacemaker,
    "leads": _draw_leads,
    "garment": _draw_garment,
}
