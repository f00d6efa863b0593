"""The small report for viewers: Cobb lines that OHIF shows and lets a person edit.

OHIF makes a Cobb angle editable if its group is tracked as ``Cornerstone3DTools@^0.1.0:CobbAngle`` and the four points
of its lines stand inside the number. It measures these lines itself (``viewer_angle``), in millimetres, and shows that
instead of the stated angle; hence the stated angle is measured on the same lines, in millimetres, too. But for rounding
of the lines, both are the Cobb angle of the landmark report, unless pixels are not square and neither PixelSpacing nor
ImagerPixelSpacing says so, or says more than 4 : 1.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydicom.dataset import Dataset

from ..spine.imaging.image_frame import ImageFrame
from ..spine.measurement.cobb import Curve
from ..spine.schema import POINTS, Spine
from . import codes
from .content_items import Links, measurement, measurement_report, sr
from .label_version import from_graphic, to_graphic
from .landmark_report import label_curves
from .source_image import SourceImage
from .subject import COBB_LINES, LANDMARKS, ReportSubject, tracking_uid

TRACKING = "Cornerstone3DTools@^0.1.0:CobbAngle"
DESCRIPTION = "Cobb lines"
_MIN_COSINE = 0.2
"""Lines that are nearly perpendicular to their common direction are not extended."""
SUPERIOR, INFERIOR = (POINTS.index("TL"), POINTS.index("TR")), (POINTS.index("BL"), POINTS.index("BR"))
"""Indices of the corners of an endplate, left and right."""


def cobb_lines_report(subject: ReportSubject, frame: ImageFrame | None = None) -> Dataset:
    """Write the Cobb lines of a label version, with a reference to its landmark report.

    Args:
        subject: the version, its image and its studies folder.
        frame: orientation and sides of the image; those of the points without one.

    Raises:
        ValueError: the label has no curve, or attributes of the patient are damaged.
    """
    curves = label_curves(subject.label, frame or ImageFrame(subject.image.width, subject.image.height))
    if not curves:
        raise ValueError("the label has no curve: fewer than three vertebrae have all corners")
    landmarks = subject.reference(LANDMARKS)
    reference = sr.CompositeContentItem(
        codes.PRIVATE["landmark_report"],
        landmarks.sop_class_uid,
        landmarks.sop_instance_uid,
        sr.RelationshipTypeValues.CONTAINS,
    )
    links = Links(items=(reference,), evidence=(landmarks,))
    return measurement_report(subject, COBB_LINES, DESCRIPTION, _groups(subject, curves), links)


def cobb_lines(spine: Spine, curve: Curve, image: SourceImage) -> np.ndarray:
    """``(4, 2)`` stored pixels on the grid: left and right end of the upper, then of the lower line.

    They are the endplates, extended where OHIF would otherwise take the ends of different sides for the tips of the
    angle and show its supplement: it takes the two nearest ends.
    """
    upper, lower = curve.ends
    lines = np.concatenate([spine.xy[upper, SUPERIOR], spine.xy[lower, INFERIOR]])
    if _is_crossed(lines, image.spacing):
        lines = _extended(lines, image) if _cosine(lines) > _MIN_COSINE else lines
    return from_graphic(to_graphic(lines))


def line_angle(lines: np.ndarray, spacing: tuple[float, float] = (1.0, 1.0)) -> float:
    """The angle in degrees between two lines from left to right, 0 to 180.

    Args:
        lines: ``(4, 2)`` pixels, the left and right end of the first line, then of the second.
        spacing: width and height of a pixel.
    """
    ends = np.asarray(lines, float) * spacing
    return _between(ends[1] - ends[0], ends[3] - ends[2])


def viewer_angle(lines: np.ndarray, spacing: tuple[float, float] = (1.0, 1.0)) -> float:
    """The angle in degrees that OHIF shows for two lines, 0 to 180.

    Args:
        lines: ``(4, 2)`` pixels, the ends of the first line, then of the second.
        spacing: width and height of a pixel.
    """
    ends = np.asarray(lines, float) * spacing
    first, second = _nearest_ends(ends)
    return _between(ends[1 - first] - ends[first], ends[5 - second] - ends[second])


def _between(a: np.ndarray, b: np.ndarray) -> float:
    cosine = a @ b / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-12)
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def _nearest_ends(ends: np.ndarray) -> tuple[int, int]:
    """Indices of the two nearest ends of different lines."""
    pairs = [(i, j) for i in (0, 1) for j in (2, 3)]
    return min(pairs, key=lambda pair: float(np.linalg.norm(ends[pair[0]] - ends[pair[1]])))


def _is_crossed(lines: np.ndarray, spacing: tuple[float, float]) -> bool:
    """Whether the nearest ends are a left and a right one."""
    first, second = _nearest_ends(lines * spacing)
    return first != second - 2


def _directions(lines: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``(2, 2)`` unit vectors of the lines from left to right, and the ``(2,)`` one between them."""
    along = lines[[1, 3]] - lines[[0, 2]]
    along = along / np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    middle = along.sum(0)
    return along, middle / max(float(np.linalg.norm(middle)), 1e-9)


def _cosine(lines: np.ndarray) -> float:
    along, middle = _directions(lines)
    return float((along @ middle).min())


def _extended(lines: np.ndarray, image: SourceImage) -> np.ndarray:
    """The same lines, extended to begin and end beside each other, or at the border of the image."""
    along, middle = _directions(lines)
    positions = lines @ middle
    reach = np.array([positions.min(), positions.max()] * 2)
    line = np.array([0, 0, 1, 1])
    steps = ((reach - positions) / (along @ middle)[line])[:, None] * along[line]
    border = np.array([image.width, image.height]) - 0.5
    room = np.where(steps > 0, border - lines, lines + 0.5) / np.maximum(np.abs(steps), 1e-9)
    extended: np.ndarray = lines + steps * np.clip(room.min(1, keepdims=True), 0, 1)
    return extended


def _groups(subject: ReportSubject, curves: tuple[Curve, ...]) -> Iterator[sr.Template]:
    image = subject.image
    for curve in curves:
        lines = cobb_lines(subject.label.spine, curve, image)
        angle = measurement(codes.COBB_ANGLE, line_angle(lines, image.spacing), codes.DEGREE)
        graphic = sr.ScoordContentItem(
            codes.IMAGE_REGION,
            sr.GraphicTypeValues.POLYLINE,
            to_graphic(lines).astype(float),
            relationship_type=sr.RelationshipTypeValues.INFERRED_FROM,
        )
        reference = image.reference
        graphic.ContentSequence = [sr.SourceImageForRegion(reference.sop_class_uid, image.uid)]
        angle[0].ContentSequence = sr.ContentSequence([graphic])
        name = f"lines {curve.upper_end}-{curve.lower_end}"
        yield sr.MeasurementsAndQualitativeEvaluations(
            tracking_identifier=sr.TrackingIdentifier(tracking_uid(image.uid, name), TRACKING),
            finding_type=codes.SCOLIOSIS if curve.is_scoliosis else codes.PRIVATE["curve"],
            finding_sites=[sr.FindingSite(codes.VERTEBRA[end]) for end in (curve.upper_end, curve.lower_end)],
            measurements=[angle],
            source_images=[sr.SourceImageForMeasurementGroup(reference.sop_class_uid, image.uid)],
        )
