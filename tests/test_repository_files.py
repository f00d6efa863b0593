"""What stands beside the sources: citation, workflow, and the paths that the guides for contributors name."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest
import yaml

from harness import system_packages
from lib import __version__

ROOT = Path(__file__).resolve().parent.parent
BASES = (ROOT, ROOT / "apps" / "vertebra_landmarks", ROOT / "slicer_module" / "VertebraLandmarks")
"""Folders that paths in the guides start from."""
GUIDES = ("CONTRIBUTING.md", "SECURITY.md")
COMMAND = "python3 scripts/test.py"
SUFFIXES = ("cff", "md", "py", "toml", "txt", "ui", "yaml", "yml")


def named_paths(text: str) -> list[str]:
    """Paths that a Markdown text has in backticks, also as the first words of a command; no code blocks."""
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))
    words = [word.rstrip(",") for span in spans for word in span.split()]
    return [
        word
        for word in words
        if re.fullmatch(r"[\w.][\w./-]*", word)
        and not word.startswith(".venv")
        and ("/" in word or word.rpartition(".")[2] in SUFFIXES)
    ]


def missing_paths(text: str) -> list[str]:
    """Those that are nowhere in the repository."""
    return [name for name in named_paths(text) if not any((base / name).exists() for base in BASES)]


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
    assert installed == [*(package for _, package in system_packages.LIBRARIES), system_packages.DATABASE]


@pytest.mark.parametrize("guide", GUIDES)
def test_every_path_that_a_guide_names_exists(guide: str) -> None:
    assert missing_paths((ROOT / guide).read_text(encoding="utf-8")) == []


def test_the_guides_name_paths() -> None:
    paths = named_paths((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    assert {
        "lib/learning/training/corner_trainer.py",
        "VertebraLandmarksLib/panel/panel.py",
        "scripts/copy_spine.py",
        "tests/spine",
    } <= {*paths}


def test_the_guard_on_paths_can_fail() -> None:
    text = "`lib/nowhere.py`, `python3 scripts/none.py --x`, `lib/spine/schema.py`\n\n```\nscripts/no.py\n```\n"
    assert missing_paths(text) == ["lib/nowhere.py", "scripts/none.py"]
