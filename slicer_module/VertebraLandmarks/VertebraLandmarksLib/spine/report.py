"""What one spine's points say, as plain values for tables and answers: Cobb angles, curves, violated anatomy."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any, Optional

import numpy as np

from .anatomy import Violation, violations
from .challenge import challenge_angles
from .curves import Curve, interval_half_width, measure_curves, patient_side, t1_tilt_deg, wedging_deg
from .geometry import corners_of
from .schema import VERTEBRAE, Spine


def challenge_report(spine: Spine, height: int) -> Optional[list[float]]:
    """The three angles of the AASCE challenge in degrees; ``None`` where a corner is absent or a body has no width.

    Args:
        spine: points in pixels of the image.
        height: of the image in pixels, which the rule asks for.
    """
    try:
        return [float(angle) for angle in challenge_angles(corners_of(spine.xy), height)]
    except ValueError:  # what the rule does not cover; it names the vertebra, which no table has a place for
        return None


def curves_of(
    spine: Spine, image_left_is: Optional[str] = None, tilt_half_widths: Optional[np.ndarray] = None
) -> tuple[Curve, ...]:
    """Every curve from top to bottom, as ``curves.measure_curves`` finds them.

    Args:
        spine: points in pixels of the image.
        image_left_is: the patient's side at the left of the image; then sides are the patient's, else the image's.
        tilt_half_widths: ``(V,)`` degrees, each vertebra's part in the interval of an angle.
    """
    curves = []
    for curve in measure_curves(spine.xy):
        width = None if tilt_half_widths is None else interval_half_width(tilt_half_widths, curve.ends)
        curves.append(replace(curve, side=patient_side(curve.side, image_left_is), half_width_deg=width))
    return tuple(curves)


def cobb_report(
    spine: Spine,
    height: int,
    image_left_is: Optional[str] = None,
    tilt_half_widths: Optional[np.ndarray] = None,
) -> dict[str, Any]:
    """The measurement in plain values.

    Args:
        spine: points in pixels of the image.
        height: of the image in pixels.
        image_left_is: the patient's side at the left of the image; then sides are the patient's, else the image's.
        tilt_half_widths: ``(V,)`` degrees, each vertebra's part in the interval of an angle.

    Returns:
        ``challenge`` (three degrees or ``None``), ``curves`` (a dict per curve), ``sides_of`` ("patient" or "image"),
        ``t1_tilt_deg`` and ``wedging_deg`` by vertebra, ``None`` where a corner is absent.
    """
    wedging = (float(angle) if np.isfinite(angle) else None for angle in wedging_deg(spine.xy))
    return {
        "challenge": challenge_report(spine, height),
        "curves": [asdict(curve) for curve in curves_of(spine, image_left_is, tilt_half_widths)],
        "sides_of": "image" if image_left_is is None else "patient",
        "t1_tilt_deg": t1_tilt_deg(spine.xy),
        "wedging_deg": dict(zip(VERTEBRAE, wedging)),
    }


def anatomy_report(spine: Spine) -> dict[str, list[dict[str, Any]]]:
    """Violations by vertebra, in plain values; a vertebra that violates nothing is left out.

    A violation that is about several vertebrae stands at the first of them.
    """
    report: dict[str, list[dict[str, Any]]] = {}
    for violation in violations(spine.xy):
        report.setdefault(violation.vertebrae[0], []).append(_plain(violation))
    return report


def _plain(violation: Violation) -> dict[str, Any]:
    return {**asdict(violation), "vertebrae": list(violation.vertebrae)}
