"""What the points say while they are corrected: curves, what is implausible, and where the model is in doubt."""

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
from ..spine.measurement.angle_interval import are_names_doubtful, interval_sentence
from ..spine.measurement.cobb import Curve, interval_half_width, measure_curves, patient_side
from ..spine.measurement.reader_error import corrected_half_widths
from ..spine.schema import CENTER, CORNERS, POINTS, VERTEBRAE, Spine

_CENTER = POINTS.index(CENTER)
_CERTAIN = (0.0,) * len(VERTEBRAE)
_CORNERS = tuple(POINTS.index(name) for name in CORNERS)


@dataclass(frozen=True)
class Measurements:
    """What is measured on one spine.

    Attributes:
        curves: from top to bottom; sides are the patient's where they are known, else the image's.
        violations: anatomical priors that it breaks.
        doubtful: names of vertebrae that the model is not sure of, and why, as a sentence.
        uncertainty: of each vertebra, from 0 (certain) to 1 (doubtful, see ``uncertainties``).
        interval: a sentence that says what the intervals of the angles mean; "" where no angle has one.
        visible: ``(V, P)`` which points the image shows.
    """

    curves: tuple[Curve, ...] = ()
    violations: tuple[Violation, ...] = ()
    doubtful: tuple[tuple[str, str], ...] = ()
    uncertainty: tuple[float, ...] = _CERTAIN
    interval: str = ""
    visible: np.ndarray = field(default_factory=lambda: np.zeros((len(VERTEBRAE), len(POINTS)), bool), compare=False)


def measure(spine: Spine, frame: ImageFrame, origin: Origin = UNKNOWN) -> Measurements:
    """Measure a spine in the upright image, from what the image shows of it.

    Args:
        spine: points in stored pixels; those with a score of 1 and no expected error were placed by a person.
        frame: the image that they belong to.
        origin: what the model said of the others. Where it doubts the names, no angle has an interval.
    """
    upright = frame.upright(spine)
    xy, scores, errors = upright.visible_xy, upright.scores, upright.errors
    by_reader = (upright.visible & (scores == 1.0) & np.isnan(errors))[:, _CORNERS]
    half_widths = corrected_half_widths(origin.half_widths, by_reader)
    has_interval = not are_names_doubtful(origin.names_right)
    curves = tuple(_told(curve, frame, half_widths if has_interval else None) for curve in measure_curves(xy))
    return Measurements(
        curves,
        violations(xy),
        doubtful_vertebrae(xy, scores, errors),
        tuple(uncertainties(xy, scores, errors).tolist()),
        _interval_words(curves, by_reader, origin.names_right),
        upright.visible,
    )


def _told(curve: Curve, frame: ImageFrame, half_widths: Optional[np.ndarray]) -> Curve:
    """A curve with the patient's side, where that is known, and its interval."""
    width = np.nan if half_widths is None else interval_half_width(half_widths, curve.ends)
    side = patient_side(curve.side, frame.image_left_is)
    return replace(curve, side=side, half_width_deg=float(width) if np.isfinite(width) else None)


def _interval_words(curves: Collection[Curve], by_reader: np.ndarray, names_right: Optional[float]) -> str:
    """What the intervals mean that are shown; "" where there is none."""
    shown = [curve for curve in curves if curve.half_width_deg is not None]
    is_corrected = all(by_reader[list(curve.ends)].all() for curve in shown)
    return interval_sentence(names_right, is_corrected) if shown else ""


def culprits(violation: Violation) -> tuple[str, ...]:
    """Which of the vertebrae that a violation is about are to be looked at; the first of them first."""
    if violation.kind == "step":
        return violation.vertebrae
    return violation.vertebrae[1:2] if violation.kind == "turn" else violation.vertebrae[-1:]


def uncertainties(xy: np.ndarray, scores: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """How far each vertebra is on the way to being doubtful.

    Args:
        xy: ``(V, P, 2)`` pixels, NaN where absent.
        scores: ``(V, P)`` confidences.
        errors: ``(V, P)`` expected errors in pixels, NaN where there is none.

    Returns:
        ``(V,)``: 0 for a score of 1 and no expected error, 1 from where ``doubtful_vertebrae`` names the vertebra; the larger of
        what score and error say, rising evenly in between.
    """
    is_visible, largest, usual = _expected(xy, errors)
    by_score = np.where(is_visible[:, _CENTER], (1 - scores[:, _CENTER]) / (1 - MIN_SURE_SCORE), 0.0)
    by_error = np.where(np.isfinite(largest), largest, 0.0) / (MAX_SURE_ERROR * usual)
    return np.clip(np.maximum(by_score, by_error), 0.0, 1.0)


def _expected(xy: np.ndarray, errors: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``(V, P)`` what is visible; ``(V,)`` largest expected errors, -inf where none, and heights of the bodies."""
    is_visible = np.isfinite(xy).all(axis=-1)
    largest = np.where(is_visible & np.isfinite(errors), errors, -np.inf).max(axis=1)
    heights = body_heights(corners_of(xy))
    known = heights[np.isfinite(heights)]
    return is_visible, largest, np.where(np.isfinite(heights), heights, np.median(known) if len(known) else np.inf)


def doubtful_vertebrae(xy: np.ndarray, scores: np.ndarray, errors: np.ndarray) -> tuple[tuple[str, str], ...]:
    """Vertebrae that the model is not sure of, and why; from top to bottom.

    Args:
        xy: ``(V, P, 2)`` pixels, NaN where absent.
        scores: ``(V, P)`` confidences.
        errors: ``(V, P)`` expected errors in pixels, NaN where there is none.
    """
    is_visible, largest, usual = _expected(xy, errors)
    is_unsure = is_visible[:, _CENTER] & (scores[:, _CENTER] < MIN_SURE_SCORE)
    found = []
    for v in np.flatnonzero(is_unsure | (largest > MAX_SURE_ERROR * usual)).tolist():
        name = VERTEBRAE[v]
        if is_unsure[v]:
            why = f"The model is not sure where {name} is (score {scores[v, _CENTER]:.2f})."
        else:
            why = f"{name} may be off by {largest[v]:.0f} px, {largest[v] / usual[v]:.2f} of its height."
        found.append((name, why))
    return tuple(found)
