"""Which patient a film is of."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from lib.learning.data.patients import check_pattern, patient_of


@pytest.mark.parametrize(
    ("image_id", "patient"),
    [
        ("P12_pre", "P12"),
        ("P12-post op", "P12"),
        ("sunhl-1th-02-Jan-2017-162 B AP", "sunhl-1th-02-Jan-2017-162"),
        ("film_1", "film_1"),
        ("film_2", "film_2"),
        ("0001", "0001"),
        ("study_without_number", "study_without_number"),
        ("a\nb 1", "a\nb 1"),
    ],
)
def test_words_after_the_last_number_are_views_of_one_patient(image_id: str, patient: str) -> None:
    assert patient_of(image_id, Path("film.png")) == patient


def test_a_pattern_says_it_otherwise() -> None:
    assert patient_of("P12_3", Path("film.png"), "([^_]+)_.*") == "P12"
    assert patient_of("P12", Path("film.png"), "([^_]+)_.*") == "P12"  # does not fit: a patient of its own
    assert patient_of("P12", Path("film.png"), "(x)?.*") == "P12"  # fits without its group


def dicom(path: Path, patient: str) -> Path:
    """The header of a film without pixels."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1", generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.PatientID = patient
    data.save_as(str(path))
    return path


def test_a_dicom_file_tells_its_patient_unless_a_pattern_does(tmp_path: Path) -> None:
    path = dicom(tmp_path / "film_7.DCM", " K9 ")
    assert patient_of("film_7", path) == "K9"
    assert patient_of("film_7", path, "(film).*") == "film"


@pytest.mark.parametrize("told", ["", "Anonymous", "0"])
def test_a_patient_who_was_made_nameless_is_told_by_the_id(tmp_path: Path, told: str) -> None:
    """Else all films of an anonymised collection would be of one patient."""
    assert patient_of("film_7", dicom(tmp_path / "film_7.dcm", told)) == "film_7"


def test_a_file_that_cannot_be_read_is_told_by_the_id(tmp_path: Path) -> None:
    broken = tmp_path / "film_7.dcm"
    broken.write_bytes(b"nothing")
    assert patient_of("film_7", broken) == "film_7"
    assert patient_of("film_8", tmp_path / "gone.dcm") == "film_8"


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("(", "is no regular expression"),
        ("[^_]+", "marks the patient by a group"),
        ("(" + "x" * 200 + ")", "at most 200 characters, got 202"),
    ],
)
def test_what_is_no_pattern_is_refused(pattern: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        check_pattern(pattern)


def test_no_pattern_is_the_usual_rule() -> None:
    assert check_pattern("") == ""
