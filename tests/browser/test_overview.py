"""The list of images: sorting, filters, search, keys, adding images, the next one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from ..serving import Server, Start
from .conftest import UNSCORED, NewImage, OpenPage, phantom
from .labels import save_truth

pytestmark = [pytest.mark.browser, pytest.mark.integration]

LONG = "long_" + "x" * 190
SHOWN = "[data-testid^='open-']"
DROP = """([files, target]) => {
    const transfer = new DataTransfer();
    for (const [name, bytes] of files) transfer.items.add(new File([new Uint8Array(bytes)], name));
    for (const type of ["dragover", "drop"]) {
        document.querySelector(target).dispatchEvent(new DragEvent(type, {dataTransfer: transfer, bubbles: true}));
    }
}"""
SLOW_UPLOAD = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 2_000}


@pytest.fixture(scope="module")
def study(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with four images of names in another order than their files, one of them labelled."""
    studies = tmp_path_factory.mktemp("study")
    for seed, name in enumerate(("gamma", "alpha", "beta", LONG)):
        (studies / f"{name}.png").write_bytes(phantom(seed))
    with start(studies, *UNSCORED) as running:
        save_truth(running, "beta", 2, user="Ada Lovelace")
        yield running


def names(page: Page) -> list[str]:
    """Ids of the images shown, from top to bottom."""
    shown = page.locator(SHOWN)
    boxes = [(link.bounding_box(), link.get_attribute("data-testid") or "") for link in shown.all()]
    return [
        test_id.removeprefix("open-") for box, test_id in sorted(boxes, key=lambda one: one[0]["y"] if one[0] else 0)
    ]


def wait_for_names(page: Page, expected: list[str]) -> None:
    """Wait until exactly these images are shown, in this order."""
    page.wait_for_function(
        """([selector, expected]) => {
            const top = (link) => link.getBoundingClientRect().top;
            const shown = [...document.querySelectorAll(selector)].sort((one, other) => top(one) - top(other));
            return shown.map((link) => link.dataset.testid).join() === expected.map((name) => `open-${name}`).join();
        }""",
        arg=[SHOWN, expected],
    )
    assert names(page) == expected


def test_the_list_shows_what_the_server_knows(open_page: OpenPage, study: Server) -> None:
    page, watch = open_page("/", url=study.url)
    wait_for_names(page, ["alpha", "beta", "gamma", LONG])
    row = page.get_by_role("row").filter(has_text="beta")
    expect(row).to_contain_text("Labelled by Ada Lovelace")
    expect(row).to_contain_text("1 min 15 s · 4 edits")
    told = json.loads(study.ask("/images?search=beta")[1])["images"][0]
    expect(row).to_contain_text(f"{told['largest_angle_deg']:.1f}°")
    expect(page.get_by_test_id("progress")).to_have_text("1 of 4 images labelled · 25 %")
    expect(page.get_by_role("progressbar", name="Labelled images")).to_have_attribute("aria-valuenow", "1")
    page.wait_for_function("() => [...document.images].filter((image) => image.naturalWidth > 0).length === 4")
    assert len(watch.asked("GET", "/images/thumbnail")) == 4


def test_headings_sort(open_page: OpenPage, study: Server) -> None:
    page, _ = open_page("/", url=study.url)
    wait_for_names(page, ["alpha", "beta", "gamma", LONG])
    heading = page.get_by_role("columnheader", name="Name")
    expect(heading).to_have_attribute("aria-sort", "ascending")
    page.get_by_test_id("sort-name").click()
    expect(heading).to_have_attribute("aria-sort", "descending")
    wait_for_names(page, [LONG, "gamma", "beta", "alpha"])
    page.get_by_test_id("sort-labelled").click()
    page.wait_for_function(
        """(selector) => {
            const top = (link) => link.getBoundingClientRect().top;
            const shown = [...document.querySelectorAll(selector)].sort((one, other) => top(one) - top(other));
            return shown[0]?.dataset.testid === "open-beta";
        }""",
        arg=SHOWN,
    )
    expect(heading).to_have_attribute("aria-sort", "none")


def test_filters_and_search_narrow_the_list(open_page: OpenPage, study: Server) -> None:
    page, watch = open_page("/", url=study.url)
    expect(page.get_by_test_id("filter-labelled")).to_have_text("Labelled1")
    page.get_by_test_id("filter-labelled").click()
    wait_for_names(page, ["beta"])
    page.get_by_test_id("filter-all").click()
    before = len(watch.asked("GET", "/images"))
    page.get_by_test_id("search").press_sequentially("AMM", delay=20)
    wait_for_names(page, ["gamma"])
    assert len(watch.asked("GET", "/images")) - before <= 2  # not one for each letter
    page.get_by_test_id("search").fill("<nowhere>")
    expect(page.get_by_test_id("empty")).to_contain_text("No image matches")


def test_the_list_is_used_with_keys_alone(open_page: OpenPage, study: Server) -> None:
    page, _ = open_page("/", url=study.url)
    wait_for_names(page, ["alpha", "beta", "gamma", LONG])
    page.keyboard.press("/")
    expect(page.get_by_test_id("search")).to_be_focused()
    page.keyboard.press("Escape")
    image_list = page.get_by_test_id("image-list")
    expect(image_list).to_be_focused()
    for key, name in (
        ("ArrowDown", "beta"),
        ("End", LONG),
        ("ArrowUp", "gamma"),
        ("Home", "alpha"),
        ("PageDown", LONG),
    ):
        page.keyboard.press(key)
        active = page.locator(f"#{image_list.get_attribute('aria-activedescendant')}")
        expect(active).to_contain_text(name)
        expect(active).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.wait_for_url("**/#/image/gamma")


def test_the_way_back_leads_to_the_same_place(open_page: OpenPage, study: Server) -> None:
    page, _ = open_page("/", url=study.url)
    page.get_by_test_id("search").fill("a")
    wait_for_names(page, ["alpha", "beta", "gamma"])
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowDown")
    page.goto("/#/training")
    page.get_by_role("heading", name="Training", exact=True).wait_for()
    page.go_back()
    wait_for_names(page, ["alpha", "beta", "gamma"])
    expect(page.get_by_test_id("search")).to_have_value("a")
    expect(page.locator("[aria-selected=true]")).to_contain_text("beta")


def test_long_names_do_not_widen_the_page(open_page: OpenPage, study: Server) -> None:
    for width in (1400, 800, 400):
        page, _ = open_page("/", url=study.url, viewport={"width": width, "height": 900})
        page.get_by_test_id(f"open-{LONG}").wait_for()
        overflow = page.evaluate(
            "() => [document.documentElement, document.querySelector('[data-testid=image-list]')]"
            ".map((element) => element.scrollWidth - element.clientWidth)"
        )
        assert overflow == [0, 0], width
        expect(page.get_by_test_id(f"open-{LONG}").locator("bdi")).to_have_attribute("title", LONG)


def test_files_are_added_and_each_refusal_has_its_sentence(open_page: OpenPage, server: Server) -> None:
    page, watch = open_page("/")
    watch.expect("status of (409|415)")
    files = {
        "added_1.png": phantom(3),
        "added_2.png": phantom(4),
        "phantom_0.png": phantom(5),
        "notes.txt": b"no image",
    }
    page.get_by_test_id("files").set_input_files(
        [{"name": name, "mimeType": "", "buffer": content} for name, content in files.items()]
    )
    uploads = page.get_by_test_id("uploads")
    expect(uploads.locator("[data-state=added]")).to_have_count(2)
    expect(uploads.locator("[data-state=refused]")).to_have_count(2)
    expect(uploads.get_by_role("listitem").filter(has_text="phantom_0.png")).to_contain_text(
        "There is an image 'phantom_0' already"
    )
    expect(uploads.get_by_role("listitem").filter(has_text="notes.txt")).to_contain_text("must end with one of")
    expect(page.get_by_test_id("message")).to_have_text("2 images were added, 2 were refused.")
    expect(page.get_by_test_id("open-added_2")).to_be_attached()
    assert server.ask("/datastore/image?image=added_1")[1] == files["added_1.png"]


def test_a_single_refusal_is_said_at_once(open_page: OpenPage) -> None:
    page, watch = open_page("/")
    watch.expect("status of 415")
    page.get_by_test_id("files").set_input_files([{"name": "notes.txt", "mimeType": "", "buffer": b"no image"}])
    said = page.get_by_test_id("message")
    expect(said).to_contain_text("0 images were added, 1 was refused. notes.txt: ")
    expect(said).to_contain_text("must end with one of")


def test_files_are_dropped_on_the_page(open_page: OpenPage, server: Server) -> None:
    page, _ = open_page("/")
    page.get_by_test_id("open-phantom_0").wait_for()
    page.evaluate(DROP, [[["dropped.png", list(phantom(6))]], ".page"])
    expect(page.get_by_test_id("uploads").locator("[data-state=added]")).to_have_count(1)
    assert server.is_there("/datastore/image?image=dropped")


def test_an_upload_is_cancelled(open_page: OpenPage, server: Server) -> None:
    page, _ = open_page("/")
    page.get_by_test_id("open-phantom_0").wait_for()
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.emulateNetworkConditions", SLOW_UPLOAD)
    files = [{"name": f"slow_{number}.png", "mimeType": "", "buffer": phantom(7)} for number in range(3)]
    page.get_by_test_id("files").set_input_files(files)
    uploads = page.get_by_test_id("uploads")
    expect(uploads.get_by_role("heading")).to_have_text("Adding 3 images")
    uploads.get_by_role("button", name="Cancel slow_0.png").click()
    expect(uploads.locator("[data-state=cancelled]")).to_have_count(1)
    page.get_by_test_id("page-training").click()
    page.get_by_test_id("question").get_by_role("button", name="Stay").click()
    expect(uploads).to_be_visible()
    uploads.get_by_role("button", name="Cancel all").click()
    expect(uploads.locator("[data-state=cancelled]")).to_have_count(3)
    expect(page.get_by_test_id("message")).to_contain_text("3 were cancelled")
    assert not any(server.is_there(f"/datastore/image?image=slow_{number}") for number in range(3))


def test_the_next_image_is_the_one_that_the_strategy_picks(open_page: OpenPage, study: Server) -> None:
    page, watch = open_page("/", url=study.url)
    page.get_by_test_id("strategy").select_option("first")
    page.get_by_test_id("next").click()
    page.wait_for_url("**/#/image/alpha")
    assert watch.asked("POST", "/activelearning/first")
    page.goto("/#/")
    expect(page.get_by_test_id("strategy")).to_have_value("first")


def test_a_server_that_is_gone_is_said_to_be(open_page: OpenPage) -> None:
    page, watch = open_page("/")
    watch.expect("ERR_INTERNET_DISCONNECTED|ERR_CONNECTION_REFUSED")
    any_row = page.get_by_test_id(re.compile("^open-")).first
    any_row.wait_for()
    page.context.set_offline(True)
    page.get_by_test_id("sort-name").click()
    expect(page.get_by_test_id("empty")).to_contain_text("The server does not respond")
    page.context.set_offline(False)
    expect(any_row).to_be_visible()
    page.route("**/images?*", lambda route: route.abort("connectionrefused"))
    page.get_by_test_id("sort-name").click()
    expect(page.get_by_test_id("empty")).to_contain_text("The server does not respond")
    page.unroute("**/images?*")
    page.get_by_role("button", name="Try again").click()
    expect(any_row).to_be_visible()


def test_new_images_appear_without_a_reload(open_page: OpenPage, new_image: NewImage) -> None:
    page, _ = open_page("")
    page.clock.install()
    page.goto("/")
    page.get_by_test_id("open-phantom_0").wait_for()
    image = new_image("appears")
    page.clock.fast_forward(20_000)
    expect(page.get_by_test_id(f"open-{image}")).to_be_attached()
