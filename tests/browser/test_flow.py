"""A label is made with the mouse, a finger, and the keyboard alone; the server holds what was on the screen."""

from __future__ import annotations

import re
from urllib.parse import quote

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from lib.spine.labels.markups import from_markups, label_of, parse_json

from ..serving import Server
from .annotator import (
    DROP_TOLERANCE_PX,
    Annotator,
    label_info,
    largest_difference,
    press_until,
    stored_label,
)
from .conftest import NewImage, OpenPage
from .node_tools import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.integration]

RADIOGRAPHS = ROOT.parent / "shared" / "data" / "aasce" / "images" / "test"
CORNER = "T7 TL"
MOVE_PX = (36.0, -20.0)
"""How far the corner is dragged, in CSS pixels."""
EXACT_PX = 1e-3
"""Labels are stored with fewer digits than the page has, in pixels."""
ARROWS, COARSE_PX = 6, 10
"""How often an arrow key is pressed, and pixels of a press together with Ctrl."""


def open_from_list(page: Page, image: str) -> Annotator:
    """Find an image in the list, open it and wait for its landmarks."""
    expect(page.get_by_test_id("image-list")).to_be_visible()
    page.get_by_test_id(f"open-{image}").click()
    return with_points(page, image)


def with_points(page: Page, image: str) -> Annotator:
    """The opened image, with its landmarks."""
    annotator = Annotator(page)
    annotator.wait_for(image)
    annotator.wait_for_points()
    return annotator


def assert_server_holds(server: Server, image: str, shown: dict[str, tuple[float, float]]) -> None:
    """The label on the server, as it answers and as the file for 3D Slicer, is what was on the screen."""
    assert largest_difference(stored_label(server, image) or {}, shown) < EXACT_PX
    status, content = server.ask(f"/datastore/label?label={quote(image)}&tag=final")
    assert status == 200, content
    points = from_markups(parse_json(content)).points()
    held = {label_of(v, p): (mark.x, mark.y) for v, p, mark in points if mark is not None and mark.is_visible}
    assert largest_difference(held, shown) < EXACT_PX


def test_a_label_is_made_with_the_mouse(open_page: OpenPage, server: Server, new_image: NewImage) -> None:
    image = new_image("by_mouse", seed=11)
    page, _ = open_page("/")
    annotator = open_from_list(page, image)
    at_first, angles = annotator.positions(), annotator.angles_text
    x, y = annotator.screen(CORNER)
    target = (x + MOVE_PX[0], y + MOVE_PX[1])
    where = annotator.image_position(target)

    annotator.drag(CORNER, target, during=lambda: expect(annotator.angles).not_to_have_text(angles))
    dropped = annotator.position(CORNER)
    assert np.hypot(*np.subtract(dropped, where)) <= DROP_TOLERANCE_PX
    assert np.hypot(*np.subtract(dropped, at_first[CORNER])) > 10
    assert annotator.state["edits"] >= 1

    annotator.button("undo").click()
    assert annotator.position(CORNER) == at_first[CORNER]
    expect(annotator.angles).to_have_text(angles)
    annotator.button("redo").click()
    assert annotator.position(CORNER) == dropped

    before = annotator.positions()
    annotator.button("names-up").click()
    assert annotator.position("T6 TL") == before["T7 TL"]
    assert annotator.position("L4") == before["L5"]
    annotator.button("names-down").click()
    assert annotator.position(CORNER) == before[CORNER]
    annotator.button("names-up").click()
    annotator.settle()

    shown = annotator.positions()
    annotator.submit()
    assert_server_holds(server, image, shown)
    info = label_info(server, image)
    assert info["version"] == annotator.state["version"] == 1
    assert info["info"]["seconds"] > 0
    assert info["info"]["edits"] >= 1
    assert CORNER.replace("T7", "T6") in info["touched"]

    with page.expect_popup() as tab, page.expect_response("**/report?*") as report:
        annotator.button("report").click()
    assert report.value.header_value("content-type") == "application/pdf"
    assert "page=letter" in report.value.url  # as the browser's language is that of the United States
    tab.value.wait_for_url(re.compile("^blob:"), wait_until="commit")
    tab.value.close()

    annotator.button("next").click()
    page.wait_for_function("(image) => ![null, image].includes(window.vertebraLandmarks.state().image)", arg=image)
    assert annotator.state["edits"] == 0


def test_a_report_is_printed_on_the_paper_of_the_country(open_page: OpenPage) -> None:
    script = """languages => import('/browser/annotate/sections/report.js').then(
        module => languages.map(language => module.pageSizeOf(language)))"""
    letter, a4 = ("en-US", "es-MX", "en"), ("en-GB", "de", "zh-Hans-CN", "pt-BR", "en-US@posix", "")
    languages = {**dict.fromkeys(letter, "letter"), **dict.fromkeys(a4, "a4")}
    page, _ = open_page("/")
    assert page.evaluate(script, list(languages)) == list(languages.values())


@pytest.mark.skipif(not RADIOGRAPHS.is_dir(), reason="the AASCE radiographs are not here")
def test_a_label_is_made_on_a_radiograph(open_page: OpenPage, server: Server) -> None:
    content = min(RADIOGRAPHS.iterdir()).read_bytes()
    assert server.send("/datastore/image?image=radiograph", "PUT", file=("radiograph.jpg", content))[0] == 200
    page, _ = open_page("/")
    annotator = open_from_list(page, "radiograph")
    annotator.settle()
    angles, (x, y) = annotator.angles_text, annotator.screen(CORNER)
    target = (x + MOVE_PX[0], y + MOVE_PX[1])
    where = annotator.image_position(target)
    annotator.drag(CORNER, target, during=lambda: expect(annotator.angles).not_to_have_text(angles))
    assert np.hypot(*np.subtract(annotator.position(CORNER), where)) <= DROP_TOLERANCE_PX
    annotator.settle()
    shown = annotator.positions()
    annotator.submit()
    assert_server_holds(server, "radiograph", shown)


def test_a_label_is_made_with_a_finger(open_page: OpenPage, server: Server, new_image: NewImage) -> None:
    image = new_image("by_finger", seed=12)
    page, _ = open_page("/", has_touch=True, viewport={"width": 1024, "height": 1366})
    expect(page.get_by_test_id("image-list")).to_be_visible()
    page.get_by_test_id(f"open-{image}").tap()
    annotator = with_points(page, image)
    at_first, angles = annotator.positions(), annotator.angles_text
    x, y = annotator.screen(CORNER)
    target = (x + MOVE_PX[0], y + MOVE_PX[1])
    where = annotator.image_position(target)

    annotator.touch_drag(CORNER, target, during=lambda: expect(annotator.angles).not_to_have_text(angles))
    dropped = annotator.position(CORNER)
    assert np.hypot(*np.subtract(dropped, where)) <= DROP_TOLERANCE_PX
    annotator.button("undo").tap()
    assert annotator.position(CORNER) == at_first[CORNER]
    annotator.button("redo").tap()
    assert annotator.position(CORNER) == dropped
    annotator.settle()
    shown = annotator.positions()
    annotator.button("submit").tap()
    annotator.confirm_until(lambda: annotator.state["version"] == 1, annotator.button("submit").tap)
    assert_server_holds(server, image, shown)


def test_a_label_is_made_with_the_keyboard_alone(open_page: OpenPage, server: Server, new_image: NewImage) -> None:
    image = new_image("by_keys", seed=13)
    page, _ = open_page("/")
    expect(page.get_by_test_id("image-list")).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type(image)
    expect(page.get_by_role("row")).to_have_count(2)  # with the headings
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    annotator = with_points(page, image)
    annotator.settle()
    at_first, angles = annotator.positions(), annotator.angles_text

    assert page.evaluate("() => document.activeElement.getAttribute('role')") == "application"
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(annotator.button("announcement")).to_contain_text("T1 top left")
    for _ in range(ARROWS):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Control+ArrowDown")
    x, y = at_first["T1 TL"]
    assert annotator.position("T1 TL") == pytest.approx((x + ARROWS, y + COARSE_PX))
    expect(annotator.angles).not_to_have_text(angles)
    annotator.settle()
    after = annotator.positions()
    for _ in press_until(page, "Control+z", lambda: annotator.positions() == at_first):
        pass
    for _ in press_until(page, "Control+y", lambda: annotator.positions() == after):
        pass
    page.keyboard.press("PageUp")
    assert annotator.position("L4") == after["L5"]
    page.keyboard.press("PageDown")
    assert annotator.position("L4") == after["L4"]
    annotator.settle()
    shown = annotator.positions()
    page.keyboard.press("Control+Enter")
    annotator.confirm_until(lambda: annotator.state["version"] == 1, lambda: page.keyboard.press("Control+Enter"))
    assert_server_holds(server, image, shown)
    page.keyboard.press("n")
    page.wait_for_function("(image) => ![null, image].includes(window.vertebraLandmarks.state().image)", arg=image)
