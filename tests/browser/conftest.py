"""Chromium on the page of a real server with phantoms: shared by the tests of a file, images are each test's own."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from harness import system_packages
from lib.phantoms import random_spec, render_phantom

from ..conftest import NEXT_TEST
from ..serving import Server, Start
from .watch import Watch

ARGUMENTS = (
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--disable-gpu-compositing",
)
"""Chromium as root, with WebGL in software, and without it for all else, which takes a third of the time."""
UNSCORED = ("--conf", "scoring", "false")
"""Options of a server that leaves images alone until a test asks for them."""
SIZE = (800, 400)
"""Height and width of the phantoms in pixels."""
VIEWPORT = {"width": 1400, "height": 900}
TIMEOUT_MS = 30_000
OpenPage = Callable[..., tuple[Page, Watch]]
NewImage = Callable[..., str]
FAILED = pytest.StashKey[bool]()
_kept: list[tuple[contextlib.ExitStack, Browser]] = []
"""The browser that is open, and what closes it."""

expect.set_options(timeout=TIMEOUT_MS)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Keep whether the test itself failed, for screenshots."""
    report: Any = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report


def phantom(seed: int = 1, size: tuple[int, int] = SIZE) -> bytes:
    """A phantom radiograph as the content of a PNG file."""
    stream = io.BytesIO()
    Image.fromarray(render_phantom(random_spec(seed, *size)).pixels).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, start: Start) -> Iterator[Server]:
    """A server without a login and with three phantoms, for tests that add images of their own."""
    studies = tmp_path_factory.mktemp("studies")
    for seed in range(3):
        (studies / f"phantom_{seed}.png").write_bytes(phantom(seed))
    with start(studies, *UNSCORED) as running:
        yield running


def add_image(server: Server, name: str, seed: int) -> str:
    """Add a phantom to a server under an id that is new, and return the id."""
    upload = (f"{name}.png", phantom(seed))
    status, body = server.send(f"/datastore/image?image={quote(name, safe='')}", "PUT", file=upload)
    assert status == 200, body
    return str(json.loads(body)["image"])


@pytest.fixture(scope="session")
def new_image(server: Server) -> NewImage:
    """Add a phantom to the shared server: ``new_image(id, seed=1)`` returns the id, which must be new."""
    return lambda name, seed=1: add_image(server, name, seed)


@contextlib.contextmanager
def launched(program: str) -> Iterator[Browser]:
    """A browser of its own process."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        yield browser
        with contextlib.suppress(Exception):  # a test may have ended it
            browser.close()


@pytest.fixture(scope="module")
def chromium(request: pytest.FixtureRequest) -> Iterator[Browser]:
    """A browser, which the next file goes on with if it is of this folder.

    Not longer: Playwright's event loop runs meanwhile, and tests of other folders start their own.
    """
    program = system_packages.chromium()
    if program is None:
        pytest.skip("Chromium is not installed; on Debian and Ubuntu: sudo apt install chromium")
    if not _kept:
        stack = contextlib.ExitStack()
        _kept.append((stack, stack.enter_context(launched(program))))
    stack, browser = _kept[0]
    yield browser
    following = request.session.stash[NEXT_TEST]
    goes_on = following is not None and following.path.parent == Path(__file__).parent
    if not goes_on or "chromium" not in following.fixturenames or not browser.is_connected():
        _kept.clear()
        stack.close()


@pytest.fixture
def open_page(request: pytest.FixtureRequest, chromium: Browser, server: Server, tmp_path: Path) -> Iterator[OpenPage]:
    """Open the page in a context of its own: ``open_page(path="/", url=..., **options of the context)``.

    After the test all contexts are checked: no other host was asked, and nothing was complained about.
    """
    opened: list[tuple[Page, Watch]] = []

    def new(path: str = "/", url: str = "", **options: Any) -> tuple[Page, Watch]:
        url = url or request.getfixturevalue("server").url
        context = chromium.new_context(**{"viewport": VIEWPORT, "base_url": url, **options})
        context.set_default_timeout(TIMEOUT_MS)
        watch = Watch(context, url)
        page = context.new_page()
        opened.append((page, watch))
        if path:
            page.goto(path)
        return page, watch

    yield new
    if request.node.stash.get(FAILED, False):
        for number, (page, _) in enumerate(opened):
            with contextlib.suppress(Exception):  # it may have crashed
                page.screenshot(path=tmp_path / f"failure_{number}.png")
                print(f"Screenshot: {tmp_path / f'failure_{number}.png'}")
    for page, _ in opened:
        page.context.close()
    for _, watch in opened:
        watch.check()
