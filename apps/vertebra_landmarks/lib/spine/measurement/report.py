"""Measurements of one spine as plain values for tables and responses: Cobb angles, curves, violations of anatomy.

Everything is measured in the upright image, from visible points only.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Optional

import numpy as np

from ..geometry import corners_of
from ..imaging.image_frame import ImageFrame
from ..schema import VERTEBRAE, Spine
from .aasce_angles import challenge_angles
from .anatomy import Violation, violations
from .cobb import Curve, t1_tilt_deg, wedging_deg
from .measured_spine import curves_with_intervals


def challenge_report(spine: Spine, frame: ImageFrame) -> Optional[list[float]]:
    """The three angles of the AASCE challenge in degrees.

    ``None`` where a corner is absent or not visible, or a body has no width.

    Args:
        spine: points in stored pixels.
        frame: the image that they belong to.
    """
    corners = corners_of(frame.upright(spine).visible_xy)
    try:
        return [float(angle) for angle in challenge_angles(corners, frame.upright_height(spine))]
    except ValueError:  # not covered by the rule
        return None


def curves_of(
    spine: Spine,
    frame: ImageFrame,
    tilt_half_widths: Optional[np.ndarray] = None,
    names_right: Optional[float] = None,
) -> tuple[Curve, ...]:
    """Every curve from top to bottom, see ``curves_with_intervals``.

    Args:
        spine: points in stored pixels.
        frame: of their image; where it states the patient's sides, sides are the patient's.
        tilt_half_widths: ``(V,)`` degrees, the share of each vertebra in the interval of an angle.
        names_right: probability in 0...1 that the names are right; where they are doubtful, no curve has a half width.
    """
    return curves_with_intervals(frame.upright(spine).visible_xy, frame.image_left_is, tilt_half_widths, names_right)


def cobb_report(
    spine: Spine,
    frame: ImageFrame,
    tilt_half_widths: Optional[np.ndarray] = None,
    names_right: Optional[float] = None,
) -> dict[str, Any]:
    """All measurements in plain values.

    Args:
        spine: points in stored pixels.
        frame: of their image; where it states the patient's sides, sides are the patient's.
        tilt_half_widths: ``(V,)`` degrees, the share of each vertebra in the interval of an angle.
        names_right: probability in 0...1 that the names are right; where they are doubtful, no curve has a half width.

    Returns:
        ``challenge`` (three degrees or ``None``), ``curves`` (a dict per curve), ``sides_of`` ("patient" or "image"),
        ``t1_tilt_deg`` and ``wedging_deg`` by vertebra, ``None`` where a corner is absent or not visible.
    """
    xy = frame.upright(spine).visible_xy
    wedging = (float(angle) if np.isfinite(angle) else None for angle in wedging_deg(xy))
    return {
        "challenge": challenge_report(spine, frame),
        "curves": [_plain_curve(curve) for curve in curves_of(spine, frame, tilt_half_widths, names_right)],
        "sides_of": sides_of(frame),
        "t1_tilt_deg": t1_tilt_deg(xy),
        "wedging_deg": dict(zip(VERTEBRAE, wedging)),
    }


def sides_of(frame: ImageFrame) -> str:
    """Whose left and right a side is: "patient" where the image's sides are known, else "image"."""
    return "image" if frame.image_left_is is None else "patient"


def anatomy_report(spine: Spine, frame: ImageFrame) -> dict[str, list[dict[str, Any]]]:
    """Violations by vertebra, in plain values; vertebrae without a violation are left out.

    A violation of several vertebrae is listed at the first of them.

    Args:
        spine: points in stored pixels.
        frame: the image that they belong to.
    """
    report: dict[str, list[dict[str, Any]]] = {}
    for violation in violations(frame.upright(spine).visible_xy):
        report.setdefault(violation.vertebrae[0], []).append(_plain(violation))
    return report


def _plain(violation: Violation) -> dict[str, Any]:
    return {**asdict(violation), "vertebrae": list(violation.vertebrae)}


def _plain_curve(curve: Curve) -> dict[str, Any]:
    return {**asdict(curve), "open_ends": list(curve.open_ends)}
