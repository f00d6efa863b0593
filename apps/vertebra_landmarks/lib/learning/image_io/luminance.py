"""Colour as gray."""

from __future__ import annotations

import numpy as np

_WEIGHTS = (0.299, 0.587, 0.114)  # of red, green and blue, ITU-R BT.601, as Pillow has it


def luminance(samples: np.ndarray) -> np.ndarray:
    """Gray values of samples, in the same type.

    Args:
        samples: ``(..., C)`` real numbers; gray, gray and alpha, RGB, or RGB and alpha. Alpha is dropped.

    Returns:
        ``(...)``.
    """
    if samples.shape[-1] < 3:
        return np.ascontiguousarray(samples[..., 0])
    precision = np.float32 if samples.dtype.itemsize <= 2 else np.float64
    gray = np.zeros(samples.shape[:-1], precision)
    for channel, weight in enumerate(_WEIGHTS):
        gray += samples[..., channel] * precision(weight)
    if samples.dtype.kind == "f":
        return gray.astype(samples.dtype, copy=False)
    return np.rint(gray, out=gray).astype(samples.dtype)


def finite(pixels: np.ndarray) -> np.ndarray:
    """The same with 0 for what is not a finite number."""
    return np.nan_to_num(pixels, nan=0.0, posinf=0.0, neginf=0.0) if pixels.dtype.kind == "f" else pixels


def inverted(pixels: np.ndarray, white: int | None = None) -> np.ndarray:
    """Bright becomes dark and dark bright.

    Args:
        pixels: ``(H, W)`` of any real type.
        white: the brightest value that unsigned integers can have; their type's where left out or exceeded.
    """
    if pixels.dtype.kind == "u":
        largest = int(np.iinfo(pixels.dtype).max) if white is None or int(pixels.max()) > white else white
        return np.subtract(pixels.dtype.type(largest), pixels)
    if pixels.dtype.kind == "i":
        return np.invert(pixels)
    return np.subtract(pixels.min() + pixels.max(), pixels)
