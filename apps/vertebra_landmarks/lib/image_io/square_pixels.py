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
        ``(H, W)`` of ``square_size``: whole numbers of the same type up to 16 bits, else single precision.
    """
    if aspect == 1.0:
        return pixels
    height, width = pixels.shape
    x, y = square_scale(aspect)
    columns, rows = square_size(width, height, aspect)
    box = (0.0, 0.0, min(float(width), columns / x), min(float(height), rows / y))
    image = Image.fromarray(np.ascontiguousarray(pixels, dtype=np.float32))
    resampled = np.asarray(image.resize((columns, rows), Image.Resampling.BILINEAR, box=box))
    if pixels.dtype.kind not in "ui" or pixels.dtype.itemsize > _WIDEST:
        return resampled
    limits = np.iinfo(pixels.dtype)
    return np.clip(np.rint(resampled), limits.min, limits.max).astype(pixels.dtype)
