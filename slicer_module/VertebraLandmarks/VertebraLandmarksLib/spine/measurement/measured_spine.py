"""Measurements of a spine under correction: curves, anatomical violations, and vertebrae to be checked."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Optional

import numpy as np

from ..display import MAX_SURE_ERROR, MIN_SURE_SCORE
from ..geometry import body_heights, corners_of
from ..imaging.image_frame import ImageFrame
from ..schema import CENTER, CORNERS, POINTS, VERTEBRAE, Spine
from .anatomy import Violation, violations
from .angle_interval import are_names_doubtful, corrected_half_widths, interval_half_width, interval_sentence
from .cobb import Curve, measure_curves, patient_side
from .origin import UNKNOWN, Origin

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
    by_reader = corners_of_reader(upright)
    half_widths = corrected_half_widths(origin.half_widths, by_reader)
    curves = curves_with_intervals(xy, frame.image_left_is, half_widths, origin.names_right)
    return Measurements(
        curves,
        violations(xy),
        doubtful_vertebrae(xy, scores, errors),
        tuple(uncertainties(xy, scores, errors).tolist()),
        _explain_intervals(curves, by_reader, origin.names_right),
        upright.visible,
    )


def corners_of_reader(spine: Spine) -> np.ndarray:
    """``(V, 4)`` which corners a person has placed: those visible with a score of 1 and no expected error."""
    placed: np.ndarray = (spine.visible & (spine.scores == 1.0) & np.isnan(spine.errors))[:, _CORNERS]
    return placed


def curves_with_intervals(
    xy: np.ndarray, image_left_is: Optional[str], half_widths: Optional[np.ndarray], names_right: Optional[float]
) -> tuple[Curve, ...]:
    """Every curve from top to bottom, as of ``measure_curves``, with sides of the patient and intervals.

    Args:
        xy: ``(V, P, 2)`` upright pixels, NaN where not visible.
        image_left_is: the patient's side at the left of the upright image; ``None`` where unknown, and sides are the
            image's.
        half_widths: ``(V,)`` degrees, the share of each vertebra in the interval of an angle, NaN where it has none;
            ``None`` without any.
        names_right: probability in 0...1 that the names are right; where they are doubtful, no curve has a half width.
    """
    if are_names_doubtful(names_right):
        half_widths = None
    curves = []
    for curve in measure_curves(xy):
        width = np.nan if half_widths is None else interval_half_width(half_widths, curve.ends)
        side = patient_side(curve.side, image_left_is)
        curves.append(replace(curve, side=side, half_width_deg=float(width) if np.isfinite(width) else None))
    return tuple(curves)


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


class Check(NamedTuple):
    """A vertebra to be checked: its name, why it is (``DOUBTFUL`` or ``IMPLAUSIBLE``), and that as a sentence."""

    vertebra: str
    kind: str
    text: str


DOUBTFUL, IMPLAUSIBLE = "doubtful", "implausible"
"""Kinds of checks: the model is not sure of the vertebra; it is at odds with anatomy."""


def suspicions(measured: Measurements) -> dict[str, str]:
    """Kind of check by name of the vertebrae that are marked in the view; doubtful precedes implausible."""
    kinds = {name: IMPLAUSIBLE for violation in measured.violations for name in culprits(violation)}
    kinds.update({name: DOUBTFUL for name, _ in measured.doubtful})
    return kinds


def vertebrae_to_check(measured: Measurements) -> tuple[Check, ...]:
    """Vertebrae to be checked, from top to bottom; of one vertebra, the doubt comes first."""
    doubts = [Check(name, DOUBTFUL, why) for name, why in measured.doubtful]
    odds = [Check(culprits(one)[0], IMPLAUSIBLE, one.message) for one in measured.violations]
    return tuple(sorted((*doubts, *odds), key=lambda check: VERTEBRAE.index(check.vertebra)))


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
