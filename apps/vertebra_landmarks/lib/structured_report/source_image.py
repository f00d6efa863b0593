"""The labelled DICOM image as reports need it: what they refer to, and the patient and study that they belong to."""

from __future__ import annotations

import datetime
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pydicom import dcmwrite
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    SecondaryCaptureImageStorage,
    XRayAngiographicImageStorage,
    XRayRadiofluoroscopicImageStorage,
)
from pydicom.valuerep import PersonName

from ..image_io.dicom.tags import TAG_ERRORS, codes_of, integer_of, sizes_of, value_of
from .content_tree import text_of
from .label_version import DocumentReference

IMAGE_CLASSES = (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    SecondaryCaptureImageStorage,
    XRayAngiographicImageStorage,
    XRayRadiofluoroscopicImageStorage,
)
"""SOP classes of radiographs."""
CHARACTER_SET = "ISO_IR 192"
"""UTF-8, whatever the image has."""

_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
_EMPTY_IF_ABSENT = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyDate", "StudyTime", "ReferringPhysicianName", "StudyID", "AccessionNumber"),
)
_OPTIONAL = (
    *("IssuerOfPatientID", "TypeOfPatientID", "IssuerOfPatientIDQualifiersSequence", "OtherPatientIDsSequence"),
    *("PatientBirthTime", "OtherPatientNames", "EthnicGroup", "PatientComments", "QualityControlSubject"),
    *("PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence"),
    *("StudyDescription", "IssuerOfAccessionNumberSequence", "PhysiciansOfRecord", "ProcedureCodeSequence"),
    *("NameOfPhysiciansReadingStudy", "ReferencedStudySequence", "PatientAge", "PatientSize", "PatientWeight"),
    *("AdmissionID", "ClinicalTrialSponsorName", "ClinicalTrialProtocolID", "ClinicalTrialProtocolName"),
    *("ClinicalTrialSiteID", "ClinicalTrialSiteName", "ClinicalTrialSubjectID", "ClinicalTrialSubjectReadingID"),
    *("ClinicalTrialTimePointID", "ClinicalTrialTimePointDescription"),
)
"""Attributes of the Patient, General Study, Patient Study and Clinical Trial modules that are copied where present."""
_DISPLAYED = (
    *("Modality", "PatientOrientation", "ImagerPixelSpacing", "PixelSpacing", "PixelAspectRatio", "WindowCenter"),
    *("WindowWidth", "RescaleIntercept", "RescaleSlope", "RescaleType", "PhotometricInterpretation", "BitsStored"),
    *("SamplesPerPixel", "PixelRepresentation"),
)


@dataclass(frozen=True)
class SourceImage:
    """A labelled image, from its DICOM header.

    Attributes:
        header: the header; pixels are not needed. Left out of ``repr``, since it names the patient.
        width: columns.
        height: rows.
    """

    header: Dataset = field(repr=False)
    width: int
    height: int

    @classmethod
    def from_header(cls, header: Dataset) -> SourceImage:
        """Check a header.

        Args:
            header: of a radiograph of one frame.

        Raises:
            ValueError: an attribute that reports need is missing or wrong; its value is not quoted.
        """
        with quiet():
            for keyword in _UIDS:
                if not text_of(header, keyword):
                    raise ValueError(f"the image's header lacks {keyword}, which a report refers to")
            if text_of(header, "SOPClassUID") not in IMAGE_CLASSES:
                raise ValueError("the image's SOPClassUID is none of CR, DX, XA, RF and Secondary Capture of one frame")
            if (integer_of(header, "NumberOfFrames") or 1) != 1:
                raise ValueError("the image has several frames, expected one")
            width, height = (integer_of(header, keyword) or 0 for keyword in ("Columns", "Rows"))
            if min(width, height) < 1:
                raise ValueError("the image's header lacks Rows or Columns")
        return cls(header, width, height)

    @property
    def uid(self) -> str:
        """SOP Instance UID."""
        return text_of(self.header, "SOPInstanceUID")

    @property
    def study_uid(self) -> str:
        """Study Instance UID."""
        return text_of(self.header, "StudyInstanceUID")

    @property
    def reference(self) -> DocumentReference:
        """How other instances refer to it."""
        study, series, instance, sop_class = (text_of(self.header, keyword) for keyword in _UIDS)
        return DocumentReference(sop_class, instance, study, series)

    @property
    def spacing(self) -> tuple[float, float]:
        """Width and height of a pixel as viewers scale it, (1, 1) where not stated."""
        for keyword in ("PixelSpacing", "ImagerPixelSpacing"):
            sizes = sizes_of(self.header, keyword)
            if len(sizes) == 2:
                return sizes[1], sizes[0]
        return 1.0, 1.0

    @property
    def has_library_entry(self) -> bool:
        """Whether the header has what an image library states of a radiograph."""
        has_directions = len(codes_of(self.header, "PatientOrientation")) == 2
        return has_directions and len(sizes_of(self.header, "ImagerPixelSpacing")) == 2

    def without_patient(self) -> Dataset:
        """The image for libraries that log or quote what they are given: nothing in it names the patient but UIDs."""
        skeleton = Dataset()
        with quiet():
            for keyword in (*_UIDS, "Rows", "Columns", *_DISPLAYED):
                value = value_of(self.header, keyword)
                if value is not None:
                    setattr(skeleton, keyword, value)
            for keyword in _EMPTY_IF_ABSENT:
                setattr(skeleton, keyword, "")
        return skeleton

    def give_patient_to(self, target: Dataset, when: datetime.datetime) -> None:
        """Make an instance one of the image's patient and study, written in UTF-8 at a time.

        Raises:
            ValueError: one of these attributes is damaged.
        """
        owned = Dataset()
        try:
            for keyword in (*_EMPTY_IF_ABSENT, *_OPTIONAL):
                if keyword in self.header:
                    owned.add(_copy_of(self.header[keyword]))
        except TAG_ERRORS:
            raise ValueError("an attribute of the image's patient or study is damaged") from None
        for keyword in _EMPTY_IF_ABSENT:
            if keyword in target:
                delattr(target, keyword)
            if keyword not in owned:
                setattr(owned, keyword, "")
        target.update(owned)
        target.StudyInstanceUID, target.SpecificCharacterSet = self.study_uid, CHARACTER_SET
        target.ContentDate = target.InstanceCreationDate = target.SeriesDate = when.strftime("%Y%m%d")
        target.ContentTime = target.InstanceCreationTime = target.SeriesTime = when.strftime("%H%M%S")


def _copy_of(element: DataElement) -> DataElement:
    """A copy that shares nothing with the header and, in names, forgets the bytes and their encoding."""
    value = element.value
    if element.VR == "SQ":
        value = [_copy_of_item(item) for item in value or ()]
    elif element.VR == "PN" and value:
        names = [value] if isinstance(value, (str, PersonName)) else value
        value = [PersonName(str(name)) for name in names]
        value = value[0] if len(value) == 1 else value
    return DataElement(element.tag, element.VR, value)


def _copy_of_item(item: Dataset) -> Dataset:
    copied = Dataset()
    for element in item:
        if element.keyword != "SpecificCharacterSet":
            copied.add(_copy_of(element))
    return copied


@contextmanager
def quiet() -> Iterator[None]:
    """Context manager: pydicom's warnings, which quote values, are dropped."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def to_bytes(dataset: Dataset) -> bytes:
    """An instance as a DICOM file.

    Raises:
        ValueError: an attribute, such as one copied from the image, has a value that cannot be written.
    """
    stream = io.BytesIO()
    with quiet():
        try:
            dcmwrite(stream, dataset, write_like_original=False)
        except Exception as error:  # whatever pydicom raises quotes the value
            raise ValueError(f"an attribute of the instance cannot be written ({type(error).__name__})") from None
    return stream.getvalue()
