"""A presentation state: outlines, points and Cobb lines over the image, for viewers that show no measurements."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydicom.dataset import Dataset

from .. import __version__
from ..spine.imaging.image_frame import ImageFrame
from ..spine.schema import POINTS
from .cobb_lines_report import cobb_lines
from .content_items import pr
from .label_version import to_graphic
from .landmark_report import label_curves
from .source_image import quiet
from .subject import GRAPHICS, MANUFACTURER, PROGRAM, SERIES_NUMBER, ReportSubject

DESCRIPTION = "Vertebrae and Cobb lines"
_AROUND = tuple(POINTS.index(name) for name in ("TL", "TR", "BR", "BL", "TL"))


def presentation_state(subject: ReportSubject, frame: ImageFrame | None = None) -> Dataset:
    """Write the graphics of a label version; points that are not visible are not drawn.

    Args:
        subject: the version, its image and its studies folder.
        frame: orientation and sides of the image; those of the points without one.

    Raises:
        ValueError: no point is visible, or attributes of the patient are damaged.
    """
    image, spine = subject.image, subject.label.spine
    xy = spine.cut_to(image.width, image.height).visible_xy
    if not np.isfinite(xy).any():
        raise ValueError("the label has no visible point to draw")
    skeleton = image.without_patient()
    layers = [pr.GraphicLayer(name, order) for order, name in enumerate(("OUTLINES", "POINTS", "COBB_LINES"), start=1)]
    curves = label_curves(subject.label, frame or ImageFrame(image.width, image.height))
    lines = [(cobb_lines(spine, curve, image), f"{curve.angle_deg:.1f}\u00b0") for curve in curves]
    graphics = (list(_outlines(xy)), list(_points(xy)), [line for pair, _ in lines for line in _segments(pair)])
    texts = (None, None, [_text(pair, angle) for pair, angle in lines])
    annotations = [
        pr.GraphicAnnotation([skeleton], layer, graphic_objects=objects, text_objects=text)
        for layer, objects, text in zip(layers, graphics, texts, strict=True)
        if objects
    ]
    with quiet():
        dataset = pr.GrayscaleSoftcopyPresentationState(
            referenced_images=[skeleton],
            series_instance_uid=subject.series_uid(GRAPHICS),
            series_number=SERIES_NUMBER[GRAPHICS],
            sop_instance_uid=subject.instance_uid(GRAPHICS),
            instance_number=subject.label.version,
            manufacturer=MANUFACTURER,
            manufacturer_model_name=PROGRAM,
            software_versions=__version__,
            device_serial_number=subject.instance_uid(GRAPHICS)[-16:],
            content_label="LANDMARKS",
            content_description=DESCRIPTION,
            graphic_annotations=annotations,
            graphic_layers=layers,
            series_description=DESCRIPTION,
        )
        image.give_patient_to(dataset, subject.saved_at)
        dataset.PresentationCreationDate, dataset.PresentationCreationTime = dataset.ContentDate, dataset.ContentTime
        del dataset.ContentDate, dataset.ContentTime  # which this IOD has not
        dataset.BodyPartExamined = "SPINE"  # not paired, hence without Laterality
    return dataset


def _outlines(xy: np.ndarray) -> Iterator[pr.GraphicObject]:
    for corners in xy[:, _AROUND]:
        if np.isfinite(corners).all():
            yield _graphic("POLYLINE", corners)


def _points(xy: np.ndarray) -> Iterator[pr.GraphicObject]:
    for point in xy.reshape(-1, 2):
        if np.isfinite(point).all():
            yield _graphic("POINT", point[None])


def _segments(pair: np.ndarray) -> Iterator[pr.GraphicObject]:
    yield from (_graphic("POLYLINE", line) for line in (pair[:2], pair[2:]))


def _graphic(kind: str, xy: np.ndarray) -> pr.GraphicObject:
    return pr.GraphicObject(kind, to_graphic(xy).astype(float), units="PIXEL")


def _text(pair: np.ndarray, text: str) -> pr.TextObject:
    """The angle, at the right end of the upper line."""
    x, y = to_graphic(pair[1]).tolist()
    return pr.TextObject(text, "PIXEL", anchor_point=(x, y), anchor_point_visible=False)
