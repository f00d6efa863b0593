"""A server with a login: sign-in, roles, remembering, signing out; a request that is refused is repeated after it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from ..serving import Server, Start
from .annotator import Annotator
from .conftest import UNSCORED, OpenPage, phantom

pytestmark = [pytest.mark.browser, pytest.mark.integration]

TOKENS = {"ada": ("admin", "a" * 24), "ruth": ("reader", "r" * 24)}
STORED = (
    "() => [...Object.keys(sessionStorage), '|', ...Object.keys(localStorage)].filter((key) => /token|\\|/.test(key))"
)
TOKEN = "vertebraLandmarks.token"


@pytest.fixture(scope="module")
def guarded(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with an image, an administrator and a reader."""
    place = tmp_path_factory.mktemp("guarded")
    (place / "studies").mkdir()
    (place / "studies" / "secret.png").write_bytes(phantom(9))
    (place / "tokens").write_text("".join(f"{name} {role} {token}\n" for name, (role, token) in TOKENS.items()))
    (place / "tokens").chmod(0o600)
    with start(place / "studies", "--conf", "tokens", str(place / "tokens"), *UNSCORED) as running:
        yield running


def sign_in(page: Page, name: str, token: str = "", remember: bool = False) -> None:
    """Fill in the dialog and send it."""
    dialog = page.get_by_test_id("sign-in-dialog")
    dialog.get_by_label("Name").fill(name)
    dialog.get_by_label("Token").fill(token or TOKENS[name][1])
    dialog.get_by_label("Remember").set_checked(remember)
    dialog.get_by_test_id("sign-in").click()


def test_nothing_is_shown_before_the_sign_in(open_page: OpenPage, guarded: Server) -> None:
    page, watch = open_page("/", url=guarded.url)
    watch.expect("status of 401")
    dialog = page.get_by_test_id("sign-in-dialog")
    expect(dialog.get_by_label("Name")).to_be_focused()
    assert not watch.asked("GET", "/images")
    sign_in(page, "ada", "wrong-token-of-nobody")
    expect(dialog.get_by_role("alert")).to_have_text("The token is not valid.")
    sign_in(page, "ada")
    expect(page.get_by_test_id("open-secret")).to_be_visible()
    page.wait_for_function("() => [...document.images].some((image) => image.naturalWidth > 0)")  # with the token
    expect(page.get_by_test_id("user")).to_have_text("ada")


def test_the_token_stays_in_the_tab_unless_it_is_to_be_remembered(open_page: OpenPage, guarded: Server) -> None:
    page, _ = open_page("/", url=guarded.url)
    sign_in(page, "ada")
    page.get_by_test_id("open-secret").wait_for()
    assert page.evaluate(STORED) == [TOKEN, "|"]
    page.reload()
    expect(page.get_by_test_id("open-secret")).to_be_visible()
    other = page.context.new_page()
    other.goto("/")
    sign_in(other, "ada", remember=True)
    other.get_by_test_id("open-secret").wait_for()
    assert other.evaluate(STORED) == ["|", TOKEN]
    third = page.context.new_page()
    third.goto("/")
    expect(third.get_by_test_id("open-secret")).to_be_visible()


def test_signing_out_forgets_the_token(open_page: OpenPage, guarded: Server) -> None:
    page, _ = open_page("/", url=guarded.url)
    sign_in(page, "ada", remember=True)
    page.get_by_test_id("open-secret").wait_for()
    page.get_by_test_id("user").click()
    expect(page.get_by_test_id("role")).to_contain_text("Administrator")
    page.get_by_test_id("sign-out").click()
    page.get_by_test_id("sign-in-dialog").wait_for()
    assert page.evaluate(STORED) == ["|"]
    expect(page.get_by_test_id("open-secret")).to_have_count(0)


def test_a_reader_sees_why_some_things_are_not_for_them(open_page: OpenPage, guarded: Server) -> None:
    page, _ = open_page("/", url=guarded.url)
    sign_in(page, "ruth")
    page.get_by_test_id("open-secret").wait_for()
    expect(page.get_by_test_id("add-images")).to_be_disabled()
    expect(page.get_by_test_id("add-images")).to_have_attribute("title", "Adding images needs the role annotator.")
    expect(page.get_by_test_id("next")).to_be_disabled()
    page.get_by_test_id("open-secret").click()
    annotator = Annotator(page)
    annotator.wait_for("secret")
    annotator.wait_for_points()
    annotator.settle()
    before, (x, y) = annotator.positions(), annotator.screen("T7")
    annotator.drag("T7", (x + 40, y))
    assert annotator.positions() == before
    expect(page.get_by_test_id("submit")).to_be_disabled()
    expect(page.get_by_test_id("lock")).to_be_disabled()
    page.goto("/#/training")
    expect(page.get_by_test_id("start-training")).to_be_disabled()
    expect(page.get_by_test_id("training-form")).to_contain_text("Training needs the role admin.")
    expect(page.get_by_test_id("versions").get_by_role("button")).to_have_count(0)


def test_a_refused_request_is_repeated_after_the_sign_in(open_page: OpenPage, guarded: Server) -> None:
    page, watch = open_page("/", url=guarded.url)
    watch.expect("status of 401")
    sign_in(page, "ada")
    page.get_by_test_id("open-secret").wait_for()
    page.evaluate(f"() => sessionStorage.setItem('{TOKEN}', 'a-token-that-was-withdrawn')")
    page.reload()
    sign_in(page, "ada")
    expect(page.get_by_test_id("open-secret")).to_be_visible()
    assert page.get_by_test_id("sign-in-dialog").count() == 0


def test_who_declines_is_not_asked_again_by_itself(open_page: OpenPage, guarded: Server) -> None:
    page, _ = open_page("/", url=guarded.url)
    page.get_by_test_id("sign-in-dialog").get_by_role("button", name="Not now").click()
    expect(page.get_by_test_id("empty")).to_contain_text("The server requires you to sign in.")
    page.wait_for_timeout(1000)
    expect(page.get_by_test_id("sign-in-dialog")).to_have_count(0)
    page.get_by_test_id("user").click()
    sign_in(page, "ruth")
    expect(page.get_by_test_id("open-secret")).to_be_visible()
