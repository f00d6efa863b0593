"""Labels on their way to the PACS: complete, well-formed, and as configured."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset

from lib.server.pacs.reports.report_worker import ReportWorker
from lib.structured_report import CobbLinesReport, LandmarkReport, on_grid, read_report

from ....structured_report.subjects import phantom
from ..conftest import Pacs
from .conftest import PATIENT_ID, Department, Labelled, Open, examined, found


def landmarks_in(reports: list[Dataset]) -> list[LandmarkReport]:
    read = [read_report(one)[0] for one in reports]
    return [one for one in read if isinstance(one, LandmarkReport)]


def test_a_label_version_becomes_two_reports(labelled: Labelled) -> None:
    status = labelled.site.exchange()
    assert (status["waiting"], status["sent"], status["refused"], status["last_error"]) == (0, 4, 0, None)
    reports = labelled.site.reports()
    assert [one.SeriesNumber for one in reports] == [900, 900, 901, 901]
    assert {one.PatientID for one in reports} == {f"{PATIENT_ID}-2"}
    first, second = landmarks_in(reports)
    assert [one.label.version for one in (first, second)] == [1, 2]
    assert [one.observer for one in (first, second)] == ["Ada", "Boris"]
    assert first.predecessor is None
    assert second.predecessor == first.document
    assert np.array_equal(second.label.spine.xy, on_grid(labelled.spine).xy, equal_nan=True)
    assert (second.label.spine.visible == labelled.spine.visible).all()
    assert second.label.touched == {"T7", "T7 TL"}
    lines = [read_report(one)[0] for one in reports[2:]]
    assert all(isinstance(one, CobbLinesReport) and one.is_ours for one in lines)


def test_nothing_is_sent_twice(labelled: Labelled) -> None:
    labelled.site.exchange()
    for _ in range(2):
        assert labelled.site.exchange()["sent"] == 4
    assert len(labelled.site.reports()) == 4
    assert labelled.site.stores == 4


@pytest.mark.skipif(not shutil.which("dciodvfy") or not shutil.which("dsrdump"), reason="dicom3tools or dcmtk missing")
def test_what_arrives_is_well_formed(labelled: Labelled, tmp_path: Path) -> None:
    labelled.site.exchange()
    for number, report in enumerate(labelled.site.reports()):
        path = tmp_path / f"{number}.dcm"
        report.save_as(path, write_like_original=False)
        said = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True).stderr
        assert "Error" not in said, said
        dumped = subprocess.run(["dsrdump", str(path)], capture_output=True, text=True)
        assert dumped.returncode == 0
        assert "E: " not in dumped.stderr
        assert "Imaging Measurement" in dumped.stdout


@pytest.mark.parametrize(
    ("send", "tags", "objects"),
    [
        (("off",), [], 0),
        (("labels",), ["final"], 2),
        (("predictions",), ["original"], 2),
        (("labels", "predictions", "gsps", "pdf"), ["final", "original"], 8),
    ],
)
def test_what_is_sent_can_be_chosen(
    pacs: Pacs, open_department: Open, send: tuple[str, ...], tags: list[str], objects: int
) -> None:
    header, spine = examined(2), phantom(2)[1]
    pacs.store(header)
    site = open_department(send=send)
    site.look()
    site.label(header, spine, "original", model_version="v7")
    site.label(header, spine, user="Ada")
    site.label(header, spine, "draft", user="Ada")
    status = site.exchange()
    assert (status["sent"], status["waiting"]) == (objects, 0)
    assert (status["sending"] == "off") == (send == ("off",))
    assert sorted(one.label.tag for one in landmarks_in(site.reports())) == tags
    assert len(found(site.client, "PR")) == (len(tags) if "gsps" in send else 0)
    documents = found(site.client, "DOC")
    assert len(documents) == (len(tags) if "pdf" in send else 0)
    assert all(one.EncapsulatedDocument.startswith(b"%PDF-") for one in documents)


def test_a_label_without_a_curve_has_no_cobb_lines(pacs: Pacs, open_department: Open) -> None:
    header, spine = examined(2), phantom(2)[1]
    pacs.store(header)
    site = open_department()
    site.look()
    absent = spine.xy.copy()
    absent[2:] = np.nan
    site.label(header, spine.moved_to(absent), user="Ada")
    status = site.exchange()
    assert (status["waiting"], status["sent"], status["refused"]) == (0, 1, 0)


def test_what_cannot_be_made_is_set_aside_with_a_reason(labelled: Labelled) -> None:
    site, image = labelled.site, labelled.site.image(labelled.header)
    site.store.save_label_content(image, "final", json.dumps({"markups": [{"bad": 1}]}).encode(), {"user": "Ada"})
    status = site.exchange()
    assert (status["waiting"], status["sent"], status["refused"]) == (0, 4, 2)
    assert {(one["image"], one["tag"], one["version"]) for one in status["refusals"]} == {(image, "final", 3)}
    assert all("controlPoints" in one["reason"] or "coordinateSystem" in one["reason"] for one in status["refusals"])


def test_a_submission_is_seen_as_waiting_at_once(labelled: Labelled) -> None:
    assert labelled.site.worker.status()["waiting"] == 4  # two objects of each version, before any round


def test_one_of_several_workers_sends(labelled: Labelled) -> None:
    site = labelled.site
    workers = [
        ReportWorker(site.source, site.store, site.pacs.settings(site.store.context.folder.path), 0.05) for _ in "ab"
    ]
    for worker in workers:
        worker.start()
    end = time.monotonic() + 60
    while workers[0].status()["sent"] < 4 and time.monotonic() < end:
        time.sleep(0.05)
    for worker in workers:
        worker.stop()
        assert worker.join(30)
    assert site.stores == 4
    assert len(site.reports()) == 4


def test_nothing_of_a_patient_is_said(labelled: Labelled, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        status = labelled.site.exchange()
        item = labelled.site.worker.outbox.next_due(time.time() + 1e6)
    said = f"{caplog.text} {status} {item!r}"
    header = labelled.header
    secrets = [PATIENT_ID, "Zyzzowitsch", *(str(header[name].value) for name in ("StudyInstanceUID", "SOPInstanceUID"))]
    secrets += [str(one.SOPInstanceUID) for one in labelled.site.reports()]
    assert not [secret for secret in secrets if secret in said]


def test_departments_do_not_mix(labelled: Labelled, open_department: Open) -> None:
    labelled.site.exchange()
    other: Department = open_department("other", send=("off",))
    other.look()
    assert other.exchange()["sent"] == 0
    assert other.worker.outbox.identity != labelled.site.worker.outbox.identity
