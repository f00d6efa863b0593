"""What the tests' watch over a page notices: it must be able to fail."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Route

from .watch import Watch

pytestmark = [pytest.mark.browser, pytest.mark.integration]

ORIGIN = "http://127.0.0.1:9"  # nobody listens there; the tests answer themselves
ELSEWHERE = "http://127.0.0.2:9"
POLICY = {"Content-Security-Policy": "default-src 'none'; script-src 'self' 'nonce-x'; connect-src *"}


def watch_document(chromium: Browser, body: str, headers: dict[str, str] | None = None) -> Watch:
    """The watch over a document with this body."""
    context = chromium.new_context()
    watch = Watch(context, ORIGIN)

    def answer(route: Route) -> None:
        route.fulfill(body=f"<!doctype html><title>x</title>{body}", content_type="text/html", headers=headers or {})

    context.route("**/*", answer)
    page = context.new_page()
    page.goto(f"{ORIGIN}/x")
    page.wait_for_timeout(200)
    context.close()
    return watch


def test_a_quiet_document_is_fine(chromium: Browser) -> None:
    watch = watch_document(chromium, "<script>fetch('/y?z=1'); fetch('data:,x');</script>")
    assert watch.asked("GET", "/y") == [f"{ORIGIN}/y?z=1"]
    watch.check()


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("<script>console.error('wrong')</script>", "wrong"),
        ("<script>console.warn('doubtful')</script>", "doubtful"),
        ("<script>throw new Error('thrown')</script>", "thrown"),
        ("<script>Promise.reject(new Error('forgotten'))</script>", "forgotten"),
        ("<script nonce='x'>f()</script>", "f is not defined"),
    ],
)
def test_errors_are_noticed_unless_expected(chromium: Browser, body: str, complaint: str) -> None:
    watch = watch_document(chromium, body)
    assert re.search(complaint, " ".join(watch.complaints))
    watch.expect(complaint)
    assert watch.complaints == []
    assert watch.seen(complaint)


def test_violations_of_the_policy_are_noticed(chromium: Browser) -> None:
    watch = watch_document(chromium, "<script>f()</script><img src='/a.png'>", POLICY)
    said = " ".join(watch.complaints)
    assert "policy violated: script-src-elem inline" in said
    assert f"policy violated: img-src {ORIGIN}/a.png" in said


def test_requests_to_other_hosts_are_noticed(chromium: Browser) -> None:
    watch = watch_document(chromium, f"<script>fetch('{ELSEWHERE}/a', {{mode: 'no-cors'}})</script>")
    assert watch.foreign == [f"{ELSEWHERE}/a"]
