"""Absorbers given in millimetres, drawn on a sheet of pixels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .canvas import PolygonSheet, band


class Pencil:
    """Draws absorbers given in millimetres on a sheet of pixels.

    Outlines and curves are ``(N, 2)`` mm; a value is what is added to the sheet, negative to take away.

    Args:
        sheet: where to draw.
        to_px: maps ``(N, 2)`` millimetres to pixels.
    """

    def __init__(self, sheet: PolygonSheet, to_px: Callable[[np.ndarray], np.ndarray]) -> None:
        self._sheet = sheet
        self._to_px = to_px

    def fill(self, outline: np.ndarray, value: float) -> None:
        """A flat absorber."""
        self._sheet.add(self._to_px(outline), value)

    def dome(self, outline: np.ndarray, value: float, steps: int = 3) -> None:
        """An absorber that thickens towards its middle: nested copies of the outline."""
        middle = outline.mean(axis=0)
        for k in range(steps):
            self.fill(middle + (outline - middle) * np.sqrt(1 - k / steps), value / steps)

    def ring(self, outline: np.ndarray, value: float, inner: float = 0.6) -> None:
        """A shell, ``inner`` of its radius hollow but for a third of the value."""
        self.fill(outline, value)
        middle = outline.mean(axis=0)
        self.fill(middle + (outline - middle) * inner, -0.65 * value)

    def tube(self, curve: np.ndarray, half_width: float | np.ndarray, value: float) -> None:
        """A long bone along a curve: dense cortex at both borders, spongy between."""
        half_width = np.broadcast_to(np.asarray(half_width, dtype=float), len(curve))
        self.fill(band(curve, half_width), value)
        self.fill(band(curve, half_width * 0.62), -0.35 * value)
