"""What a page asks for and complains about, collected for the assertions of every test."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Error, Page, Request

REPORT_VIOLATIONS = """addEventListener("securitypolicyviolation", (event) => console.error(
    `policy violated: ${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`
));"""
OWN_SCHEMES = ("blob", "data", "about", "chrome", "chrome-error", "chrome-extension")
"""Addresses of these schemes are within the browser, as its viewer of PDF files is."""


SOFTWARE_GL = r"GL Driver Message \(OpenGL, Performance"
"""The browser itself notes that WebGL in software is slow."""
BY_POLICY = ("csp", "net::ERR_BLOCKED_BY_CSP")
"""Why a request failed that the browser did not even send."""


class Watch:
    """Requests, console errors, uncaught errors and violations of the Content-Security-Policy of a browser context.

    Attributes:
        origin: the only server that may be asked.
        requests: method and address of every request, in order.
        complaints: errors that the page caused and that no test said to expect.
    """

    def __init__(self, context: BrowserContext, origin: str) -> None:
        self.origin = origin
        self.requests: list[tuple[str, str]] = []
        self._complaints: list[str] = []
        self._expected: list[str] = [SOFTWARE_GL]
        self._refused: set[str] = set()
        context.add_init_script(REPORT_VIOLATIONS)
        context.on("request", self._on_request)
        context.on("requestfailed", self._on_failure)
        context.on("console", self._on_console)
        context.on("weberror", lambda error: self._note(error.error))
        context.on("page", lambda page: page.on("crash", self._on_crash))

    def expect(self, pattern: str) -> None:
        """Complaints that match are part of the test, such as those about a server that is gone."""
        self._expected.append(pattern)

    @property
    def complaints(self) -> list[str]:
        """Complaints that no test said to expect."""
        return [text for text in self._complaints if not any(re.search(known, text) for known in self._expected)]

    def seen(self, pattern: str) -> list[str]:
        """Complaints that match, expected or not."""
        return [text for text in self._complaints if re.search(pattern, text)]

    @property
    def foreign(self) -> list[str]:
        """Addresses of other hosts that were asked for; what the policy stopped is a complaint, and not among them."""
        return [
            url
            for _, url in self.requests
            if urlsplit(url).scheme not in OWN_SCHEMES
            and not url.startswith(f"{self.origin}/")
            and url not in self._refused
        ]

    def asked(self, method: str, path: str) -> list[str]:
        """Requests to a path of the server, such as ``/landmarks``."""
        return [url for verb, url in self.requests if verb == method and urlsplit(url).path == path]

    def check(self) -> None:
        """Assert that nothing was wrong."""
        assert self.foreign == [], f"other hosts were asked: {self.foreign}"
        assert self.complaints == [], f"the page complained: {self.complaints}"

    def _on_request(self, request: Request) -> None:
        self.requests.append((request.method, request.url))

    def _on_failure(self, request: Request) -> None:
        if request.failure in BY_POLICY:
            self._refused.add(request.url)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            place = message.location.get("url", "")
            self._note(f"{message.text} [{place}]")

    def _note(self, what: str | Error) -> None:
        self._complaints.append(str(what))

    def _on_crash(self, page: Page) -> None:
        self._note(f"the tab crashed: {page.url}")
