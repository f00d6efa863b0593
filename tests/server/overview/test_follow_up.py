"""Images of one patient, and their follow-up."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import select

from lib.server.inference.image_reading import reading
from lib.server.overview import follow_up, patients
from lib.server.overview.follow_up import FollowUps
from lib.server.overview.patients import siblings
from lib.server.store.datastore import StudiesDatastore
from lib.server.store.schema import images
from lib.spine.labels.markups import write_markups
from lib.spine.schema import Spine

from ...image_io.image_files import write_dicom
from ...spine.measurement.test_follow_up import bent
from ..store.conftest import Open

PIXELS = np.zeros((900, 400), np.uint8)


def dicom(folder: Path, name: str, patient: str, date: str = "", **tags: Any) -> None:
    write_dicom(folder / name, PIXELS, PatientID=patient, **({"StudyDate": date} if date else {}), **tags)


def ids(store: StudiesDatastore, image: str) -> list[str]:
    return sorted(row.id for row in siblings(store, image).rows)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "studies"
    path.mkdir()
    return path


def test_images_are_of_one_patient_by_their_headers_else_by_their_names(folder: Path, opened: Open) -> None:
    for name, patient in (("x1.dcm", "P7"), ("other", "P7"), ("x2.dcm", "P8"), ("n1.dcm", ""), ("n2.dcm", "ANON")):
        dicom(folder, name, patient)
    dicom(folder, "P9_pre.dcm", "")
    dicom(folder, "P9_post.dcm", "")
    for name in ("P7", "P12_pre", "P12_post", "P13_pre", "alone"):
        Image.fromarray(PIXELS[:5]).save(folder / f"{name}.png")
    store = opened(folder)
    assert ids(store, "x1") == ids(store, "other") == ["other", "x1"]
    assert ids(store, "P7") == ["P7"]  # a name is no PatientID
    assert ids(store, "P12_post") == ["P12_post", "P12_pre"]
    for image in ("x2", "n1", "n2", "P9_pre", "P9_post", "P13_pre", "alone"):
        assert ids(store, image) == [image]
    assert siblings(store, "n1").patient is None


def test_equal_ids_of_two_issuers_are_two_patients(folder: Path, opened: Open) -> None:
    for name, issuer in (("a1", "North"), ("a2", "North"), ("b1", "South"), ("c1", "")):
        dicom(folder, f"{name}.dcm", "P7", **({"IssuerOfPatientID": issuer} if issuer else {}))
    store = opened(folder)
    assert [ids(store, image) for image in ("a1", "b1", "c1")] == [["a1", "a2"], ["b1"], ["c1"]]
    assert siblings(store, "P9_pre").patient is None
    assert siblings(store, "nobody") == (None, [], 0)


def test_the_id_itself_is_nowhere_and_its_digest_is_the_folders_own(folder: Path, tmp_path: Path, opened: Open) -> None:
    dicom(folder, "a.dcm", "Secret77", PatientName="Lovelace")
    other = tmp_path / "other"
    other.mkdir()
    dicom(other, "a.dcm", "Secret77")
    store = opened(folder)
    found, elsewhere = siblings(store, "a").patient, siblings(opened(other), "a").patient
    assert found
    assert elsewhere
    assert found != elsewhere
    assert "Secret77" not in json.dumps(FollowUps(store).of("a"))
    assert "Secret77" not in json.dumps(store.get_image_info("a"))
    for path in folder.rglob("*"):
        assert path.suffix == ".dcm" or not path.is_file() or b"Secret77" not in path.read_bytes()


def test_headers_are_read_once_for_a_while_and_again_when_a_file_changes(
    folder: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        dicom(folder, f"i{number}.dcm", "P1")
    store = opened(folder)
    first = siblings(store, "i0", timeout_s=-1.0)
    assert ([row.id for row in first.rows], first.unread) == (["i0"], 5)
    assert siblings(store, "i0").unread == 0
    with monkeypatch.context() as patched:
        patched.setattr(patients, "read_study_tags", lambda _: pytest.fail("read again"))
        assert len(siblings(store, "i3").rows) == 6
    dicom(folder, "i3.dcm", "P2", "20260101", SeriesDescription="longer than before")
    store.refresh()
    assert len(siblings(store, "i0").rows) == 5
    assert [row.taken_on for row in siblings(store, "i3").rows] == ["2026-01-01"]


def test_whoever_reads_an_image_notes_its_patient(folder: Path, opened: Open) -> None:
    dicom(folder, "a.dcm", "P1", "20260101")
    store = opened(folder)
    with reading(store, "a"):
        pass
    query = select(images.c.patient, images.c.taken_on).where(images.c.store == store.context.key)
    with store.context.database.reading() as connection:
        row = connection.execute(query).one()
    assert len(row.patient) == 32
    assert row.taken_on == "2026-01-01"


def label(store: StudiesDatastore, tmp_path: Path, image: str, points: np.ndarray, tag: str, **info: Any) -> None:
    file = tmp_path / "label.mrk.json"
    write_markups(file, Spine.from_arrays(points))
    store.save_label(image, str(file), tag, info)


def test_curves_are_followed_by_date(folder: Path, opened: Open, tmp_path: Path) -> None:
    dicom(folder, "c.dcm", "P1", "20260301")
    dicom(folder, "a.dcm", "P1", "20250301")
    dicom(folder, "b.dcm", "P1")  # of the time of its file
    dicom(folder, "d.dcm", "P1", "20200101")
    noon = time.mktime((2025, 6, 1, 12, 0, 0, 0, 0, -1))
    os.utime(folder / "b.dcm", (noon, noon))
    store = opened(folder)
    label(store, tmp_path, "a", bent(-20, 22), "final", user="ada")
    label(store, tmp_path, "b", bent(-10, 11), "original", model_version="2", tilt_half_widths_deg=None)
    label(store, tmp_path, "c", bent(-18, 20), "original")
    label(store, tmp_path, "c", bent(-15, 15), "final", user="ada")
    found = FollowUps(store).of("c")
    assert [(one["id"], one["date"], one["date_source"]) for one in found["images"]] == [
        ("d", "2020-01-01", "header"),
        ("a", "2025-03-01", "header"),
        ("b", "2025-06-01", "file"),
        ("c", "2026-03-01", "header"),
    ]
    assert [(one["state"], one["tag"], one["version"]) for one in found["images"]] == [
        ("unlabelled", None, None),
        ("labelled", "final", 1),
        ("predicted", "original", 1),
        ("labelled", "final", 1),
    ]
    assert found["reference"] == "a"
    same = [{(s["upper_end"], s["lower_end"]): s["angle_deg"] for s in one["same_ends"]} for one in found["images"]]
    assert [one.get(("T5", "L1")) for one in same] == [None, *map(pytest.approx, (42, 21, 30))]
    assert found["images"][0]["curves"] == []
    assert "T5–L1" in found["images"][1]["curves"][1]["text"]  # noqa: RUF001
    main = [one for one in found["changes"] if (one["upper_end"], one["lower_end"]) == ("T5", "L1")]
    assert [(one["from"], one["to"]) for one in main] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert [one["change_deg"] for one in main] == pytest.approx([-21, -12, 9])
    assert [one["within_error"] for one in main] == [False, False, False]  # of points that a reader has placed
    assert (found["left_out"], found["unread"]) == (0, 0)
    json.dumps(found, allow_nan=False)


def test_images_are_measured_once_for_a_label_and_bounded(
    folder: Path, opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow_up, "MAX_IMAGES", 3)
    for number in range(5):
        dicom(folder, f"i{number}.dcm", "P1", f"2025010{number + 1}")
    store = opened(folder)
    label(store, tmp_path, "i0", bent(-20, 22), "final")
    label(store, tmp_path, "i4", bent(-10, 11), "final")
    follow_ups = FollowUps(store)
    found = follow_ups.of("i0")
    assert [one["id"] for one in found["images"]] == ["i0", "i3", "i4"]
    assert found["left_out"] == 2
    with monkeypatch.context() as patched:
        patched.setattr(follow_up, "read_radiograph", lambda _: pytest.fail("read again"))
        assert follow_ups.of("i0") == found
    label(store, tmp_path, "i4", bent(-15, 15), "final")
    changed = follow_ups.of("i0")
    assert changed["images"][2]["version"] == 2
    assert changed["changes"] != found["changes"]


def test_what_cannot_be_measured_has_no_curves(folder: Path, opened: Open, tmp_path: Path) -> None:
    dicom(folder, "a.dcm", "P1", "20250101")
    dicom(folder, "b.dcm", "P1", "20250102")
    store = opened(folder)
    label(store, tmp_path, "b", bent(-20, 22), "final")
    bad = tmp_path / "bad.mrk.json"
    bad.write_text('{"no": "points"}')
    store.save_label("a", str(bad), "final", {})
    found = FollowUps(store).of("a")
    assert [len(one["curves"]) > 0 for one in found["images"]] == [False, True]
    assert found["reference"] == "b"
