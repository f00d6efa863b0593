"""Gray windows, and conversion of gray values to unsigned integers."""

from __future__ import annotations

import numpy as np

WINDOWS = {
    "Automatic": (0.5, 99.5),
    "Soft tissue": (0.5, 80.0),
    "Bone": (30.0, 99.9),
    "High contrast": (15.0, 95.0),
    "Full range": (0.0, 100.0),
}
"""Presets: percentiles of the gray values that become black and white."""

_SAMPLES = 50_000
_BORDER = 0.02
"""Share of pixels above which the darkest or brightest value is a border or burnt in, not the patient."""


def window_of(pixels: np.ndarray, preset: str) -> tuple[float, float]:
    """Gray values that become black and white.

    Args:
        pixels: ``(H, W)`` gray values.
        preset: one of ``WINDOWS``.

    Raises:
        ValueError: there is no such preset.
    """
    if preset not in WINDOWS:
        raise ValueError(f"window {preset!r:.40} is not one of {', '.join(WINDOWS)}")
    every = max(1, int(np.sqrt(pixels.size / _SAMPLES)))
    values = np.sort(pixels[::every, ::every], axis=None)
    low, high = WINDOWS[preset]
    if (low, high) != (0.0, 100.0):
        values = _without_borders(values)
    black, white = (float(value) for value in np.percentile(values, (low, high)))
    return (black, white) if white > black else (float(pixels.min()), max(float(pixels.max()), float(pixels.min()) + 1))


def _without_borders(values: np.ndarray) -> np.ndarray:
    """Sorted values without the lowest and the highest, where these are frequent."""
    first = int(np.searchsorted(values, values[0], side="right"))
    last = int(np.searchsorted(values, values[-1], side="left"))
    frequent = _BORDER * len(values)
    inner = values[first if first > frequent else 0 : last if len(values) - last > frequent else len(values)]
    return inner if len(inner) else values


def to_unsigned(values: np.ndarray) -> np.ndarray:
    """Convert gray values monotonically to unsigned integers of 8 or 16 bits.

    Args:
        values: ``(H, W)`` of any type; NaN and infinities count as 0. Integers are kept where they fit into 16 bits,
            else shifted where their range does; all other values are scaled to 0...65535, as on the server.
    """
    if values.dtype in (np.uint8, np.uint16):
        return values
    is_complete = values.dtype.kind in "iub"
    values = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    factor = 1.0 if is_complete and high - low <= 65535 else 65535 / ((high - low) or 1.0)
    offset = 0.0 if is_complete and low >= 0 and high <= 65535 else low
    return np.rint((values - offset) * factor).astype(np.uint16)
