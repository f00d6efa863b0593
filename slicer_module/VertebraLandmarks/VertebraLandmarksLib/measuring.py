"""What the points say while they are corrected: curves, what is implausible, and where the model is in doubt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Optional

import numpy as np

from .spine.anatomy import LIMITS, Violation, violations
from .spine.curves import Curve, interval_half_width, measure_curves, patient_side
from .spine.geometry import body_heights, corners_of
from .spine.schema import CENTER, CORNERS, POINTS, VERTEBRAE

DOUBT_BELOW = 0.5
"""Score of a center below which its vertebra is doubtful."""
ERROR_LIMIT = LIMITS.center_offset
"""Expected error in body heights above which a vertebra is doubtful: two readers differ by more in 5 % of corners."""

_CENTER = POINTS.index(CENTER)
_CORNERS = tuple(POINTS.index(name) for name in CORNERS)


@dataclass(frozen=True)
class Measurements:
    """What is measured on one spine.

    Attributes:
        curves: from top to bottom; sides are the patient's where they are known, else the image's.
        violations: anatomical priors that it breaks.
        doubtful: names of vertebrae that the model is not sure of, and why, as a sentence.
    """

    curves: tuple[Curve, ...] = ()
    violations: tuple[Violation, ...] = ()
    doubtful: tuple[tuple[str, str], ...] = ()


def measure(
    xy: np.ndarray,
    scores: np.ndarray,
    errors: np.ndarray,
    touched: np.ndarray,
    image_left_is: Optional[str] = None,
    tilt_half_widths: Optional[np.ndarray] = None,
) -> Measurements:
    """Measure a spine.

    Args:
        xy: ``(V, P, 2)`` pixels, NaN where absent.
        scores: ``(V, P)`` confidences.
        errors: ``(V, P)`` expected errors in pixels, NaN where there is none.
        touched: ``(V, P)`` which points the person set.
        image_left_is: the patient's side at the left of the image; ``None`` where nobody knows.
        tilt_half_widths: ``(V,)`` degrees, each vertebra's part in the interval of an angle, as predicted. A vertebra
            with a touched corner has none any more: the interval was that of the model's corners.
    """
    curves = []
    for curve in measure_curves(xy):
        half_width = None
        if tilt_half_widths is not None and not touched[list(curve.ends)][:, _CORNERS].any():
            width = interval_half_width(tilt_half_widths, curve.ends)
            half_width = width if np.isfinite(width) else None
        curves.append(replace(curve, side=patient_side(curve.side, image_left_is), half_width_deg=half_width))
    return Measurements(tuple(curves), violations(xy), doubts(xy, scores, errors))


def doubts(xy: np.ndarray, scores: np.ndarray, errors: np.ndarray) -> tuple[tuple[str, str], ...]:
    """Vertebrae that the model is not sure of, and why; from top to bottom.

    Args:
        xy: ``(V, P, 2)`` pixels, NaN where absent.
        scores: ``(V, P)`` confidences.
        errors: ``(V, P)`` expected errors in pixels, NaN where there is none.
    """
    is_visible = np.isfinite(xy).all(axis=-1)
    largest = np.where(is_visible & np.isfinite(errors), errors, -np.inf).max(axis=1)
    heights = body_heights(corners_of(xy))
    known = heights[np.isfinite(heights)]
    usual = np.where(np.isfinite(heights), heights, np.median(known) if len(known) else np.inf)
    is_unsure = is_visible[:, _CENTER] & (scores[:, _CENTER] < DOUBT_BELOW)
    found = []
    for v in np.flatnonzero(is_unsure | (largest > ERROR_LIMIT * usual)).tolist():
        name = VERTEBRAE[v]
        if is_unsure[v]:
            why = f"The model is not sure where {name} is (score {scores[v, _CENTER]:.2f})."
        else:
            why = f"{name} may be off by {largest[v]:.0f} px, {largest[v] / usual[v]:.2f} of its height."
        found.append((name, why))
    return tuple(found)
