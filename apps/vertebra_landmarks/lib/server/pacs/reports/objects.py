"""Builds what is sent of a label version, as DICOM files: structured reports, presentation state, PDF."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
from monailabel.interfaces.exception import ImageNotFoundException, LabelNotFoundException
from pydicom.errors import InvalidDicomError

from ....image_io import Radiograph, UnreadableImageError, read_radiograph
from ....report import report_pdf
from ....spine.imaging.image_frame import ImageFrame
from ....spine.labels.markups import LANDMARK_INDEX, from_markups, parse_json
from ....structured_report import (
    DocumentReference,
    LabelVersion,
    ReportSubject,
    SourceImage,
    cobb_lines_report,
    encapsulated_pdf,
    landmark_report,
    presentation_state,
    to_bytes,
)
from ....structured_report.landmark_report import label_curves
from ....structured_report.source_image import quiet
from ....structured_report.subject import COBB_LINES, GRAPHICS, LANDMARKS
from ...annotation.landmarks import TOUCHED
from ...inference.response import with_stated_side
from ...overview.reports import version_report
from ...store.datastore import StudiesDatastore
from ...store.store_context import ImageUnavailableError
from ..instances import InstanceUids
from .outbox import OutboxItem

LOCAL = ("name", "predicted_by")
"""Metadata of a label that says something about this studies folder only."""


class CannotBeSentError(ValueError):
    """An object cannot be made, now or later; the message is a sentence that names no patient."""


@dataclass(frozen=True)
class _Image:
    """An image as reports need it."""

    id: str
    source: SourceImage
    radiograph: Radiograph


class ReportObjects:
    """Builds objects; the image of the last one is remembered, since all objects of a label need it.

    Args:
        store: of the labels.
        identity: of the studies folder.
    """

    def __init__(self, store: StudiesDatastore, identity: str) -> None:
        self._store, self._identity = store, identity
        self._last: _Image | None = None

    def build(self, item: OutboxItem, predecessor: InstanceUids | None) -> bytes | None:
        """The object as a DICOM file; ``None`` where the label has nothing of its kind.

        Args:
            item: what is to be built.
            predecessor: the landmark report of the version before; ``None`` where there is none.

        Raises:
            CannotBeSentError: it cannot be built.
            ImageUnavailableError: the image cannot be fetched now.
        """
        try:
            return self._build(item, predecessor)
        except ImageUnavailableError:
            raise
        except (ImageNotFoundException, LabelNotFoundException):
            raise CannotBeSentError("the label or its image is gone") from None
        except UnreadableImageError:
            raise CannotBeSentError("the image cannot be read") from None
        except FileNotFoundError:
            raise CannotBeSentError("the file of the label version is missing") from None
        except ValueError as error:
            raise CannotBeSentError(str(error)) from None

    def _build(self, item: OutboxItem, predecessor: InstanceUids | None) -> bytes | None:
        image = self._image(item.image)
        frame = self._frame(image)
        file = self._store.label_version(item.image, item.tag, item.version)
        spine = from_markups(parse_json(file, "the label"), image.radiograph.geometry, "the label")
        info = {key: value for key, value in item.info.items() if key not in LOCAL}
        label = LabelVersion(spine, item.tag, item.version, item.digest, info, touched_points(info))
        subject = ReportSubject(label, image.source, self._identity)
        if item.kind == LANDMARKS:
            before = None
            if predecessor is not None:
                sop_class = subject.reference(LANDMARKS).sop_class_uid
                before = DocumentReference(sop_class, predecessor.instance, predecessor.study, predecessor.series)
            return to_bytes(landmark_report(subject, frame, before))
        if item.kind == COBB_LINES:
            if not label_curves(subject.label, frame):
                return None
            return to_bytes(cobb_lines_report(subject, frame))
        if item.kind == GRAPHICS:
            return to_bytes(presentation_state(subject, frame))
        content = version_report(self._store, item.image, item.tag, image.radiograph, spine, item.info)
        return to_bytes(encapsulated_pdf(subject, report_pdf(content)))

    def _image(self, image: str) -> _Image:
        if self._last is None or self._last.id != image:
            path = self._store.get_image_uri(image)
            if not path:
                raise CannotBeSentError("the image is no longer in the PACS")
            self._last = _Image(image, SourceImage.from_header(_header(path)), read_radiograph(Path(path)))
        return self._last

    def _frame(self, image: _Image) -> ImageFrame:
        return with_stated_side(image.radiograph.frame, image.radiograph, self._store.stated_side(image.id))


def _header(path: str) -> pydicom.Dataset:
    with quiet():
        try:
            return pydicom.dcmread(path, stop_before_pixels=True)
        except (InvalidDicomError, OSError, ValueError, KeyError, AttributeError) as error:
            raise CannotBeSentError(f"the header of the image is damaged ({type(error).__name__})") from None


def touched_points(info: Mapping[str, Any]) -> frozenset[str] | None:
    """The points that a person has placed, by the metadata of a label; ``None`` where nobody noted it."""
    listed = info.get(TOUCHED)
    if not isinstance(listed, list):
        return None
    return frozenset(name for name in listed if isinstance(name, str) and name in LANDMARK_INDEX)
