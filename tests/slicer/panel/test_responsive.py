"""The panel never waits: a timer goes on ticking while a server is slow and a large image comes in."""

from __future__ import annotations

import gc
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PySide6 import QtCore

from harness.fake_slicer.desktop import Desktop, desktop
from harness.local_server import own_server

pytestmark = [pytest.mark.slicer, pytest.mark.integration]

MAX_BLOCK_S = 0.05


class Ticks:
    """Ticks every 5 ms, and notes how long the thread of the panel was busy between two ticks."""

    def __init__(self) -> None:
        self.busy: list[float] = []
        self.gaps: list[float] = []
        self._work, self._wall = time.thread_time(), time.perf_counter()
        self._timer = QtCore.QTimer()
        self._timer.timeout.connect(self._tick)
        self._timer.start(5)

    def _tick(self) -> None:
        work, wall = time.thread_time(), time.perf_counter()
        self.busy.append(work - self._work)
        self.gaps.append(wall - self._wall)
        self._work, self._wall = work, wall

    def stop(self) -> str:
        """End, and say what was seen."""
        self._timer.stop()
        busy, late = 1000 * max(self.busy), 1000 * max(self.gaps)
        return f"{len(self.busy)} ticks, busy {busy:.0f} ms and late {late:.0f} ms at most"


@pytest.fixture
def studies_with_a_large_image(studies: Path) -> Path:
    """The phantoms, and one image of 20 MB that cannot be compressed."""
    pixels = np.random.default_rng(0).integers(0, 65535, (3600, 2800), dtype=np.uint16)
    Image.fromarray(pixels).save(studies / "large.png")
    return studies


@pytest.mark.skipif(sys.platform == "win32", reason="processes are paused with signals of POSIX")
def test_a_slow_server_and_a_large_image_hold_nothing_up(studies_with_a_large_image: Path, tmp_path: Path) -> None:
    with (
        own_server(studies_with_a_large_image, tmp_path / "server.log", ("scoring", "false")) as server,
        desktop(tmp_path) as opened,
    ):
        ui = opened.ui
        ui.inferOnOpenCheckBox.checked = False
        connect(opened, server.url)
        ticks = Ticks()

        os.kill(server.process.pid, signal.SIGSTOP)
        opened.controller.open_image("phantom_000")
        opened.settle(3.0)
        assert opened.state.is_busy("open")
        assert ui.taskLabel.text == "Loading phantom_000 …"
        os.kill(server.process.pid, signal.SIGCONT)
        opened.wait(lambda: opened.state.current)

        opened.controller.open_image("large")
        seen: set[int] = set()
        opened.wait(lambda: seen.add(ui.taskProgressBar.value) or opened.state.current.id == "large", 120)
        assert opened.logic.radiograph.pixels.nbytes > 20_000_000
        assert len(seen) > 3, "the progress of the download must be seen"
        opened.settle(0.3)
        said = ticks.stop()
        assert max(ticks.busy) <= MAX_BLOCK_S, said


@pytest.mark.skipif(sys.platform == "win32", reason="processes are paused with signals of POSIX")
def test_cancel_ends_the_waiting_at_once(studies: Path, tmp_path: Path) -> None:
    with own_server(studies, tmp_path / "server.log", ("scoring", "false")) as server, desktop(tmp_path) as opened:
        opened.ui.inferOnOpenCheckBox.checked = False
        connect(opened, server.url)
        os.kill(server.process.pid, signal.SIGSTOP)
        opened.controller.open_image("phantom_000")
        opened.settle(0.2)
        assert opened.ui.taskFrame.visible
        opened.ui.taskCancelButton.click()
        opened.wait(lambda: not opened.ui.taskFrame.visible)  # while the server stands still
        os.kill(server.process.pid, signal.SIGCONT)
        opened.settle(0.5)
        assert opened.state.current is None
        opened.controller.open_image("phantom_001")
        opened.wait(lambda: opened.state.current and opened.state.current.id == "phantom_001")


def test_a_list_of_100000_images_holds_nothing_up(opened: Desktop) -> None:
    answers = sys.modules["VertebraLandmarksLib.client.responses"]
    kinds = (answers.UNLABELLED, answers.HAS_PREDICTION, answers.LABELLED)
    images = tuple(
        answers.ImageEntry(f"image{i:06d}", kinds[i % 3], "Ada", 1.7e9 + i if i % 3 == 2 else None, "")
        for i in range(100_000)
    )
    ui, store = opened.ui, opened.controller._store
    opened.settle(0.3)
    gc.collect()
    ticks = Ticks()
    store.update(images=images)
    opened.wait(lambda: ui.moreImagesLabel.visible)
    assert (ui.imageTable.rowCount, ui.moreImagesLabel.text) == (500, "and 99,500 more: search")
    opened.settle(0.2)
    for words, rows, more in (
        ("image09999", 10, False),
        ("LABELLED ada image0", 500, True),
        ("no such image", 0, False),
    ):
        ui.searchLineEdit.text = words
        opened.wait(lambda rows=rows: ui.imageTable.rowCount == rows)
        opened.settle(0.2)
        assert ui.moreImagesLabel.visible == more
    ui.searchLineEdit.text = ""
    opened.wait(lambda: ui.imageTable.rowCount == 500 and ui.imageTable.item(499, 0) is not None)
    changed = answers.ImageEntry("image000001", answers.LABELLED, "Eve", 1.7e9, "")
    store.update(images=(images[0], changed, *images[2:]))
    opened.wait(lambda: ui.imageTable.item(1, 2).text() == "Eve")
    said = ticks.stop()
    print(said)
    assert max(ticks.busy) <= MAX_BLOCK_S, said


def connect(opened: Desktop, url: str) -> None:
    opened.ui.serverLineEdit.text = url
    opened.ui.connectButton.click()
    opened.wait(lambda: opened.state.is_connected and opened.state.images)
