"""Nothing that a person did is lost, whatever goes away."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from harness.fake_slicer.desktop import Desktop, desktop
from harness.local_server import own_server
from lib.spine.schema import POINTS, VERTEBRAE

pytestmark = [pytest.mark.slicer, pytest.mark.integration]

ROOT = Path(__file__).resolve().parents[3]
T7, TL = VERTEBRAE.index("T7"), POINTS.index("TL")


def begin(opened: Desktop, url: str) -> bytes:
    """Connect, open an image, place what nobody else would; returns the points as a file."""
    opened.ui.inferOnOpenCheckBox.checked = opened.ui.nextAfterCheckBox.checked = False
    opened.ui.serverLineEdit.text = url
    opened.ui.connectButton.click()
    opened.wait(lambda: opened.state.is_connected and opened.state.images)
    opened.controller.open_image("phantom_001")
    opened.wait(lambda: opened.state.current)
    for p, place in enumerate(((290.5, 401.25), (270.5, 390.0), (310.5, 390.0), (270.5, 412.5), (310.5, 412.5))):
        opened.logic.editor.place(T7, p, place)
    return opened.logic.markups()


def resume_draft(opened: Desktop) -> bytes:
    """Go on with the newest unfinished work; returns the points as a file."""
    opened.wait(lambda: opened.state.drafts)
    opened.settle()
    assert opened.ui.draftsFrame.visible
    opened.ui.resumeDraftButton.click()
    opened.wait(lambda: opened.state.current and opened.state.current.label == "draft")
    return opened.logic.markups()


def test_the_server_goes_away_in_the_middle_of_a_submit(studies: Path, tmp_path: Path) -> None:
    folder = tmp_path / "slicer"
    with own_server(studies, tmp_path / "server.log", ("scoring", "false")) as server:
        port = int(server.url.rsplit(":", 1)[1])
        with desktop(folder) as first:
            work = begin(first, server.url)
            os.kill(server.process.pid, signal.SIGSTOP)  # the request is sent, and never answered
            first.ui.submitButton.click()
            first.ui.noticeYesButton.click()
            first.settle(0.3)
            assert first.state.is_busy("submit")
            server.kill()
            first.wait(lambda: first.state.error)
            first.settle()
            assert first.ui.noticeFrame.visible
            assert first.logic.markups() == work
    with (
        own_server(studies, tmp_path / "server.log", ("scoring", "false"), port=port) as server,
        desktop(folder) as second,
    ):
        second.wait(lambda: second.state.drafts)
        assert second.state.drafts[0].markups == work
        second.ui.connectButton.click()
        second.wait(lambda: second.state.is_connected)
        assert resume_draft(second) == work
        second.ui.nextAfterCheckBox.checked = False
        second.ui.submitButton.click()
        second.ui.noticeYesButton.click()
        second.wait(lambda: second.state.current.label == "label")
        assert (studies / "labels" / "final" / "phantom_001.mrk.json").read_bytes() == work


def test_the_scene_is_closed_in_the_middle_of_an_edit(
    studies: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with (
        own_server(studies, tmp_path / "server.log", ("scoring", "false")) as server,
        desktop(tmp_path / "slicer") as opened,
    ):
        begin(opened, server.url)
        opened.stage.render()
        x, y = opened.position_of(T7, TL)
        opened.stage.move((x, y))
        opened.stage.press()
        opened.stage.move((x + 9, y + 9))
        work = opened.logic.markups()
        opened.stage.scene.Clear(0)
        opened.settle()
        assert opened.state.current is None
        assert opened.ui.imageLabel.text == "No image is open."
        assert "Traceback" not in capfd.readouterr().err, "VTK prints what an observer raises, and goes on"
        assert resume_draft(opened) == work


def test_the_process_is_killed(phantoms: Path, tmp_path: Path) -> None:
    radiograph, folder = tmp_path / "image.png", tmp_path / "slicer"
    shutil.copy(phantoms / "phantom_000.png", radiograph)
    program = f"""
        import time
        from pathlib import Path
        import _app_path
        from harness.fake_slicer.desktop import desktop
        with desktop(Path({str(folder)!r})) as opened:
            opened.controller.open_local({str(radiograph)!r})
            opened.wait(lambda: opened.state.current)
            for p in range(5):
                opened.logic.editor.place(6, p, (200.25 + 10 * (p % 2), 300.5 + 10 * (p // 2)))
            opened.wait(lambda: opened.state.current.is_unsaved and opened.state.current.is_saved)
            Path({str(tmp_path / "work")!r}).write_bytes(opened.logic.markups())
            print("kept", flush=True)
            time.sleep(600)
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"kept\n"
        process.kill()
    with desktop(folder) as opened:
        assert resume_draft(opened) == (tmp_path / "work").read_bytes()
        opened.ui.undoButton.click()


def test_work_is_discarded_only_after_a_question(studies: Path, tmp_path: Path) -> None:
    folder = tmp_path / "slicer"
    with own_server(studies, tmp_path / "server.log", ("scoring", "false")) as server, desktop(folder) as first:
        begin(first, server.url)
    with desktop(folder) as second:
        ui = second.ui
        second.wait(lambda: second.state.drafts)
        second.settle()
        ui.discardDraftButton.click()
        assert "cannot be undone" in ui.noticeLabel.text
        ui.noticeNoButton.click()
        second.settle()
        assert len(second.state.drafts) == 1
        ui.discardDraftButton.click()
        ui.noticeYesButton.click()
        second.wait(lambda: not second.state.drafts)
        second.settle()
        assert not ui.draftsFrame.visible
