"""Nothing of a patient in logs, warnings, sentences and representations, whatever the header holds."""

from __future__ import annotations

import io
import logging
import traceback
import warnings

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from lib.structured_report import (
    LandmarkReport,
    ReportSubject,
    SourceImage,
    cobb_lines_report,
    encapsulated_pdf,
    landmark_report,
    parse_report,
    presentation_state,
    read_report,
    to_bytes,
)

from .subjects import FRAME, phantom, subject

SECRETS = ("Geheim", "KRANK-77", "19610812", "ACC-4711")


def private_header() -> Dataset:
    header = dcmread(io.BytesIO(to_bytes(phantom(1)[0])))
    header.PatientName, header.PatientID, header.PatientBirthDate = "Geheim", "KRANK-77", "19610812"  # a name without ^
    header.AccessionNumber, header.PatientComments = "ACC-4711", "Geheim"
    return header


def about(header: Dataset) -> ReportSubject:
    whole = subject(1)
    return ReportSubject(whole.label, SourceImage.from_header(header), whole.identity)


def assert_silent(text: str) -> None:
    for secret in (*SECRETS, phantom(1)[0].SOPInstanceUID, phantom(1)[0].StudyInstanceUID):
        assert secret not in text


def test_writing_and_reading_say_nothing(caplog: pytest.LogCaptureFixture) -> None:
    header = private_header()
    with caplog.at_level(logging.DEBUG), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        subject_ = about(header)
        written = [
            landmark_report(subject_, FRAME),
            cobb_lines_report(subject_, FRAME),
            presentation_state(subject_, FRAME),
            encapsulated_pdf(subject_, b"%PDF-1.4"),
        ]
        files = [to_bytes(dataset) for dataset in written]
        reports = [parse_report(content) for content in files]
    assert all(b"Geheim" in content for content in files)  # by standard they are the patient's
    assert isinstance(reports[0][0], LandmarkReport)
    shown = [record.getMessage() for record in caplog.records if not record.name.startswith("pydicom")]
    said = [str(warning.message) for warning in warned]
    for text in (*shown, *said, repr(subject_), repr(reports), *(reason for _, reason in reports)):
        assert_silent(text)


WRONG = {
    "no study": ("StudyInstanceUID", None),
    "no instance": ("SOPInstanceUID", None),
    "class": ("SOPClassUID", "1.2.840.10008.5.1.4.1.1.2"),
    "frames": ("NumberOfFrames", "3"),
    "no rows": ("Rows", None),
    "long name": ("PatientName", "Geheim" * 40),
    "sex": ("PatientSex", "Geheim"),
    "birth date": ("PatientBirthDate", "Geheim19610812"),
    "study date": ("StudyDate", "19610812x"),
    "character set": ("SpecificCharacterSet", "Geheim"),
    "study time": ("StudyTime", "KRANK-77"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_headers_say_nothing(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    header = private_header()
    keyword, value = WRONG[kind]
    with caplog.at_level(logging.DEBUG), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("ignore")
        if value is None:
            delattr(header, keyword)
        else:
            setattr(header, keyword, value)
        warnings.simplefilter("always")
        caplog.clear()
        said = ""
        try:
            dataset = landmark_report(about(header), FRAME)
            said = repr(parse_report(to_bytes(dataset)))
        except ValueError as error:
            said = "".join(traceback.format_exception(error))
    shown = [record.getMessage() for record in caplog.records if not record.name.startswith("pydicom")]
    for text in (said, *shown, *(str(warning.message) for warning in warned)):
        assert_silent(text)


def test_a_damaged_report_is_not_quoted() -> None:
    dataset = landmark_report(about(private_header()), FRAME)
    dataset.ContentSequence[-1].ContentSequence[0].TextValue = "Geheim"
    report, reason = read_report(dataset)
    assert report is None
    assert_silent(reason)
