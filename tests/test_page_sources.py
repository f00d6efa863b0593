"""Guards on the sources of the browser page: imports between folders, sizes, risky calls, addresses."""

from __future__ import annotations

import posixpath
import re

import pytest

from .test_architecture import APP, MAX_FILE_LINES, crowded_folders, offences

PAGE = APP / "browser"
VENDOR = PAGE / "vendor"
SOURCES = sorted(
    path for path in PAGE.rglob("*.*") if path.suffix in (".js", ".css", ".html") and VENDOR not in path.parents
)
SCRIPTS = [path for path in SOURCES if path.suffix == ".js"]

PAGES = ("overview", "annotate", "training", "follow_up", "study")
LOWER = {"api": {"api"}, "editor": {"editor", "api"}, "canvas": {"canvas", "editor", "api"}, "shell": {"shell", "api"}}
MAY_IMPORT = {**LOWER, **{page: {page, *LOWER} for page in PAGES}}
"""Folders of the page, and the folders that each may import from; files beside the folders may import from all.

No page knows another one, and nobody imports the vendored libraries, which are globals.
"""

RISKY = (
    r"\b(?:inner|outer)HTML\b",
    r"\binsertAdjacentHTML\b",
    r"\bdocument\.write(?:ln)?\b",
    r"\bcreateContextualFragment\b",
    r"\bsetHTMLUnsafe\b",
    r"\beval\s*\(",
    r"\bnew\s+Function\b",
    r"\bset(?:Timeout|Interval)\s*\(\s*[\"'`]",
    r"\bjavascript:",
)
"""What turns a text into code or into elements."""
ADDRESS = r"(?:https?:|wss?:)?//[a-z0-9[][\w.:\]-]*"
INLINE = r"<script(?![^>]*\bsrc=)[^>]*>|<style\b|\son[a-z]+\s*=|\sstyle\s*="
"""Inline code of a document, which the Content-Security-Policy refuses."""


def imported(source: str) -> list[str]:
    """Paths that a module names: static, dynamic, of types in comments, and of workers."""
    statements = re.findall(r"^\s*(?:import|export)\b[^\"'`;]*?from\s*[\"']([^\"']+)[\"']", source, re.MULTILINE)
    bare = re.findall(r"^\s*import\s*[\"']([^\"']+)[\"']", source, re.MULTILINE)
    calls = re.findall(r"\bimport\s*\(\s*[\"'`]([^\"'`]+)[\"'`]", source)
    workers = re.findall(r"\bnew\s+URL\(\s*[\"'`]([^\"'`]+)[\"'`]\s*,\s*import\.meta\.url", source)
    return [*statements, *bare, *calls, *(re.sub(r"^(?=\w)", "./", path) for path in workers)]


def forbidden_imports(name: str, source: str) -> list[str]:
    """Imports of a module of the page, by its name below the page's folder, that its folder must not have."""
    allowed = MAY_IMPORT.get(name.partition("/")[0]) if "/" in name else None
    found = []
    for path in imported(source):
        target = posixpath.normpath(posixpath.join(posixpath.dirname(name), path))
        folder = target.partition("/")[0] if "/" in target else ""
        relative = path.startswith(("./", "../")) and path.endswith(".js")
        if not relative or folder in ("..", "vendor") or (allowed is not None and folder not in allowed):
            found.append(path)
    return found


def without_comments(source: str) -> str:
    """A script or style sheet without its comments; texts that hold ``//`` stay."""
    pattern = r"(\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)|/\*.*?\*/|(?<![:(])//[^\n]*"
    return re.sub(pattern, lambda match: match.group(1) or "", source, flags=re.DOTALL)


def matches(patterns: tuple[str, ...], source: str) -> list[str]:
    """What of the patterns a source has outside of comments."""
    return [match.group() for match in re.finditer("|".join(patterns), without_comments(source))]


def addresses(source: str) -> list[str]:
    """Addresses of hosts that a source names outside of comments; names of XML namespaces are none."""
    found = re.finditer(rf"[\"'`(=\s]({ADDRESS})", without_comments(source), re.IGNORECASE)
    return [match.group(1) for match in found if not match.group(1).startswith("http://www.w3.org")]


def test_folders_of_the_page_are_known() -> None:
    folders = {path.relative_to(PAGE).parts[0] for path in SCRIPTS if path.parent != PAGE}
    assert folders <= {*MAY_IMPORT, "api_docs"}


def test_imports_of_the_page_point_downwards_only() -> None:
    check = offences(SCRIPTS, lambda path, source: forbidden_imports(path.relative_to(PAGE).as_posix(), source))
    assert check == {}


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("api/client.js", 'import { f } from "../shell/header.js";'),
        ("api/client.js", "/** @typedef {import('../annotate/page.js').Page} Page */"),
        ("canvas/view.js", 'import {\n    f,\n} from "../annotate/page.js";'),
        ("editor/a.js", 'import { draw } from "../canvas/draw.js";'),
        ("annotate/page.js", 'import { f } from "../overview/list.js";'),
        ("annotate/page.js", 'import "../vendor/uplot.min.js";'),
        ("annotate/page.js", 'const m = await import("../training/page.js");'),
        ("main.js", 'import uPlot from "uplot";'),
        ("main.js", 'export { f } from "./api/client";'),
        ("main.js", 'import { f } from "../lib/spine.js";'),
        ("canvas/a.js", 'new Worker(new URL("../overview/worker.js", import.meta.url));'),
    ],
)
def test_the_import_rule_of_the_page_can_fail(name: str, source: str) -> None:
    assert forbidden_imports(name, source)


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("main.js", 'import { openAnnotate } from "./annotate/page.js";'),
        ("annotate/page.js", 'import { E } from "../editor/spine_editor.js";\nimport { k } from "./keys.js";'),
        ("annotate/sections/view.js", 'import { k } from "../keys.js";'),
        ("canvas/a.js", 'new Worker(new URL("a_worker.js", import.meta.url));'),
    ],
)
def test_the_import_rule_of_the_page_allows_downward_imports(name: str, source: str) -> None:
    assert forbidden_imports(name, source) == []


def test_files_and_folders_of_the_page_are_small() -> None:
    assert offences(SOURCES, lambda _, source: max(0, len(source.splitlines()) - MAX_FILE_LINES)) == {}
    assert crowded_folders(SOURCES) == {}


def test_no_text_becomes_code_or_elements() -> None:
    assert offences(SCRIPTS, lambda _, source: matches(RISKY, source)) == {}


@pytest.mark.parametrize(
    "source",
    [
        "a.innerHTML = name;",
        "a.outerHTML=name",
        "a.insertAdjacentHTML('beforeend', name);",
        "document.write(name)",
        "eval(name)",
        "new Function(name)",
        'setTimeout("f()", 3)',
        'a.href = "javascript:f()";',
    ],
)
def test_the_guard_on_texts_can_fail(source: str) -> None:
    assert matches(RISKY, source)
    assert matches(RISKY, f"// {source}\n/* {source} */") == []


def test_the_page_names_no_other_host() -> None:
    assert offences(SOURCES, lambda _, source: addresses(source)) == {}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('fetch("https://cdn.example/x.js")', ["https://cdn.example"]),
        ("@import url(//fonts.example/a.css);", ["//fonts.example"]),
        ("const url = `ws://host:80/x`;", ["ws://host:80"]),
        ('<link href="https://cdn.example/x.css">', ["https://cdn.example"]),
        ("// https://example.org\n/* http://www.apache.org/licenses */", []),
        ('const svg = "http://www.w3.org/2000/svg"; const rest = "a//b";', []),
    ],
)
def test_addresses_are_found_outside_of_comments(source: str, expected: list[str]) -> None:
    assert addresses(source) == expected


def test_documents_hold_no_inline_code() -> None:
    documents = [path for path in SOURCES if path.suffix == ".html"]
    assert offences(documents, lambda _, source: re.findall(INLINE, source)) == {}


@pytest.mark.parametrize(
    "source", ["<script>f()</script>", '<b onclick="f()">', '<p style="color: red">', "<style>p {}</style>"]
)
def test_the_guard_on_inline_code_can_fail(source: str) -> None:
    assert re.findall(INLINE, source)
    assert re.findall(INLINE, '<script type="module" src="/browser/main.js"></script><link rel="stylesheet">') == []
