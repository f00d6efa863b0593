"""A killed server, a crashed tab, a killed browser and a full disk lose nothing, and each is said in a sentence."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, Error, Page, Route, expect

from harness import system_packages
from harness.local_server import OwnServer, own_server
from harness.ports import free_port

from ..serving import Server
from .annotator import Annotator, label_info, largest_difference, stored_label
from .conftest import ARGUMENTS, VIEWPORT, OpenPage, add_image
from .watch import Watch

pytestmark = [pytest.mark.browser, pytest.mark.integration, pytest.mark.slow]

ROUNDING_PX = 1e-3
GONE = (
    r"ERR_(CONNECTION_REFUSED|CONNECTION_RESET|EMPTY_RESPONSE|SOCKET_NOT_CONNECTED|FAILED|INCOMPLETE_CHUNKED_ENCODING)"
)
"""How the browser says that the server is gone."""


class Restartable:
    """A server on one port that can be killed and started again; drafts belong to an address."""

    def __init__(self, stack: ExitStack, place: Path, weights: Path) -> None:
        self._stack, self._place = stack, place
        self._conf = ("scoring", "false"), ("weights", str(weights))
        self.studies = place / "studies"
        self.studies.mkdir()
        self.port = free_port()
        self.running: OwnServer
        self.start()

    def start(self) -> None:
        """Start it, for the first time or again."""
        serving = own_server(self.studies, self._place / "server.log", *self._conf, port=self.port)
        self.running = self._stack.enter_context(serving)  # one that was killed ends for good at the end

    @property
    def client(self) -> Server:
        """A client of it."""
        return Server(self.running.url, self.studies, self.running.process, self.running.log)


@pytest.fixture(scope="module")
def restartable(tmp_path_factory: pytest.TempPathFactory, quick_weights: Path) -> Iterator[Restartable]:
    """A server that a test may kill, and starts again then."""
    with ExitStack() as stack:
        yield Restartable(stack, tmp_path_factory.mktemp("restartable"), quick_weights)


def opened(page: Page, image: str) -> Annotator:
    """The image with its landmarks, at rest."""
    annotator = Annotator(page)
    annotator.go_to(image)
    annotator.wait_for_points()
    annotator.settle()
    return annotator


def edit(annotator: Annotator, name: str = "T7 TL") -> dict[str, tuple[float, float]]:
    """Drag a point; what is on the screen when all has come to rest."""
    x, y = annotator.screen(name)
    annotator.drag(name, (x + 15, y - 5))
    annotator.settle()
    expect(annotator.button("effort")).to_contain_text("kept in this browser")
    return annotator.positions()


def resume(annotator: Annotator, image: str) -> None:
    """Open the image and resume the unfinished work that is offered."""
    annotator.page.goto("about:blank")
    annotator.go_to(image)
    annotator.page.get_by_test_id("question").get_by_role("button", name="Resume").click()
    annotator.settle()


@contextlib.contextmanager
def own_browser(chromium: Browser, profile: Path, server: Server) -> Iterator[Page]:
    """A browser with a profile on the disk, which outlives it; a test may kill it."""
    context = chromium.browser_type.launch_persistent_context(
        profile,
        executable_path=system_packages.chromium(),
        args=list(ARGUMENTS),
        base_url=server.url,
        viewport=VIEWPORT,
    )
    watch = Watch(context, server.url)
    yield context.pages[0]
    with contextlib.suppress(Error):  # it may be gone
        context.close()
    watch.check()


def processes_of(profile: Path) -> list[psutil.Process]:
    """The browser with a profile; its other processes end with it."""
    found = psutil.Process().children(recursive=True)
    return [
        one for one in found if f"--user-data-dir={profile}" in one.cmdline() and "--type=" not in str(one.cmdline())
    ]


def test_edits_go_on_while_the_server_is_gone(open_page: OpenPage, restartable: Restartable) -> None:
    image = add_image(restartable.client, "gone", seed=51)
    page, watch = open_page("/", url=restartable.running.url)
    annotator = opened(page, image)
    edit(annotator)
    restartable.running.kill()
    watch.expect(GONE)
    shown = edit(annotator, "T9 TR")
    expect(annotator.button("connection")).to_contain_text("server does not respond")
    assert annotator.message.startswith("The server does not respond")
    restartable.start()
    with contextlib.suppress(Error):  # the page may have asked by itself meanwhile
        annotator.button("retry").click(timeout=2000)
    expect(annotator.button("connection")).to_be_hidden()
    assert annotator.positions() == shown
    annotator.settle()
    shown = annotator.positions()
    annotator.submit()
    assert largest_difference(stored_label(restartable.client, image) or {}, shown) < ROUNDING_PX


def submit_while(annotator: Annotator, restartable: Restartable, kill: Callable[[Route], None]) -> None:
    """Submit, and do something to the server as soon as the label is on its way."""
    page = annotator.page

    def on_request(route: Route) -> None:
        if route.request.method == "PUT":
            kill(route)
        else:
            route.continue_()

    page.route("**/landmarks?*", on_request)
    annotator.button("submit").click()
    annotator.confirm_until(lambda: "did not answer" in annotator.message)
    page.unroute("**/landmarks?*")


def test_a_label_survives_a_server_killed_before_it_is_stored(open_page: OpenPage, restartable: Restartable) -> None:
    image = add_image(restartable.client, "killed", seed=52)
    page, watch = open_page("/", url=restartable.running.url)
    annotator = opened(page, image)
    shown = edit(annotator)
    watch.expect(GONE)

    def kill(route: Route) -> None:
        restartable.running.kill()
        route.continue_()

    submit_while(annotator, restartable, kill)
    assert annotator.message.startswith("The server did not answer")
    assert annotator.positions() == shown
    assert annotator.state["version"] == 0
    restartable.start()
    assert stored_label(restartable.client, image) is None
    resume(annotator, image)
    assert largest_difference(annotator.positions(), shown) < ROUNDING_PX
    annotator.submit()
    assert largest_difference(stored_label(restartable.client, image) or {}, shown) < ROUNDING_PX


def test_a_label_is_stored_once_if_its_answer_is_lost(open_page: OpenPage, restartable: Restartable) -> None:
    image = add_image(restartable.client, "answer_lost", seed=53)
    page, watch = open_page("/", url=restartable.running.url)
    annotator = opened(page, image)
    shown = edit(annotator)
    watch.expect(GONE)

    def kill(route: Route) -> None:
        assert route.fetch().ok
        restartable.running.kill()
        route.abort("connectionreset")

    submit_while(annotator, restartable, kill)
    restartable.start()
    assert largest_difference(stored_label(restartable.client, image) or {}, shown) < ROUNDING_PX
    annotator.submit()
    expect(annotator.button("conflict")).to_be_hidden()
    assert label_info(restartable.client, image)["version"] == annotator.state["version"] == 1
    page.reload()
    annotator.wait_for(image)
    annotator.settle()
    expect(page.get_by_test_id("question")).to_be_hidden()  # there is no unfinished work any more


def test_edits_survive_a_crash_of_the_tab(open_page: OpenPage, restartable: Restartable) -> None:
    image = add_image(restartable.client, "crashed_tab", seed=54)
    page, watch = open_page("/", url=restartable.running.url)
    shown = edit(opened(page, image))
    watch.expect("the tab crashed")
    with page.expect_event("crash"), contextlib.suppress(Error):
        page.goto("chrome://crash")
    again = Annotator(page.context.new_page())
    resume(again, image)
    assert largest_difference(again.positions(), shown) < ROUNDING_PX


def test_edits_survive_a_killed_browser(chromium: Browser, restartable: Restartable, tmp_path: Path) -> None:
    server = restartable.client
    image = add_image(server, "killed_browser", seed=55)
    with own_browser(chromium, tmp_path / "profile", server) as page:
        shown = edit(opened(page, image))
        for process in processes_of(tmp_path / "profile"):
            process.kill()
    with own_browser(chromium, tmp_path / "profile", server) as page:
        page.goto("/")
        expect(page.get_by_test_id("drafts")).to_contain_text(image)
        page.get_by_test_id("drafts").get_by_role("link").click()
        page.get_by_test_id("question").get_by_role("button", name="Resume").click()
        again = Annotator(page)
        again.settle()
        assert largest_difference(again.positions(), shown) < ROUNDING_PX


def test_a_full_disk_is_said_and_work_goes_on(open_page: OpenPage, restartable: Restartable) -> None:
    server = restartable.client
    image = add_image(server, "full_disk", seed=56)
    page, _ = open_page("/", url=server.url)
    annotator = opened(page, image)
    session = page.context.new_cdp_session(page)
    session.send("Storage.overrideQuotaForOrigin", {"origin": server.url, "quotaSize": 1})
    x, y = annotator.screen("T7 TL")
    annotator.drag("T7 TL", (x + 15, y))
    expect(page.get_by_test_id("message")).to_contain_text("storage is full")
    annotator.settle()
    shown = annotator.positions()
    page.evaluate("() => { location.hash = '#/'; }")
    question = page.get_by_test_id("question")
    expect(question).to_contain_text("would be lost")
    question.get_by_role("button", name="Stay").click()
    assert annotator.positions() == shown
    annotator.submit()
    assert largest_difference(stored_label(server, image) or {}, shown) < ROUNDING_PX
