"""The last stage: a spine estimate becomes a ``Prediction`` in stored pixels, with expected errors and warnings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ...spine.geometry import center_distances
from ...spine.imaging.image_frame import ImageFrame
from ...spine.imaging.orientation import UPRIGHT, Orientation
from ...spine.measurement.angle_interval import corrected_half_widths
from ...spine.measurement.image_warnings import (
    ImageWarning,
    measurement_warnings,
    not_frontal_warning,
    second_spine_warning,
)
from ...spine.schema import CENTER, POINTS, Spine
from ..decoders import FixedLandmarks
from ..uncertainty.error_model import ErrorModel
from .level_names import names_evidence
from .network_view import NetworkView
from .refinement import RefinedSpine
from .request import PredictionRequest, SpineEstimate
from .spine_checks import body_aspect, may_be_lateral
from .timer import Timer
from .upright import NOT_STATED, UprightImage


@dataclass(frozen=True)
class Prediction:
    """Landmarks of one image.

    Attributes:
        spine: all 85 points in stored pixels. Those that the image does not show, off its border or on a body that is
            mostly beyond it, are not visible; their scores are 0 unless they are fixed.
        spine_score: mean of the highest scores of the channels, the evidence that there is a spine at all.
        decoder: name of the decoder that chose them.
        seconds: duration of each stage by name.
        naming_lead: evidence for the names (``level_names.names_evidence``); 0 for networks without names.
        raw_errors: ``(V, P)`` errors as the corner network states them, before calibration, pixels; ``None`` where it
            did not run, or where the decoded vertebrae lie in one place, so that there are no patches.
        names_right: chance in 0...1 that the names are right; ``None`` where that was not measured.
        tilt_half_widths: ``(V,)`` degrees; the 90 % interval of an angle between two vertebrae has the half width
            ``hypot`` of theirs; NaN where that is not known, ``None`` where nothing is. Vertebrae with fixed corners
            have a reader's error (``angle_interval``).
        frame: of the image, with the orientation that was used: what measuring needs.
        orientation_source: who says how the image stands: a tag or header of the file with its value, "found in the
            image" or "not stated".
        warnings: all reasons to doubt what is measured from the points.
    """

    spine: Spine
    spine_score: float
    decoder: str
    seconds: dict[str, float]
    frame: ImageFrame
    orientation_source: str = NOT_STATED
    naming_lead: float = 0.0
    raw_errors: np.ndarray | None = None
    names_right: float | None = None
    tilt_half_widths: np.ndarray | None = None
    warnings: tuple[ImageWarning, ...] = ()

    @property
    def orientation(self) -> Orientation:
        """How the stored raster was brought upright."""
        return self.frame.orientation or UPRIGHT


class CalibratedSpine(NamedTuple):
    """Points in upright pixels with what an error model says of them.

    Attributes:
        xy: ``(V, P, 2)``.
        errors: ``(V, P)`` expected errors, pixels, NaN for fixed points; ``None`` where nobody has measured them.
        names_right, tilt_half_widths: as in ``Prediction``.
    """

    xy: np.ndarray
    errors: np.ndarray | None = None
    names_right: float | None = None
    tilt_half_widths: np.ndarray | None = None


def calibrate(
    model: ErrorModel, refined: RefinedSpine, lead: float, fixed: FixedLandmarks, propagation: bool
) -> CalibratedSpine:
    """Expected errors of a refined spine; its free corners follow the errors of the fixed points.

    Args:
        model: measured on other images.
        refined: in upright pixels.
        lead: ``Prediction.naming_lead``, of the vertebrae as they are named around the fixed points. A fixed center
            settles the names; a corner may have been put right on a body whose name nobody has looked at.
        fixed: points that must stay, upright pixels.
        propagation: whether free corners follow (``ErrorCorrelations``).
    """
    step = float(center_distances(refined.xy[:, 0]).mean())
    xy, errors = refined.xy, model.local(refined.errors, step)
    if model.correlations is not None and propagation and fixed.mask.any():
        xy, left = model.correlations.propagate(xy, refined.observed, errors, fixed)
        errors = errors * left
    misnamed = 0.0 if fixed.mask[:, POINTS.index(CENTER)].any() else model.misnamed(lead)
    widths = corrected_half_widths(model.tilt_half_widths(xy, errors), fixed.mask[:, 1:])
    return CalibratedSpine(xy, np.where(fixed.determined, np.nan, errors), 1.0 - misnamed, widths)


def build_prediction(
    image: UprightImage,
    view: NetworkView,
    estimate: SpineEstimate,
    request: PredictionRequest,
    model: ErrorModel | None,
    propagation: bool,
    timer: Timer,
) -> Prediction:
    """The prediction of an image, in its stored pixels.

    Args:
        image: as it was brought upright.
        view: that the spine was found in.
        estimate: the spine.
        request: as asked.
        model: expected errors, ``None`` where they were not measured, or with another decoder.
        propagation: see ``calibrate``.
        timer: of all stages.
    """
    decoded, refined = estimate
    scores = view.scores_at(decoded.xy[:, 0])
    size = (image.radiograph.width, image.radiograph.height)
    is_visible: np.ndarray = np.all((decoded.xy[:, 0] >= 0) & (decoded.xy[:, 0] < size), axis=1)
    lead = names_evidence(scores, is_visible) if len(scores) > 1 else 0.0
    if refined is None:
        calibrated = CalibratedSpine(decoded.xy)
    elif model is None:
        calibrated = CalibratedSpine(refined.xy)
    else:
        calibrated = calibrate(model, refined, lead, image.fixed(request.fixed), propagation)
    spine = image.spine(calibrated.xy, decoded.scores, calibrated.errors, request.fixed)
    about_image = [*image.stored.warnings, *image.turn.warnings]
    if view.has_second_spine:
        about_image.append(second_spine_warning())
    visible = spine.visible[:, 0]
    if not request.fixed.mask.any() and may_be_lateral(scores.max(0)[visible], calibrated.xy[visible]):
        about_image.append(not_frontal_warning(body_aspect(calibrated.xy[visible])))
    warnings = measurement_warnings(spine, image.frame, calibrated.names_right, about_image)
    timer.lap("decode")
    return Prediction(
        spine,
        view.score,
        request.decoder,
        dict(timer.seconds),
        image.frame,
        image.turn.source,
        lead,
        None if refined is None else refined.errors,
        calibrated.names_right,
        calibrated.tilt_half_widths,
        tuple(warnings),
    )
