"""Gray values: luminance of colour, inversion, replacement of values that are not finite."""

from __future__ import annotations

import numpy as np

_WEIGHTS = (19595, 38470, 7471)  # of red, green and blue by ITU-R BT.601, times 65536, as in Pillow


def luminance(samples: np.ndarray) -> np.ndarray:
    """Luminance of samples, in the same type.

    Args:
        samples: ``(..., C)`` real numbers; gray, gray and alpha, RGB, or RGB and alpha. Alpha is dropped.

    Returns:
        ``(...)``.
    """
    if samples.shape[-1] < 3:
        return np.ascontiguousarray(samples[..., 0])
    red, green, blue = (samples[..., channel] for channel in range(3))
    if samples.dtype in (np.uint8, np.uint16):
        gray = red * np.uint32(_WEIGHTS[0])
        gray += green * np.uint32(_WEIGHTS[1])
        gray += blue * np.uint32(_WEIGHTS[2])
        gray += np.uint32(1 << 15)
        return (gray >> 16).astype(samples.dtype)
    luma = np.zeros(red.shape)
    for channel, weight in zip((red, green, blue), _WEIGHTS, strict=True):
        luma += channel * (weight / (1 << 16))
    return (luma if samples.dtype.kind == "f" else np.rint(luma)).astype(samples.dtype)


def finite(pixels: np.ndarray) -> np.ndarray:
    """The pixels with 0 in place of values that are not finite."""
    return np.nan_to_num(pixels, nan=0.0, posinf=0.0, neginf=0.0) if pixels.dtype.kind == "f" else pixels


def inverted(pixels: np.ndarray, white: int | None = None) -> np.ndarray:
    """The negative of an image.

    Args:
        pixels: ``(H, W)`` of any real type.
        white: largest value of unsigned pixels; that of their type where left out or exceeded.
    """
    if pixels.dtype.kind == "u":
        largest = int(np.iinfo(pixels.dtype).max) if white is None or int(pixels.max()) > white else white
        return np.subtract(pixels.dtype.type(largest), pixels)
    if pixels.dtype.kind == "i":
        return np.invert(pixels)
    return np.negative(pixels)
