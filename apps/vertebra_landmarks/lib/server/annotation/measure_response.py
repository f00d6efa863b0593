"""The answer to ``POST /measure``: everything that is shown beside points while they are corrected, as plain values.

It is computed from the request alone, by the code that the Slicer module measures and draws with.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from typing import Any

import numpy as np

from ...spine.geometry import transform_points
from ...spine.imaging.image_frame import ImageFrame
from ...spine.imaging.orientation import UPRIGHT, Orientation, orientation_of
from ...spine.labels.submission_warnings import submission_warnings
from ...spine.measurement.cobb import Curve, t1_tilt_deg
from ...spine.measurement.image_warnings import measurement_warnings
from ...spine.measurement.measured_spine import Measurements, measure, suspicions, vertebrae_to_check
from ...spine.measurement.report import challenge_report, sides_of
from ...spine.overlay_geometry import PALETTE, SIGNS, angle_anchor, cobb_lines, color_indices, format_curve
from ...spine.schema import VERTEBRAE, Spine
from .measure_request import MeasureRequest

SURE = "sure"
"""State of a vertebra that need not be checked; the others are the kinds of checks."""


def measure_response(request: MeasureRequest) -> dict[str, Any]:
    """Measure the points of a request.

    Returns:
        ``curves`` (a dict per curve, from top to bottom, with ``text``, and ``lines``, ``text_at`` in stored pixels;
        ``text_side`` says to which side of the upright image the text runs from there), ``sides_of``,
        ``t1_tilt_deg``, ``challenge`` (as of ``cobb_report``), ``interval`` (what ± means), ``orientation`` (in which
        the points stand upright), ``vertebrae`` (color, state, sign and uncertainty of those with a visible point),
        ``to_check``, ``warnings``, ``names_right`` and ``submission_warnings``.
    """
    stored, origin = request.spine(), request.origin.origin()
    spine, frame, orientation = _upright(stored, request.frame())
    measured, xy = measure(spine, frame, origin), spine.visible_xy
    to_stored = np.linalg.inv(request.frame().matrix(orientation))
    warnings = measurement_warnings(spine, frame, origin.names_right, origin.warnings) if request.points else ()
    to_confirm = submission_warnings(xy, request.label, request.user, request.is_proposal)
    return {
        "curves": _curves(xy, measured.curves, to_stored),
        "sides_of": sides_of(frame),
        "t1_tilt_deg": t1_tilt_deg(xy),
        "challenge": challenge_report(spine, frame),
        "interval": measured.interval,
        "orientation": orientation.as_dict(),
        "vertebrae": _vertebrae(measured),
        "to_check": [check._asdict() for check in vertebrae_to_check(measured)],
        "warnings": [warning.as_dict() for warning in warnings],
        "names_right": origin.names_right,
        "submission_warnings": [{**asdict(one), "vertebrae": list(one.vertebrae)} for one in to_confirm],
    }


def _upright(spine: Spine, frame: ImageFrame) -> tuple[Spine, ImageFrame, Orientation]:
    """A spine in the upright image, as if that were the stored one, and how it was turned: turning takes time."""
    orientation = orientation_of(spine.xy, frame.width, frame.height, frame.orientation)
    width, height = frame.upright_size(orientation)
    if frame.pixel_aspect != 1.0:  # of whole pixels, beyond which the last row or column may reach
        width, height = width + 1, height + 1
    return frame.upright(spine), ImageFrame(width, height, UPRIGHT, frame.image_left_is), orientation


def _curves(xy: np.ndarray, curves: Collection[Curve], to_stored: np.ndarray) -> list[dict[str, Any]]:
    """Curves with their lines and texts.

    Args:
        xy: ``(V, P, 2)`` upright pixels, which are square, NaN where not visible.
        curves: of these points.
        to_stored: ``(3, 3)`` from upright to stored pixels.
    """
    lines = transform_points(to_stored, cobb_lines(xy, curves).ends).reshape(-1, 2, 2, 2).tolist()
    found = []
    for curve, pair in zip(curves, lines, strict=True):
        anchor = angle_anchor(xy, curve)
        found.append(
            {
                **asdict(curve),
                "open_ends": list(curve.open_ends),
                "text": format_curve(curve),
                "lines": pair,
                "text_at": transform_points(to_stored, np.array([anchor.x, anchor.y])).tolist(),
                "text_side": "right" if anchor.is_at_right else "left",
            }
        )
    return found


def _vertebrae(measured: Measurements) -> dict[str, dict[str, Any]]:
    """Color, state, sign and uncertainty of the vertebrae that have a visible point."""
    kinds, colors = suspicions(measured), color_indices(measured).tolist()
    found = {}
    for v in np.flatnonzero(measured.visible.any(axis=1)).tolist():
        state = kinds.get(VERTEBRAE[v], SURE)
        found[VERTEBRAE[v]] = {
            "color": "#{:02x}{:02x}{:02x}".format(*PALETTE[colors[v]]),
            "state": state,
            "sign": SIGNS.get(state, ""),
            "uncertainty": measured.uncertainty[v],
        }
    return found
