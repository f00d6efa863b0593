"""Position of the patient in the image: millimetres to pixels and back."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .canvas import Brush, Sheet, vector
from .column import COUNT, FIRST, Column
from .spec import PhantomSpec


@dataclass(frozen=True)
class Placement:
    """Affine map from millimetres of the patient to pixels: ``pixel = scale * turn @ mm + origin``.

    Args:
        scale: pixels per mm.
        turn: ``(2, 2)`` rotation.
        origin: ``(2,)`` pixel of the point (0, 0) mm.
    """

    scale: float
    turn: np.ndarray
    origin: np.ndarray

    @classmethod
    def fit(cls, spec: PhantomSpec, column: Column) -> Placement:
        """Place T1-L5 so that all corners are inside and the fields above and below are as asked."""
        angle = math.radians(spec.lean_deg)
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        corners = column.corners[FIRST : FIRST + COUNT].reshape(-1, 2) @ turn.T
        low, high = corners.min(axis=0), corners.max(axis=0)
        length = high[1] - low[1]
        above, below = (0.025 + 0.36 * spec.field_above) * length, (0.025 + 0.40 * spec.field_below) * length
        size = np.array([spec.width - 1, spec.height - 1], dtype=float)
        room = size * (0.94, 1.0)
        scale = float(np.min(room / (high - low + vector(0, above + below))))
        free = size / scale - (high - low)
        corner = np.array([free[0] * 0.5 + spec.shift * (free[0] - 0.06 * size[0] / scale) * 0.5,
                           free[1] * above / (above + below)])  # fmt: skip
        return cls(scale, turn, (corner - low) * scale)

    def to_px(self, points: np.ndarray) -> np.ndarray:
        """Pixels ``(N, 2)`` of millimetres ``(N, 2)``."""
        return np.asarray(np.asarray(points, dtype=float) @ self.turn.T * self.scale + self.origin)

    def to_mm(self, points: np.ndarray) -> np.ndarray:
        """Millimetres of pixels, any ``(..., 2)``."""
        return np.asarray((points - self.origin) @ self.turn / self.scale)


def blank_sheet(spec: PhantomSpec, placement: Placement) -> tuple[Sheet, Brush]:
    """An empty sheet of the image's size, and a brush that draws on it in millimetres of the patient."""
    sheet = Sheet(spec.height, spec.width)
    return sheet, Brush(sheet, placement.to_px)
