"""Where pixels of a film lie in Slicer's scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Frame:
    """The plane z = 0, in which a film lies: RAS is ``(-x sx, -y sy, 0)``, so that LPS is pixel times spacing.

    Attributes:
        spacing: (x, y) millimetres per pixel.
    """

    spacing: tuple[float, float] = (1.0, 1.0)

    def to_ras(self, xy: np.ndarray) -> np.ndarray:
        """``(..., 3)`` millimetres of ``(..., 2)`` pixels."""
        ras = np.zeros((*np.shape(xy)[:-1], 3))
        ras[..., :2] = -np.asarray(xy, dtype=float) * self.spacing
        return ras

    def to_pixels(self, ras: np.ndarray) -> np.ndarray:
        """``(..., 2)`` pixels of ``(..., 3)`` millimetres; the distance from the plane is dropped."""
        pixels: np.ndarray = -np.asarray(ras, dtype=float)[..., :2] / self.spacing
        return pixels
