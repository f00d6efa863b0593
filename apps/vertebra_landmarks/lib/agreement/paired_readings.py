"""Readings of the same image side by side: angles, curves, corners and names."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..spine.measurement.cobb import Curve, measure_curves
from ..spine.schema import CORNERS, POINTS, VERTEBRAE, Spine
from ..study.differences import names_shift
from .curve_matching import CurvePair, match_curves

REPEAT = "repeat"
"""Kind of a reading whose reader had read the image before."""
_CORNERS = [POINTS.index(name) for name in CORNERS]


@dataclass(frozen=True, eq=False)
class StudyReading:
    """One reading of one image.

    Attributes:
        image: id of the image.
        reader: who; the model has a name, too.
        number: orders the readings of an image by the same reader.
        spine: points in stored pixels.
        upright_xy: ``(V, P, 2)`` visible points in pixels of the upright image, which are square, NaN where absent.
        mm_per_px: size of such a pixel in the patient; ``None`` where unknown.
        patient: stands for the patient; "" where unknown, and the image stands for itself.
        model_version: of the points that the reading began with; "" without any.
        kind: ``REPEAT`` where the reader had read the image before; else whatever, such as "" where unknown.
    """

    image: str
    reader: str
    number: int
    spine: Spine
    upright_xy: np.ndarray
    mm_per_px: float | None = None
    patient: str = ""
    model_version: str = ""
    kind: str = ""

    @cached_property
    def curves(self) -> tuple[Curve, ...]:
        """From top to bottom, with sides of the upright image."""
        return measure_curves(self.upright_xy)

    @property
    def largest_angle_deg(self) -> float | None:
        """Largest Cobb angle; ``None`` where fewer than three vertebrae have all corners."""
        return max((curve.angle_deg for curve in self.curves), default=None)

    @property
    def cluster(self) -> str:
        """What is drawn together in a bootstrap: the patient's images, else the image."""
        return f"patient {self.patient}" if self.patient else f"image {self.image}"


@dataclass(frozen=True, eq=False)
class PairedReading:
    """Two readings of one image.

    Attributes:
        first: one of them.
        second: the other.
    """

    first: StudyReading
    second: StudyReading

    @cached_property
    def shift(self) -> int:
        """By how many levels the second names the same vertebrae lower (1) or higher (-1); 0 where not."""
        return names_shift(self.first.spine, self.second.spine)

    @cached_property
    def curves(self) -> list[CurvePair]:
        """Those that both have."""
        return match_curves(self.first.curves, self.second.curves)

    @property
    def angles_deg(self) -> tuple[float, float] | None:
        """Largest angle of either; ``None`` where one has none."""
        first, second = self.first.largest_angle_deg, self.second.largest_angle_deg
        return None if first is None or second is None else (first, second)

    @property
    def unmatched_curves(self) -> int:
        """Curves of 10 degrees and more of either reading that the other does not have."""
        matched = {id(curve) for pair in self.curves for curve in (pair.first, pair.second)}
        all_curves = (*self.first.curves, *self.second.curves)
        return sum(curve.is_scoliosis and id(curve) not in matched for curve in all_curves)

    @cached_property
    def corners_px(self) -> np.ndarray:
        """``(V,)`` mean distance of the corners under the same name, NaN where no corner is in both."""
        return self._distances(0)

    @cached_property
    def bodies_px(self) -> np.ndarray:
        """``(V,)`` the same for the same bodies: at the first reading's name where the second's are shifted."""
        return self._distances(self.shift)

    @cached_property
    def bodies_mm(self) -> np.ndarray:
        """``(V,)`` the same in millimetres in the patient, NaN where the size of a pixel is unknown."""
        scale = self.first.mm_per_px or self.second.mm_per_px
        return np.full(len(VERTEBRAE), np.nan) if scale is None else self._distances(self.shift, scale)

    def _distances(self, shift: int, scale: float = 1.0) -> np.ndarray:
        other = np.full_like(self.second.upright_xy, np.nan)
        count = len(VERTEBRAE)
        here = slice(max(0, -shift), count - max(0, shift))
        there = slice(max(0, shift), count - max(0, -shift))
        other[here] = self.second.upright_xy[there]
        apart = (self.first.upright_xy - other)[:, _CORNERS] * scale
        return mean_present(np.linalg.norm(apart, axis=-1), axis=1)


def mean_present(values: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Mean of what is not NaN; NaN where nothing is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # numpy warns of means of nothing
        return np.asarray(np.nanmean(values, axis=axis))
