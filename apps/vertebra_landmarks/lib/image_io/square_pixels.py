"""Resampling of a raster whose pixels are not square."""

from __future__ import annotations

import numpy as np
from PIL import Image

from ..spine.imaging.pixel_aspect import square_scale, square_size

_WIDEST = 2  # bytes of whole numbers that single precision holds exactly


def resampled_to_square(pixels: np.ndarray, aspect: float) -> np.ndarray:
    """An image with square pixels of the same area, see ``square_matrix``; the same array where they are square.

    Args:
        pixels: ``(H, W)`` of any real type.
        aspect: width over height of a pixel.

    Returns:
        ``(H, W)`` of ``square_size``: of the same type, but double precision for whole numbers of more than 16 bits.
    """
    if aspect == 1.0:
        return pixels
    if pixels.dtype.kind in "ui" and pixels.dtype.itemsize <= _WIDEST:
        limits = np.iinfo(pixels.dtype)
        return np.clip(np.rint(_resized(pixels, aspect)), limits.min, limits.max).astype(pixels.dtype)
    low, high = float(pixels.min()) / 2, float(pixels.max()) / 2  # halves, whose difference never overflows
    span = (high - low) or 1.0
    shares = (pixels.astype(np.float64) / 2 - low) / span
    resampled = (_resized(shares, aspect).astype(np.float64) * span + low) * 2
    return resampled.astype(pixels.dtype if pixels.dtype.kind == "f" else np.float64)


def _resized(pixels: np.ndarray, aspect: float) -> np.ndarray:
    """In single precision, which holds 16 bits exactly, and shares of a range to a ten millionth."""
    height, width = pixels.shape
    x, y = square_scale(aspect)
    columns, rows = square_size(width, height, aspect)
    box = (0.0, 0.0, min(float(width), columns / x), min(float(height), rows / y))
    image = Image.fromarray(np.ascontiguousarray(pixels, dtype=np.float32))
    return np.asarray(image.resize((columns, rows), Image.Resampling.BILINEAR, box=box))
