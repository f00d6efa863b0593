"""Radiographs of a real Orthanc, annotated by HTTP, in the Slicer panel and in the browser: their reports arrive there.

The environment variable ``PACS_IMAGES`` sets the number of images, three by default.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from harness.local_orthanc import LocalOrthanc
from harness.phantom_dicom import Examination, phantom_dx
from lib.phantoms import random_spec, render_phantom
from lib.server.pacs.client import PacsClient
from lib.server.pacs.settings import PacsSettings
from lib.structured_report import LandmarkReport, read_report

from .reports.conftest import found
from .strict_pacs import as_file

if TYPE_CHECKING:
    from ...serving import Server, Start

pytestmark = [pytest.mark.integration, pytest.mark.slow]

COUNT = int(os.environ.get("PACS_IMAGES", "3"))
CLIENTS = ("http", "panel", "page")
SIZE, SEED, TIMEOUT_S = (800, 400), 60, 120
ARGUMENTS = ("--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")


@pytest.fixture
def server(orthanc: LocalOrthanc, start: Start, tmp_path: Path) -> Iterator[Server]:
    """A server on an Orthanc that has the images."""
    for number in range(COUNT):
        pixels = render_phantom(random_spec(SEED + number, *SIZE)).pixels.astype(np.uint16) * 16
        orthanc.store(as_file(phantom_dx(pixels, Examination(f"P{number}", f"Phantom^{number}"))))
    env = {"VERTEBRA_DICOMWEB_USER": orthanc.user, "VERTEBRA_DICOMWEB_PASSWORD": orthanc.password}
    conf = ("--conf", "dicomweb_folder", str(tmp_path / "work"))
    with start(orthanc.url, *conf, env=env) as running:
        wait_for(lambda: info(running)["datastore"]["total"] == COUNT)
        yield running


def info(server: Server) -> Any:
    return json.loads(server.ask("/info/")[1])


def wait_for(holds: Any) -> None:
    end = time.monotonic() + TIMEOUT_S
    while not holds():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.2)


def next_image(server: Server) -> str:
    return str(json.loads(server.ask("/activelearning/first", "POST", b"")[1])["id"])


def by_http(server: Server) -> str:
    """Next, infer, correct one corner, save."""
    image = next_image(server)
    landmarks = server.infer(image)[1]["landmarks"]
    corner = next(one for one in landmarks if one["name"] == "T7 TL")
    fixed = {"T7": {"TL": [corner["x"] + 3, corner["y"] + 1]}}
    landmarks = server.infer(image, fixed=fixed)[1]["landmarks"]
    body = {"landmarks": landmarks, "touched": ["T7 TL"], "info": {"user": "http", "seconds": 5, "edits": 1}}
    path = f"/landmarks?image={image}&tag=final&base_version=0"
    status, answer = server.ask(path, "PUT", json.dumps(body).encode(), "application/json")
    assert status == 200, answer
    return image


def by_panel(server: Server, folder: Path) -> str:
    """The same in the panel of the Slicer module."""
    pytest.importorskip("slicer", reason="slicer-core is not installed")
    from harness.fake_slicer.desktop import desktop

    with desktop(folder) as opened:
        ui = opened.ui
        ui.serverLineEdit.text, ui.userLineEdit.text = server.url, "panel"
        ui.connectButton.click()
        opened.wait(lambda: opened.state.is_connected and not opened.state.busy, TIMEOUT_S, "connecting")
        assert "PACS: " in ui.countsLabel.text
        ui.nextButton.click()
        opened.wait(lambda: opened.state.current and not opened.state.busy, TIMEOUT_S, "finding landmarks")
        x, y = opened.logic.editor.xy[6, 1]
        assert opened.logic.editor.move_point(6, 1, (float(x) + 3, float(y) + 1))
        opened.settle(0.5)
        opened.wait(lambda: not opened.state.busy, TIMEOUT_S, "following")
        image = str(opened.state.current.id)
        ui.nextAfterCheckBox.checked = False
        ui.submitButton.click()
        if opened.panel.notice.is_question:
            ui.noticeYesButton.click()
        opened.wait(lambda: opened.state.current.label == "label" or opened.state.error, TIMEOUT_S, "submitting")
        assert opened.state.error is None, opened.state.error
        return image


def by_page(server: Server) -> str:
    """The same in the browser."""
    from playwright.sync_api import sync_playwright

    from harness import system_packages

    program = system_packages.chromium()
    if program is None:
        pytest.skip("Chromium is not installed")
    image = next_image(server)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.goto(f"{server.url}/#/image/{image}")
        ready = "() => window.vertebraLandmarks?.position('T7 TL')"
        page.wait_for_function(ready, timeout=1000 * TIMEOUT_S)
        at = page.evaluate("() => window.vertebraLandmarks.screenPosition('T7 TL')")
        page.mouse.move(at["x"], at["y"])
        page.mouse.down()
        page.mouse.move(at["x"] + 3, at["y"] + 1)
        page.mouse.up()
        for _ in range(4):  # a further click confirms warnings
            page.wait_for_timeout(1500)
            page.get_by_test_id("submit").click()
            page.wait_for_timeout(1500)
            if page.evaluate("() => window.vertebraLandmarks.state().version") == 1:
                break
        assert page.evaluate("() => window.vertebraLandmarks.state().version") == 1
        browser.close()
    return image


def points_of(server: Server, image: str) -> dict[str, tuple[float, float]]:
    landmarks = json.loads(server.ask(f"/landmarks?image={image}&tag=final")[1])["landmarks"]
    return {one["name"]: (one["x"], one["y"]) for one in landmarks}


@pytest.mark.skipif(sys.platform != "linux", reason="slicer-core and Orthanc are installed on Linux only")
def test_labels_of_every_client_arrive_in_the_pacs(server: Server, orthanc: LocalOrthanc, tmp_path: Path) -> None:
    labelled = {}
    for number in range(COUNT):
        client = CLIENTS[number % len(CLIENTS)]
        if client == "panel":
            image = by_panel(server, tmp_path / f"slicer_{number}")
        else:
            image = by_page(server) if client == "page" else by_http(server)
        labelled[image] = client
    assert len(labelled) == COUNT
    wait_for(lambda: info(server)["pacs"]["sent"] == 2 * COUNT)
    settings = PacsSettings(orthanc.url, tmp_path / "work", user=orthanc.user, password=orthanc.password)
    arrived = found(PacsClient(settings), "SR")
    assert len(arrived) == 2 * COUNT
    read = [read_report(one)[0] for one in arrived]
    landmark_reports = [one for one in read if isinstance(one, LandmarkReport)]
    assert len(landmark_reports) == COUNT
    corners = {tuple(np.round(one.label.spine.xy[6, 1], 3)) for one in landmark_reports}
    for image in labelled:
        x, y = points_of(server, image)["T7 TL"]
        assert tuple(np.round(on_grid_xy(x, y), 3)) in corners
    if shutil.which("dciodvfy"):
        for number, report in enumerate(arrived):
            path = tmp_path / f"{number}.dcm"
            report.save_as(path, write_like_original=False)
            said = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True).stderr
            assert "Error" not in said, said


def on_grid_xy(x: float, y: float) -> tuple[float, float]:
    """A position as reports hold it: rounded to 1/1024 px."""
    return round(1024 * x) / 1024, round(1024 * y) / 1024
