"""A PACS that is away, slow, full, refuses or is killed: every label arrives once, and a sentence says why not yet."""

from __future__ import annotations

import re
import threading
import time

import pytest

from harness.local_orthanc import LocalOrthanc
from lib.server.pacs import client as client_module
from lib.server.pacs.reports import delivery
from lib.server.pacs.reports.outbox import Outbox
from lib.server.pacs.reports.report_worker import ReportWorker

from ....structured_report.subjects import phantom
from ..strict_pacs import StrictPacs
from .conftest import PATIENT_ID, Labelled, Open, examined

pytestmark = pytest.mark.usefixtures("no_delay")


def check_complete(labelled: Labelled) -> None:
    """All four objects are in the PACS, once each, and nothing is left to say."""
    status = labelled.site.exchange()
    assert (status["waiting"], status["sent"], status["refused"], status["last_error"]) == (0, 4, 0, None)
    assert status["sending"] == "idle"
    uids = [one.SOPInstanceUID for one in labelled.site.reports()]
    assert len(uids) == len(set(uids)) == 4


PASSING = {
    401: ("paused", r"refuses the login \(401\)"),
    403: ("paused", r"does not allow this login to store \(403\)"),
    404: ("paused", r"stores nothing at this address \(404\)"),
    429: ("retrying", r"failed \(429\)"),
    500: ("retrying", r"failed \(500\)"),
    503: ("retrying", r"failed \(503\)"),
    507: ("retrying", r"has no room left \(507\)"),
}


def test_what_may_pass_is_tried_again(labelled: Labelled) -> None:
    site = labelled.site
    for status, (sending, said) in PASSING.items():
        site.pacs.proxy.store_status = status
        stores = site.stores
        told = site.exchange()
        assert site.stores > stores, status
        assert (told["waiting"], told["sent"], told["refused"], told["sending"]) == (4, 0, 0, sending), status
        assert told["last_error"].startswith("the PACS at 127.0.0.1:")
        assert re.search(said, told["last_error"])
        site.label(labelled.header, labelled.spine, "draft", user="Ada")  # nobody waits for the PACS
    site.pacs.proxy.store_status = 0
    check_complete(labelled)


def test_what_will_not_pass_is_set_aside_and_can_be_sent_again(labelled: Labelled) -> None:
    site = labelled.site
    for status, said in ((400, "refuses it (400)"), (413, "refuses it as too large (413)")):
        site.pacs.proxy.store_status = status
        told = site.exchange()
        assert (told["waiting"], told["sent"], told["refused"]) == (0, 0, 4)
        assert said in told["last_error"]
        assert len(told["refusals"]) == 4
        assert {one["reason"] for one in told["refusals"]} == {told["last_error"]}
        assert {one["image"] for one in told["refusals"]} == {site.image(labelled.header)}
        site.pacs.proxy.store_status = 0
        assert site.exchange()["refused"] == 4
        assert site.worker.outbox.retry_refused() == 4
    check_complete(labelled)


def test_reports_of_others_are_read_while_nothing_can_be_stored(labelled: Labelled, open_department: Open) -> None:
    site, other = labelled.site, open_department("other")
    other.look()
    other.label(labelled.header, labelled.spine, user="Cleo")
    other.exchange()
    site.pacs.proxy.store_status = 401
    assert site.exchange()["sending"] == "paused"
    assert "Cleo" in {one["info"]["user"] for one in site.store.label_versions(site.image(labelled.header), "final")}


def test_a_pacs_that_was_away_while_nothing_waited_is_no_error(labelled: Labelled) -> None:
    site = labelled.site
    site.exchange()
    site.pacs.proxy.status = 500
    told = site.exchange()
    assert (told["sending"], told["waiting"]) == ("retrying", 0)
    assert "failed (500)" in told["last_error"]
    site.pacs.proxy.status = 0
    check_complete(labelled)


def test_a_pacs_that_is_away_gets_everything_later(labelled: Labelled) -> None:
    site = labelled.site
    site.pacs.proxy.stop()
    for _ in range(2):
        told = site.exchange()
        assert (told["waiting"], told["sent"], told["sending"]) == (4, 0, "retrying")
        assert "cannot be reached; it is tried again" in told["last_error"]
    site.pacs.proxy.start()
    check_complete(labelled)


@pytest.mark.parametrize("cut", ["before", "after"])
def test_a_connection_that_breaks_while_storing_loses_and_doubles_nothing(labelled: Labelled, cut: str) -> None:
    site = labelled.site
    site.pacs.proxy.store_cut = cut
    told = site.exchange()
    assert (told["waiting"], told["sent"]) == (4, 0)
    assert len(site.reports()) == (1 if cut == "after" else 0)
    site.pacs.proxy.store_cut = ""
    check_complete(labelled)


def test_an_object_that_arrived_unnoticed_is_recognized(labelled: Labelled) -> None:
    site = labelled.site
    site.pacs.proxy.store_cut = "after"
    site.exchange()
    site.pacs.proxy.store_cut, site.pacs.proxy.store_status = "", 500
    site.exchange()  # finds it among the new reports
    assert site.worker.status()["sent"] == 1
    site.pacs.proxy.store_status = 0
    check_complete(labelled)


def test_a_slow_pacs_gets_everything(labelled: Labelled) -> None:
    labelled.site.pacs.proxy.delay_s = 0.3
    status = labelled.site.exchange()
    assert status["sent"] == 4
    labelled.site.pacs.proxy.delay_s = 0.0
    check_complete(labelled)


def test_a_pacs_that_answers_too_late_gets_nothing_twice(labelled: Labelled, monkeypatch: pytest.MonkeyPatch) -> None:
    site = labelled.site
    monkeypatch.setattr(client_module, "READ_TIMEOUT_S", 0.5)
    site.pacs.proxy.store_delay_s = 1.0
    told = site.exchange()
    assert told["waiting"] >= 3
    assert "does not answer in time" in told["last_error"]
    site.pacs.proxy.store_delay_s = 0.0
    time.sleep(1.0)  # the last one is stored after all
    check_complete(labelled)


def test_an_object_that_always_fails_holds_up_no_others(labelled: Labelled, monkeypatch: pytest.MonkeyPatch) -> None:
    site, fail = labelled.site, Outbox.note_failed
    site.pacs.proxy.store_status = 500
    monkeypatch.setattr(Outbox, "note_failed", lambda outbox, item, said, _: fail(outbox, item, said, 3_600.0))
    site.exchange()
    site.pacs.proxy.store_status = 0
    status = site.exchange()
    assert (status["sent"], status["waiting"]) == (3, 1)
    assert "failed (500)" in status["last_error"]


def test_the_pauses_grow_up_to_ten_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "FIRST_DELAY_S", 2.0)
    assert [delivery.delay_s(failures) for failures in (1, 2, 3, 9, 10, 1000)] == [2, 4, 8, 512, 600, 600]


def test_a_pause_is_kept(labelled: Labelled, monkeypatch: pytest.MonkeyPatch) -> None:
    site = labelled.site
    monkeypatch.setattr(delivery, "FIRST_DELAY_S", 60.0)
    site.pacs.proxy.store_status = 500
    site.exchange()
    assert site.stores == 1
    assert site.exchange()["sending"] == "retrying"
    assert site.stores == 1
    monotonic, now = time.monotonic, time.time
    monkeypatch.setattr(time, "monotonic", lambda: monotonic() + 61.0)
    monkeypatch.setattr(time, "time", lambda: now() + 61.0)
    site.pacs.proxy.store_status = 0
    assert site.exchange()["sent"] == 4


@pytest.mark.parametrize("pacs", ["orthanc"], indirect=True)  # the other one keeps nothing when it is killed
def test_an_orthanc_that_is_killed_again_and_again_has_everything_once(labelled: Labelled) -> None:
    site, server = labelled.site, labelled.site.pacs.server
    assert isinstance(server, LocalOrthanc)
    for number in range(4):
        site.label(labelled.header, phantom(2)[1], user=f"reader {number}")
    settings = site.pacs.settings(site.store.context.folder.path)
    worker = ReportWorker(site.source, site.store, settings, 0.05)
    worker.start()
    for sent in (3, 8):
        end = time.monotonic() + 60
        while worker.status()["sent"] < sent and time.monotonic() < end:
            time.sleep(0.01)
        server.kill()
        threading.Event().wait(0.2)
        server.start()
    end = time.monotonic() + 60
    while worker.status()["sent"] < 12 and time.monotonic() < end:
        time.sleep(0.05)
    worker.stop()
    assert worker.join(30)
    uids = [str(one.SOPInstanceUID) for one in site.reports()]
    assert (worker.status()["sent"], len(uids), len(set(uids))) == (12, 12, 12)


@pytest.mark.parametrize("pacs", ["strict"], indirect=True)  # the proxy answers
def test_no_sentence_names_a_patient(labelled: Labelled, caplog: pytest.LogCaptureFixture) -> None:
    site, said = labelled.site, []
    header = examined(2)
    site.pacs.proxy.says = f'{{"Message": "{header.PatientName} {PATIENT_ID} {header.SOPInstanceUID}"}}'.encode()
    for status in (400, 401, 403, 409, 413, 500, 507):
        site.worker.outbox.retry_refused()
        site.pacs.proxy.store_status = status
        said.append(str(site.exchange()))
    site.pacs.proxy.stop()
    said.append(str(site.exchange()))
    secrets = [PATIENT_ID, "Zyzzowitsch", *(str(header[name].value) for name in ("StudyInstanceUID", "SOPInstanceUID"))]
    text = "\n".join([*said, caplog.text])
    assert not [secret for secret in secrets if secret in text]


@pytest.mark.parametrize(
    ("status", "reason", "arrives", "said"),
    [
        (202, 0xA700, "later", "has no room left (A700H)"),
        (409, 0x0110, "later", "failed to process it (0110H)"),
        (409, 0x0111, "never", None),  # it says that it has it already
        (409, 0x0122, "never", "it does not store instances of this kind (0122H)"),
        (409, 0xA901, "never", "it says that the instance does not fit its kind (A901H)"),
        (409, 0xC000, "never", "it gives no reason (C000H)"),
    ],
)
@pytest.mark.parametrize("pacs", ["strict"], indirect=True)
def test_failure_reasons_of_the_standard(
    labelled: Labelled, status: int, reason: int, arrives: str, said: str | None
) -> None:
    site, server = labelled.site, labelled.site.pacs.server
    assert isinstance(server, StrictPacs)
    server.answers_store = [(status, reason)] * 4
    first = site.exchange()
    for _ in range(5):
        now = site.exchange()
    assert said is None or said in first["last_error"]
    assert (now["waiting"], now["refused"]) == (0, 4 if arrives == "never" and said else 0)
    assert len(site.reports()) == (4 if arrives == "later" else 0)
