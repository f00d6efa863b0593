"""What a prediction says of one image, as plain values: the source of all tables and of the Parquet parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...learning.prediction.result import Prediction
from ...spine.measurement.image_warnings import describe_orientation
from ...spine.measurement.report import challenge_report, curves_of, sides_of
from ...spine.schema import Spine


@dataclass(frozen=True)
class LandmarkRecord:
    """One landmark.

    Attributes:
        vertebra: its name.
        point: "center" or the name of a corner.
        x_px: in stored pixels.
        y_px: in stored pixels.
        score: in 0...1.
        is_visible: whether the image shows it.
        error_px: expected distance to an annotator's point; ``None`` where it is not known.
    """

    vertebra: str
    point: str
    x_px: float
    y_px: float
    score: float
    is_visible: bool
    error_px: float | None = None


@dataclass(frozen=True)
class CurveRecord:
    """One curve; curves are numbered from top to bottom.

    Attributes:
        curve: its number, from 1.
        upper_end: name of the upper end vertebra.
        lower_end: name of the lower end vertebra.
        apex: name of the apex.
        side: of the convexity.
        angle_deg: Cobb angle.
        half_width_deg: of its 90 % interval; ``None`` where it is not known.
        region: of the spine.
        sides_of: "patient" or "image".
    """

    curve: int
    upper_end: str
    lower_end: str
    apex: str
    side: str
    angle_deg: float
    half_width_deg: float | None
    region: str
    sides_of: str


@dataclass(frozen=True)
class ImageRecord:
    """What is known about an image after prediction.

    Attributes:
        refused: why it has no landmarks; ``None`` where it has.
        is_final: whether that reason is the image itself, so that another try would not help.
        seconds: that reading and predicting took.
        spine_score: evidence that there is a spine at all.
        names_right: chance in 0...1 that the names are right; ``None`` where it is not known.
        orientation: how the stored raster is brought upright, and who says so.
        angles_deg: the three angles of the AASCE challenge; ``None`` where the rule does not cover the spine.
        warnings: sentences, reasons to doubt the measurements.
        landmarks: all 85, from top to bottom.
        curves: from top to bottom.
    """

    refused: str | None = None
    is_final: bool = True
    seconds: float = 0.0
    spine_score: float | None = None
    names_right: float | None = None
    orientation: str | None = None
    angles_deg: tuple[float, ...] | None = None
    warnings: tuple[str, ...] = ()
    landmarks: tuple[LandmarkRecord, ...] = ()
    curves: tuple[CurveRecord, ...] = ()

    @classmethod
    def of(cls, prediction: Prediction, seconds: float = 0.0) -> ImageRecord:
        """The record of a prediction that took some seconds."""
        angles = challenge_report(prediction.spine, prediction.frame)
        return cls(
            seconds=seconds,
            spine_score=float(prediction.spine_score),
            names_right=None if prediction.names_right is None else float(prediction.names_right),
            orientation=f"{describe_orientation(prediction.orientation)} ({prediction.orientation_source})",
            angles_deg=None if angles is None else tuple(angles),
            warnings=tuple(warning.message for warning in prediction.warnings),
            landmarks=landmark_records(prediction.spine),
            curves=_curves(prediction),
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ImageRecord:
        """The record whose ``dataclasses.asdict`` was written; keys that are none of its attributes are ignored."""
        plain = {name: values[name] for name in cls.__dataclass_fields__}
        angles = plain["angles_deg"]
        return cls(
            **plain
            | {
                "angles_deg": None if angles is None else tuple(angles),
                "warnings": tuple(plain["warnings"]),
                "landmarks": tuple(LandmarkRecord(**landmark) for landmark in plain["landmarks"]),
                "curves": tuple(CurveRecord(**curve) for curve in plain["curves"]),
            }
        )


def landmark_records(spine: Spine) -> tuple[LandmarkRecord, ...]:
    """The landmarks of a spine that are present, from top to bottom."""
    return tuple(
        LandmarkRecord(
            vertebra,
            point,
            float(landmark.x),
            float(landmark.y),
            float(landmark.score),
            bool(landmark.is_visible),
            None if landmark.error is None else float(landmark.error),
        )
        for vertebra, point, landmark in spine.points()
        if landmark is not None
    )


def _curves(prediction: Prediction) -> tuple[CurveRecord, ...]:
    """Every curve; the largest one where none reaches ten degrees."""
    sides = sides_of(prediction.frame)
    curves = curves_of(prediction.spine, prediction.frame, prediction.tilt_half_widths, prediction.names_right)
    return tuple(
        CurveRecord(
            number,
            curve.upper_end,
            curve.lower_end,
            curve.apex,
            curve.side,
            float(curve.angle_deg),
            None if curve.half_width_deg is None else float(curve.half_width_deg),
            curve.region,
            sides,
        )
        for number, curve in enumerate(curves, 1)
    )
