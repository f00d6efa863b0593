"""No page asks another host, and everything works where the network is cut."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect

from .conftest import NewImage, OpenPage
from .node_tools import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.integration]

CUT = ("unshare", "--map-root-user", "--net")
"""A process without any network but its own loopback, which is down at first."""
UP = "ip link set lo up && exec "
PAGES = ("#/", "#/image/{image}", "#/follow-up/{image}", "#/training", "docs")
FLOW = "tests/browser/test_flow.py::test_a_label_is_made_with_the_mouse"


def can_cut_the_network() -> bool:
    """Whether this machine lets a process have no network."""
    if not all(map(shutil.which, ("unshare", "ip"))):
        return False
    return subprocess.run([*CUT, "sh", "-c", f"{UP} true"], capture_output=True).returncode == 0


def test_no_page_asks_another_host(open_page: OpenPage, new_image: NewImage) -> None:
    image = new_image("asks_nobody")
    page, watch = open_page("")
    for path in PAGES:
        page.goto(f"/{path.format(image=image)}")
        page.wait_for_load_state("networkidle")
    assert len(watch.requests) > len(PAGES)
    watch.check()


def test_the_description_of_the_api_is_rendered(open_page: OpenPage) -> None:
    page, watch = open_page("/docs")
    expect(page.locator(".opblock").first).to_be_visible()
    page.locator(".opblock-summary-control").first.click()
    expect(page.locator(".opblock-body").first).to_be_visible()
    expect(page.locator(".opblock-body pre").first).to_contain_text("status")
    assert watch.asked("GET", "/openapi.json")


@pytest.mark.slow
def test_a_label_is_made_without_a_network(tmp_path: Path) -> None:
    if not can_cut_the_network():
        pytest.skip("this machine lets no process run without a network")
    options = ["-q", "-n", "0", "-p", "no:cacheprovider", "--basetemp", str(tmp_path / "cut")]
    command = f'{UP} "$@"'
    done = subprocess.run(
        [*CUT, "sh", "-c", command, "sh", sys.executable, "-m", "pytest", *options, FLOW],
        cwd=ROOT,
        env={**os.environ, "PYTEST_ADDOPTS": "", "PYTEST_XDIST_WORKER": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "1 passed" in done.stdout
