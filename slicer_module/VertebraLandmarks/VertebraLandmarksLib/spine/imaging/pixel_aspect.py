"""Pixels that are not square: their width over their height, and the scale at which an image has square ones.

Angles are those of the patient only where a pixel is as wide as high. So an upright image has square pixels: those of
the file where they are square, else pixels of the same area.
"""

from __future__ import annotations

import math

import numpy as np

from ..geometry import scaling

MAX_ASPECT = 4.0
"""Width over height of a pixel, or height over width, from which on a statement is not believed: no detector, scanner
or resampling makes such radiographs."""
_ROUNDING = 1e-3  # of width over height; such pixels are square, and their header is rounded


def is_believed(x: float, y: float) -> bool:
    """Whether pixels of a radiograph may have that width and height, in any unit."""
    return x > 0 and y > 0 and 1 / MAX_ASPECT <= x / y <= MAX_ASPECT


def aspect_of(x: float, y: float) -> float:
    """Width over height of a pixel as images are measured; 1 where the statement is not believed.

    A difference of less than 0.1 %, which turns no line by more than 0.03 degrees, is rounding and counts as none.

    Args:
        x: stated width, in any unit.
        y: stated height, in the same unit.
    """
    return x / y if is_believed(x, y) and abs(x / y - 1) >= _ROUNDING else 1.0


def shape_text(x: float, y: float) -> str:
    """What pixels of that width and height are, as "square" or "1.25 times as wide as high"."""
    if abs(x / y - 1) < _ROUNDING:
        return "square"
    return f"{x / y:.3g} times as wide as high" if x > y else f"{y / x:.3g} times as high as wide"


def square_scale(aspect: float) -> tuple[float, float]:
    """Factors in x and y that make pixels of an aspect square and leave their area.

    Args:
        aspect: width over height of a pixel.
    """
    return math.sqrt(aspect), 1 / math.sqrt(aspect)


def square_size(width: int, height: int, aspect: float) -> tuple[int, int]:
    """(width, height) of a raster after its pixels were made square; what is left of one at the border is dropped.

    Args:
        width: columns.
        height: rows.
        aspect: width over height of a pixel.
    """
    x, y = square_scale(aspect)
    return max(1, int(width * x)), max(1, int(height * y))


def square_matrix(aspect: float) -> np.ndarray:
    """``(3, 3)`` from pixels of an aspect to square ones of the same area; outer edges stay aligned.

    Args:
        aspect: width over height of a pixel.
    """
    return scaling(*square_scale(aspect))
