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
    """The pixels with the smallest finite value in place of those that are not finite; 0 where none is.

    Args:
        pixels: ``(H, W)`` of any real type, bright bone, so that what has no value becomes dark.

    Returns:
        The pixels; a copy where anything was replaced.
    """
    if pixels.dtype.kind != "f" or not pixels.size or np.isfinite([pixels.min(), pixels.max()]).all():
        return pixels
    is_finite = np.isfinite(pixels)
    darkest = pixels.min(where=is_finite, initial=np.inf)
    return np.where(is_finite, pixels, darkest if np.isfinite(darkest) else 0).astype(pixels.dtype, copy=False)


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
