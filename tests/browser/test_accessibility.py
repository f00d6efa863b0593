"""Every page and state can be used with keys alone and with a screen reader."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from ..serving import Start
from . import node_tools
from .accessibility import serious_findings, walk
from .annotator import Annotator
from .conftest import UNSCORED, NewImage, OpenPage
from .node_tools import MissingTools

pytestmark = [pytest.mark.browser, pytest.mark.integration]

NOTHING: dict[str, list[str]] = {"missed": [], "unmarked": [], "outside": []}
IMAGE = "accessible"


@pytest.fixture(scope="module", autouse=True)
def axe() -> None:
    """axe-core."""
    try:
        node_tools.install()
    except MissingTools as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module", autouse=True)
def image(new_image: NewImage) -> str:
    """An image with landmarks to find."""
    return new_image(IMAGE, seed=61)


def overview(page: Page) -> None:
    page.goto("/")
    expect(page.get_by_test_id(f"open-{IMAGE}")).to_be_visible()


def user_dialog(page: Page) -> None:
    overview(page)
    page.get_by_test_id("user").click()


def help_sheet(page: Page) -> None:
    overview(page)
    page.get_by_test_id("help").click()


def annotate(page: Page) -> None:
    annotator = Annotator(page)
    annotator.go_to(IMAGE)
    annotator.wait_for_points()
    annotator.settle()


def placing(page: Page) -> None:
    annotate(page)
    page.keyboard.press("g")


def question(page: Page) -> None:
    annotate(page)
    annotator = Annotator(page)
    annotator.button("names-up").click()
    annotator.settle()
    page.reload()
    expect(page.get_by_test_id("question")).to_be_visible()


def missing_image(page: Page) -> None:
    page.goto("/#/image/nowhere")
    expect(page.get_by_test_id("reopen")).to_be_visible()


def training(page: Page) -> None:
    page.goto("/#/training")
    page.wait_for_load_state("networkidle")


def follow_up(page: Page) -> None:
    page.goto(f"/#/follow-up/{IMAGE}")
    page.wait_for_load_state("networkidle")


STATES = (overview, user_dialog, help_sheet, annotate, placing, question, missing_image, training, follow_up)


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_axe_finds_nothing_serious_and_tab_reaches_all(open_page: OpenPage, state: Callable[[Page], None]) -> None:
    page, watch = open_page("")
    watch.expect("status of 404")
    state(page)
    assert serious_findings(page) == []
    assert walk(page) == NOTHING


def test_the_sign_in_dialog_is_accessible(
    open_page: OpenPage, start: Start, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = tmp_path_factory.mktemp("guarded")
    (place / "studies").mkdir()
    (place / "tokens").write_text("eve admin 0123456789abcdef0123456789abcdef\n")
    (place / "tokens").chmod(0o600)
    with start(place / "studies", "--conf", "tokens", str(place / "tokens"), *UNSCORED) as server:
        page, watch = open_page("/", url=server.url)
        watch.expect("status of 401")
        expect(page.get_by_test_id("sign-in-dialog")).to_be_visible()
        assert serious_findings(page) == []
        assert walk(page) == NOTHING


def test_axe_finds_nothing_serious_in_the_description_of_the_api(open_page: OpenPage) -> None:
    page, _ = open_page("/docs")
    page.locator(".opblock-summary-control", has_text="/infer/{model}").first.click()
    page.locator(".opblock-summary-control", has_text="/measure").click()
    expect(page.locator(".opblock-body pre").first).to_be_visible()
    assert serious_findings(page) == []
    page.locator(".btn.authorize").click()
    expect(page.locator(".modal-ux")).to_be_visible()
    assert serious_findings(page) == []


BAD = """<!doctype html><html lang="en"><title>x</title><main><h1>x</h1><img src="data:,"><button></button>
<p style="color: #777; background: #888">faint</p><input>
<button style="outline: none">unmarked</button><a href="#" tabindex="0" style="position: fixed; top: -99px">away</a>
</main>"""


def test_the_checks_can_fail(open_page: OpenPage) -> None:
    page, _ = open_page("")
    page.set_content(BAD)
    rules = {finding.partition(":")[0] for finding in serious_findings(page)}
    assert {"image-alt", "button-name", "color-contrast", "label"} <= rules
    found = walk(page)
    assert any("unmarked" in name for name in found["unmarked"])
    assert any("away" in name for name in found["outside"])
    page.set_content('<button>first</button><a href="#" onfocus="this.blur()">never</a><button>last</button>')
    assert walk(page)["missed"]
