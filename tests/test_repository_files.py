"""What stands beside the sources: citation, workflow, and the paths that the guides for contributors name."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from harness import system_packages
from lib import __version__

ROOT = Path(__file__).resolve().parent.parent
APP, MODULE = ROOT / "apps" / "vertebra_landmarks", ROOT / "slicer_module" / "VertebraLandmarks"
BASES = (ROOT, ROOT / "scripts", APP, APP / "lib", MODULE, MODULE / "VertebraLandmarksLib")
"""Folders that paths in the guides start from."""
GUIDES = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md")
GUIDES += tuple(sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))
COMMAND = "python3 scripts/test.py"
SUFFIXES = ("cff", "md", "py", "toml", "txt", "ui", "yaml", "yml")


def named_paths(text: str) -> list[str]:
    """Paths that a Markdown text has in backticks, also inside a command, and programs that its code blocks run.

    Paths below a placeholder in capitals, such as ``DIR/labels``, are the user's.
    """
    prose, *blocks = re.split(r"^```", text, flags=re.MULTILINE)
    prose += "".join(blocks[1::2])
    spans = re.findall(r"`([^`\n]+)`", prose)
    words = [word.rstrip(",") for span in spans for word in span.split()]
    return [
        word
        for word in words
        if re.fullmatch(r"[A-Za-z_.][\w./-]*", word)
        and not re.match(r"\.venv|[A-Z0-9]+/", word)
        and ("/" in word or word.rpartition(".")[2] in SUFFIXES)
    ] + re.findall(r"python3? (\S+\.py)", "".join(blocks[::2]))


def missing_paths(text: str) -> list[str]:
    """Those that are nowhere in the repository, as a file, a folder or a module without its suffix."""
    return [
        name
        for name in named_paths(text)
        if not any((base / name).exists() or (base / f"{name}.py").is_file() for base in BASES)
    ]


def broken_links(guide: str) -> list[str]:
    """Links of a guide to files or headings that do not exist."""
    path = ROOT / guide
    broken = []
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", path.read_text(encoding="utf-8")):
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        if not target.exists() or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
            broken.append(link)
    return broken


def anchors(text: str) -> set[str]:
    """The anchors of a Markdown text's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def citation() -> dict:
    """``CITATION.cff``."""
    return yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))


def workflow() -> dict:
    """The workflow that runs the tests."""
    return yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8"))


def test_the_citation_is_of_this_version() -> None:
    found = citation()
    assert found["version"] == __version__
    assert date.fromisoformat(found["date-released"])
    heading = f"## [{found['version']}] - {found['date-released']}"
    assert heading in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()


def test_the_citation_has_what_its_format_requires() -> None:
    found = citation()
    assert found["cff-version"] == "1.2.0"
    for entry in (found, *found["references"]):
        assert entry["title"]
        assert entry["authors"]
        assert all(author.get("name") or author.get("family-names") for author in entry["authors"])
    assert found["message"]
    assert found["license"] == "Apache-2.0"
    assert all(reference["type"] in ("article", "conference-paper") for reference in found["references"])


def test_the_workflow_runs_the_command_of_the_readme() -> None:
    assert f"\n{COMMAND}\n" in (ROOT / "README.md").read_text(encoding="utf-8")
    job = workflow()["jobs"]["test"]
    assert [step["run"] for step in job["steps"] if "scripts/" in step.get("run", "")] == [COMMAND]


def test_the_workflow_covers_all_systems_and_supported_versions() -> None:
    matrix = workflow()["jobs"]["test"]["strategy"]["matrix"]
    assert {name.partition("-")[0] for name in matrix["system"]} == {"ubuntu", "macos", "windows"}
    assert {*matrix["python"], *(one["python"] for one in matrix["include"])} == {"3.10", "3.11", "3.12"}


def test_the_workflow_installs_the_libraries_that_the_tests_need() -> None:
    (step,) = [step for step in workflow()["jobs"]["test"]["steps"] if "apt-get" in step.get("run", "")]
    installed = step["run"].partition("--no-install-recommends")[2].split()
    needed = [*(package for _, package in system_packages.LIBRARIES), system_packages.DATABASE]
    assert installed == needed  # the runners of GitHub have a Chromium and npm


@pytest.mark.parametrize("guide", GUIDES)
def test_every_path_that_a_guide_names_exists(guide: str) -> None:
    assert missing_paths((ROOT / guide).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("guide", [*GUIDES, "slicer_module/README.md", "apps/vertebra_landmarks/model/README.md"])
def test_every_link_of_a_guide_leads_somewhere(guide: str) -> None:
    assert broken_links(guide) == []


def test_anchors_are_those_of_headings() -> None:
    assert anchors("# Slicer's Extensions Index\n\n## AASCE: `test` split\n\ntext\n") == {
        "slicers-extensions-index",
        "aasce-test-split",
    }


def test_the_guides_name_paths() -> None:
    paths = named_paths((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    assert {
        "lib/learning/training/losses.py",
        "VertebraLandmarksLib/panel/panel.py",
        "scripts/copy_spine.py",
        "tests/spine",
    } <= {*paths}


def test_the_guard_on_paths_can_fail() -> None:
    prose = "`lib/nowhere.py`, `python3 scripts/none.py --x`, `lib/spine/schema.py`, `DIR/a.py`, `spine/schema`"
    text = f"{prose}\n\n```\npython3 scripts/no.py\n```\n"
    assert missing_paths(text) == ["lib/nowhere.py", "scripts/none.py", "scripts/no.py"]


def pins(text: str, python: str) -> dict[str, str]:
    """Releases by package that a requirements file has for a Python on Linux."""
    environment = {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": "linux"}
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    found = [Requirement(line) for line in lines if line]
    chosen = [one for one in found if one.marker is None or one.marker.evaluate(environment)]
    names = [re.sub(r"[-_.]+", "-", one.name).lower() for one in chosen]
    assert len(set(names)) == len(names), sorted(names)
    return dict(zip(names, (str(one.specifier) for one in chosen), strict=True))


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12"])
def test_requirements_files_agree_on_every_package(python: str) -> None:
    """They are installed one after the other with --no-deps: the last one would win."""
    files = {path.name: pins(path.read_text(encoding="utf-8"), python) for path in ROOT.glob("requirements*.txt")}
    assert len(files) >= 5
    for extra in ("requirements-export.txt", "requirements-log.txt"):
        assert files[extra].items() <= (files["requirements-dev.txt"] | files["requirements.txt"]).items()
    releases: dict[str, set[str]] = {}
    for found in files.values():
        for name, release in found.items():
            releases.setdefault(name, set()).add(release)
    assert {name: several for name, several in releases.items() if len(several) > 1} == {}


def test_the_guard_on_pins_sees_markers_and_spellings() -> None:
    text = "# x\nA_b==1 ; python_version < '3.11'  # y\na-B==2 ; python_version >= '3.11'\n"
    assert (pins(text, "3.10"), pins(text, "3.12")) == ({"a-b": "==1"}, {"a-b": "==2"})
