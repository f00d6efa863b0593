"""A server that is killed while it sends labels, again and again: every label version is in the PACS exactly once.

The environment variable ``PACS_KILLS`` sets how often, once by default, and ``PACS_LABELS`` of how many labels.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from harness.local_orthanc import LocalOrthanc
from lib.server.pacs import client as client_module
from lib.server.pacs.client import PacsClient
from lib.spine.labels.markups import from_markups, parse_json, to_markups
from lib.structured_report import LandmarkReport, on_grid, read_report

from ....structured_report.subjects import phantom
from ..conftest import Pacs
from ..fault_proxy import fault_proxy
from .conftest import GEOMETRY, PATIENT_ID, PATIENT_NAME, examined, found

if TYPE_CHECKING:
    from ....serving import Server, Start

pytestmark = pytest.mark.integration

KILLS = int(os.environ.get("PACS_KILLS", "1"))
LABELS, IMAGES = int(os.environ.get("PACS_LABELS", str(4 * (KILLS + 1)))), 3
TIMEOUT_S = 120
"""Without anything being sent."""


@pytest.fixture
def archive(orthanc: LocalOrthanc) -> Iterator[Pacs]:
    """An Orthanc with the images."""
    with fault_proxy(orthanc.url) as proxy:
        pacs = Pacs(orthanc, proxy)
        pacs.store(*(examined(number) for number in range(IMAGES)))
        yield pacs


def wait_for(server: Server, holds: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """Wait until something holds, as long as objects are sent meanwhile."""
    end, sent = time.monotonic() + TIMEOUT_S, -1
    while True:
        status, answer = server.ask("/info/")
        assert status == 200, answer
        info: dict[str, Any] = json.loads(answer)
        assert info["pacs"]["state"] != "off", info  # else it is another server
        if holds(info):
            return info
        if info["pacs"]["sent"] != sent:
            end, sent = time.monotonic() + TIMEOUT_S, info["pacs"]["sent"]
        assert time.monotonic() < end, info["pacs"]
        time.sleep(0.05)


def submit(server: Server, images: list[str], number: int) -> None:
    """One label of its own points and author."""
    spine = phantom(0)[1]
    content = json.dumps(to_markups(spine.moved_to(spine.xy + number / 8), GEOMETRY)).encode()
    path = f"/datastore/label?image={quote(images[number % len(images)])}&tag=final"
    params = json.dumps({"user": f"reader {number}", "touched_points": ["T7"], "touched": 1})
    answer = server.send(path, "PUT", label=("label.mrk.json", content), params=params)
    assert answer[0] == 200, answer


def test_every_label_of_a_server_that_is_killed_arrives_once(
    archive: Pacs, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "READ_TIMEOUT_S", TIMEOUT_S)  # one answer lists all reports
    env = {"VERTEBRA_DICOMWEB_USER": archive.server.user, "VERTEBRA_DICOMWEB_PASSWORD": archive.server.password}
    conf = ("--conf", "dicomweb_folder", str(tmp_path / "work"))
    dice, submitted, logs = random.Random(1), 0, []
    for life in range(KILLS + 1):
        with start(archive.proxy.url, *conf, env=env) as server:
            logs.append(server.log)
            wait_for(server, lambda info: info["datastore"]["total"] == IMAGES)
            images = sorted(json.loads(server.ask("/datastore/?output=all")[1])["objects"])
            until = LABELS * (life + 1) // (KILLS + 1)
            while submitted < until:
                submit(server, images, submitted)
                submitted += 1
            sent = wait_for(server, lambda _: True)["pacs"]["sent"]
            if life < KILLS:
                wait_for(server, lambda info, before=sent: info["pacs"]["sent"] > before)  # it is in the middle
                time.sleep(dice.random() * 0.5)
                server.process.kill()
                server.process.wait()
                continue
            info = wait_for(server, lambda info: info["pacs"]["waiting"] == 0)
            assert (info["pacs"]["refused"], info["pacs"]["last_error"]) == (0, None)
            check(server, images, archive)
    check_privacy(archive, logs, tmp_path / "work")


def check(server: Server, images: list[str], archive: Pacs) -> None:
    """All label versions are in the PACS once, with their points, authors and Cobb lines."""
    reports = found(PacsClient(archive.settings(server.log.parent)), "SR")
    read = [read_report(one)[0] for one in reports]
    landmarks = [one for one in read if isinstance(one, LandmarkReport)]
    assert (len(landmarks), len(reports)) == (LABELS, 2 * LABELS)
    assert Counter(one.observer for one in landmarks) == Counter(f"reader {number}" for number in range(LABELS))
    known = {}
    for image in images:
        for one in json.loads(server.ask(f"/datastore/label/versions?label={image}&tag=final")[1])["versions"]:
            known[one["digest"]] = (one["version"], one["info"]["user"])
    assert {one.label.digest: (one.label.version, one.observer) for one in landmarks} == known
    for one in landmarks:
        number = int(one.observer.removeprefix("reader "))
        spine = phantom(0)[1]
        content = json.dumps(to_markups(spine.moved_to(spine.xy + number / 8), GEOMETRY)).encode()
        assert (one.label.spine.xy == on_grid(from_markups(parse_json(content))).xy).all()


def check_privacy(archive: Pacs, logs: list[Path], work: Path) -> None:
    """Nothing of a patient is in logs and names of files, nor in files but cached images and the database."""
    headers = [examined(number) for number in range(IMAGES)]
    secrets = {PATIENT_ID, PATIENT_NAME.partition("^")[0], "20100101"}
    secrets |= {str(one[name].value) for one in headers for name in ("StudyInstanceUID", "SOPInstanceUID")}
    secrets |= {str(one.SOPInstanceUID) for one in found(PacsClient(archive.settings(work)), "SR")}
    written = [path for top in (work, *(log.parent for log in logs)) for path in top.rglob("*") if path.is_file()]
    assert not [secret for secret in secrets if any(secret in str(path) for path in written)]
    others = [path for path in written if path.suffix != ".dcm" and not path.name.startswith("store.sqlite3")]
    assert set(logs) <= set(others)
    for path in others:
        content = path.read_bytes()
        assert not [secret for secret in secrets if secret.encode() in content], path.name
