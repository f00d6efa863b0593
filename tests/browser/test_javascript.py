"""The page's JavaScript: types, style, its own tests, and the vendored libraries beside it."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

from . import node_tools
from .node_tools import ROOT, MissingTools

pytestmark = [pytest.mark.browser]

PAGE = ROOT / "apps" / "vertebra_landmarks" / "browser"
VENDOR = PAGE / "vendor"
MAX_VENDOR_BYTES = 1_000_000
TSC = "node_modules/typescript/bin/tsc"
ESLINT = ("node_modules/eslint/bin/eslint.js", "--config", "tests/browser/javascript/eslint.config.js")
NODE_OF_ESLINT = (20, 19, 0)
CONFIG = node_tools.PACKAGE / "tsconfig.json"
NODE_TESTS = sorted((ROOT / "tests" / "browser").rglob("*.test.js"))


@pytest.fixture(scope="module", autouse=True)
def tools(request: pytest.FixtureRequest) -> None:
    """npm's tools."""
    try:
        node_tools.install()
    except MissingTools as error:
        pytest.skip(str(error))


@pytest.fixture
def eslint() -> tuple[str, ...]:
    """The linter's command, where Node is new enough for it."""
    if node_tools.node_version() < NODE_OF_ESLINT:
        pytest.skip("ESLint needs Node 20.19 or newer")
    return ESLINT


def check_types(project: Path) -> tuple[int, str]:
    """Run the type checker on a project."""
    return node_tools.run(TSC, "--project", str(project), "--pretty", "false")


def test_the_types_of_the_page_agree() -> None:
    assert check_types(CONFIG) == (0, "")


def test_the_check_of_types_can_fail(tmp_path: Path) -> None:
    (tmp_path / "wrong.js").write_text(
        "/** @param {number} n @returns {string} */\nexport const f = (n) => n;\n"
        "export const plot = new uPlot(3);\nexport const x = window.vertebraLandmarks.nowhere;\n"
    )
    own = {
        "extends": str(CONFIG),
        "include": [str(node_tools.PACKAGE / "globals.d.ts"), "wrong.js"],
        "exclude": [],
    }
    (tmp_path / "tsconfig.json").write_text(json.dumps(own))
    status, said = check_types(tmp_path / "tsconfig.json")
    assert status
    assert re.findall(r"\((\d)[^)]*\): error", said) == ["2", "3", "4"], said


def test_the_style_of_the_page_is_right(eslint: tuple[str, ...]) -> None:
    strictly = (*eslint, "--max-warnings", "0", "--no-error-on-unmatched-pattern")
    assert node_tools.run(*strictly, PAGE.relative_to(ROOT).as_posix(), "tests/browser") == (0, "")


def test_the_check_of_the_style_can_fail(eslint: tuple[str, ...]) -> None:
    wrong = "let a = 1;\nexport const f = (b) => eval(b == a);\nexport const g = window.nowhere + missing;\n"
    name = (PAGE / "wrong.js").relative_to(ROOT).as_posix()
    status, said = node_tools.run(*eslint, "--stdin", "--stdin-filename", name, text=wrong)
    assert status
    assert {"prefer-const", "no-eval", "eqeqeq", "no-undef"} <= set(re.findall(r"[a-z-]+(?=$)", said, re.MULTILINE))


@pytest.mark.parametrize("path", NODE_TESTS, ids=lambda path: path.name)
def test_tests_in_javascript_pass(path: Path) -> None:
    status, said = node_tools.run("--test", str(path))
    assert status == 0, said


def checksums(text: str) -> dict[str, str]:
    """File names and SHA-256 digests of a list as ``sha256sum`` writes it."""
    return {name: digest for digest, name in re.findall(r"^([0-9a-f]{64})  (\S+)$", text, re.MULTILINE)}


def test_the_vendored_libraries_are_as_they_came() -> None:
    listed = checksums((VENDOR / "SHA256SUMS").read_text())
    code = {path.name for path in VENDOR.iterdir() if path.suffix in (".js", ".css")}
    assert set(listed) == code
    assert {name: hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() for name in code} == listed


def test_each_vendored_library_has_its_license_and_is_small() -> None:
    libraries = {path.name.partition(".")[0] for path in VENDOR.iterdir() if path.suffix in (".js", ".css")}
    assert libraries == {path.name.partition(".")[0] for path in VENDOR.glob("*.LICENSE.txt")}
    assert sum(path.stat().st_size for path in VENDOR.iterdir()) <= MAX_VENDOR_BYTES
    readme = (VENDOR / "README.md").read_text().lower()
    versions = json.loads((node_tools.PACKAGE / "package.json").read_text())["devDependencies"]
    assert {name for name in libraries if versions[name] not in readme} == set()


def test_the_lock_file_names_no_registry() -> None:
    lock = json.loads((node_tools.PACKAGE / "package-lock.json").read_text())
    packages = {name: package for name, package in lock["packages"].items() if name}
    assert packages
    assert all(
        "resolved" not in package and package["integrity"].startswith("sha512-") for package in packages.values()
    )
