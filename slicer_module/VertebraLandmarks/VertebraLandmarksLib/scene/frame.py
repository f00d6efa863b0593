"""Where the pixels of an image lie in Slicer's scene: always upright, whichever way they are stored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..spine.geometry import transform_points
from ..spine.imaging.orientation import UPRIGHT, Orientation


@dataclass(frozen=True)
class Frame:
    """The plane z = 0, in which an image lies: RAS is ``(-x sx, -y sy, 0)`` of an upright pixel (x, y).

    That is the module's own placement, in which up is up on the screen. Where Slicer's reader places the pixels of a
    file is another matter (``ImageGeometry``).

    Attributes:
        width: columns of the stored raster.
        height: rows of the stored raster.
        spacing: (x, y) millimetres per stored pixel.
        orientation: how the stored raster is turned upright.
    """

    width: int = 1
    height: int = 1
    spacing: tuple[float, float] = (1.0, 1.0)
    orientation: Orientation = UPRIGHT

    @property
    def upright(self) -> Frame:
        """The frame of the upright image: the same places for upright pixels."""
        width, height = self.orientation.size(self.width, self.height)
        return Frame(width, height, self._upright_spacing)

    @property
    def _upright_spacing(self) -> tuple[float, float]:
        x, y = self.spacing
        return (y, x) if self.orientation.quarter_turns % 2 else (x, y)

    @property
    def _matrix(self) -> np.ndarray:
        return self.orientation.matrix(self.width, self.height)

    def to_upright(self, xy: np.ndarray) -> np.ndarray:
        """``(..., 2)`` upright pixels of ``(..., 2)`` stored ones."""
        return transform_points(self._matrix, np.asarray(xy, dtype=float))

    def to_stored(self, xy: np.ndarray) -> np.ndarray:
        """``(..., 2)`` stored pixels of ``(..., 2)`` upright ones."""
        matrix = self._matrix
        stored: np.ndarray = (np.asarray(xy, dtype=float) - matrix[:2, 2]) @ matrix[:2, :2]  # its inverse is transposed
        return stored

    def shift_to_stored(self, dxy: np.ndarray) -> np.ndarray:
        """``(..., 2)`` shift in stored pixels of a shift in upright ones."""
        stored: np.ndarray = np.asarray(dxy, dtype=float) @ self._matrix[:2, :2]
        return stored

    def to_ras(self, xy: np.ndarray) -> np.ndarray:
        """``(..., 3)`` millimetres of ``(..., 2)`` stored pixels."""
        ras = np.zeros((*np.shape(xy)[:-1], 3))
        ras[..., :2] = -self.to_upright(xy) * self._upright_spacing
        return ras

    def to_pixels(self, ras: np.ndarray) -> np.ndarray:
        """``(..., 2)`` stored pixels of ``(..., 3)`` millimetres; the distance from the plane is dropped."""
        return self.to_stored(-np.asarray(ras, dtype=float)[..., :2] / self._upright_spacing)
