"""The browser page and the description of the API: what is served, with which headers, and from where alone."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import Message
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from starlette.responses import Response
from starlette.types import Scope

from lib.server.web.routes.page import BROWSER, CONTENT_SECURITY_POLICY, EXAMPLES, MEDIA_TYPES, PageFiles

if TYPE_CHECKING:
    from ...serving import Server, Start

TOKENS = "root admin abcdefghijklmnop\n"
PAGES = ["/", "/browser/index.html", "/docs"]


class Page(HTMLParser):
    """The addresses that an HTML page asks for, and what it would run or show without asking.

    Args:
        text: of the page.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline: list[str] = []
        self._is_script = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the addresses of an element."""
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "action", "data")]
        self.inline += [f"{tag} {name}" for name, _ in attrs if name == "style" or name.startswith("on")]
        self.inline += [tag] if tag == "style" else []
        self._is_script = tag == "script"

    def handle_data(self, data: str) -> None:
        """Note a script between its tags."""
        self.inline += ["script"] if self._is_script and data.strip() else []

    def handle_endtag(self, tag: str) -> None:
        """The end of an element."""
        self._is_script = False


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, start: Start) -> Iterator[Server]:
    """A server with a login and no image."""
    place = tmp_path_factory.mktemp("place")
    (place / "studies").mkdir()
    (place / "tokens.txt").write_text(TOKENS)
    conf = ("--conf", "tokens", str(place / "tokens.txt"))
    with start(place / "studies", *conf) as running:
        yield running


def fetch(server: Server, path: str, method: str = "GET", **headers: str) -> tuple[int, Message, bytes]:
    """Status, headers and body of an answer."""
    request = urllib.request.Request(server.url + path, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


@pytest.mark.integration
@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_public_and_runs_scripts_of_this_server_only(server: Server, path: str) -> None:
    status, headers, body = fetch(server, path)
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert headers["X-Content-Type-Options"] == "nosniff"
    page = Page(body.decode())
    assert page.inline == []
    assert page.addresses
    assert [address for address in page.addresses if re.match(r"[\w+.-]+:|//", address)] == []
    for address in page.addresses:
        if path != "/browser/index.html":  # the same file as /, whose addresses are those of /
            assert fetch(server, "/" + address.partition("#")[0].removeprefix("/"))[0] == 200, address


def test_the_policy_lets_nothing_in_from_elsewhere() -> None:
    rules = dict(rule.split(" ", 1) for rule in CONTENT_SECURITY_POLICY.split("; "))
    assert rules["default-src"] == rules["object-src"] == rules["frame-ancestors"] == "'none'"
    sources = {source for rule in rules.values() for source in rule.split()}
    assert sources == {"'none'", "'self'", "blob:", "data:"}
    assert rules["script-src"] == "'self'"


@pytest.mark.parametrize("path", sorted(BROWSER.rglob("*.html")), ids=lambda path: path.relative_to(BROWSER).as_posix())
def test_html_files_name_no_other_host(path: Path) -> None:
    page = Page(path.read_text(encoding="utf-8"))
    assert page.inline == []
    assert [address for address in page.addresses if re.match(r"[\w+.-]+:|//", address)] == []


@pytest.mark.integration
def test_a_file_is_asked_for_each_time_and_sent_once(server: Server) -> None:
    status, headers, body = fetch(server, "/browser/vendor/uplot.min.js")
    assert (status, headers["Content-Type"]) == (200, "text/javascript; charset=utf-8")
    assert headers["Cache-Control"] == "no-cache"
    assert body == (BROWSER / "vendor" / "uplot.min.js").read_bytes()
    status, headers, body = fetch(server, "/browser/vendor/uplot.min.js", **{"If-None-Match": headers["ETag"]})
    assert (status, headers["Cache-Control"], body) == (304, "no-cache", b"")
    status, headers, body = fetch(server, "/", "HEAD")
    assert (status, body) == (200, b"")
    assert headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY


@pytest.mark.integration
@pytest.mark.parametrize(
    "path",
    [
        "/browser/../main.py",
        "/browser/..%2fmain.py",
        "/browser/%2e%2e/%2e%2e/main.py",
        "/browser//etc/hostname",
        "/browser/vendor",
        "/browser/vendor/README.md",
        "/browser/nothing.js",
        "/browser/x%00.js",
        "/docs/assets/../core.py",
        "/docs/assets/..%2fcore.py",
    ],
)
def test_nothing_else_is_served(server: Server, path: str) -> None:
    status, headers, body = fetch(server, path, Authorization="Bearer abcdefghijklmnop")
    assert status == 404
    assert headers["Content-Type"] == "application/json"
    assert server.said((status, body))[1] == "there is nothing at this address"


@pytest.mark.integration
def test_a_page_cannot_be_written_to(server: Server) -> None:
    status, body = server.ask("/", "POST", b"x", headers={"Authorization": "Bearer abcdefghijklmnop"})
    assert server.said((status, body)) == (405, "this address does not support that method")


@pytest.mark.parametrize(("suffix", "kind"), sorted(MEDIA_TYPES.items()))
def test_types_are_those_of_the_suffix_whatever_the_system_knows(
    tmp_path: Path, suffix: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("starlette.responses.guess_type", lambda name: ("text/plain", None))
    file = BROWSER.joinpath("index.html")
    scope: Scope = {"type": "http", "method": "GET", "headers": []}
    response: Response = PageFiles(directory=BROWSER).file_response(tmp_path / f"x{suffix}", file.stat(), scope)
    assert response.headers["content-type"] == kind
    assert ("content-security-policy" in response.headers) == (suffix in (".html", ".svg"))


@pytest.fixture(scope="module")
def description(server: Server) -> dict[str, Any]:
    """The description of the API."""
    return dict(json.loads(fetch(server, "/openapi.json")[2]))


@pytest.fixture(scope="module")
def operations(description: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What it says of each route, such as "GET /info/"."""
    every = description["paths"].items()
    return {f"{method.upper()} {path}": route for path, routes in every for method, route in routes.items()}


def json_of(described: dict[str, Any]) -> dict[str, Any] | None:
    """What is said of the JSON of a body or an answer."""
    content: dict[str, dict[str, Any]] = described.get("content", {})
    return content.get("application/json")


@pytest.mark.integration
def test_every_answer_body_and_path_has_an_example(
    description: dict[str, Any], operations: dict[str, dict[str, Any]]
) -> None:
    bare = []
    for name, route in operations.items():
        answer, body = json_of(route["responses"]["200"]), json_of(route.get("requestBody", {}))
        if not name.startswith("HEAD") and "example" not in (answer or {"example": None}):
            bare.append(f"{name}: answer")
        if body is not None:
            named = re.search(r'"#/components/schemas/(\w+)"', json.dumps(body["schema"]))
            schema = body["schema"] if named is None else description["components"]["schemas"][named[1]]
            if not {"example", "examples"} & set(schema):
                bare.append(f"{name}: body")
        parts = [one["name"] for one in route.get("parameters", ()) if one["in"] == "path" and "example" not in one]
        bare += [f"{name}: {part}" for part in parts]
    assert bare == []
    assert operations["POST /measure"]["responses"]["200"]["content"]["application/json"]["example"]["curves"]
    assert "GET /" not in operations


@pytest.mark.integration
def test_every_example_is_of_a_route(operations: dict[str, dict[str, Any]]) -> None:
    assert set(json.loads(EXAMPLES.read_text(encoding="utf-8"))["operations"]) <= set(operations)


@pytest.mark.integration
@pytest.mark.parametrize(
    "path", ["/info/", "/auth/", "/auth/token/valid", "/datastore/", "/model/info/vertebra_landmarks", "/images"]
)
def test_examples_are_like_the_answers_of_a_server(
    server: Server, operations: dict[str, dict[str, Any]], path: str
) -> None:
    route = operations[f"GET {path.replace('/vertebra_landmarks', '/{model}')}"]
    example = route["responses"]["200"]["content"]["application/json"]["example"]
    status, _, body = fetch(server, path, Authorization=f"Bearer {TOKENS.split()[-1]}")
    assert status == 200, body
    assert set(example) == set(json.loads(body))
