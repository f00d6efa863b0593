"""The eight orientations of a raster: how stored pixels are turned so that the image is upright.

An upright spine image shows T1 above L5. Corner names (``TL`` ...) and all measurements are those of the upright
image; points are kept in stored pixels, the raster as it lies in the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional

import numpy as np

from ..geometry import transform_points
from ..schema import CORNERS, POINTS

_TL, _TR, _BL, _BR = (POINTS.index(name) for name in CORNERS)


@dataclass(frozen=True)
class Orientation:
    """Mirror the stored raster left to right if ``is_mirrored``, then turn it clockwise.

    Args:
        quarter_turns: clockwise quarter turns, 0 to 3.
        is_mirrored: whether the columns are reversed first.

    Raises:
        ValueError: ``quarter_turns`` is not one of 0, 1, 2, 3.
    """

    quarter_turns: int = 0
    is_mirrored: bool = False

    def __post_init__(self) -> None:
        if self.quarter_turns not in (0, 1, 2, 3):
            raise ValueError(f"quarter_turns must be 0, 1, 2 or 3, got {self.quarter_turns!r}")

    @property
    def turn_deg(self) -> int:
        """Clockwise turn in degrees: 0, 90, 180 or 270."""
        return 90 * self.quarter_turns

    @property
    def is_upright(self) -> bool:
        """Whether the stored raster is upright already."""
        return self == UPRIGHT

    def size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of the upright image of a stored raster of that size."""
        return (height, width) if self.quarter_turns % 2 else (width, height)

    def matrix(self, width: int, height: int) -> np.ndarray:
        """``(3, 3)`` from stored to upright pixels.

        Args:
            width: columns of the stored raster.
            height: rows of the stored raster.
        """
        matrix = np.eye(3)
        if self.is_mirrored:
            matrix = np.array([[-1.0, 0, width - 1], [0, 1, 0], [0, 0, 1]])
        for _ in range(self.quarter_turns):
            matrix = np.array([[0.0, -1, height - 1], [1, 0, 0], [0, 0, 1]]) @ matrix
            width, height = height, width
        return matrix

    def upright_pixels(self, pixels: np.ndarray) -> np.ndarray:
        """The upright image of a stored raster ``(H, W)``, as a view."""
        mirrored = pixels[:, ::-1] if self.is_mirrored else pixels
        return np.rot90(mirrored, -self.quarter_turns)

    def followed_by(self, other: Orientation) -> Orientation:
        """The composition: this orientation, then ``other``."""
        sign = -1 if other.is_mirrored else 1
        turns = (other.quarter_turns + sign * self.quarter_turns) % 4
        return Orientation(turns, self.is_mirrored != other.is_mirrored)

    def as_dict(self) -> dict[str, Any]:
        """``turn_deg`` and ``mirrored`` as plain values."""
        return {"turn_deg": self.turn_deg, "mirrored": self.is_mirrored}


UPRIGHT = Orientation()
"""The stored raster is upright."""

EXIF_ORIENTATIONS = {
    1: UPRIGHT,
    2: Orientation(0, True),
    3: Orientation(2),
    4: Orientation(2, True),
    5: Orientation(3, True),
    6: Orientation(1),
    7: Orientation(1, True),
    8: Orientation(3),
}
"""By the value of the Orientation tag (274) of EXIF 2.32 and TIFF 6.0."""


def orientation_of(xy: np.ndarray, width: int, height: int, stated: Optional[Orientation] = None) -> Orientation:
    """The orientation in which points of a spine stand upright.

    That is the stated one, followed by quarter turns where the points run sideways or upwards in it although their
    corners are not mirrored: in an upright image T1 is not labelled at the bottom with its top corners below.

    Args:
        xy: ``(V, P, 2)`` stored pixels, NaN where absent.
        width: columns of the stored raster.
        height: rows of the stored raster.
        stated: by the file; ``None`` where it states none.
    """
    stated = stated or UPRIGHT
    upright = transform_points(stated.matrix(width, height), np.asarray(xy, dtype=float))
    down = np.nansum(np.diff(upright[:, 0], axis=0), axis=0) + _total(upright[:, (_BL, _BR)] - upright[:, (_TL, _TR)])
    across = _total(upright[:, (_TR, _BR)] - upright[:, (_TL, _BL)])
    if across[0] * down[1] - across[1] * down[0] <= 0:  # mirrored, or too few points to tell
        return stated
    if abs(down[1]) >= abs(down[0]):
        return stated.followed_by(Orientation(0 if down[1] > 0 else 2))
    return stated.followed_by(Orientation(1 if down[0] > 0 else 3))


def _total(vectors: np.ndarray) -> np.ndarray:
    total: np.ndarray = np.nansum(vectors, axis=(0, 1))
    return total
