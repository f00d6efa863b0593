"""The report of a label version: its 85 points, its curves, and everything else that it carries.

A Comprehensive SR of TID 1500, from which ``read`` gets the whole label version back. docs/STRUCTURED_REPORTS.md lists
its items.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydicom.dataset import Dataset

from ..spine.geometry import corners_of
from ..spine.imaging.image_frame import ImageFrame
from ..spine.labels.markups import label_of
from ..spine.measurement.angle_interval import corrected_half_widths
from ..spine.measurement.cobb import Curve, t1_tilt_deg
from ..spine.measurement.report import curves_of, sides_of
from ..spine.schema import VERTEBRAE, Landmark
from . import codes
from .content_items import Links, algorithm, evaluation, measurement, measurement_report, sr
from .label_info import info_items, number_item, text_item
from .label_version import DocumentReference, LabelVersion, Verification, to_graphic
from .source_image import SourceImage
from .subject import LANDMARKS, ReportSubject, tracking_uid

DESCRIPTION = "Vertebra landmarks"


def landmark_report(
    subject: ReportSubject,
    frame: ImageFrame | None = None,
    predecessor: DocumentReference | None = None,
    verification: Verification | None = None,
) -> Dataset:
    """Write the report of a label version.

    Args:
        subject: the version, its image and its studies folder.
        frame: orientation and sides of the image, by which curves are measured; those of the points without one.
        predecessor: report of the version that this one corrects.
        verification: who attests the report; ``None`` leaves it unverified.

    Raises:
        ValueError: the frame has another size than the image, the information of the label is no JSON, or
            attributes of the patient are damaged.
    """
    image = subject.image
    frame = frame or ImageFrame(image.width, image.height)
    if (frame.width, frame.height) != (image.width, image.height):
        raise ValueError(f"the frame must be {image.width} x {image.height}, got {frame.width} x {frame.height}")
    groups = [*_point_groups(subject), *_curve_groups(subject, frame), *_spine_groups(subject, frame)]
    links = Links(items=(_label_container(subject),), predecessor=predecessor, verification=verification)
    return measurement_report(subject, LANDMARKS, DESCRIPTION, groups, links)


def label_curves(label: LabelVersion, frame: ImageFrame) -> tuple[Curve, ...]:
    """The curves of a label, with intervals that count what a person has placed."""
    widths = label.info.get("tilt_half_widths_deg")
    predicted = None
    if isinstance(widths, dict):
        numbers = (widths.get(name) for name in VERTEBRAE)
        predicted = np.array([n if isinstance(n, (int, float)) else np.nan for n in numbers], float)
    by_reader = corners_of(label.touched_mask[..., None])[..., 0]
    names_right = label.info.get("names_right")
    probability = float(names_right) if isinstance(names_right, (int, float)) else None
    return curves_of(label.spine, frame, corrected_half_widths(predicted, by_reader), probability)


def _point_groups(subject: ReportSubject) -> Iterator[sr.Template]:
    label, image = subject.label, subject.image
    model = algorithm(label.info)
    source = sr.SourceImageForRegion(image.reference.sop_class_uid, image.uid)
    for vertebra, point, landmark in label.spine.points():
        name = label_of(vertebra, point)
        statements, numbers = [], []
        if label.touched is not None:  # of absent points too: a person may have removed one
            statements.append(evaluation("placed_by", "person" if name in label.touched else "model"))
        if landmark is None:
            statements.append(evaluation("visibility", "absent"))
        else:
            numbers = _estimates(landmark, label.touched is not None and name in label.touched)
            if not landmark.is_visible:
                statements.append(evaluation("visibility", "hidden"))
        is_predicted = landmark is not None and not (label.touched and name in label.touched)
        common = {
            "tracking_identifier": sr.TrackingIdentifier(tracking_uid(image.uid, name), name),
            "finding_type": codes.LANDMARK[point],
            "finding_sites": [sr.FindingSite(codes.VERTEBRA[vertebra])],
            "algorithm_id": model if is_predicted else None,
        }
        if landmark is not None and _is_on_image(landmark, image):
            graphic = to_graphic(np.array([[landmark.x, landmark.y]]))
            region = sr.ImageRegion(sr.GraphicTypeValues.POINT, graphic.astype(float), source)
            yield sr.PlanarROIMeasurementsAndQualitativeEvaluations(
                referenced_region=region, measurements=numbers, qualitative_evaluations=statements, **common
            )
            continue
        if landmark is not None:
            statements.append(evaluation("visibility", "outside"))
            numbers.append(measurement(codes.PRIVATE["column"], landmark.x, codes.PIXEL))
            numbers.append(measurement(codes.PRIVATE["row"], landmark.y, codes.PIXEL))
        yield sr.MeasurementsAndQualitativeEvaluations(
            source_images=_measured(image), measurements=numbers, qualitative_evaluations=statements, **common
        )


def _measured(image: SourceImage) -> list[sr.SourceImageForMeasurementGroup]:
    return [sr.SourceImageForMeasurementGroup(image.reference.sop_class_uid, image.uid)]


def _is_on_image(landmark: Landmark, image: SourceImage) -> bool:
    """Whether spatial coordinates may state it: they end at the borders of the image."""
    return -0.5 <= landmark.x <= image.width - 0.5 and -0.5 <= landmark.y <= image.height - 0.5


def _estimates(landmark: Landmark, is_touched: bool) -> list[sr.Measurement]:
    """Score and expected error; the score of a person's point is 1 and not stated."""
    numbers = []
    if not is_touched or landmark.score != 1.0:
        numbers.append(measurement(codes.PRIVATE["score"], landmark.score, codes.NO_UNITS))
    if landmark.error is not None:
        numbers.append(measurement(codes.PRIVATE["expected_error"], landmark.error, codes.PIXEL))
    return numbers


def _curve_groups(subject: ReportSubject, frame: ImageFrame) -> Iterator[sr.Template]:
    image = subject.image
    for number, curve in enumerate(label_curves(subject.label, frame), start=1):
        numbers = [measurement(codes.COBB_ANGLE, curve.angle_deg, codes.DEGREE)]
        if curve.half_width_deg is not None:
            numbers.append(measurement(codes.PRIVATE["half_width"], curve.half_width_deg, codes.DEGREE))
        ends = codes.VERTEBRA[curve.upper_end], codes.VERTEBRA[curve.lower_end]
        name = f"{curve.upper_end}-{curve.lower_end}"
        yield sr.MeasurementsAndQualitativeEvaluations(
            tracking_identifier=sr.TrackingIdentifier(
                tracking_uid(image.uid, f"curve {name}"), f"Cobb angle {number} {name}"
            ),
            finding_type=codes.SCOLIOSIS if curve.is_scoliosis else codes.PRIVATE["curve"],
            finding_sites=[sr.FindingSite(end) for end in ends],
            measurements=numbers,
            qualitative_evaluations=[
                evaluation("upper_end", ends[0]),
                evaluation("lower_end", ends[1]),
                evaluation("apex", codes.LEVEL[curve.apex]),
                evaluation("side", codes.SIDE[curve.side]),
                evaluation("sides_of", sides_of(frame)),
                *(evaluation("open_end", codes.VERTEBRA[end]) for end in curve.open_ends),
            ],
            source_images=_measured(image),
        )


def _spine_groups(subject: ReportSubject, frame: ImageFrame) -> Iterator[sr.Template]:
    """What is said of the spine as a whole, if anything is."""
    tilt = t1_tilt_deg(frame.upright(subject.label.spine).visible_xy)
    if tilt is None and frame.image_left_is is None:
        return
    statements = [] if frame.image_left_is is None else [evaluation("image_left_is", codes.SIDE[frame.image_left_is])]
    yield sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(tracking_uid(subject.image.uid, "spine"), "Spine"),
        finding_sites=[sr.FindingSite(codes.VERTEBRA[VERTEBRAE[0]])],
        measurements=[] if tilt is None else [measurement(codes.PRIVATE["t1_tilt"], tilt, codes.DEGREE)],
        qualitative_evaluations=statements,
        source_images=_measured(subject.image),
    )


def _label_container(subject: ReportSubject) -> sr.ContainerContentItem:
    """What identifies the label version, and its information."""
    label = subject.label
    container = sr.ContainerContentItem(
        codes.PRIVATE["label_version"], relationship_type=sr.RelationshipTypeValues.CONTAINS
    )
    container.ContentSequence = sr.ContentSequence(
        [
            text_item(codes.PRIVATE["tag"], label.tag),
            number_item(codes.PRIVATE["version"], label.version, codes.NO_UNITS),
            text_item(codes.PRIVATE["digest"], label.digest),
            text_item(codes.PRIVATE["content_digest"], label.content_digest(subject.image.uid)),
            *info_items(label.info),
        ]
    )
    return container
