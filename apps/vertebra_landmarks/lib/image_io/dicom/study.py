"""Whose image a DICOM file is, of what age and sex, and when it was taken; only the header is read."""

from __future__ import annotations

import re
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
_AGE = re.compile(r"(\d{3})([DWMY])")
_PER_YEAR = {"D": 365.25, "W": 52.18, "M": 12.0, "Y": 1.0}
_SEXES = ("F", "M", "O")
MAX_AGE_YEARS = 90.0
"""Higher ages would tell who it is."""


class StudyTags(NamedTuple):
    """What a header states.

    Attributes:
        patient_id: PatientID, "" where absent or removed.
        taken_on: AcquisitionDate, else StudyDate, as ISO 8601; "" where neither is a date.
        issuer: IssuerOfPatientID: who has given the id, which others may give to another patient; "" where absent.
    """

    patient_id: str
    taken_on: str
    issuer: str = ""

    @property
    def patient(self) -> str:
        """Who it is: the id with its issuer, as HL7 writes them; "" where the id is absent or removed."""
        return f"{self.patient_id}^^^{self.issuer}" if self.patient_id and self.issuer else self.patient_id


class PersonTags(NamedTuple):
    """What a header states of the patient besides the id.

    Attributes:
        age_years: at the examination: PatientAge, else whole years from PatientBirthDate to the date; 90 stands for 90
            and more; ``None`` where neither is stated.
        sex: "F", "M" or "O"; "" where it states none of them.
    """

    age_years: float | None
    sex: str


def read_study_tags(path: Path) -> StudyTags | None:
    """Read patient and date from a DICOM file, whatever its name.

    Args:
        path: of any file.

    Returns:
        What its header states; ``None`` where it is no DICOM file, or cannot be read.
    """
    texts = _texts(path, ("IssuerOfPatientID", "PatientID", *_DATES))
    return None if texts is None else study_tags(*texts[1:], issuer=texts[0])


def read_person_tags(path: Path) -> PersonTags | None:
    """Read age and sex from a DICOM file, whatever its name.

    Args:
        path: of any file.

    Returns:
        What its header states; ``None`` where it is no DICOM file, or cannot be read.
    """
    texts = _texts(path, ("PatientAge", "PatientBirthDate", "PatientSex", *_DATES))
    if texts is None:
        return None
    age, born_on, sex, *dates = texts
    match = _AGE.fullmatch(age.strip().upper())
    years = int(match[1]) / _PER_YEAR[match[2]] if match else _years(_date_of(born_on), study_tags("", *dates).taken_on)
    sex = sex.strip().upper()
    return PersonTags(None if years is None else min(round(years, 1), MAX_AGE_YEARS), sex if sex in _SEXES else "")


def _years(born_on: str, taken_on: str) -> float | None:
    """Whole years between two dates in ISO 8601; ``None`` where one is "" or they are the wrong way round."""
    if not (born_on and taken_on) or taken_on < born_on:
        return None
    return float(int(taken_on[:4]) - int(born_on[:4]) - (taken_on[5:] < born_on[5:]))


def _texts(path: Path, names: tuple[str, ...]) -> list[str] | None:
    """Tags of a header as texts, "" where absent; ``None`` where it is no DICOM file, or cannot be read."""
    try:
        if not is_dicom(path):
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom warns of values that a tag should not have
            tags = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(names), force=True)
            return [str(value_of(tags, name) or "") for name in names]
    except (InvalidDicomError, OSError, EOFError, RecursionError, OverflowError, *TAG_ERRORS):
        return None


def study_tags(patient_id: str, *dates: str, issuer: str = "") -> StudyTags:
    """Patient and date as an archive states them.

    Args:
        patient_id: PatientID.
        dates: as DICOM writes them, in the order of preference; "" where there is none.
        issuer: IssuerOfPatientID, "" where there is none.
    """
    patient_id = patient_id.strip()
    taken_on = next(filter(None, map(_date_of, dates)), "")
    return StudyTags("" if patient_id.lower() in _NOBODY else patient_id, taken_on, issuer.strip())


def _date_of(text: str) -> str:
    for one in _FORMATS:
        try:
            return datetime.strptime(text.strip(), one).date().isoformat()
        except ValueError:
            continue
    return ""
