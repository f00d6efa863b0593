"""Submitting and leaving an image: what is on its way, what is due, and what is left behind."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from playwright.sync_api import CDPSession, Route, expect

from ..serving import Server
from .annotator import Annotator, largest_difference, stored_label
from .conftest import NewImage, OpenPage, phantom

pytestmark = [pytest.mark.browser, pytest.mark.integration]

ROUNDING_PX = 1e-3
LEAVING_TIMEOUT_MS = 20_000
Open = Callable[..., Annotator]


@pytest.fixture
def opened(open_page: OpenPage, new_image: NewImage, request: pytest.FixtureRequest) -> Open:
    """Open an image of the test's own, with its landmarks; others follow each move."""

    def new(*expected: int) -> Annotator:
        image = new_image(request.node.name[:60], seed=63)
        page, watch = open_page("/")
        for status in expected:
            watch.expect(f"status of {status}")
        annotator = Annotator(page)
        annotator.go_to(image)
        annotator.wait_for_points()
        annotator.settle()
        return annotator

    return new


def drag_right(annotator: Annotator, name: str, by: float) -> None:
    x, y = annotator.screen(name)
    annotator.drag(name, (x + by, y))


def test_what_was_on_the_screen_is_submitted_and_stays_there(opened: Open, server: Server) -> None:
    annotator = opened()
    page, image = annotator.page, annotator.state["image"]
    late: list[Route] = []
    page.route("**/infer/**", lambda route: late.append(route))
    drag_right(annotator, "T7 TL", 25)
    expect(page.get_by_text("Finding the others around yours")).to_be_visible()
    shown = annotator.positions()
    annotator.submit()
    for route in late:
        route.continue_()
    drag_right(annotator, "T8 TL", 25)  # one that is due only
    moved = annotator.positions()
    page.keyboard.press("Control+Enter")
    annotator.confirm_until(lambda: annotator.state["version"] == 2)
    annotator.settle()
    assert largest_difference(moved, shown) > 1
    assert annotator.positions() == moved
    assert largest_difference(stored_label(server, image) or {}, moved) < ROUNDING_PX
    assert "kept in this browser" not in annotator.button("effort").inner_text()


def test_a_server_that_hangs_does_not_keep_the_image_open(opened: Open, server: Server) -> None:
    annotator = opened()
    page, image = annotator.page, annotator.state["image"]
    drag_right(annotator, "T7 TL", 25)
    annotator.settle()
    shown = annotator.positions()
    held: list[Route] = []
    page.route("**/landmarks?*base_version*", lambda route: held.append(route))
    annotator.button("submit").click()
    annotator.confirm_until(lambda: bool(held))
    page.evaluate("() => { location.hash = '#/'; }")
    expect(page.get_by_test_id("message")).to_contain_text(f"Waiting until the server has stored {image}")
    expect(page.get_by_test_id("message")).to_contain_text("may have been stored or not", timeout=LEAVING_TIMEOUT_MS)
    assert stored_label(server, image) is None
    page.get_by_test_id(f"draft-{image}").click()
    page.get_by_test_id("question").get_by_role("button", name="Resume").click()
    annotator.wait_for(image)
    annotator.settle()
    assert largest_difference(annotator.positions(), shown) < ROUNDING_PX


def test_work_on_a_replaced_file_is_offered_where_it_is_chosen(opened: Open, server: Server) -> None:
    annotator = opened(412)
    page, image = annotator.page, annotator.state["image"]
    drag_right(annotator, "T7 TL", 25)
    annotator.settle()
    (server.studies / f"{image}.png").write_bytes(phantom(64))
    annotator.button("submit").click()
    annotator.confirm_until(lambda: "is another file now" in annotator.message)
    assert stored_label(server, image) is None
    page.goto("/#/")
    page.get_by_test_id(f"draft-{image}").click()
    question = page.get_by_test_id("question")
    expect(question).to_contain_text("The image file was replaced since then: check that the points are of this image.")
    question.get_by_role("button", name="Resume").click()
    annotator.wait_for(image)
    annotator.settle()
    annotator.submit()
    assert largest_difference(stored_label(server, image) or {}, annotator.positions()) < ROUNDING_PX


def count_of(session: CDPSession, module: str, name: str) -> int:
    """How many objects of a class of the page are alive."""
    script = f"import('/browser/{module}').then((module) => module.{name}.prototype)"
    found = session.send("Runtime.evaluate", {"expression": script, "awaitPromise": True})
    objects = session.send("Runtime.queryObjects", {"prototypeObjectId": found["result"]["objectId"]})["objects"]
    text = "function () { return this.length; }"
    call = {"objectId": objects["objectId"], "functionDeclaration": text, "returnByValue": True}
    return int(session.send("Runtime.callFunctionOn", call)["result"]["value"])


def test_images_that_were_left_take_no_memory(opened: Open) -> None:
    annotator = opened()
    page, image = annotator.page, annotator.state["image"]
    session = page.context.new_cdp_session(page)
    for other in ("phantom_0", "phantom_1", image):
        page.evaluate("(id) => { location.hash = `#/image/${id}`; }", other)
        annotator.wait_for(other)
        annotator.wait_for_points()
    annotator.settle()
    deadline = time.monotonic() + LEAVING_TIMEOUT_MS / 1000
    while count_of(session, "annotate/workspace.js", "Workspace") > 2:  # the open one; the last may wait for timers
        assert time.monotonic() < deadline
        page.wait_for_timeout(500)
