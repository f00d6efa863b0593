"""What a report is about: a version of a label of an image, in a studies folder; and the UIDs that follow from it.

UIDs follow from what they name, so that nothing gets two and a repeated write is recognized.
"""

from __future__ import annotations

import datetime
import uuid
from dataclasses import dataclass

from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import (
    PYDICOM_IMPLEMENTATION_UID,
    UID,
    ComprehensiveSRStorage,
    EncapsulatedPDFStorage,
    ExplicitVRLittleEndian,
    GrayscaleSoftcopyPresentationStateStorage,
)

from .. import __version__
from .label_version import DocumentReference, LabelVersion
from .source_image import SourceImage, quiet

_NAMESPACE = uuid.UUID("b6570f0a-65ab-4c79-8d7e-3c6dd9cb0f67")

LANDMARKS, COBB_LINES, GRAPHICS, DOCUMENT = "landmarks", "cobb lines", "presentation state", "pdf"
"""Kinds of instances."""
MANUFACTURER, PROGRAM = "Vertebra Landmarks", "vertebra_landmarks"
SERIES_NUMBER = {LANDMARKS: 900, COBB_LINES: 901, GRAPHICS: 902, DOCUMENT: 903}
NUMBERS = {LANDMARKS: 1, COBB_LINES: 100, GRAPHICS: 1, DOCUMENT: 1}
"""Instance numbers of one version. A viewer gives an edited report the next number, and shows that of the highest one:
the lines of the next version come after up to 99 edits."""
_SOP_CLASSES = {
    LANDMARKS: ComprehensiveSRStorage,
    COBB_LINES: ComprehensiveSRStorage,
    GRAPHICS: GrayscaleSoftcopyPresentationStateStorage,
    DOCUMENT: EncapsulatedPDFStorage,
}


def derived_uid(*parts: str | int) -> UID:
    """A UID of the root 2.25 (UUID of version 5) that depends on the parts and on nothing else."""
    name = "".join(f"{len(str(part))}:{part}," for part in parts)  # no two lists of parts give the same name
    return UID(f"2.25.{uuid.uuid5(_NAMESPACE, name).int}")


def tracking_uid(image_uid: str, name: str) -> UID:
    """Tracking Unique Identifier of a point or curve, the same in all versions of an image's labels."""
    return derived_uid("tracking", image_uid, name)


def instance_uid(kind: str, identity: str, image_uid: str, tag: str, version: int, digest: str) -> UID:
    """SOP Instance UID of what is written of a label version; the same for the same version.

    Args:
        kind: ``LANDMARKS``, ``COBB_LINES``, ``GRAPHICS`` or ``DOCUMENT``.
        identity: of the studies folder.
        image_uid: SOP Instance UID of the labelled image.
        tag: of the label.
        version: its number.
        digest: of the label file.
    """
    return derived_uid("instance", kind, identity, image_uid, tag, version, digest)


def series_uid(kind: str, identity: str, study_uid: str) -> UID:
    """Series Instance UID: one series of each kind for a study and a studies folder."""
    return derived_uid("series", kind, identity, study_uid)


@dataclass(frozen=True)
class ReportSubject:
    """A version of a label of an image.

    Attributes:
        label: the version; its points are brought onto the grid of the reports.
        image: the labelled image.
        identity: of the studies folder: version 3 of another folder is another version.
    """

    label: LabelVersion
    image: SourceImage
    identity: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", self.label.on_grid())

    def instance_uid(self, kind: str) -> UID:
        """SOP Instance UID of what is written of it; see ``instance_uid``."""
        label = self.label
        return instance_uid(kind, self.identity, self.image.uid, label.tag, label.version, label.digest)

    def series_uid(self, kind: str) -> UID:
        """Series Instance UID; see ``series_uid``."""
        return series_uid(kind, self.identity, self.image.study_uid)

    def reference(self, kind: str) -> DocumentReference:
        """How other instances refer to what is written of it, whether or not that was done already."""
        study, series = self.image.study_uid, self.series_uid(kind)
        return DocumentReference(str(_SOP_CLASSES[kind]), self.instance_uid(kind), study, series)

    @property
    def saved_at(self) -> datetime.datetime:
        """When the label was saved, in local time; the begin of 1970 where not noted: writing twice gives the same."""
        seconds = self.label.info.get("ts")
        try:
            return datetime.datetime.fromtimestamp(float(seconds))  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError, OSError):
            return datetime.datetime(1970, 1, 1)


def new_instance(subject: ReportSubject, kind: str, modality: str) -> FileDataset:
    """An instance in the image's study, with everything that is the same for all kinds.

    Args:
        subject: what it is about.
        kind: ``LANDMARKS``, ``COBB_LINES``, ``GRAPHICS`` or ``DOCUMENT``.
        modality: of its series.

    Raises:
        ValueError: attributes of the patient are damaged.
    """
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = _SOP_CLASSES[kind], subject.instance_uid(kind)
    meta.TransferSyntaxUID, meta.ImplementationClassUID = ExplicitVRLittleEndian, PYDICOM_IMPLEMENTATION_UID
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.is_little_endian, dataset.is_implicit_VR = True, False
    with quiet():
        subject.image.give_patient_to(dataset, subject.saved_at)
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.SeriesInstanceUID, dataset.SeriesNumber = subject.series_uid(kind), SERIES_NUMBER[kind]
    dataset.Modality, dataset.InstanceNumber = modality, subject.label.version * NUMBERS[kind]
    dataset.Manufacturer, dataset.ManufacturerModelName, dataset.SoftwareVersions = MANUFACTURER, PROGRAM, __version__
    return dataset
