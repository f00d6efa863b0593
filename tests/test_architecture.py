"""Guards on the sources: imports between tiers, sizes of files and folders, retired words, tracked files."""

from __future__ import annotations

import ast
import functools
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from lib import __version__

ROOT = Path(__file__).resolve().parent.parent
APP = ROOT / "apps" / "vertebra_landmarks"
SOURCES = sorted(path for top in ("apps", "scripts", "slicer_module", "tests") for path in (ROOT / top).rglob("*.py"))
LIB = [path for path in SOURCES if APP / "lib" in path.parents]
MODULE = ROOT / "slicer_module" / "VertebraLandmarks"
MODULE_LIB = [path for path in SOURCES if MODULE / "VertebraLandmarksLib" in path.parents]

SPINE = frozenset({"numpy", "lib.spine"})
EVALUATION = SPINE | {"lib.evaluation"}
PHANTOMS = SPINE | {"lib.phantoms"}
IMAGE_IO = SPINE | {"scipy", "PIL", "SimpleITK", "nibabel", "pydicom", "imagecodecs", "tifffile", "lib.image_io"}
STRUCTURED_REPORT = SPINE | {"pydicom", "highdicom", "lib.image_io", "lib.structured_report", "lib.__version__"}
DEIDENTIFICATION = IMAGE_IO | {"dicomanonymizer", "lib.deidentification"}
LEARNING = (
    EVALUATION
    | PHANTOMS
    | IMAGE_IO
    | {
        "torch",
        "monai",
        "scipy",
        "yaml",
        "tqdm",
        "lib.learning",
        "mlflow",
        "pydantic",
        "pydantic_core",
        "lib.__version__",
    }
)
REPORT = IMAGE_IO | {"reportlab", "bidi", "arabic_reshaper", "lib.report"}
STUDY = SPINE | {"yaml", "pydantic", "pydantic_core", "lib.study", "lib.learning.validation"}
AGREEMENT = SPINE | {"scipy", "lib.agreement", "lib.study.differences"}
WEB = {"fastapi", "starlette", "pydantic", "anyio", "jwt"}
HTTP = {"requests", "urllib3", "dicomweb_client"}
SERVER = LEARNING | REPORT | STUDY | WEB | HTTP | {"monailabel", "filelock", "psutil", "sqlalchemy", "watchdog"}
SERVER |= {"lib.server", "lib.structured_report", "lib.deidentification", "lib.agreement"}
ARCHIVE = LEARNING | {
    "lib.archive",
    "lib.server.config",
    "lib.server.pacs",
    "aiohttp",
    "filelock",
    "fsspec",
    "pyarrow",
}
"""Of the server, only its connection to a PACS."""
EXPORT = LEARNING | {"lib.export", "onnxruntime"}
BACKUP = SPINE | {
    "sqlalchemy",
    "filelock",
    "lib.backup",
    "lib.server.models",
    "lib.server.pacs.image_catalogue",
    "lib.server.store",
    "lib.server.worker_registry",
    "lib.learning.weights.weight_files",
    "lib.study.plan",
    "lib.__version__",
}
"""Of the server, only what lies in a studies folder."""
MAY_IMPORT = {
    "spine": SPINE,
    "evaluation": EVALUATION,
    "phantoms": PHANTOMS,
    "image_io": IMAGE_IO,
    "structured_report": STRUCTURED_REPORT,
    "deidentification": DEIDENTIFICATION,
    "report": REPORT,
    "study": STUDY,
    "agreement": AGREEMENT,
    "learning": LEARNING,
    "server": SERVER,
    "export": EXPORT,
    "archive": ARCHIVE | {"dask", "distributed"},
    "backup": BACKUP,
    "__init__.py": frozenset(),
}
"""What each tier may import besides the standard library."""

MODULE_TIERS = {
    "spine": (frozenset({"spine"}), frozenset({"numpy"})),
    "client": (frozenset({"spine"}), frozenset({"numpy"})),
    "editor": (frozenset({"spine", "client"}), frozenset({"numpy"})),
    "workflow": (frozenset({"spine", "client", "editor"}), frozenset({"numpy"})),
    "scene": (frozenset({"spine", "client", "editor"}), frozenset({"numpy", "slicer", "vtk"})),
    "panel": (
        frozenset({"spine", "client", "editor", "workflow", "scene"}),
        frozenset({"numpy", "slicer", "qt", "ctk"}),
    ),
}
"""Folders of the Slicer module's library: the folders and the libraries that each may import besides itself."""
SPEAKS_HTTP = frozenset({"client", "workflow"})
HTTP = ("http", "urllib.request", "socket", "ssl", *(f"VertebraLandmarksLib.client.{n}" for n in ("http", "api")))
"""What the other folders may not import: requests are the workflow's, on threads."""


def module_tier(path: Path) -> str:
    """The folder of the Slicer module's library that a file belongs to."""
    return path.relative_to(MODULE / "VertebraLandmarksLib").parts[0]


def may_import_in_module(folder: str) -> frozenset[str]:
    """What a folder of the Slicer module's library may import besides the standard library."""
    folders, libraries = MODULE_TIERS.get(folder, (frozenset(), frozenset()))
    return frozenset({f"VertebraLandmarksLib.{name}" for name in (folder, *folders)}) | libraries


NEEDS_TORCHVISION = (
    "torchvision",  # not installed: it does not load beside a CPU build of PyTorch
    "monailabel.deepedit",
    "monailabel.scribbles",
    "monailabel.tasks.infer.bundle",
    "monailabel.transform.post",
)
MAX_BYTES = 1_000_000
WEIGHTS = tuple(f"apps/vertebra_landmarks/model/vertebra_landmarks{held_out}.pt" for held_out in ("", "_fold0"))
MAX_WEIGHTS_BYTES = 40_000_000


ROOMS = {
    "spine": ("apps/vertebra_landmarks/lib/spine", "tests/spine"),
    "evaluation": ("apps/vertebra_landmarks/lib/evaluation", "tests/evaluation"),
    "phantoms": ("apps/vertebra_landmarks/lib/phantoms", "tests/phantoms"),
    "image_io": ("apps/vertebra_landmarks/lib/image_io", "tests/image_io"),
    "structured_report": ("apps/vertebra_landmarks/lib/structured_report", "tests/structured_report"),
    "deidentification": ("apps/vertebra_landmarks/lib/deidentification", "tests/deidentification"),
    "report": ("apps/vertebra_landmarks/lib/report", "tests/report"),
    "study": ("apps/vertebra_landmarks/lib/study", "tests/study"),
    "agreement": ("apps/vertebra_landmarks/lib/agreement", "tests/agreement"),
    "learning": ("apps/vertebra_landmarks/lib/learning", "tests/learning"),
    "server": ("apps/vertebra_landmarks/lib/server", "tests/server"),
    "export": ("apps/vertebra_landmarks/lib/export", "tests/export"),
    "archive": ("apps/vertebra_landmarks/lib/archive", "tests/archive"),
    "backup": ("apps/vertebra_landmarks/lib/backup", "tests/backup"),
    "slicer": ("slicer_module", "tests/slicer"),
    "scripts": ("scripts", "tests/scripts"),
    "browser": ("apps/vertebra_landmarks/browser", "tests/browser"),
    "harness": ("scripts/harness", "tests/scripts/harness"),
    "docs": ("docs", "README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md"),
}
"""Parts of the repository by name: folders and files; of two that match a path, it belongs to the longer one."""
CHECKED_ROOMS = tuple(ROOMS)
"""Parts whose sizes and words are checked."""

MAX_FILE_LINES, MAX_FUNCTION_LINES, MAX_FOLDER_ENTRIES = 500, 60, 13
MEDIAN_FILE_LINES = (100, 220)
"""Lowest and highest median size of source files; 130 to 200 lines are the aim."""
COMMANDS = "scripts"
"""The folder without a limit of entries: each command of the README is a file in it."""

RETIRED = {
    "all": (
        r"(?<!\.)_?(?:MOST|LEAST|LONGEST|FARTHEST|LARGEST|SMALLEST)_\w+",
        r"PATIENCE_S",
        r"(?<![\"'./<_`-])[Ff]ilms?(?![\"'_/>`:=])",
        r"(?<![\"'./-])[Pp]ictures?(?![\"'_])",
        r"within_anatomy|label_fit|text_decoding|labelled_films|LabelledFilm|films_json|known_frame",
        r"carried_along|replacing(?=\()|may_move|axis_of_word|itk_text_of",
        r"[Pp]encil|easel|PolygonSheet|BoneLook|body_parts",
    ),
    "learning": (
        r"made_up|within_anatomy|gross_errors|said_errors|around_fixed|leaning_to_normal|in_passing",
        r"SeenFilm|KnownFilms|FoundSpine|film_errors|_showing|_told|heldout|[Ss]topwatch",
    ),
    "server": (
        r"open_films?|OpenFilms?|GivenFilms|TaskBoard|task_board|tell_stage|kept_sessions|came_of_it",
        r"[Ss]ettling|make_way|let_go|thin_out|what_differs|_noting|_both|needs_of|leftovers",
        r"keep_patients_out_of_logs|note_label_facts_by_the_old_name|opinion_file",
    ),
    "slicer": (
        r"open_film|OpenFilm|film_is_gone|look_around|hang_up|dialing|may_ask_about|keep_then|take_up",
        r"questions_about|at_fault|picture_files|_showing",
    ),
}
"""Names of the old dialect as regular expressions of whole words: those of every part, and those of one.

The latter are looked for in all checked parts as soon as the part that they belong to is checked.
"""


def is_within(name: str, packages: frozenset[str] | tuple[str, ...]) -> bool:
    """Whether a dotted name is one of the packages or lies in one."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


@functools.cache
def imports(source: str, package: str = "") -> tuple[str, ...]:
    """Dotted names that a source imports, wherever in it; ``package`` is what its relative imports start from."""
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: 1 - node.level or None] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names += [f"{base}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Call) and dotted_name(node.func) in ("__import__", "importlib.import_module"):
            names.append(f"{dotted_name(node.func)}(...)")
    return tuple(names)


def dotted_name(node: ast.expr) -> str:
    """``a`` or ``a.b``; empty for any other expression."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def forbidden_imports(source: str, package: str, allowed: frozenset[str]) -> list[str]:
    """Imports of a source in ``package`` that are neither the standard library nor ``allowed``."""
    names = imports(source, package)
    return [
        name for name in names if name.split(".")[0] not in sys.stdlib_module_names and not is_within(name, allowed)
    ]


def touches_sys_path(source: str) -> bool:
    """Whether a source reads or changes the module search path."""
    if not re.search(r"\b(?:sys|site)\b", source):
        return False
    attributes = {dotted_name(node) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)}
    return bool({"sys.path", "site.addsitedir"} & attributes) or "sys.path" in imports(source)


def package_of(path: Path, top: Path = APP) -> str:
    """Dotted name of the package that a file below ``top`` belongs to."""
    return ".".join(path.parent.relative_to(top).parts)


def too_large(sizes: dict[str, int]) -> list[str]:
    """Files above the limit, other than the weights."""
    return [name for name, size in sizes.items() if size > MAX_BYTES and name not in WEIGHTS]


def top_version(changelog: str) -> str | None:
    """Version of the first entry of a Keep a Changelog file that has one."""
    found = re.search(r"^## \[(\d[^\]]*)\]", changelog, re.MULTILINE)
    return found.group(1) if found else None


def tier(path: Path) -> str:
    """The part of ``lib`` that a file belongs to."""
    return path.relative_to(APP / "lib").parts[0]


def syntax_error(source: str, version: tuple[int, int]) -> str | None:
    """Why a Python of that version cannot read the source."""
    try:
        ast.parse(source, feature_version=version)
    except SyntaxError as error:
        return str(error)
    return None


def offences(paths: list[Path], check: Callable[[Path, str], object]) -> dict[str, object]:
    """What a check finds in the files, by file name; files without a finding are left out."""
    found = {path.relative_to(ROOT).as_posix(): check(path, path.read_text(encoding="utf-8")) for path in paths}
    return {name: finding for name, finding in found.items() if finding}


def room_of(path: Path) -> str | None:
    """The part of the repository that a file belongs to."""
    name = path.relative_to(ROOT).as_posix()
    folders = [(folder, room) for room, names in ROOMS.items() for folder in names]
    matching = [(folder, room) for folder, room in folders if name == folder or name.startswith(f"{folder}/")]
    return max(matching, key=lambda pair: len(pair[0]))[1] if matching else None


def checked(paths: Iterable[Path]) -> list[Path]:
    """The files of checked parts."""
    return [path for path in paths if room_of(path) in CHECKED_ROOMS]


def long_functions(source: str) -> list[str]:
    """Functions with too many lines."""
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    return [node.name for node in nodes if (node.end_lineno or 0) - node.lineno + 1 > MAX_FUNCTION_LINES]


def crowded_folders(paths: Iterable[Path]) -> dict[str, int]:
    """Folders with too many modules and packages, and how many each has; ``__init__.py`` does not count."""
    entries: dict[Path, set[str]] = {}
    for path in paths:
        for folder in path.parents:
            if folder != ROOT and ROOT in folder.parents:
                entries.setdefault(folder, set()).add(path.relative_to(folder).parts[0])
    sizes = {folder.relative_to(ROOT).as_posix(): len(names - {"__init__.py"}) for folder, names in entries.items()}
    return {name: size for name, size in sizes.items() if size > MAX_FOLDER_ENTRIES and name != COMMANDS}


def retired_words(text: str, owners: Iterable[str] = ("all", *CHECKED_ROOMS)) -> set[str]:
    """Words of the old dialect that a text has, of everybody and of some parts."""
    patterns = "|".join(pattern for owner in owners for pattern in RETIRED.get(owner, ()))
    return {match.group() for match in re.finditer(rf"(?<!\w)(?:{patterns})(?!\w)", text)}


def test_the_guards_see_the_sources() -> None:
    assert {tier(path) for path in LIB} == set(MAY_IMPORT)
    assert ROOT / "scripts" / "_app_path.py" in SOURCES


def test_lib_imports_point_downwards_only() -> None:
    assert offences(LIB, lambda path, source: forbidden_imports(source, package_of(path), MAY_IMPORT[tier(path)])) == {}


def test_dask_is_imported_by_one_module_of_archives() -> None:
    paths = [path for path in LIB if tier(path) == "archive" and path.name != "cluster.py"]
    assert paths
    assert offences(paths, lambda path, source: forbidden_imports(source, package_of(path), ARCHIVE)) == {}


def test_what_the_base_installation_runs_imports_no_extra_package() -> None:
    """``scripts/predict.py`` uses the records and tables of archives."""
    archive, plain = APP / "lib" / "archive", LEARNING | {"lib.archive"}
    names = "__init__", "extras", "results/__init__", "results/record", "results/tables"
    paths = [archive / f"{name}.py" for name in names]
    assert offences(paths, lambda path, source: forbidden_imports(source, package_of(path), plain)) == {}


@pytest.mark.parametrize(
    ("package", "source"),
    [
        pytest.param("lib.spine", "import torch", id="spine imports torch"),
        pytest.param("lib.spine", "from ..learning import codec", id="spine imports learning"),
        pytest.param("lib.spine", "from .. import learning", id="spine imports learning as a name"),
        pytest.param("lib.phantoms", "from ...learning.codec import decode", id="two packages up"),
        pytest.param("lib.spine", "from lib.server import infer", id="spine imports server by its full name"),
        pytest.param("lib.spine", "import scipy.ndimage", id="spine imports scipy"),
        pytest.param("lib.spine", "def f():\n    import torch", id="inside a function"),
        pytest.param("lib.spine", "import numpy, torch", id="second of two"),
        pytest.param("lib.spine", "if TYPE_CHECKING:\n    from torch import Tensor", id="for types only"),
        pytest.param("lib.spine", "import numpyish", id="a name that only begins alike"),
        pytest.param("lib.structured_report", "from ..server import store", id="structured_report imports server"),
        pytest.param("lib.structured_report", "from dicomweb_client import api", id="structured_report speaks HTTP"),
        pytest.param("lib.report", "from ..learning.data.image_views import warp", id="report imports learning"),
        pytest.param("lib.learning", "from ..server.config import ServerConfig", id="learning imports server"),
        pytest.param("lib.learning", "from monailabel.config import settings", id="learning imports monailabel"),
        pytest.param("lib.archive", "from ..server.store import datastore", id="archive imports the store"),
        pytest.param("lib.server", "from ..archive.plan import Plan", id="server imports archive"),
        pytest.param("lib.export", "from ..server.config import ServerConfig", id="export imports server"),
        pytest.param("lib.server", "import flask", id="server imports something else"),
        pytest.param("lib.server", "import main", id="server imports the app"),
    ],
)
def test_the_import_rule_can_fail(package: str, source: str) -> None:
    assert forbidden_imports(source, package, MAY_IMPORT[package.split(".")[1]])


@pytest.mark.parametrize(
    ("package", "source"),
    [
        pytest.param("lib.spine", "from __future__ import annotations\nimport json, numpy as np", id="spine"),
        pytest.param("lib.spine", "from .schema import Spine\nfrom . import geometry", id="spine within itself"),
        pytest.param("lib.phantoms", "from ..spine.schema import Spine\nfrom .spec import S", id="phantoms"),
        pytest.param("lib.learning", "from ..spine import schema\nfrom .codec import encode", id="learning"),
        pytest.param("lib.server", "from .. import __version__\nfrom ..learning.config import C", id="server"),
    ],
)
def test_the_import_rule_allows_downward_imports(package: str, source: str) -> None:
    assert forbidden_imports(source, package, MAY_IMPORT[package.split(".")[1]]) == []


def forbidden_in_module(folder: str, package: str, source: str) -> list[str]:
    """Imports of a source that its folder of the Slicer module's library must not have."""
    found = forbidden_imports(source, package, may_import_in_module(folder))
    if folder in SPEAKS_HTTP:
        return found
    return [*found, *(name for name in imports(source, package) if is_within(name, HTTP))]


def test_the_slicer_module_imports_point_downwards_only() -> None:
    assert {module_tier(path) for path in MODULE_LIB} == {*MODULE_TIERS, "__init__.py"}

    def check(path: Path, source: str) -> list[str]:
        return forbidden_in_module(module_tier(path), package_of(path, MODULE), source)

    assert offences(MODULE_LIB, check) == {}


@pytest.mark.parametrize(
    ("package", "source"),
    [
        pytest.param("spine", "from ..client.errors import ServerError", id="spine looks up"),
        pytest.param("client", "import slicer", id="client imports slicer"),
        pytest.param("client", "def f():\n    import qt", id="client imports qt"),
        pytest.param("client", "import requests", id="client imports what is not there"),
        pytest.param("workflow", "from ..scene.logic import L", id="workflow imports scene"),
        pytest.param("workflow.actions", "from ...panel.settings import S", id="an action imports the panel"),
        pytest.param("editor", "from ..workflow.state import S", id="editor imports workflow"),
        pytest.param("scene", "import qt", id="scene imports qt"),
        pytest.param("scene", "from ..panel.panel import P", id="scene imports panel"),
        pytest.param("scene", "from ..client.api import Client", id="scene asks the server"),
        pytest.param("panel", "import urllib.request", id="panel asks the server"),
        pytest.param("panel.sections", "from ...client.http import C", id="a section asks the server"),
        pytest.param("panel.sections", "import vtk", id="a section draws"),
    ],
)
def test_the_import_rule_of_the_slicer_module_can_fail(package: str, source: str) -> None:
    assert forbidden_in_module(package.split(".")[0], f"VertebraLandmarksLib.{package}", source)


@pytest.mark.parametrize(
    ("package", "source"),
    [
        pytest.param("client", "import http.client\nfrom .errors import E", id="client"),
        pytest.param("scene", "import slicer, vtk\nfrom ..editor.spine_editor import E", id="scene"),
        pytest.param("panel.sections", "import qt\nfrom ...workflow.state import S", id="panel"),
    ],
)
def test_the_import_rule_of_the_slicer_module_allows_downward_imports(package: str, source: str) -> None:
    assert forbidden_in_module(package.split(".")[0], f"VertebraLandmarksLib.{package}", source) == []


def test_lib_imports_nothing_by_a_computed_name() -> None:
    sources = [*LIB, *MODULE_LIB]
    assert offences(sources, lambda _, source: [name for name in imports(source) if name.endswith("(...)")]) == {}


@pytest.mark.parametrize("call", ["__import__('torch')", "importlib.import_module(name)"])
def test_the_guard_on_computed_names_can_fail(call: str) -> None:
    assert [name for name in imports(call) if name.endswith("(...)")]


def test_nothing_needs_torchvision() -> None:
    assert offences(SOURCES, lambda _, source: [n for n in imports(source) if is_within(n, NEEDS_TORCHVISION)]) == {}


@pytest.mark.parametrize(
    "source",
    ["import torchvision.ops", "from monailabel.transform import post", "from monailabel.transform.post import R"],
)
def test_the_guard_on_torchvision_can_fail(source: str) -> None:
    assert any(is_within(name, NEEDS_TORCHVISION) for name in imports(source))


def test_only_what_begins_a_process_touches_sys_path() -> None:
    found = offences(SOURCES, lambda _, source: touches_sys_path(source))
    assert list(found) == ["scripts/_app_path.py", "scripts/harness/fork_server.py"]


@pytest.mark.parametrize(
    "source", ["import sys\nsys.path.append('x')", "from sys import path", "import site\nsite.addsitedir('x')"]
)
def test_the_guard_on_sys_path_can_fail(source: str) -> None:
    assert touches_sys_path(source)


def test_what_slicer_runs_is_valid_python_3_9() -> None:
    sources = [path for path in SOURCES if ROOT / "slicer_module" in path.parents]
    spine = [path for path in LIB if tier(path) == "spine"]
    assert sources
    assert offences([*sources, *spine], lambda _, source: syntax_error(source, (3, 9))) == {}


def test_the_guard_on_python_3_9_can_fail() -> None:
    assert syntax_error("match x:\n    case 1:\n        pass", (3, 9))


def test_changelog_begins_with_the_present_version() -> None:
    assert top_version((ROOT / "CHANGELOG.md").read_text(encoding="utf-8")) == __version__


def test_top_version_reads_the_first_numbered_entry() -> None:
    changelog = "# Changelog\n\n## [Unreleased]\n\n## [0.2.0] - 2026-01-01\n\n## [0.1.0]\n"
    assert top_version(changelog) == "0.2.0"
    assert top_version("# Changelog\n") is None


def test_no_large_file_is_tracked() -> None:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("no git, or not a clone: the tracked files are unknown")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    names = [name for name in listed.decode().split("\0") if name]
    assert names
    assert too_large({name: (ROOT / name).stat().st_size for name in names if (ROOT / name).is_file()}) == []


def test_the_weights_stay_light() -> None:
    assert sum((ROOT / name).stat().st_size for name in WEIGHTS) <= MAX_WEIGHTS_BYTES


def test_the_guard_on_large_files_can_fail() -> None:
    assert too_large({"docs/image.png": MAX_BYTES + 1, WEIGHTS[0]: 20_000_000, "README.md": 100}) == ["docs/image.png"]


PRODUCT = [path for path in SOURCES if ROOT / "tests" not in path.parents]
FOLDERS = ("apps", "docs", "scripts", "slicer_module", "tests")
SUFFIXES = (".css", ".html", ".js", ".md", ".py", ".ui")
TEXTS = [path for top in FOLDERS for path in (ROOT / top).rglob("*.*") if path.suffix in SUFFIXES]
TEXTS = sorted({*TEXTS, *ROOT.glob("*.md")} - {*(APP / "browser" / "vendor").glob("*")})


@pytest.mark.parametrize("room", CHECKED_ROOMS)
def test_files_functions_and_folders_are_small(room: str) -> None:
    paths = [path for path in PRODUCT if room_of(path) == room]
    assert paths or room in ("browser", "docs")
    assert offences(paths, lambda _, source: max(0, len(source.splitlines()) - MAX_FILE_LINES)) == {}
    assert offences(paths, lambda _, source: long_functions(source)) == {}
    assert crowded_folders(paths) == {}


def test_the_median_source_file_is_neither_tiny_nor_large() -> None:
    paths = [path for path in checked(PRODUCT) if path.name != "__init__.py"]
    median = statistics.median(len(path.read_text(encoding="utf-8").splitlines()) for path in paths)
    assert MEDIAN_FILE_LINES[0] <= median <= MEDIAN_FILE_LINES[1]


@pytest.mark.parametrize("room", CHECKED_ROOMS)
def test_retired_words_occur_nowhere(room: str) -> None:
    paths = [path for path in TEXTS if room_of(path) == room]
    assert paths
    assert offences(paths, lambda _, text: sorted(retired_words(text))) == {}


def test_the_guards_on_sizes_can_fail() -> None:
    source = "def f():\n" + "    pass\n" * MAX_FUNCTION_LINES
    assert long_functions(source) == ["f"]
    assert long_functions(source.replace("    pass\n", "", 1)) == []
    folder = APP / "lib" / "crowded"
    modules = [folder / f"{number}.py" for number in range(MAX_FOLDER_ENTRIES + 1)]
    assert crowded_folders([*modules, folder / "__init__.py"]) == {"apps/vertebra_landmarks/lib/crowded": len(modules)}
    assert crowded_folders([*modules[1:], folder / "__init__.py"]) == {}
    assert crowded_folders([ROOT / COMMANDS / path.name for path in modules]) == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the film was read", {"film"}),
        ('gate["films"] and "film_001.png" and arguments.films and --films and films_found', set()),
        ("_LEAST_GAP = MOST_WORKERS", {"_LEAST_GAP", "MOST_WORKERS"}),
        ("with replacing(path): replacing a file", {"replacing"}),
        ("def came_of_it(): ...", {"came_of_it"}),
        ("an image, a Radiograph, MAX_PIXELS", set()),
    ],
)
def test_retired_words_are_found_as_whole_words(text: str, expected: set[str]) -> None:
    assert retired_words(text, RETIRED) == expected


def test_every_source_belongs_to_a_part() -> None:
    outside = {path.relative_to(ROOT).as_posix() for path in PRODUCT if room_of(path) is None}
    assert outside == {f"apps/vertebra_landmarks/{name}" for name in ("main.py", "lib/__init__.py")}
    assert room_of(ROOT / "scripts" / "harness" / "local_server.py") == "harness"
