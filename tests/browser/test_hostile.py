"""Names and texts that would be code in a careless page are shown as text; the policy refuses injected code."""

from __future__ import annotations

import json
import socket
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from ..serving import Server
from .annotator import Annotator
from .conftest import NewImage, OpenPage

pytestmark = [pytest.mark.browser, pytest.mark.integration]

MARKUP = '<img src=x onerror="window.wasRun = 1"><script>window.wasRun = 1</script>'
OVERRIDE = "Dr \u202egnp.exe\u2066 \u0639\u0644\u064a"
"""With a right-to-left override and an isolate that is never closed, then Arabic letters."""
EMOJI = "👩🏽‍⚕️🦴 ${1+1} {{7*7}}"
TEXTS = [pytest.param(MARKUP, id="markup"), pytest.param(OVERRIDE, id="override"), pytest.param(EMOJI, id="emoji")]
IDS = [
    "&lt;b&gt; 'onfocus='wasRun=1' autofocus ",
    "صورة 🦴 #1 %41 ${1+1}",
    "a#b%2Fc+d&x=1;é",
]
"""As hostile as an image id can be: those with markup or control characters are refused by the server."""


def search(page: Page, text: str) -> None:
    """Narrow the list: only rows in view are in the page, and the server has images of other tests."""
    page.get_by_test_id("search").fill(text)


def assert_nothing_ran(page: Page) -> None:
    """No text has become an element or code."""
    assert page.evaluate("() => window.wasRun") is None
    assert page.locator("img[src=x], [onerror], [onfocus], b:text-is('x')").count() == 0


@pytest.mark.parametrize("name", IDS, ids=["markup", "letters", "address"])
def test_names_of_images_are_shown_as_text(open_page: OpenPage, server: Server, new_image: NewImage, name: str) -> None:
    image = new_image(f"{name}_x", seed=21)
    page, _ = open_page("/")
    search(page, image)
    link = page.get_by_test_id(f"open-{image}")
    expect(page.get_by_test_id("image-list")).to_contain_text(image)
    link.click()
    annotator = Annotator(page)
    annotator.wait_for(image)
    annotator.wait_for_points()
    assert annotator.state["image"] == image
    assert_nothing_ran(page)
    page.reload()
    annotator.wait_for(image)
    assert_nothing_ran(page)


@pytest.mark.parametrize("text", TEXTS)
def test_names_of_users_are_shown_as_text(
    open_page: OpenPage, server: Server, new_image: NewImage, text: str, request: pytest.FixtureRequest
) -> None:
    image = new_image(f"user_{request.node.callspec.id}", seed=22)
    page, _ = open_page("/")
    page.get_by_test_id("user").click()
    page.get_by_role("dialog").get_by_label("Name").fill(text)
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(page.get_by_test_id("user")).to_contain_text(text)
    annotator = Annotator(page)
    annotator.go_to(image)
    annotator.wait_for_points()
    annotator.submit()
    assert json.loads(server.ask(f"/landmarks?image={image}&tag=final")[1])["info"]["user"] == text
    page.goto("/#/")
    search(page, image)
    expect(page.get_by_test_id("image-list")).to_contain_text(text)
    assert_nothing_ran(page)


def test_messages_are_shown_as_text(open_page: OpenPage) -> None:
    page, watch = open_page(f"/#/image/{quote(MARKUP)}")
    watch.expect(r"the server responded with a status of 404")
    expect(page.get_by_text("<img src=x").first).to_be_visible()
    assert_nothing_ran(page)


INJECTIONS = {
    "inline script": "() => add('script', {textContent: 'window.wasRun = 1'})",
    "script of another host": "() => add('script', {src: 'http://ELSEWHERE/x.js'})",
    "script in an address": "() => add('script', {src: 'data:text/javascript,window.wasRun=1'})",
    "listener in markup": "() => { document.body.innerHTML += '<img src=x onerror=\"window.wasRun = 1\">'; }",
    "evaluated text": "() => { try { (0, eval)('window.wasRun = 1'); } catch { /* refused */ } }",
    "frame of another host": "() => add('iframe', {src: 'http://ELSEWHERE/'})",
    "image of another host": "() => add('img', {src: 'http://ELSEWHERE/x.png'})",
    "request to another host": "() => fetch('http://ELSEWHERE/', {mode: 'no-cors'}).catch(() => {})",
    "form to another host": (
        "() => { const form = add('form', {action: 'http://ELSEWHERE/', method: 'post'}); form.submit(); }"
    ),
}
ADD = """(code) => {
    const add = (tag, values) => document.body.appendChild(Object.assign(document.createElement(tag), values));
    return new Promise((resolve) => {
        addEventListener("securitypolicyviolation", (event) => resolve(event.effectiveDirective));
        setTimeout(() => resolve("nothing was refused"), 20000); // a busy server takes its time
        setTimeout(() => { RUN(); }); // on its own, as code of the page
    });
}"""


def bytes_received(listener: socket.socket) -> bytes:
    """What reached a listener; browsers may connect before they ask the policy, and then send nothing."""
    listener.settimeout(0.2)
    try:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(0.2)
            return connection.recv(1000)
    except TimeoutError:
        return b""


@pytest.mark.parametrize(("what", "path"), [*((what, "/") for what in INJECTIONS), ("inline script", "/docs")])
def test_the_policy_refuses_injected_code(open_page: OpenPage, what: str, path: str) -> None:
    page, watch = open_page(path)
    watch.expect("policy|Policy|Refused|violates")
    watch.expect("/x")  # the image of the listener in markup is not there
    with socket.create_server(("127.0.0.2", 0)) as elsewhere:
        host = f"127.0.0.2:{elsewhere.getsockname()[1]}"
        refused = page.evaluate(ADD.replace("RUN", f"({INJECTIONS[what]})").replace("ELSEWHERE", host))
        assert refused.split("-")[0] in ("script", "frame", "img", "connect", "form"), refused
        assert bytes_received(elsewhere) == b""
    assert page.evaluate("() => window.wasRun") is None
