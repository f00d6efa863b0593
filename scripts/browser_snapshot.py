"""Screenshots of the browser page on generated radiographs: ``browser_snapshot.py --output FOLDER``.

Serves phantoms of its own, two of them DICOM images of one patient, and drives Chromium, which ``test.py`` installs.
"""

from __future__ import annotations

import argparse
import datetime
import io
import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Page, sync_playwright

import _app_path  # noqa: F401
from harness import system_packages
from harness.local_server import OwnServer, own_server
from harness.phantom_dicom import Examination, phantom_dx
from lib.phantoms import random_spec, render_phantom

ARGUMENTS = ("--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
"""Chromium also as root, with WebGL in software."""
VIEWPORT: Any = {"width": 1400, "height": 900}
TIMEOUT_S, POLL_INTERVAL_MS = 120.0, 100
SIZE = (1200, 560)
"""Height and width of the phantoms in pixels."""
COUNT = 12
FOLLOWED = ("spine_2025", "spine_2026")
"""Two images of one patient."""
STUDY: dict[str, Any] = {"readers": ["ada", "ben"], "adjudicators": ["cleo"], "second_reading": {"share": 1.0}}
READ_TWICE = tuple(f"spine_{number:03d}" for number in range(6, 12))
READER_SD_PX = 2.0
COLORS, SHARE = 256, 0.8
"""Number of colors, and the share of the size, which keep a file below 400 kB."""


def main(arguments: list[str] | None = None) -> int:
    """Write the screenshots; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="folder for the screenshots")
    parser.add_argument("--only", choices=STATES, nargs="+", default=list(STATES), help="some of them")
    options = parser.parse_args(arguments)
    chromium = system_packages.chromium()
    if chromium is None:
        print("Chromium is not installed; name one in the environment variable CHROMIUM", file=sys.stderr)
        return 1
    options.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="browser_snapshot_") as folder, sync_playwright() as playwright:
        studies = Path(folder) / "studies"
        draw_studies(studies)
        with own_server(studies, Path(folder) / "server.log", ("prelabel", "true")) as server:
            browser = playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
            for name in options.only:
                page = browser.new_page(viewport=VIEWPORT)
                page.set_default_timeout(1000 * TIMEOUT_S)
                save(STATES[name](page, server), options.output / f"{name}.png")
                page.close()
            browser.close()
    return 0


def draw_studies(studies: Path) -> None:
    """Phantoms as PNG files, and two of one patient as DICOM files."""
    studies.mkdir()
    for number in range(COUNT):
        Image.fromarray(render_phantom(random_spec(200 + number, *SIZE)).pixels).save(
            studies / f"spine_{number:03d}.png"
        )
    for number, name in enumerate(FOLLOWED):
        pixels = render_phantom(random_spec(230 + number, *SIZE)).pixels.astype(np.uint16) * 16
        image = phantom_dx(pixels, Examination(when=datetime.datetime(int(name[-4:]), 9, 1)))
        image.save_as(studies / f"{name}.dcm", write_like_original=False)


def save(content: bytes, path: Path) -> None:
    """Write a screenshot smaller and with few colors, which keeps it light."""
    image = Image.open(io.BytesIO(content)).convert("RGB")
    width, height = (round(SHARE * length) for length in image.size)
    image.resize((width, height), Image.Resampling.LANCZOS).quantize(COLORS).save(path, optimize=True)
    print(f"Wrote {path}.")


def wait(page: Page, condition: str) -> None:
    """Wait for a condition in JavaScript; Playwright's own way needs ``eval``, which the page's policy forbids.

    Raises:
        TimeoutError: it did not come true.
    """
    end = time.monotonic() + TIMEOUT_S
    while not page.evaluate(f"Boolean({condition})"):
        if time.monotonic() > end:
            raise TimeoutError(f"the page did not reach: {condition}")
        page.wait_for_timeout(POLL_INTERVAL_MS)


def open_page(page: Page, server: OwnServer, route: str = "", user: str = "Ada") -> None:
    """Open a page of the browser page as somebody."""
    page.goto(f"{server.url}/#/{route}")
    page.evaluate("name => localStorage.setItem('vertebraLandmarks.settings.userName', JSON.stringify(name))", user)
    page.reload()


def ask(server: OwnServer, path: str, method: str, body: object, user: str = "") -> Any:
    """Send JSON as somebody, and return the answer."""
    headers = {"Content-Type": "application/json", **({"X-User": user} if user else {})}
    sent = urllib.request.Request(server.url + path, json.dumps(body).encode(), headers, method=method)
    with urllib.request.urlopen(sent) as answer:
        return json.load(answer)


def open_image(page: Page, server: OwnServer, image: str) -> None:
    """Open an image, and wait for its points and angles."""
    open_page(page, server, f"image/{image}")
    wait(page, "window.vertebraLandmarks?.position('T7')")
    wait(page, "document.querySelector('[data-testid=angles]')?.textContent.includes('°')")
    page.wait_for_timeout(1000)


def submit(page: Page) -> None:
    """Submit the open image, warnings confirmed."""
    for _ in range(2):
        page.get_by_test_id("submit").click()
        page.wait_for_timeout(1500)
    wait(page, "window.vertebraLandmarks.state().version > 0")


def drag(page: Page, point: str, dx: float, dy: float) -> None:
    """Drag a point by CSS pixels."""
    at = page.evaluate("name => window.vertebraLandmarks.screenPosition(name)", point)
    page.mouse.move(at["x"], at["y"])
    page.mouse.down()
    page.mouse.move(at["x"] + dx / 2, at["y"] + dy / 2)
    page.mouse.move(at["x"] + dx, at["y"] + dy)
    page.mouse.up()


def overview(page: Page, server: OwnServer) -> bytes:
    """Some images are labelled."""
    for number in range(3):
        open_image(page, server, f"spine_{number:03d}")
        submit(page)
    open_page(page, server)
    wait(page, "document.querySelectorAll('[data-testid=image-list] img').length > 5")
    page.wait_for_timeout(4000)
    return page.screenshot()


def annotate(page: Page, server: OwnServer) -> bytes:
    """An image with its points and angles."""
    open_image(page, server, "spine_004")
    return page.screenshot()


def doubtful(page: Page, server: OwnServer) -> bytes:
    """A corner was dragged to where it makes a body implausible, and the others do not follow."""
    open_image(page, server, "spine_005")
    page.get_by_label("after each move").uncheck()
    drag(page, "T9 TR", -4, 34)
    page.wait_for_timeout(1500)
    return page.screenshot()


def follow_up(page: Page, server: OwnServer) -> bytes:
    """Two labelled images of a patient."""
    for name in FOLLOWED:
        open_image(page, server, name)
        submit(page)
    open_page(page, server, f"follow-up/{FOLLOWED[0]}")
    page.wait_for_timeout(6000)
    return page.screenshot()


def report(_: Page, server: OwnServer) -> bytes:
    """The page of PDF, as poppler draws it."""
    if shutil.which("pdftoppm") is None:
        raise SystemExit("pdftoppm is not installed; on Debian and Ubuntu: sudo apt install poppler-utils")
    with urllib.request.urlopen(f"{server.url}/report?{urllib.parse.urlencode({'image': 'spine_004'})}") as answer:
        pdf: bytes = answer.read()
    return subprocess.run(["pdftoppm", "-png", "-r", "110", "-"], input=pdf, capture_output=True, check=True).stdout


def read_twice(server: OwnServer) -> None:
    """Begin a study, and read its images twice, with normally distributed errors; one vertebra is far off."""
    ask(server, "/study", "PUT", STUDY)
    rng = np.random.default_rng(1)
    for image in READ_TWICE:
        points = ask(server, f"/infer/vertebra_landmarks?image={image}&output=json", "POST", {})["landmarks"]
        for reader in STUDY["readers"]:
            marks = [{**mark, "score": 1.0} for mark in points]
            for mark in marks:
                is_far = (image, reader) == (READ_TWICE[0], "ben") and mark["name"].startswith("T8")
                mark["x"] += rng.normal(18 if is_far else 0, READER_SD_PX)
                mark["y"] += rng.normal(0, READER_SD_PX)
            noted = {"seconds": float(rng.uniform(50, 120)), "edits": int(rng.integers(3, 20))}
            ask(server, f"/landmarks?image={image}", "PUT", {"landmarks": marks, "info": noted}, reader)


def adjudicate(page: Page, server: OwnServer) -> bytes:
    """Two readings of an image, at their largest difference."""
    read_twice(server)
    open_page(page, server, f"adjudicate/{READ_TWICE[0]}", "cleo")
    page.get_by_test_id("confirm").wait_for()
    page.keyboard.press("ArrowDown")
    page.wait_for_timeout(1500)
    return page.screenshot()


def agreement(page: Page, server: OwnServer) -> bytes:
    """How well the two readers agree."""
    open_page(page, server, "agreement", "cleo")
    page.get_by_test_id("methods").wait_for()
    page.wait_for_timeout(1000)
    return page.screenshot()


STATES: dict[str, Callable[[Page, OwnServer], bytes]] = {
    "overview": overview,
    "annotate": annotate,
    "doubtful": doubtful,
    "follow_up": follow_up,
    "report": report,
    "adjudicate": adjudicate,
    "agreement": agreement,
}
"""By name; the last two begin a study, and come last."""


if __name__ == "__main__":
    raise SystemExit(main())
