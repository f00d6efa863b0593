"""Gray window of an image: the range of values that is shown, from black to white."""

from __future__ import annotations

import numpy as np

_PERCENTILES = (0.5, 99.5)
_SAMPLES = 250_000


def windowed(pixels: np.ndarray) -> np.ndarray:
    """Stretch the gray values so that all but the extreme ones fill 0...1.

    Args:
        pixels: ``(H, W)`` finite values of any type.

    Returns:
        ``(H, W)`` float32; 0 everywhere for a constant image.
    """
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8)
    every = max(1, int(np.sqrt(pixels.size / _SAMPLES)))
    low, high = (float(v) for v in np.percentile(pixels[::every, ::every], _PERCENTILES))
    if high <= low:
        low, high = float(pixels.min()), float(pixels.max())
    if high <= low:
        return np.zeros(pixels.shape, np.float32)
    if not np.isfinite(high - low):  # so large that differences overflow
        return windowed(pixels / np.abs(pixels).max())
    precision = np.float32 if pixels.dtype.itemsize <= 2 else np.float64
    stretched = np.subtract(pixels, low, dtype=precision)
    stretched /= high - low
    return np.clip(stretched, 0.0, 1.0, out=stretched).astype(np.float32, copy=False)


def windowed_bytes(pixels: np.ndarray) -> np.ndarray:
    """Gray values ``(H, W)`` stretched as by ``windowed``, as uint8 for display."""
    gray = windowed(pixels)
    gray *= 255
    gray += 0.5
    return gray.astype(np.uint8)
