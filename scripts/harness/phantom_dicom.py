"""Phantom radiographs as DICOM: DX images for presentation with a complete header, of invented patients.

For tests and trials of what speaks DICOM; the headers satisfy ``dciodvfy``.
"""

from __future__ import annotations

import datetime
import uuid
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian


@dataclass(frozen=True)
class Examination:
    """Who was examined, and how; everything that a header states besides the pixels.

    Attributes:
        patient_id: identifier of the invented patient.
        patient_name: their name, with components separated by ``^``.
        when: time of the examination.
        spacing_mm: height and width of a pixel at the detector.
        study_uid: of the study; ``None`` for one of its own.
        number: of the image in its series.
    """

    patient_id: str = "P000"
    patient_name: str = "Phantom^A"
    when: datetime.datetime = datetime.datetime(2026, 11, 30, 9, 15)
    spacing_mm: tuple[float, float] = (0.15, 0.15)
    study_uid: str | None = None
    number: int = 1


def phantom_dx(pixels: np.ndarray, examination: Examination | None = None, seed: int | None = None) -> FileDataset:
    """A DX image for presentation.

    Args:
        pixels: ``(H, W)`` uint8 or uint16, bright bone.
        examination: what the header states; the defaults without one.
        seed: the same gives the same UIDs; ``None`` gives new ones.

    Raises:
        ValueError: the pixels are no such array.
    """
    if pixels.ndim != 2 or pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"pixels must be (H, W) uint8 or uint16, got {pixels.dtype} {pixels.shape}")
    examination = examination or Examination()
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = _uid("instance", seed)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    header.is_little_endian, header.is_implicit_VR = True, False
    header.SpecificCharacterSet = "ISO_IR 192"
    header.SOPClassUID, header.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    header.StudyInstanceUID = examination.study_uid or _uid("study", seed)
    header.SeriesInstanceUID = _uid("series", seed)
    _state_patient(header, examination)
    _state_equipment(header)
    _state_view(header, examination)
    _state_pixels(header, pixels)
    return header


def _uid(name: str, seed: int | None) -> UID:
    return UID(f"2.25.{(uuid.uuid4() if seed is None else uuid.uuid5(uuid.NAMESPACE_OID, f'{name} {seed}')).int}")


def _state_patient(header: Dataset, examination: Examination) -> None:
    header.PatientName, header.PatientID = examination.patient_name, examination.patient_id
    header.PatientBirthDate, header.PatientSex = "20100101", "F"
    header.AccessionNumber, header.ReferringPhysicianName, header.StudyID = "", "", "1"
    header.StudyDescription = header.SeriesDescription = "Whole spine AP"
    for event in ("Study", "Series", "Acquisition", "Content", "InstanceCreation"):
        setattr(header, f"{event}Date", examination.when.strftime("%Y%m%d"))
        setattr(header, f"{event}Time", examination.when.strftime("%H%M%S"))


def _state_equipment(header: Dataset) -> None:
    header.Modality, header.PresentationIntentType = "DX", "FOR PRESENTATION"
    header.ImageType = ["ORIGINAL", "PRIMARY", ""]
    header.Manufacturer, header.ManufacturerModelName = "phantom", "phantom"
    header.DeviceSerialNumber, header.SoftwareVersions = "1", "1"
    header.DetectorType, header.PositionerType = "DIRECT", "NONE"


def _state_view(header: Dataset, examination: Examination) -> None:
    header.SeriesNumber, header.InstanceNumber = 1, examination.number
    header.BodyPartExamined, header.ViewPosition, header.PatientOrientation = "SPINE", "AP", ["L", "F"]
    header.ImageLaterality = "U"
    header.AnatomicRegionSequence = [_code("421060004", "SCT", "Spine")]
    header.ViewCodeSequence = [_code("399348003", "SCT", "antero-posterior")]
    header.ViewCodeSequence[0].ViewModifierCodeSequence = []
    header.AcquisitionContextSequence = []
    header.ImagerPixelSpacing = list(examination.spacing_mm)


def _state_pixels(header: Dataset, pixels: np.ndarray) -> None:
    bits, largest = 8 * pixels.dtype.itemsize, int(pixels.max())
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.Rows, header.Columns = pixels.shape
    header.BitsAllocated, header.BitsStored, header.HighBit, header.PixelRepresentation = bits, bits, bits - 1, 0
    header.PixelIntensityRelationship, header.PixelIntensityRelationshipSign = "LOG", -1
    header.RescaleIntercept, header.RescaleSlope, header.RescaleType = 0, 1, "US"
    header.PresentationLUTShape, header.LossyImageCompression, header.BurnedInAnnotation = "IDENTITY", "00", "NO"
    header.WindowCenter, header.WindowWidth = largest // 2, max(2, largest)
    content = np.ascontiguousarray(pixels).tobytes()
    header.PixelData = content + b"\0" * (len(content) % 2)
    header["PixelData"].VR = "OW" if bits == 16 else "OB"


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code
