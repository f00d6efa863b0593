"""Two tabs, or two people, on one image: the second is told, and no label is replaced silently."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from ..serving import Server
from .annotator import Annotator, label_info, largest_difference, stored_label
from .conftest import NewImage, OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.integration]

ROUNDING_PX = 1e-3


def open_as(open_page: OpenPage, user: str, image: str) -> Annotator:
    """The image in a browser of its own, with its landmarks."""
    page, watch = open_page("/")
    watch.expect("status of 409")
    page.get_by_test_id("user").click()
    page.get_by_role("dialog").get_by_label("Name").fill(user)
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    annotator = Annotator(page)
    annotator.go_to(image)
    annotator.wait_for_points()
    return annotator


def move(annotator: Annotator, name: str, by: float) -> None:
    """Drag a point, and wait until the others have followed."""
    x, y = annotator.screen(name)
    annotator.drag(name, (x + by, y))
    annotator.settle()


@pytest.fixture
def pair(open_page: OpenPage, server: Server, new_image: NewImage, request: pytest.FixtureRequest) -> tuple:
    """Two people who have changed one image; the first has submitted, the second tries to."""
    image = new_image(f"pair_{request.node.name[:24].strip('_')}", seed=41)
    first, second = open_as(open_page, "Ada", image), open_as(open_page, "Grace", image)
    move(first, "T7 TL", 15)
    move(second, "T9 TR", -15)
    first.submit()
    second.button("submit").click()
    second.confirm_until(lambda: second.button("conflict").is_visible())
    return image, first, second


def test_the_second_is_told_and_may_keep_what_is_theirs(server: Server, pair: tuple[str, Annotator, Annotator]) -> None:
    image, first, second = pair
    conflict = second.button("conflict")
    expect(conflict).to_contain_text("Ada")
    assert "Ada" in second.message
    theirs, mine = first.positions(), second.positions()
    assert largest_difference(stored_label(server, image) or {}, theirs) < ROUNDING_PX
    second.button("show-theirs").click()
    expect(second.button("show-theirs")).to_have_attribute("aria-pressed", "true")
    expect(conflict.locator("table")).to_contain_text("Ada")
    second.button("cancel-conflict").click()
    expect(conflict).to_be_hidden()
    assert second.positions() == mine
    assert label_info(server, image)["info"]["user"] == "Ada"
    second.button("submit").click()  # asks again, and makes a new version then
    second.confirm_until(lambda: second.button("conflict").is_visible())
    second.button("keep-mine").click()
    second.wait_for_version(2)
    info = label_info(server, image)
    assert (info["version"], info["info"]["user"]) == (2, "Grace")
    assert largest_difference(stored_label(server, image) or {}, mine) < ROUNDING_PX
    assert largest_difference(mine, theirs) > 1


def test_taking_theirs_keeps_mine_as_unfinished_work(server: Server, pair: tuple[str, Annotator, Annotator]) -> None:
    image, first, second = pair
    mine = second.positions()
    second.button("show-theirs").click()
    second.button("names-up").click()  # an edit shows yours again
    expect(second.button("show-yours")).to_have_attribute("aria-pressed", "true")
    expect(second.button("show-theirs")).to_have_attribute("aria-pressed", "false")
    second.button("undo").click()
    assert second.positions() == mine
    second.button("take-theirs").click()
    second.wait_for_version(1)
    second.settle()
    assert largest_difference(second.positions(), first.positions()) < ROUNDING_PX
    second.page.reload()
    second.wait_for(image)
    second.page.get_by_test_id("question").get_by_role("button", name="Resume").click()
    second.settle()
    assert largest_difference(second.positions(), mine) < ROUNDING_PX
    assert label_info(server, image)["version"] == 1


def test_each_of_two_people_sees_the_other(open_page: OpenPage, new_image: NewImage) -> None:
    image = new_image("presence", seed=42)
    open_as(open_page, "Ada", image)
    second = open_as(open_page, "Grace", image)
    expect(second.button("presence")).to_contain_text("Ada")
    expect(second.page.get_by_test_id("message")).to_contain_text("Ada has this image open")


def test_a_second_tab_is_told_and_replaces_nothing(open_page: OpenPage, server: Server, new_image: NewImage) -> None:
    image = new_image("two_tabs", seed=43)
    first = open_as(open_page, "Ada", image)
    page = first.page.context.new_page()
    page.goto("/")
    second = Annotator(page)
    second.go_to(image)
    second.wait_for_points()
    expect(second.button("presence")).to_contain_text("another tab")
    move(first, "T7 TL", 15)
    move(second, "T9 TR", -15)
    first.submit()
    shown = first.positions()
    second.button("submit").click()
    second.confirm_until(lambda: second.button("conflict").is_visible())
    assert largest_difference(stored_label(server, image) or {}, shown) < ROUNDING_PX
    assert label_info(server, image)["version"] == 1
