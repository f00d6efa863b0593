"""A label version comes back complete from its report alone."""

from __future__ import annotations

import datetime
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from lib.spine.schema import Spine
from lib.structured_report import (
    LandmarkReport,
    ReportSubject,
    SourceImage,
    Verification,
    codes,
    landmark_report,
    on_grid,
    parse_report,
    read_report,
    to_bytes,
)
from lib.structured_report.label_info import text_of, value_of
from lib.structured_report.subject import LANDMARKS

from .subjects import FRAME, INFO, NAMES, phantom, subject, varied

EMPTY = np.full((17, 5, 2), np.nan)


def read_back(about: ReportSubject, **options: object) -> LandmarkReport:
    report, reason = parse_report(to_bytes(landmark_report(about, FRAME, **options)))  # type: ignore[arg-type]
    assert isinstance(report, LandmarkReport), reason
    return report


@pytest.mark.parametrize("seed", range(4))
def test_all_points_come_back_bit_for_bit(seed: int) -> None:
    about = subject(seed, varied(phantom(seed)[1], seed))
    spine, report = about.label.spine, read_back(about)
    back = report.label.spine
    assert back == spine  # positions, scores, errors, visibility and absence of 85 points
    assert back.xy.tobytes() == spine.xy.tobytes()
    kinds = [p is None or (not p.is_visible, p.x < 0) for _, _, p in spine.points()]
    assert {True, (True, False), (True, True), (False, False)} <= set(kinds)  # absent, hidden, off the image, seen
    assert report.label == about.label
    assert report.label.touched
    assert report.image == about.image.reference
    assert report.document == about.reference(LANDMARKS)
    assert (report.image_left_is, report.observer, report.is_verified) == ("right", INFO["annotator"], False)


def test_it_comes_back_from_json_as_dicomweb_sends_it() -> None:
    about = subject(3, varied(phantom(3)[1], 3))
    sent = dcmread(io.BytesIO(to_bytes(landmark_report(about, FRAME)))).to_json()
    report, reason = read_report(Dataset.from_json(sent))
    assert isinstance(report, LandmarkReport), reason
    assert report.label == about.label


def test_a_header_with_the_bare_minimum_is_enough() -> None:
    whole, header = phantom(4)[0], Dataset()
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "Rows", "Columns"):
        header[keyword] = whole[keyword]
    header.SOPClassUID = SecondaryCaptureImageStorage
    about = replace(subject(4), image=SourceImage.from_header(header))
    report = read_back(about)
    assert report.label == about.label
    dataset = landmark_report(about)
    assert (dataset.PatientID, dataset.PatientName, dataset.StudyDate) == ("", "", "")


def test_information_keeps_its_types() -> None:
    back = read_back(subject(0)).label.info
    assert json.dumps(back, sort_keys=True) == json.dumps(INFO, sort_keys=True)


VALUES: tuple[object, ...] = (
    *("", " ", "reader-2", "140", "null", '"', "a\nb", "a ", "\\", "ä", "\ud800", "NaN", "1e999"),
    *(0, 1, -3, 10**18, 1.0, 0.1, 1e-300, 1.7e308, None, True),
    *([], {}, [1, "x"], {"a": None}),
)


@pytest.mark.parametrize("first", range(0, len(VALUES), len(codes.INFO)))
def test_any_value_of_json_comes_back(first: int) -> None:
    """Each under a key that has a code, and under one of its own."""
    info = {f"own {number}": value for number, value in enumerate(VALUES)}
    info |= dict(zip(codes.INFO, VALUES[first:], strict=False))
    back = read_back(subject(0, Spine.from_arrays(EMPTY), info=info)).label.info
    assert [value_of(text_of(value)) for value in VALUES] == list(VALUES)
    assert {key: repr(value) for key, value in back.items()} == {key: repr(value) for key, value in info.items()}


@pytest.mark.parametrize("touched", [None, frozenset(), frozenset(NAMES)])
def test_unknown_nobody_and_everybody_are_three_answers(touched: frozenset[str] | None) -> None:
    assert read_back(subject(1, touched=touched)).label.touched == touched


def test_a_prediction_without_a_person_comes_back() -> None:
    about = subject(2, tag="original", info={"model_version": "v7"}, touched=None)
    dataset, report = landmark_report(about, FRAME), read_back(about)
    assert (report.label, report.observer) == (about.label, "")
    assert (dataset.PreliminaryFlag, dataset.VerificationFlag) == ("PRELIMINARY", "UNVERIFIED")
    assert landmark_report(subject(2)).PreliminaryFlag == "FINAL"


def test_a_correction_names_its_predecessor() -> None:
    before, after = subject(3, version=3), subject(3, version=4)
    report = read_back(after, predecessor=before.reference(LANDMARKS))
    assert report.predecessor == read_back(before).document
    assert report.document.sop_instance_uid != report.predecessor.sop_instance_uid
    assert report.document.series_uid == report.predecessor.series_uid
    assert read_back(before).predecessor is None


def test_the_same_version_is_the_same_object_to_the_byte() -> None:
    assert to_bytes(landmark_report(subject(4), FRAME)) == to_bytes(landmark_report(subject(4), FRAME))


@pytest.mark.parametrize(
    "changed",
    [
        {"version": 4},
        {"tag": "original"},
        {"digest": "0" * 64},
    ],
)
def test_another_version_is_another_object(changed: dict[str, object]) -> None:
    uid = subject(5).instance_uid(LANDMARKS)
    assert subject(5, **changed).instance_uid(LANDMARKS) != uid
    assert subject(6).instance_uid(LANDMARKS) != uid
    assert replace(subject(5), identity="another").instance_uid(LANDMARKS) != uid
    assert uid.is_valid
    assert uid.startswith("2.25.")


def test_attestation_is_stated() -> None:
    when = datetime.datetime(2026, 11, 30, 10, 0)
    attested = Verification("Müller^Jan", "Hospital", when)
    dataset = landmark_report(subject(7), verification=attested)
    assert dataset.VerifyingObserverSequence[0].VerificationDateTime == "20261130100000"
    report, _ = read_report(dataset)
    assert isinstance(report, LandmarkReport)
    assert report.is_verified


def test_patient_and_study_are_those_of_the_image() -> None:
    about = subject(8)
    header = about.image.header
    header.PatientName, header.PatientComments, header.OtherPatientNames = "Müller^Зоя", "ä", ["A^B", "C^D"]
    other = Dataset()
    other.PatientID, other.TypeOfPatientID = "X7", "TEXT"
    header.OtherPatientIDsSequence = [other]
    dataset = dcmread(io.BytesIO(to_bytes(landmark_report(about))))
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "StudyInstanceUID", "StudyDate", "PatientComments"):
        assert dataset[keyword].value == header[keyword].value
    assert [str(name) for name in dataset.OtherPatientNames] == ["A^B", "C^D"]
    assert dataset.OtherPatientIDsSequence[0].PatientID == "X7"


def test_a_latin_1_name_is_written_in_utf_8() -> None:
    header = phantom(9)[0]
    header.SpecificCharacterSet, header.PatientName = "ISO_IR 100", "Müller^Zoë"
    latin = dcmread(io.BytesIO(to_bytes(header)))
    about = replace(subject(9), image=replace(subject(9).image, header=latin))
    dataset = dcmread(io.BytesIO(to_bytes(landmark_report(about))))
    assert (dataset.SpecificCharacterSet, str(dataset.PatientName)) == ("ISO_IR 192", "Müller^Zoë")


def test_rounding_is_below_a_thousandth_of_a_pixel_and_stays() -> None:
    rng = np.random.default_rng(0)
    spine = Spine.from_arrays(rng.uniform(-100, 16_000, (17, 5, 2)))
    rounded = on_grid(spine)
    assert np.abs(rounded.xy - spine.xy).max() <= 1 / 2048
    assert on_grid(rounded).xy.tobytes() == rounded.xy.tobytes()
    far = on_grid(Spine.from_arrays(rng.uniform(16_384, 90_000, (17, 5, 2))))
    assert on_grid(far).xy.tobytes() == far.xy.tobytes()


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"version": 0}, "number from 1 up"),
        ({"tag": ""}, "needs a tag"),
        ({"digest": "x"}, "64 hexadecimal digits"),
        ({"touched": frozenset({"T1 XX"})}, "'T1 XX' is neither"),
        ({"info": {"a": float("nan")}}, "must be JSON"),
    ],
)
def test_a_wrong_label_gets_a_sentence(changed: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        landmark_report(subject(0, **changed))


def test_a_frame_of_another_image_is_refused() -> None:
    with pytest.raises(ValueError, match="frame must be 360 x 700, got 10 x 700"):
        landmark_report(subject(0), replace(FRAME, width=10))
