"""Headers of DICOM images lose what identifies the patient, and keep what measuring needs."""

from __future__ import annotations

import datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
from imagecodecs import jpegls_encode
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGLSLossless

from harness.phantom_dicom import Examination, phantom_dx
from lib.deidentification import Pseudonyms, copy_image
from lib.image_io import UnreadableImageError, read_radiograph

KEY = bytes(range(32))
PATIENT = "Geheimnis^Zoë^^Dr."
SECRETS = {
    "PatientName": PATIENT,
    "PatientID": "ID-4711-X",
    "PatientBirthDate": "20100203",
    "OtherPatientIDs": "SOC-998877",
    "AccessionNumber": "ACC-5566",
    "InstitutionName": "Spital Musterstadt",
    "ReferringPhysicianName": "Überweiser^Ada",
    "StudyDescription": "Scoliosis of Geheimnis",
    "ImageComments": "seen by Überweiser",
    "PatientAddress": "Nebenstrasse 7",
    "DeviceSerialNumber": "SN-123456",
    "StudyID": "STUDY-42",
    "StationName": "ROOM-12",
    "PatientComments": "lives beside the school",
    "InstanceCreationDate": "20261101",
    "DateOfLastCalibration": "20250909",
    "RequestedProcedureDescription": "spine of Geheimnis",
}


def identified(seed: int = 1, when: str = "20261130", **changes: object) -> Dataset:
    """A phantom with everything that a header may tell."""
    pixels = np.random.default_rng(seed).integers(0, 4096, (64, 32)).astype(np.uint16)
    dataset = phantom_dx(pixels, Examination(when=datetime.datetime.strptime(when, "%Y%m%d")), seed)
    for keyword, value in {**SECRETS, **changes}.items():
        setattr(dataset, keyword, value)
    request = Dataset()
    request.RequestedProcedureID, request.ScheduledProcedureStepDescription = "RP-0815-1", "for Geheimnis"
    dataset.RequestAttributesSequence = [request]
    view = dataset.ViewCodeSequence[0]  # a sequence that stays
    view.PatientName, view.StudyDate = PATIENT, "20261130"
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = dataset.SOPClassUID, "1.2.3.4.5.6.7.8.9"
    dataset.SourceImageSequence = [reference]
    block = dataset.private_block(0x0011, "MAKER", create=True)
    block.add_new(1, "LO", "private Geheimnis")
    dataset.preamble = b"Geheimnis".ljust(128, b"\0")
    dataset.file_meta.SourceApplicationEntityTitle = "ROOM-12"
    return dataset


def saved(dataset: Dataset, folder: Path) -> Path:
    path = folder / "original.dcm"
    dataset.save_as(path, write_like_original=False)
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def test_nothing_that_identifies_is_left_in_any_byte(tmp_path: Path, out: Path) -> None:
    dataset = identified()
    uids = [str(dataset[name].value) for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")]
    texts = [part for value in SECRETS.values() for part in (value, *value.split("^"))]
    path = copy_image(saved(dataset, tmp_path), out, "new", Pseudonyms(KEY), "id ID-4711-X").path
    content = path.read_bytes()
    searched = [
        text for text in (*texts, *uids, "1.2.3.4.5.6.7.8.9", "20261130", "091500", "RP-0815-1") if len(text) > 3
    ]
    found = [text for text in searched for code in ("utf-8", "latin-1") if text.encode(code) in content]
    assert found == []
    assert "Geheimnis".encode("utf-16-le") not in content


def test_what_measuring_needs_is_kept(tmp_path: Path, out: Path) -> None:
    original = saved(identified(ImagerPixelSpacing=[0.2, 0.15]), tmp_path)
    copied = copy_image(original, out, "new", Pseudonyms(KEY), "p")
    before, after = read_radiograph(original), read_radiograph(copied.path)
    assert np.array_equal(before.pixels, after.pixels)
    assert (before.millimetres, before.geometry) == (after.millimetres, after.geometry)
    assert (before.frame, before.warnings) == (after.frame, after.warnings)
    assert before.image_left_is is not None
    tags = pydicom.dcmread(copied.path)
    assert (tags.BodyPartExamined, tags.ViewPosition, tags.Modality) == ("SPINE", "AP", "DX")
    assert tags.ViewCodeSequence[0].CodeMeaning == "antero-posterior"
    assert copied.concerns == []


def test_the_header_states_what_was_done(tmp_path: Path, out: Path) -> None:
    pseudonyms = Pseudonyms(KEY)
    tags = pydicom.dcmread(copy_image(saved(identified(), tmp_path), out, "new", pseudonyms, "p").path)
    assert tags.PatientIdentityRemoved == "YES"
    assert tags.LongitudinalTemporalInformationModified == "MODIFIED"
    assert [code.CodeValue for code in tags.DeidentificationMethodCodeSequence] == ["113100", "113107"]
    assert tags.PatientID == tags.PatientName == pseudonyms.patient("p")
    assert tags.SOPInstanceUID == tags.file_meta.MediaStorageSOPInstanceUID
    assert len(tags.SOPInstanceUID) <= 64
    assert tags.PatientBirthDate == tags.PatientSex == tags.AccessionNumber == ""


def test_uids_and_dates_are_consistent_within_a_patient(tmp_path: Path, out: Path) -> None:
    pseudonyms = Pseudonyms(KEY)
    study = "1.2.826.0.1.99"
    copies = [
        pydicom.dcmread(
            copy_image(
                saved(identified(seed, when, StudyInstanceUID=study), tmp_path), out, f"new{seed}", pseudonyms, patient
            ).path
        )
        for seed, when, patient in ((1, "20260101", "p"), (2, "20260301", "p"), (3, "20260301", "q"))
    ]
    assert len({tags.StudyInstanceUID for tags in copies}) == 1
    assert len({tags.SOPInstanceUID for tags in copies}) == 3
    days = [datetime.datetime.strptime(tags.StudyDate, "%Y%m%d") for tags in copies]
    assert (days[1] - days[0]).days == 59
    assert days[2] != days[1]
    assert all(datetime.datetime(2016, 1, 1) < day < datetime.datetime(2025, 6, 1) for day in days)
    assert {tags.SeriesDate == tags.StudyDate == tags.ContentDate for tags in copies} == {True}


def test_compressed_pixels_are_copied_as_they_are(tmp_path: Path, out: Path) -> None:
    dataset = identified()
    content = jpegls_encode(np.frombuffer(dataset.PixelData, np.uint16).reshape(dataset.Rows, dataset.Columns), level=0)
    dataset.PixelData = encapsulate([content + b"\0" * (len(content) % 2)])
    dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
    dataset.file_meta.TransferSyntaxUID = JPEGLSLossless
    path = copy_image(saved(dataset, tmp_path), out, "new", Pseudonyms(KEY), "p").path
    assert pydicom.dcmread(path).PixelData == dataset.PixelData


@pytest.mark.parametrize(
    ("changes", "keyword"),
    [
        ({"Manufacturer": "made for Geheimnis"}, "Manufacturer"),  # which the profile keeps
        ({"SoftwareVersions": ["1", "ID-4711-X"]}, "SoftwareVersions"),
    ],
)
def test_an_image_that_would_still_tell_is_refused(
    tmp_path: Path, out: Path, changes: dict[str, object], keyword: str
) -> None:
    with pytest.raises(UnreadableImageError, match=f"^{keyword} of the copy would still have") as caught:
        copy_image(saved(identified(**changes), tmp_path), out, "new", Pseudonyms(KEY), "p")
    assert "Geheimnis" not in str(caught.value)
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "concern"),
    [
        ({"BurnedInAnnotation": "YES"}, "text is burnt into the pixels"),
        ({"BurnedInAnnotation": ""}, "does not say whether"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "secondary capture"),
    ],
)
def test_burnt_in_text_is_warned_of(tmp_path: Path, out: Path, changes: dict[str, object], concern: str) -> None:
    (found,) = copy_image(saved(identified(**changes), tmp_path), out, "new", Pseudonyms(KEY), "p").concerns
    assert concern in found
