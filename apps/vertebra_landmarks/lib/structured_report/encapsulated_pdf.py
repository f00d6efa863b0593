"""A PDF as a DICOM instance in the study of its image, for people who look into the archive."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from . import codes
from .subject import DOCUMENT, LANDMARKS, ReportSubject, new_instance

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
        ValueError: it is no PDF, it is too large, or attributes of the patient are damaged.
    """
    if not pdf.startswith(_PDF):
        raise ValueError("the document is not a PDF: it must begin with %PDF-")
    if len(pdf) > MAX_PDF_BYTES:
        raise ValueError(f"the PDF has {len(pdf):,} bytes, at most {MAX_PDF_BYTES:,} are expected")
    dataset = new_instance(subject, DOCUMENT, "DOC")
    dataset.ConversionType, dataset.BurnedInAnnotation, dataset.AcquisitionDateTime = "WSD", "YES", ""
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
