"""What the extension is packaged from: every file listed, every widget named, catalogue entry as Slicer wants it."""

from __future__ import annotations

import ast
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import jsonschema
import pytest
from PIL import Image

from slicer_snapshot import STATES

pytestmark = pytest.mark.slicer

ROOT = Path(__file__).resolve().parents[2]
EXTENSION = ROOT / "slicer_module"
MODULE = EXTENSION / "VertebraLandmarks"
UI = MODULE / "Resources" / "UI" / "VertebraLandmarks.ui"
PYTHON = sorted(EXTENSION.rglob("*.py"))
PANEL = sorted((MODULE / "VertebraLandmarksLib" / "panel").rglob("*.py"))

CATALOGUE = {
    "type": "object",
    "required": ["$schema", "category", "scm_url"],
    "additionalProperties": False,
    "properties": {
        "$schema": {
            "const": "https://raw.githubusercontent.com/Slicer/Slicer/main/Schemas/"
            "slicer-extension-catalog-entry-schema-v1.0.2.json#"
        },
        "category": {"type": "string", "minLength": 1},
        "scm_url": {"type": "string", "minLength": 1},
        "scm_revision": {"type": "string"},
        "scm_type": {"enum": ["git", "local"]},
        "build_dependencies": {"type": "array", "items": {"type": "string"}},
        "dicom_support_rule": {"type": "string"},
        "build_subdirectory": {"type": "string"},
        "enabled": {"type": "boolean"},
        "tier": {"type": "integer", "minimum": 1, "maximum": 5},
    },
}
"""The rules of version 1.0.2 of Slicer's schema for catalogue entries."""


def listed(text: str, variable: str) -> list[str]:
    """Files in a ``set(...)`` of a CMake list, with the module's name put in."""
    found = re.search(rf"set\({variable}\s(.*?)\)", text, re.DOTALL)
    return found.group(1).replace("${MODULE_NAME}", "VertebraLandmarks").split() if found else []


def names_in_ui() -> dict[str, ET.Element]:
    """Widgets of the panel by name, without plain labels and containers that Designer numbered and the root."""
    widgets = list(ET.parse(UI).getroot().iter("widget"))[1:]
    numbered = re.compile(r"(label|frame|widget)_\d+$")
    return {widget.attrib["name"]: widget for widget in widgets if not numbered.match(widget.attrib["name"])}


def uses(source: str) -> set[str]:
    """Names read as ``….ui.NAME`` or ``ui.NAME``."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute):
            owner = node.value
            last = owner.attr if isinstance(owner, ast.Attribute) else owner.id if isinstance(owner, ast.Name) else ""
            if last in ("ui", "_ui"):
                found.add(node.attr)
    return found


def test_every_file_is_listed_and_nothing_else() -> None:
    text = (MODULE / "CMakeLists.txt").read_text(encoding="utf-8")
    kept = {path for path in MODULE.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    kept -= {path for path in kept if path.name == "CMakeLists.txt" or MODULE / "Testing" in path.parents}
    scripts = {path.relative_to(MODULE).as_posix() for path in kept if path.suffix == ".py"}
    resources = {path.relative_to(MODULE).as_posix() for path in kept if path.suffix != ".py"}
    assert listed(text, "MODULE_PYTHON_SCRIPTS") == sorted(scripts)
    assert listed(text, "MODULE_PYTHON_RESOURCES") == sorted(resources)


def test_every_test_is_listed() -> None:
    folder = MODULE / "Testing" / "Python"
    text = (folder / "CMakeLists.txt").read_text(encoding="utf-8")
    assert re.findall(r"SCRIPT (\S+)\)", text) == [path.name for path in sorted(folder.glob("*.py"))]
    assert "add_subdirectory(Testing/Python)" in (MODULE / "CMakeLists.txt").read_text(encoding="utf-8")


def test_the_catalogue_entry_is_valid() -> None:
    entry = json.loads((EXTENSION / "VertebraLandmarks.json").read_text(encoding="utf-8"))
    jsonschema.validate(entry, CATALOGUE)
    assert entry["category"] in (EXTENSION / "CMakeLists.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("path", "side"),
    [
        pytest.param(EXTENSION / "VertebraLandmarks.png", 128, id="extension"),
        pytest.param(MODULE / "Resources" / "Icons" / "VertebraLandmarks.png", 64, id="module"),
    ],
)
def test_icons_are_square_and_small(path: Path, side: int) -> None:
    assert Image.open(path).size == (side, side)
    assert path.stat().st_size < 20_000


def test_pictures_of_the_readme_are_there_and_small() -> None:
    linked = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", (EXTENSION / "README.md").read_text(encoding="utf-8"))
    assert sorted(linked) == sorted(f"Screenshots/{path.name}" for path in (EXTENSION / "Screenshots").iterdir())
    assert {state.removesuffix(".png").removeprefix("Screenshots/") for state in linked} == set(STATES)
    assert [name for name in linked if (EXTENSION / name).stat().st_size >= 300_000] == []


def test_every_widget_that_is_used_exists_and_every_one_that_exists_is_used() -> None:
    used = set().union(*(uses(path.read_text(encoding="utf-8")) for path in PANEL))
    assert used == set(names_in_ui())


def test_everything_one_can_use_says_what_it_does() -> None:
    silent = [
        name
        for name, widget in names_in_ui().items()
        if widget.find("./property[@name='toolTip']/string") is None and name not in ("noticeLabel", "taskLabel")
    ]
    assert silent == []


def test_the_tab_order_names_every_control_once_in_the_order_of_the_panel() -> None:
    root = ET.parse(UI).getroot()
    order = [stop.text for stop in root.iter("tabstop")]
    takes_focus = ("QPushButton", "QToolButton", "QLineEdit", "QComboBox", "QCheckBox", "QSpinBox", "QDoubleSpinBox")
    controls = [
        name
        for name, widget in names_in_ui().items()
        if widget.attrib["class"] in (*takes_focus, "QTableWidget", "ctkCollapsibleButton")
    ]
    assert order == controls


@pytest.mark.parametrize("path", PYTHON, ids=[path.relative_to(EXTENSION).as_posix() for path in PYTHON])
def test_sources_are_read_by_python_3_9(path: Path) -> None:
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))


def test_the_library_stays_within_what_slicer_brings() -> None:
    import sys

    allowed = set(sys.stdlib_module_names) | {"numpy", "slicer", "vtk", "qt", "ctk", "VertebraLandmarksLib"}
    foreign = {}
    for path in PYTHON:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            foreign.update({name: path.name for name in names if name.split(".")[0] not in allowed})
    assert foreign == {}
