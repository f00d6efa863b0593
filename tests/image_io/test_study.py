"""Patient and date of DICOM files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib.image_io.dicom.study import PersonTags, StudyTags, read_person_tags, read_study_tags

from .image_files import write_dicom

PIXELS = np.zeros((4, 3), np.uint8)


@pytest.mark.parametrize("name", ["a.dcm", "IM000001", "a.png"])
def test_the_header_states_patient_and_date_whatever_the_name(tmp_path: Path, name: str) -> None:
    path = write_dicom(tmp_path / name, PIXELS, PatientID=" P 7 ", StudyDate="20251231", AcquisitionDate="20260102")
    assert read_study_tags(path) == StudyTags("P 7", "2026-01-02")


def test_equal_ids_of_two_issuers_are_two_patients(tmp_path: Path) -> None:
    tags = [
        read_study_tags(write_dicom(tmp_path / f"{number}.dcm", PIXELS, PatientID="7", IssuerOfPatientID=issuer))
        for number, issuer in enumerate(("North", "South", ""))
    ]
    assert [one and one.patient for one in tags] == ["7^^^North", "7^^^South", "7"]
    removed = read_study_tags(write_dicom(tmp_path / "a.dcm", PIXELS, PatientID="anonymous", IssuerOfPatientID="North"))
    assert removed == StudyTags("", "", "North")
    assert removed.patient == ""


@pytest.mark.parametrize(
    ("tags", "taken_on"),
    [
        ({"StudyDate": "20251231"}, "2025-12-31"),
        ({"StudyDate": "20251231", "AcquisitionDate": ""}, "2025-12-31"),
        ({"StudyDate": "2025.12.31"}, "2025-12-31"),
        ({"StudyDate": "20251301"}, ""),
        ({"StudyDate": "yesterday"}, ""),
        ({"StudyDate": "20251231", "AcquisitionDate": "20269999"}, "2025-12-31"),
        ({}, ""),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_date_is_that_of_the_acquisition_else_of_the_study(
    tmp_path: Path, tags: dict[str, str], taken_on: str
) -> None:
    assert read_study_tags(write_dicom(tmp_path / "a.dcm", PIXELS, **tags)) == StudyTags("", taken_on)


@pytest.mark.parametrize("patient", ["", "0", "ANONYMOUS", "anonymized", " "])
def test_a_removed_id_is_nobodys(tmp_path: Path, patient: str) -> None:
    assert read_study_tags(write_dicom(tmp_path / "a.dcm", PIXELS, PatientID=patient)) == StudyTags("", "")


def test_other_files_state_nothing(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    (tmp_path / "broken.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\x08\x00\x20")
    (tmp_path / "empty.dcm").write_bytes(b"")
    assert read_study_tags(tmp_path / "a.png") is None
    assert read_study_tags(tmp_path / "empty.dcm") is None
    assert read_study_tags(tmp_path / "gone.dcm") is None
    assert read_study_tags(tmp_path / "broken.dcm") in (None, StudyTags("", ""))


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"PatientAge": "013Y", "PatientSex": "F"}, PersonTags(13.0, "F")),
        ({"PatientAge": "018M", "PatientSex": "m "}, PersonTags(1.5, "M")),
        ({"PatientAge": "097Y"}, PersonTags(90.0, "")),
        ({"PatientBirthDate": "20100315", "StudyDate": "20260314"}, PersonTags(15.0, "")),
        ({"PatientBirthDate": "20100315", "StudyDate": "20260315"}, PersonTags(16.0, "")),
        ({"PatientBirthDate": "20300101", "StudyDate": "20260315"}, PersonTags(None, "")),
        ({"PatientAge": "old", "PatientSex": "female"}, PersonTags(None, "")),
        ({}, PersonTags(None, "")),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_header_states_age_and_sex(tmp_path: Path, tags: dict[str, str], expected: PersonTags) -> None:
    assert read_person_tags(write_dicom(tmp_path / "a.dcm", PIXELS, **tags)) == expected


def test_other_files_state_neither_age_nor_sex(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    assert read_person_tags(tmp_path / "a.png") is None
