"""Measurements of the edited points: curves, anatomical violations and doubtful vertebrae."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Optional

import numpy as np

from ..client.provenance import UNKNOWN, Origin
from ..spine.display import MAX_SURE_ERROR, MIN_SURE_SCORE
from ..spine.geometry import body_heights, corners_of
from ..spine.imaging.image_frame import ImageFrame
from ..spine.measurement.anatomy import Violation, violations
from ..spine.measurement.angle_interval import (
    are_names_doubtful,
    corrected_half_widths,
    interval_half_width,
    interval_sentence,
)
from ..spine.measurement.cobb import Curve, measure_curves, patient_side
from ..spine.schema import CENTER, CORNERS, POINTS, VERTEBRAE, Spine

_CENTER = POINTS.index(CENTER)
_CERTAIN = (0.0,) * len(VERTEBRAE)
_CORNERS = tuple(POINTS.index(name) for name in CORNERS)


@dataclass(frozen=True)
class Measurements:
    """Measurements of one spine.

    Attributes:
        curves: from top to bottom; sides are the patient's where known, else the image's.
        violations: of anatomical limits.
        doubtful: names of vertebrae that the model is unsure of, each with the reason as a sentence.
        uncertainty: of each vertebra, from 0 (certain) to 1 (doubtful, see ``uncertainties``).
        interval: explanation of the intervals of the angles; "" where no angle has one.
        visible: ``(V, P)`` whether the image shows the point.
    """

    curves: tuple[Curve, ...] = ()
    violations: tuple[Violation, ...] = ()
    doubtful: tuple[tuple[str, str], ...] = ()
    uncertainty: tuple[float, ...] = _CERTAIN
    interval: str = ""
    visible: np.ndarray = field(default_factory=lambda: np.zeros((len(VERTEBRAE), len(POINTS)), bool), compare=False)


def measure(spine: Spine, frame: ImageFrame, origin: Origin = UNKNOWN) -> Measurements:
    """Measure a spine in the upright image, from its visible points.

    Args:
        spine: points in stored pixels; those with a score of 1 and no expected error were placed by a user.
        frame: of their image.
        origin: provenance of the other points. Where the names are doubtful, no angle has an interval.
    """
    upright = frame.upright(spine)
    xy, scores, errors = upright.visible_xy, upright.scores, upright.errors
    by_reader = (upright.visible & (scores == 1.0) & np.isnan(errors))[:, _CORNERS]
    half_widths = corrected_half_widths(origin.half_widths, by_reader)
    has_interval = not are_names_doubtful(origin.names_right)
    curves = tuple(
        _with_side_and_interval(curve, frame, half_widths if has_interval else None) for curve in measure_curves(xy)
    )
    return Measurements(
        curves,
        violations(xy),
        doubtful_vertebrae(xy, scores, errors),
        tuple(uncertainties(xy, scores, errors).tolist()),
        _explain_intervals(curves, by_reader, origin.names_right),
        upright.visible,
    )


def _with_side_and_interval(curve: Curve, frame: ImageFrame, half_widths: Optional[np.ndarray]) -> Curve:
    """A curve with the patient's side, where known, and its interval."""
    width = np.nan if half_widths is None else interval_half_width(half_widths, curve.ends)
    side = patient_side(curve.side, frame.image_left_is)
    return replace(curve, side=side, half_width_deg=float(width) if np.isfinite(width) else None)


def _explain_intervals(curves: Collection[Curve], by_reader: np.ndarray, names_right: Optional[float]) -> str:
    """Explanation of the intervals; "" where there is none."""
    shown = [curve for curve in curves if curve.half_width_deg is not None]
    is_corrected = all(by_reader[list(curve.ends)].all() for curve in shown)
    return interval_sentence(names_right, is_corrected) if shown else ""


def culprits(violation: Violation) -> tuple[str, ...]:
    """Vertebrae to be checked because of a violation, the most suspicious first."""
    if violation.kind == "step":
        return violation.vertebrae
    return violation.vertebrae[1:2] if violation.kind == "turn" else violation.vertebrae[-1:]


def uncertainties(xy: np.ndarray, scores: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Uncertainty of each vertebra, relative to the threshold of doubt.

    Args:
        xy: ``(V, P, 2)`` pixels, NaN where absent.
        scores: ``(V, P)`` confidences.
        errors: ``(V, P)`` expected errors in pixels, NaN where there is none.

    Returns:
        ``(V,)``: 0 for a score of 1 and no expected error, 1 where ``doubtful_vertebrae`` names the vertebra, linear in
        between; the larger of the values by score and by error.
    """
    is_visible, largest, height = _error_scale(xy, errors)
    by_score = np.where(is_visible[:, _CENTER], (1 - scores[:, _CENTER]) / (1 - MIN_SURE_SCORE), 0.0)
    by_error = np.where(np.isfinite(largest), largest, 0.0) / (MAX_SURE_ERROR * height)
    return np.clip(np.maximum(by_score, by_error), 0.0, 1.0)


def _error_scale(xy: np.ndarray, errors: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``(V, P)`` visibility; ``(V,)`` largest expected errors, -inf without one, and heights of the bodies."""
    is_visible = np.isfinite(xy).all(axis=-1)
    largest = np.where(is_visible & np.isfinite(errors), errors, -np.inf).max(axis=1)
    heights = body_heights(corners_of(xy))
    finite = heights[np.isfinite(heights)]
    return is_visible, largest, np.where(np.isfinite(heights), heights, np.median(finite) if len(finite) else np.inf)


def doubtful_vertebrae(xy: np.ndarray, scores: np.ndarray, errors: np.ndarray) -> tuple[tuple[str, str], ...]:
    """Vertebrae that the model is unsure of, each with the reason; from top to bottom.

    Args:
        xy: ``(V, P, 2)`` pixels, NaN where absent.
        scores: ``(V, P)`` confidences.
        errors: ``(V, P)`` expected errors in pixels, NaN where there is none.
    """
    is_visible, largest, height = _error_scale(xy, errors)
    is_unsure = is_visible[:, _CENTER] & (scores[:, _CENTER] < MIN_SURE_SCORE)
    doubtful = []
    for v in np.flatnonzero(is_unsure | (largest > MAX_SURE_ERROR * height)).tolist():
        name = VERTEBRAE[v]
        if is_unsure[v]:
            why = f"The model is not sure where {name} is (score {scores[v, _CENTER]:.2f})."
        else:
            why = f"{name} may be off by {largest[v]:.0f} px, {largest[v] / height[v]:.2f} of its height."
        doubtful.append((name, why))
    return tuple(doubtful)
