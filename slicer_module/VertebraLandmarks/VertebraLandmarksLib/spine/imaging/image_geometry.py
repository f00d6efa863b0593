"""Physical geometry of an image in Slicer's scene: origin, spacing and directions, as ITK reads them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Optional

import numpy as np

from ..geometry import check_shape
from .pixel_aspect import aspect_of, is_believed

Vector = tuple[float, float, float]

DENSITY = "density"
"""Source of a spacing calculated from dots per inch: right for Slicer's scene, but not a size in the patient."""
_SAME_ASPECT = 1e-6  # of width over height of a pixel, below which a spacing has the stated one


@dataclass(frozen=True)
class ImageGeometry:
    """The plane of an image in LPS millimetres (x to the patient's left, y to the back, z up).

    Attributes:
        spacing: (x, y) millimetres per pixel along a row and down a column.
        origin: position of the center of pixel (0, 0).
        along_row: unit vector from a pixel to the next one in its row.
        down_column: unit vector from a pixel to the one in the next row.
        source: tag or header that states the spacing; ``DENSITY`` for dots per inch, "none" without one.
        stated_aspect: width over height of a pixel in the patient, where the file states another one than the spacing
            has; ``None`` where it is that of the spacing.

    Raises:
        ValueError: a spacing or aspect is not positive, a number is not finite, or the directions span no plane.
    """

    spacing: tuple[float, float] = (1.0, 1.0)
    origin: Vector = (0.0, 0.0, 0.0)
    along_row: Vector = (1.0, 0.0, 0.0)
    down_column: Vector = (0.0, 1.0, 0.0)
    source: str = "none"
    stated_aspect: Optional[float] = None

    def __post_init__(self) -> None:
        if len(self.spacing) != 2 or not all(math.isfinite(s) and s > 0 for s in self.spacing):
            raise ValueError(f"spacing must be two positive numbers of millimetres per pixel, got {self.spacing}")
        if self.stated_aspect is not None and not (math.isfinite(self.stated_aspect) and self.stated_aspect > 0):
            raise ValueError(f"pixel_aspect must be a positive number, got {self.stated_aspect}")
        for name in ("origin", "along_row", "down_column"):
            vector = getattr(self, name)
            if len(vector) != 3 or not all(math.isfinite(v) for v in vector):
                raise ValueError(f"{name} must be three finite numbers, got {vector}")
        if np.linalg.matrix_rank(self._axes, tol=1e-6) != 2:
            raise ValueError(f"the directions {self.along_row} and {self.down_column} do not span a plane")

    @cached_property
    def _axes(self) -> np.ndarray:
        """``(3, 2)`` millimetres in LPS of a step of one pixel along a row and down a column."""
        return np.array([self.along_row, self.down_column]).T * np.array(self.spacing)

    @property
    def pixel_aspect(self) -> float:
        """Width over height of a pixel in the patient, as images are measured (``aspect_of``)."""
        return aspect_of(*self.spacing) if self.stated_aspect is None else aspect_of(self.stated_aspect, 1.0)

    @property
    def true_spacing(self) -> tuple[float, float]:
        """The spacing, its x such that pixels have the shape that they have in the patient."""
        x, y = self.spacing
        return (x, y) if self.stated_aspect is None and is_believed(x, y) else (self.pixel_aspect * y, y)

    def with_pixels(self, x: float, y: float) -> ImageGeometry:
        """The same with pixels of a stated width and height, in any unit; the spacing stays that of Slicer's reader."""
        aspect = aspect_of(x, y)
        is_of_spacing = abs(aspect / aspect_of(*self.spacing) - 1) < _SAME_ASPECT
        return replace(self, stated_aspect=None if is_of_spacing else aspect)

    @property
    def before_0_8(self) -> ImageGeometry:
        """Geometry that versions before 0.8 used: no origin, no direction, and 1 mm for dots per inch."""
        return ImageGeometry((1.0, 1.0) if self.source == DENSITY else self.spacing, source=self.source)

    def is_close(self, other: ImageGeometry) -> bool:
        """Whether pixels lie at the same positions but for rounding, whatever the source."""
        corners = np.array([[0.0, 0.0], [1000.0, 0.0], [0.0, 1000.0]])
        return bool(np.allclose(self.to_physical(corners), other.to_physical(corners), rtol=1e-4, atol=1e-2))

    def to_physical(self, xy: np.ndarray) -> np.ndarray:
        """``(..., 3)`` LPS millimetres of ``(..., 2)`` stored pixels.

        Raises:
            ValueError: the shape is wrong.
        """
        xy = np.asarray(xy, dtype=float)
        check_shape("xy", xy, (2,))
        physical: np.ndarray = xy @ self._axes.T + np.array(self.origin)
        return physical

    def to_pixels(self, lps: np.ndarray) -> np.ndarray:
        """``(..., 2)`` stored pixels of ``(..., 3)`` LPS millimetres; the distance from the plane is dropped.

        Raises:
            ValueError: the shape is wrong.
        """
        lps = np.asarray(lps, dtype=float)
        check_shape("lps", lps, (3,))
        pixels: np.ndarray = (lps - np.array(self.origin)) @ self._directions / np.array(self.spacing)
        return pixels

    @cached_property
    def _directions(self) -> np.ndarray:
        """``(3, 2)`` that turns a difference in LPS millimetres into steps along a row and down a column."""
        directions = np.array([self.along_row, self.down_column]).T
        if not np.allclose(directions.T @ directions, np.eye(2), atol=1e-12):
            directions = np.linalg.pinv(directions).T
        return directions

    def as_dict(self) -> dict[str, Any]:
        """Plain values, which ``parse`` reads."""
        plain = {
            "spacing": list(self.spacing),
            "origin": list(self.origin),
            "along_row": list(self.along_row),
            "down_column": list(self.down_column),
            "source": self.source,
        }
        return plain if self.stated_aspect is None else {**plain, "pixel_aspect": self.stated_aspect}

    @classmethod
    def parse(cls, content: object, where: str = "geometry") -> ImageGeometry:
        """Read what ``as_dict`` returns.

        Raises:
            ValueError: a field is missing or invalid; the message begins with ``where``.
        """
        if not isinstance(content, Mapping):
            raise ValueError(f"{where} must be a table with spacing, origin, along_row and down_column")
        aspect = content.get("pixel_aspect")
        if aspect is not None and (isinstance(aspect, bool) or not isinstance(aspect, (int, float))):
            raise ValueError(f"{where}: pixel_aspect must be a number, got {aspect!r:.80}")
        parts = {name: _numbers(content.get(name), n, f"{where}: {name}") for name, n in _LENGTHS.items()}
        try:
            return cls(**parts, source=str(content.get("source", "none")), stated_aspect=aspect)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error


_LENGTHS = {"spacing": 2, "origin": 3, "along_row": 3, "down_column": 3}


def _numbers(value: object, count: int, what: str) -> Any:
    is_list = isinstance(value, (list, tuple)) and len(value) == count
    if not is_list or not all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in value):  # type: ignore[attr-defined]
        raise ValueError(f"{what} must be {count} numbers, got {value!r:.80}")
    return tuple(float(v) for v in value)  # type: ignore[attr-defined]


PIXELS = ImageGeometry()
"""Geometry of an image whose file states none: 1 mm per pixel from the scene's origin."""
