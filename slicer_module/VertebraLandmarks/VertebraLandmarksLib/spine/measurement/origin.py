"""Origin of points that no user set: the model, and its confidence in the spine as a whole."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Optional

import numpy as np

from ..imaging.orientation import Orientation
from ..schema import VERTEBRAE
from .image_warnings import ImageWarning


@dataclass(frozen=True)
class Origin:
    """Model that predicted a spine, with its statements about the spine as a whole.

    Attributes:
        model_version: "" where unknown.
        names_right: probability that all vertebra names are right; ``None`` where the model does not state it.
        tilt_half_widths: from T1 to L5 in degrees, each vertebra's part in the interval of an angle
            (``interval_half_width``), ``None`` where it has none; empty where the model does not state them.
        orientation: how the model turned the stored raster upright; ``None`` where unknown.
        warnings: about the image as a whole; those about the model's own points are left out.
    """

    model_version: str = ""
    names_right: Optional[float] = None
    tilt_half_widths: tuple[Optional[float], ...] = ()
    orientation: Optional[Orientation] = None
    warnings: tuple[ImageWarning, ...] = ()

    @property
    def half_widths(self) -> Optional[np.ndarray]:
        """``(V,)`` degrees, NaN where a vertebra has none; ``None`` where the model does not state them."""
        return np.array(self.tilt_half_widths, dtype=float) if self.tilt_half_widths else None

    def shifted(self, by: int) -> Origin:
        """The same after a user shifted all names by ``by`` levels; the confidence in the old names is dropped."""
        widths: list[Optional[float]] = [None] * len(self.tilt_half_widths)
        for v, width in enumerate(self.tilt_half_widths):
            if 0 <= v + by < len(widths):
                widths[v + by] = width
        return replace(self, names_right=None, tilt_half_widths=tuple(widths))

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        widths = dict(zip(VERTEBRAE, self.tilt_half_widths)) or None
        return {
            "model_version": self.model_version,
            "names_right": self.names_right,
            "tilt_half_widths_deg": widths,
            "orientation": None if self.orientation is None else self.orientation.as_dict(),
            "warnings": [warning.as_dict() for warning in self.warnings],
        }


UNKNOWN = Origin()
"""Of points without a model, or of an unknown one."""
