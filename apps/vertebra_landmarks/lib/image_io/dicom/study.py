"""Whose image a DICOM file is, and when it was taken; only the header is read."""

from __future__ import annotations

import warnings
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import pydicom
from pydicom.errors import InvalidDicomError

from ..formats import is_dicom
from .tags import TAG_ERRORS, value_of

_NOBODY = frozenset({"", "0", "anon", "anonym", "anonymous", "anonymized", "anonymised", "none", "unknown"})
"""What stands in the place of a patient's id where it was removed."""
_DATES = ("AcquisitionDate", "StudyDate")
_FORMATS = ("%Y%m%d", "%Y.%m.%d")


class StudyTags(NamedTuple):
    """What a header states.

    Attributes:
        patient_id: PatientID, "" where absent or removed.
        taken_on: AcquisitionDate, else StudyDate, as ISO 8601; "" where neither is a date.
    """

    patient_id: str
    taken_on: str


def read_study_tags(path: Path) -> StudyTags | None:
    """Read patient and date from a DICOM file, whatever its name.

    Args:
        path: of any file.

    Returns:
        What its header states; ``None`` where it is no DICOM file, or cannot be read.
    """
    try:
        if not is_dicom(path):
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom warns of values that a tag should not have
            tags = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["PatientID", *_DATES], force=True)
            patient = str(value_of(tags, "PatientID") or "")
            dates = [str(value_of(tags, name) or "") for name in _DATES]
    except (InvalidDicomError, OSError, EOFError, RecursionError, OverflowError, *TAG_ERRORS):
        return None
    return study_tags(patient, *dates)


def study_tags(patient_id: str, *dates: str) -> StudyTags:
    """Patient and date as an archive states them.

    Args:
        patient_id: PatientID.
        dates: as DICOM writes them, in the order of preference; "" where there is none.
    """
    patient_id = patient_id.strip()
    taken_on = next(filter(None, map(_date_of, dates)), "")
    return StudyTags("" if patient_id.lower() in _NOBODY else patient_id, taken_on)


def _date_of(text: str) -> str:
    for one in _FORMATS:
        try:
            return datetime.strptime(text.strip(), one).date().isoformat()
        except ValueError:
            continue
    return ""
