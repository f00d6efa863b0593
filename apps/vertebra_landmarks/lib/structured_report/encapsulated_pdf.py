"""A PDF as a DICOM instance in the study of its image, for people who look into the archive."""

from __future__ import annotations

from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sr.coding import Code
from pydicom.uid import PYDICOM_IMPLEMENTATION_UID, EncapsulatedPDFStorage, ExplicitVRLittleEndian

from .. import __version__
from . import codes
from .content_items import ALGORITHM
from .source_image import MANUFACTURER, quiet
from .subject import DOCUMENT, LANDMARKS, SERIES_NUMBER, ReportSubject

MAX_PDF_BYTES = 64 << 20
TITLE = "Cobb angles and vertebra landmarks"
_PDF, _PADDING = b"%PDF-", b"\0"


def encapsulated_pdf(subject: ReportSubject, pdf: bytes, title: str = TITLE) -> Dataset:
    """Write a PDF about a label version as an instance.

    Args:
        subject: the version, its image and its studies folder.
        pdf: content of the PDF file.
        title: of the document; it shows in archives, so it names no patient.

    Raises:
        ValueError: it is no PDF, it is too large, or the attributes of the patient cannot be decoded.
    """
    if not pdf.startswith(_PDF):
        raise ValueError("the document is not a PDF: it must begin with %PDF-")
    if len(pdf) > MAX_PDF_BYTES:
        raise ValueError(f"the PDF has {len(pdf):,} bytes, at most {MAX_PDF_BYTES:,} are expected")
    uid = subject.instance_uid(DOCUMENT)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = EncapsulatedPDFStorage, uid
    meta.TransferSyntaxUID, meta.ImplementationClassUID = ExplicitVRLittleEndian, PYDICOM_IMPLEMENTATION_UID
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.is_little_endian, dataset.is_implicit_VR = True, False
    with quiet():
        subject.image.give_patient_to(dataset, subject.saved_at)
        dataset.SOPClassUID, dataset.SOPInstanceUID = EncapsulatedPDFStorage, uid
        dataset.SeriesInstanceUID, dataset.SeriesNumber = subject.series_uid(DOCUMENT), SERIES_NUMBER[DOCUMENT]
        dataset.Modality, dataset.ConversionType = "DOC", "WSD"
        dataset.Manufacturer, dataset.ManufacturerModelName = MANUFACTURER, ALGORITHM
        dataset.SoftwareVersions, dataset.InstanceNumber = __version__, subject.label.version
        dataset.AcquisitionDateTime, dataset.BurnedInAnnotation = "", "YES"
        dataset.SeriesDescription = dataset.DocumentTitle = title
        dataset.ConceptNameCodeSequence = [_code(codes.MEASUREMENT_REPORT)]
        dataset.SourceInstanceSequence = [_reference(subject)]
        dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
        dataset.EncapsulatedDocument = pdf + _PADDING * (len(pdf) % 2)
        dataset.EncapsulatedDocumentLength = len(pdf)
    return dataset


def _code(code: Code) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme_designator, code.meaning
    return item


def _reference(subject: ReportSubject) -> Dataset:
    landmarks, item = subject.reference(LANDMARKS), Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = landmarks.sop_class_uid, landmarks.sop_instance_uid
    return item
