"""The panel asks whether to show what somebody has edited in a viewer of the PACS."""

from __future__ import annotations

import json
import shutil
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.fake_slicer.desktop import Desktop
from harness.local_server import OwnServer, own_server

pytestmark = [pytest.mark.slicer, pytest.mark.integration]

IMAGE, CORNER, AT = "phantom_001", "T5 TL", (4, 1)
MOVED_PX = 20.0


def ask(server: OwnServer, tag: str, body: bytes | None = None) -> bytes:
    """Read or save points of the image."""
    request = urllib.request.Request(f"{server.url}/landmarks?image={IMAGE}&tag={tag}", data=body)
    if body is not None:
        request.method = "PUT"
        request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return bytes(answer.read())


@pytest.fixture
def proposed(studies: Path, phantoms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OwnServer]:
    """A label, and a proposal about it; the server's answers are as if its images were of a PACS."""
    from VertebraLandmarksLib.client.api import Client  # as it is now: tests before this one may have loaded it again

    original = Client.info
    monkeypatch.setattr(
        Client, "info", lambda *some, **others: replace(original(*some, **others), pacs="PACS: 0 to send")
    )
    shutil.copytree(phantoms / "labels", studies / "labels")
    with own_server(studies, tmp_path / "server.log", ("scoring", "false")) as server:
        label = json.loads(ask(server, "final"))
        for point in label["landmarks"]:
            point["y"] += MOVED_PX * (point["name"] == CORNER)
        about = {"of_tag": "final", "of_version": label["version"], "moved": [CORNER]}
        info = {"user": "Viola", "proposal": about}
        ask(server, "proposal_ohif", json.dumps({"landmarks": label["landmarks"], "info": info}).encode())
        yield server


def test_the_question_is_answered_with_one_click(opened: Desktop, proposed: OwnServer) -> None:
    ui, notice, editor = opened.ui, opened.panel.notice, opened.logic.editor
    ui.serverLineEdit.text = proposed.url
    ui.connectButton.click()
    opened.wait(lambda: opened.state.is_connected and not opened.state.busy, what="connecting")
    opened.controller.open_image(IMAGE)
    opened.wait(lambda: notice.is_question, what="the question")
    text = "Viola has edited Cobb lines of this image in a viewer, which would move T5 TL."
    assert (ui.noticeLabel.text, ui.noticeYesButton.text, ui.noticeNoButton.text) == (
        text,
        "Show the change",
        "Not now",
    )
    before = editor.xy
    ui.noticeNoButton.click()
    opened.settle()
    assert not notice.is_question
    assert (editor.xy == before).all()
    opened.controller.open_image(IMAGE)
    opened.wait(lambda: notice.is_question, what="the question")
    ui.noticeYesButton.click()
    assert editor.xy[AT] == pytest.approx(before[AT] + (0, MOVED_PX), abs=0.01)
    opened.settle()
    assert ui.noticeLabel.text.startswith("The corners lie on the edited lines now.")
    ui.undoButton.click()
    assert (editor.xy == before).all()
