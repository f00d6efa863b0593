"""The page of an image: keys, selection, placement, drafts, confirmation and side, in Chromium on a real server."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Dialog, Page, Route, expect

from ..serving import Server
from . import node_tools
from .annotator import READING_MS, Annotator, label_info, largest_difference, stored_label
from .conftest import NewImage, OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.integration]

SLICER_SETTINGS = node_tools.ROOT / "slicer_module/VertebraLandmarks/VertebraLandmarksLib/panel/settings.py"
KEYS_MODULE = "./apps/vertebra_landmarks/browser/annotate/keys.js"
NUDGE_PX, FINE_PX, COARSE_PX = 1, 0.25, 10
STEP_END_MS = 900
"""After the last arrow key, until the moves count as one finished step."""
Open = Callable[..., Annotator]


@pytest.fixture
def opened(open_page: OpenPage, new_image: NewImage, request: pytest.FixtureRequest) -> Open:
    """Open an image of the test's own, with its landmarks, and without others that follow each move."""

    def new(name: str = "", page: Page | None = None) -> Annotator:
        image = name or new_image(request.node.name.replace("[", "_").replace("]", "")[:60], seed=61)
        if page is None:
            page, _ = open_page("/")
        page.evaluate("() => localStorage.setItem('vertebraLandmarks.settings.followMoves', 'false')")
        page.reload()
        annotator = Annotator(page)
        annotator.go_to(image)
        annotator.wait_for_points()
        annotator.settle()
        return annotator

    return new


def press(annotator: Annotator, *keys: str) -> None:
    for key in keys:
        annotator.page.keyboard.press(key)


def is_checked(annotator: Annotator, name: str) -> bool:
    return bool(annotator.button(name).is_checked())


def moved(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    """Names of the points that are at other places."""
    return {name for name in before if after.get(name) != before[name]}


def select(annotator: Annotator, count: int) -> None:
    """Select a point from the keyboard, by its number among the visible ones."""
    annotator.button("canvas").focus()
    press(annotator, *["Tab"] * count)


def slicer_keys() -> list[tuple[str, tuple[str, ...], str]]:
    """Name, keys and description of the Slicer module's keys, read without Qt."""
    for node in ast.walk(ast.parse(SLICER_SETTINGS.read_text())):
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "KEYS":
            return list(ast.literal_eval(node.value))
    raise AssertionError("the Slicer module has no table of keys")


def test_every_key_of_the_slicer_module_does_the_same_here() -> None:
    script = f"import {{ KEYS }} from '{KEYS_MODULE}'; process.stdout.write(JSON.stringify(KEYS));"
    status, said = node_tools.run("--input-type=module", "--eval", script)
    assert status == 0, said
    here = {row["name"]: row for row in json.loads(said)}
    for name, keys, text in slicer_keys():
        own = {key for key in keys if key != "Ctrl+Return"}  # browsers call both Enter
        assert own <= set(here[name]["keys"]), name
        assert here[name]["text"] == text


def test_the_help_lists_the_keys(opened: Open) -> None:
    annotator = opened()
    press(annotator, "h")
    sheet = annotator.page.get_by_test_id("help-sheet")
    expect(sheet).to_be_visible()
    for _, _, text in slicer_keys():
        expect(sheet).to_contain_text(text)
    press(annotator, "w", "Escape")  # no key of the page acts behind the sheet
    expect(sheet).to_be_hidden()
    assert not is_checked(annotator, "invert")


def test_keys_change_the_view(opened: Open) -> None:
    annotator = opened()
    layers = ("centers", "corners", "outlines", "endplates", "angles", "names", "image")

    def shown() -> set[str]:
        return {name for name in layers if is_checked(annotator, f"layer-{name}")}

    press(annotator, "w", "e")
    assert is_checked(annotator, "invert")
    assert is_checked(annotator, "equalize")
    press(annotator, "w", "e")
    assert not is_checked(annotator, "invert")
    for expected in ({"image", "centers", "corners"}, {"image"}, set(layers)):
        press(annotator, "l")
        assert shown() == expected
    whole = annotator.screen("T1")[1], annotator.screen("L5")[1]
    press(annotator, "+", "+")
    assert annotator.screen("L5")[1] - annotator.screen("T1")[1] == pytest.approx(1.25**2 * (whole[1] - whole[0]))
    press(annotator, "-", "0")
    assert (annotator.screen("T1")[1], annotator.screen("L5")[1]) == pytest.approx(whole)


def test_keys_change_the_points(opened: Open) -> None:
    annotator = opened()
    before = annotator.positions()
    press(annotator, "PageDown")
    assert annotator.position("T8 TL") == before["T7 TL"]
    press(annotator, "PageUp", "PageUp")
    assert annotator.position("T6 TL") == before["T7 TL"]
    press(annotator, "Control+z", "Control+z", "Control+z")
    assert annotator.positions() == before
    press(annotator, "Control+y")
    assert annotator.position("T8 TL") == before["T7 TL"]
    press(annotator, "Control+z", "Control+Shift+Z", "Control+z")
    assert annotator.positions() == before

    annotator.page.mouse.move(*annotator.screen("T7 TL"))
    press(annotator, "x")
    assert "T7 TL" not in annotator.positions()
    annotator.page.mouse.move(5, 400)
    annotator.button("vertebra").select_option("T9")
    annotator.button("canvas").focus()
    press(annotator, "x")
    assert not any(name.startswith("T9") for name in annotator.positions())
    assert annotator.state["edits"] == 2

    press(annotator, "Control+z", "Control+z")
    press(annotator, "]")  # T9 is still selected
    turned = annotator.positions()
    assert moved(before, turned) == {"T9 TL", "T9 TR", "T9 BL", "T9 BR"}
    side = np.subtract(turned["T9 TR"], turned["T9 TL"])
    old = np.subtract(before["T9 TR"], before["T9 TL"])
    assert np.degrees(np.arctan2(side[1], side[0]) - np.arctan2(old[1], old[0])) == pytest.approx(1)
    press(annotator, "[")
    assert largest_difference(annotator.positions(), before) < 1e-9


def test_letters_in_a_text_are_no_keys(opened: Open) -> None:
    annotator = opened()
    before = annotator.positions()
    annotator.button("names-up").click()
    field = annotator.button("annotator-name")
    field.click()
    annotator.page.keyboard.type("new 0+-wx")
    press(annotator, "Control+z")
    assert annotator.state["edits"] == 1
    assert annotator.position("T6") == before["T7"]
    assert not is_checked(annotator, "invert")


def test_arrows_move_the_selected_point_and_are_one_step(opened: Open) -> None:
    annotator = opened()
    before = annotator.positions()
    select(annotator, 2)
    said = annotator.button("announcement")
    expect(said).to_contain_text("T1 top left")
    press(annotator, *["ArrowRight"] * 3, "ArrowDown", "Shift+ArrowUp", "Control+ArrowLeft")
    x, y = before["T1 TL"]
    expected = (x + 3 * NUDGE_PX - COARSE_PX, y + NUDGE_PX - FINE_PX)
    assert annotator.position("T1 TL") == pytest.approx(expected)
    expect(said).to_contain_text(f"{expected[0]:.1f}, {expected[1]:.1f} pixels")
    assert moved(before, annotator.positions()) == {"T1", "T1 TL"}  # the center follows its corners
    annotator.page.wait_for_timeout(STEP_END_MS)
    assert annotator.state["edits"] == 1
    press(annotator, "Control+z")
    assert annotator.positions() == before
    press(annotator, "m", "ArrowDown")
    after = annotator.positions()
    assert moved(before, after) == {"T1", "T1 TL", "T1 TR", "T1 BL", "T1 BR"}
    assert np.subtract(after["T1 BR"], before["T1 BR"]) == pytest.approx((0, NUDGE_PX))


def test_tab_goes_through_the_points_and_escape_leaves_them(opened: Open) -> None:
    annotator = opened()

    def has_focus() -> bool:
        return bool(annotator.page.evaluate("() => document.activeElement.dataset.testid === 'canvas'"))

    said = annotator.button("announcement")
    select(annotator, 1)
    expect(said).to_contain_text("T1 center")
    for words in ("T1 top left", "T1 top right", "T1 bottom left", "T1 bottom right", "T2 center"):
        press(annotator, "Tab")
        expect(said).to_contain_text(words)
    press(annotator, "Shift+Tab")
    expect(said).to_contain_text("T1 bottom right")
    assert has_focus()
    press(annotator, "Escape", "Tab")
    assert not has_focus()
    press(annotator, "Shift+Tab")
    assert has_focus()
    press(annotator, "Tab")
    expect(said).to_contain_text("T1 center")
    press(annotator, *["Tab"] * 84)
    expect(said).to_contain_text("L5 bottom right")
    assert has_focus()
    press(annotator, "Tab")
    assert not has_focus()


def test_points_are_placed_in_the_guided_order(opened: Open) -> None:
    annotator = opened()
    before = annotator.positions()
    annotator.button("vertebra").select_option("T9")
    annotator.button("hide").click()
    press(annotator, "0")
    places = [annotator.screen("T8 BL"), annotator.screen("T8 BR"), annotator.screen("T10 TL")]
    annotator.button("canvas").focus()
    press(annotator, "g")
    said = annotator.button("place-text")
    expect(said).to_have_text("Click T9 TL: its top left corner.")
    annotator.page.mouse.click(places[0][0], places[0][1] + 4)
    annotator.page.mouse.click(places[1][0], places[1][1] + 4)
    expect(said).to_contain_text("T9 BL")
    annotator.button("place-back").click()
    expect(said).to_contain_text("T9 TR")
    annotator.button("place-skip").click()
    annotator.page.mouse.click(places[2][0], places[2][1] - 4)
    expect(said).to_contain_text("T9 BR")
    press(annotator, "Escape")
    expect(said).to_have_text("Not placing.")
    placed = annotator.positions()
    assert set(before) - set(placed) == {"T9", "T9 BR"}
    assert annotator.screen("T9 TL") == pytest.approx((places[0][0], places[0][1] + 4))


def test_four_corners_are_placed_in_any_order(opened: Open) -> None:
    annotator = opened()
    before = annotator.positions()
    corners = {name: annotator.screen(f"T9 {name}") for name in ("TL", "TR", "BL", "BR")}
    annotator.button("vertebra").select_option("T9")
    annotator.button("hide").click()
    press(annotator, "0")
    annotator.button("section-place").locator("summary").click()
    annotator.button("place-mode").select_option("free")
    annotator.button("place").click()
    for done, name in enumerate(("BR", "TL", "BL", "TR")):
        expect(annotator.button("place-text")).to_contain_text(f"{done} of 4 done")
        annotator.page.mouse.click(*corners[name])
    expect(annotator.button("place-text")).to_have_text("Not placing.")
    assert largest_difference(annotator.positions(), before) < 1.5  # clicks fall on whole CSS pixels


def test_a_point_is_placed_from_the_keyboard(opened: Open) -> None:
    annotator = opened()
    annotator.button("vertebra").select_option("L5")
    annotator.button("hide").click()
    press(annotator, "0")
    annotator.button("canvas").focus()
    press(annotator, "g", "ArrowDown", *["Control+ArrowDown"] * 2, "Shift+ArrowRight", "Enter")
    box = annotator.button("canvas").bounding_box()
    assert box is not None
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    assert annotator.screen("L5 TL") == pytest.approx((middle[0] + 2, middle[1] + 8 + 2 * 80), abs=1)
    expect(annotator.button("announcement")).to_contain_text("L5 TR")


def test_unfinished_work_is_resumed_or_discarded(opened: Open, open_page: OpenPage) -> None:
    annotator = opened()
    image, page = annotator.state["image"], annotator.page
    question = page.get_by_test_id("question")
    x, y = annotator.screen("T7 TL")
    annotator.drag("T7 TL", (x + 15, y))
    shown = annotator.positions()
    expect(annotator.button("effort")).to_contain_text("kept in this browser")

    def offered() -> None:
        page.reload()
        annotator.wait_for(image)
        expect(question).to_contain_text("Your unfinished work of")
        expect(question).to_contain_text("1 edit.")

    offered()
    question.get_by_role("button", name="Resume").click()
    expect(annotator.button("points-from")).to_have_text("Your unfinished work, changed")
    assert annotator.positions() == shown
    assert annotator.state["edits"] == 1
    offered()
    question.get_by_role("button", name="Discard").click()
    annotator.wait_for_points()
    annotator.settle()
    assert annotator.positions() != shown
    page.reload()
    annotator.wait_for(image)
    annotator.settle()
    expect(question).to_be_hidden()


def test_work_is_offered_neither_to_others_nor_on_other_images(opened: Open, new_image: NewImage) -> None:
    annotator = opened()
    image, page = annotator.state["image"], annotator.page
    annotator.button("annotator-name").fill("Ada")
    press(annotator, "Tab")
    x, y = annotator.screen("T7 TL")
    annotator.drag("T7 TL", (x + 15, y))
    expect(annotator.button("effort")).to_contain_text("kept in this browser")
    annotator.go_to(new_image("another_image", seed=62))
    annotator.wait_for_points()
    annotator.settle()
    expect(page.get_by_test_id("question")).to_be_hidden()
    annotator.button("annotator-name").fill("Grace")
    press(annotator, "Tab")
    annotator.go_to(image)
    annotator.wait_for_points()
    annotator.settle()
    expect(page.get_by_test_id("question")).to_be_hidden()
    page.goto("/#/")
    expect(page.get_by_test_id("drafts")).to_contain_text("by Ada")
    page.get_by_test_id(f"draft-{image}").click()  # chosen from the list it is
    expect(page.get_by_test_id("question")).to_contain_text("Unfinished work by Ada")
    page.get_by_test_id("question").get_by_role("button", name="Resume").click()
    annotator.settle()
    assert annotator.state["edits"] == 1


def test_a_tab_that_is_open_keeps_its_work_to_itself(opened: Open) -> None:
    annotator = opened()
    image = annotator.state["image"]
    x, y = annotator.screen("T7 TL")
    annotator.drag("T7 TL", (x + 15, y))
    expect(annotator.button("effort")).to_contain_text("kept in this browser")
    page = annotator.page.context.new_page()
    page.goto("/")
    second = opened(image, page)
    expect(page.get_by_test_id("question")).to_be_hidden()
    for one in (second, annotator):
        expect(one.button("presence")).to_have_text("This image is open in another tab.")


def test_a_page_that_is_loaded_again_is_nobody_else(opened: Open) -> None:
    annotator = opened()
    with annotator.page.expect_response(lambda response: "/presence?" in response.url and response.ok):
        annotator.page.reload()
    annotator.wait_for_points()
    annotator.settle()
    expect(annotator.button("presence")).to_be_hidden()


def test_warnings_are_confirmed_once_and_for_these_points(opened: Open, server: Server) -> None:
    annotator = opened()
    image, question = annotator.state["image"], annotator.button("submit-question")
    annotator.button("names-up").click()
    annotator.button("submit").dblclick()
    expect(question).to_contain_text("L5 has no points. They will be stored as not visible.")
    annotator.page.wait_for_timeout(READING_MS)
    assert stored_label(server, image) is None  # the second half of a double click confirms nothing
    assert "confirmation" in annotator.message
    annotator.button("look-again").click()
    expect(question).to_be_hidden()
    annotator.button("submit").click()
    expect(question).to_be_visible()
    annotator.button("names-down").click()
    annotator.button("names-up").click()
    expect(question).to_be_hidden()  # it was about other points
    annotator.submit()
    assert largest_difference(stored_label(server, image) or {}, annotator.positions()) < 1e-3
    expect(annotator.button("points-from")).to_have_text("Submitted before")


def test_leaving_the_image_does_not_cancel_a_label_on_its_way(opened: Open, server: Server) -> None:
    annotator = opened()
    page, image, shown = annotator.page, annotator.state["image"], annotator.positions()
    held: list[Route] = []
    page.route("**/landmarks?*base_version*", lambda route: held.append(route))
    annotator.button("submit").click()
    annotator.confirm_until(lambda: bool(held))
    page.evaluate("() => { location.hash = '#/'; }")
    page.wait_for_timeout(300)
    held[0].continue_()
    expect(page.get_by_test_id("image-list")).to_be_visible()
    assert largest_difference(stored_label(server, image) or {}, shown) < 1e-3


def test_work_that_cannot_be_kept_is_not_lost_with_its_tab(opened: Open, server: Server) -> None:
    annotator = opened()
    page = annotator.page
    session = page.context.new_cdp_session(page)
    session.send("Storage.overrideQuotaForOrigin", {"origin": server.url, "quotaSize": 1})
    x, y = annotator.screen("T7 TL")
    annotator.drag("T7 TL", (x + 15, y))
    expect(annotator.button("effort")).to_contain_text("not kept in this browser")
    shown = annotator.positions()
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    page.close(run_before_unload=True)
    page.wait_for_timeout(500)
    assert asked == ["beforeunload"]
    assert annotator.positions() == shown


def test_a_label_opens_as_it_was_submitted(opened: Open, server: Server) -> None:
    annotator = opened()
    image = annotator.state["image"]
    x, y = annotator.screen("T7 TL")
    annotator.drag("T7 TL", (x + 8, y))
    annotator.submit()
    shown, info = annotator.positions(), label_info(server, image)
    assert "T7 TL" in info["touched"]
    annotator.page.reload()
    annotator.wait_for(image)
    annotator.settle()
    assert largest_difference(annotator.positions(), shown) < 1e-3
    assert annotator.state == {"image": image, "edits": 0, "version": 1}
    expect(annotator.button("infer")).to_have_text("Re-run around my corrections")
    expect(annotator.button("start-over")).to_be_disabled()


def test_the_side_that_a_person_states_turns_the_table(opened: Open) -> None:
    annotator = opened()
    image, sides = annotator.state["image"], annotator.button("sides")
    expect(sides).to_have_text("Sides are the image's.")
    cell = annotator.angles.locator("tbody tr").first.locator("td").nth(2)
    of_image = cell.inner_text()
    annotator.button("image-left-is").select_option("right")
    expect(cell).to_have_text({"left": "right", "right": "left"}[of_image])
    expect(sides).to_have_text("Sides are the patient's, stated by a person.")
    annotator.settle()
    annotator.page.reload()
    annotator.wait_for(image)
    annotator.wait_for_points()
    expect(annotator.button("image-left-is")).to_have_value("right")


def test_others_follow_a_move_within_its_step(opened: Open) -> None:
    annotator = opened()
    before = annotator.positions()
    annotator.button("follow").check()
    x, y = annotator.screen("T7 TL")
    annotator.drag("T7 TL", (x + 25, y + 5))
    dropped = annotator.position("T7 TL")
    annotator.settle()
    after = annotator.positions()
    assert annotator.position("T7 TL") == dropped
    assert len(moved(before, after)) > 10
    assert annotator.state["edits"] == 1
    annotator.button("undo").click()
    assert annotator.positions() == before
    annotator.button("redo").click()
    assert annotator.positions() == after


def test_a_prediction_that_is_out_of_date_is_cancelled(opened: Open) -> None:
    annotator = opened()
    page, before = annotator.page, annotator.positions()
    annotator.button("follow").check()
    page.route("**/infer/**", lambda route: None)  # no answer comes
    x, y = annotator.screen("T7 TL")
    annotator.drag("T7 TL", (x + 20, y))
    job = page.get_by_text("Finding the others around yours")
    expect(job).to_be_visible()
    with page.expect_event("requestfailed", lambda request: "/infer/" in request.url):
        annotator.button("undo").click()
    expect(job).to_be_hidden()
    assert annotator.positions() == before


def test_an_expired_session_asks_to_sign_in_and_keeps_the_work(open_page: OpenPage, opened: Open) -> None:
    page, watch = open_page("/")
    watch.expect("status of 401")
    annotator = opened(page=page)
    page.route("**/measure", lambda route: route.fulfill(status=401, json={"detail": "the session has expired"}))
    x, y = annotator.screen("T7 TL")
    annotator.drag("T7 TL", (x + 10, y))
    shown = annotator.positions()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.unroute("**/measure")
    press(annotator, "Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert annotator.positions() == shown
    expect(annotator.button("effort")).to_contain_text("kept in this browser")
    annotator.submit()


def test_an_image_that_cannot_be_opened_says_why(open_page: OpenPage) -> None:
    page, watch = open_page("/#/image/nowhere")
    watch.expect("status of 404")
    expect(page.get_by_role("alert")).to_contain_text("nowhere")
    expect(page.get_by_test_id("reopen")).to_be_visible()
