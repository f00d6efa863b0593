"""Padding and constant margins: parts of a raster outside the image proper, which would distort its gray range."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

_SAMPLES = 250_000
_PERCENTILES = (0.5, 99.5)  # of the gray range that the network sees
_MIN_SIDE_PX = 32
_MIN_BORDER_SHARE = 0.1
_MIN_AREA_SHARE = 0.005  # smaller margins do not change the percentiles
_MAX_BRIGHT_RANGE = 0.8  # share of the gray range that the image proper fills beside a bright margin
_MAX_DARK_RANGE = 0.5  # and beside a dark one, since images have black surroundings by nature
_TOUCHING_CORNERS = np.ones((3, 3), int)


def fill_padding(pixels: np.ndarray, padding: np.ndarray) -> np.ndarray:
    """Set padding to the dark end of the gray range of the image proper.

    Args:
        pixels: ``(H, W)``, bright bone.
        padding: ``(H, W)`` which pixels have a padding value; regions that do not touch the border belong to the image.

    Returns:
        The pixels; a copy where anything was filled.
    """
    margin = _at_border(padding)
    if not margin.any() or margin.all():
        return pixels
    step = _stride(pixels)
    sample = pixels[::step, ::step][~margin[::step, ::step]]
    image = sample if sample.size else pixels[~margin]
    filled = pixels.copy()
    filled[margin] = np.percentile(image, _PERCENTILES[0], method="lower")
    return filled


def fill_margins(pixels: np.ndarray) -> np.ndarray:
    """Do the same with a large constant margin far outside the gray range of the image proper.

    Collimation and ordinary backgrounds stay: they are not constant, or the image proper fills the gray range.

    Args:
        pixels: ``(H, W)``, bright bone.

    Returns:
        The pixels; a copy where anything was filled.
    """
    if min(pixels.shape) < _MIN_SIDE_PX:
        return pixels
    step = _stride(pixels)
    sample = pixels[::step, ::step]
    border = np.concatenate([pixels[0, ::step], pixels[-1, ::step], pixels[::step, 0], pixels[::step, -1]])
    for value, largest_range in ((border.max(), _MAX_BRIGHT_RANGE), (border.min(), _MAX_DARK_RANGE)):
        if (border == value).mean() >= _MIN_BORDER_SHARE and _distorts_range(sample, value, largest_range):
            pixels = fill_padding(pixels, pixels == value)
    return pixels


def _stride(pixels: np.ndarray) -> int:
    """Stride of the sampled rows and columns."""
    return max(1, int(np.sqrt(pixels.size / _SAMPLES)))


def _distorts_range(sample: np.ndarray, value: np.generic, largest_range: float) -> bool:
    """Whether a value is extreme, frequent, and far outside the range of the others."""
    others = sample[sample != value]
    if others.size == 0 or others.size > (1 - _MIN_AREA_SHARE) * sample.size:
        return False
    low, high = (float(v) for v in np.percentile(others, _PERCENTILES))
    if low == high or low <= float(value) <= high:
        return False
    return high - low < largest_range * (max(high, float(value)) - min(low, float(value)))


def _at_border(mask: np.ndarray) -> np.ndarray:
    """The connected parts of a mask that reach the border."""
    edges = (mask[0], mask[-1], mask[:, 0], mask[:, -1])
    if not any(edge.any() for edge in edges):
        return np.zeros_like(mask)
    labels, count = ndimage.label(mask, _TOUCHING_CORNERS)
    reaches = np.zeros(count + 1, bool)
    for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        reaches[edge] = True
    reaches[0] = False
    at_border: np.ndarray = reaches[labels]
    return at_border
