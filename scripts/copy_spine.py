"""Copy the modules of ``lib/spine`` that the Slicer module needs, with their imports: ``python scripts/copy_spine.py``.

``--check`` copies nothing and reports whether the copy equals its source.
"""

from __future__ import annotations

import argparse
import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "apps" / "vertebra_landmarks" / "lib" / "spine"
COPY = ROOT / "slicer_module" / "VertebraLandmarks" / "VertebraLandmarksLib" / "spine"

NEEDED = (
    "schema",
    "atomic_write",
    "display",
    "image_suffixes",
    "imaging/image_frame",
    "imaging/planes",
    "overlay_geometry",
    "labels/markups",
    "labels/submission_warnings",
    "measurement/cobb",
    "measurement/anatomy",
    "measurement/angle_interval",
    "measurement/image_warnings",
    "measurement/measured_spine",
    "measurement/origin",
)
"""Modules that the Slicer module imports."""


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only; exit status 1 where they differ")
    return parser.parse_args(arguments)


def main() -> int:
    """Run the command; returns the exit status."""
    arguments = parse_arguments()
    if arguments.check:
        found = differences(SOURCE, COPY)
        for sentence in found:
            print(sentence, file=sys.stderr)
        if found:
            print("Run: python scripts/copy_spine.py", file=sys.stderr)
        return 1 if found else 0
    copy(SOURCE, COPY)
    print(f"{len(_present(COPY))} files in {COPY.relative_to(ROOT).as_posix()}")
    return 0


def files(source: Path, needed: tuple[str, ...] = NEEDED) -> list[str]:
    """Paths below ``source`` of the files to copy: those needed, what they import and their packages, sorted.

    Raises:
        OSError: one of them does not exist.
        ValueError: one imports from outside the folder, so that its copy would not work.
    """
    names: set[str] = set()
    pending = list(needed)
    while pending:
        name = f"{pending.pop()}.py"
        if name not in names:
            names.add(name)
            pending.extend(_imported(source, name))
            pending.append((Path(name).parent / "__init__").as_posix())
    return sorted(names)


def _imported(source: Path, name: str) -> list[str]:
    """Modules below ``source``, without their suffix, that one of its files imports."""
    nodes = ast.walk(ast.parse((source / name).read_text(encoding="utf-8")))
    modules = []
    for node in nodes:
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        folders = Path(name).parts[:-1]
        above = len(folders) - (node.level - 1)
        if above < 0:
            raise ValueError(f"{name} imports from above {source.name}, where the copy has nothing")
        base = [*folders[:above], *(node.module.split(".") if node.module else [])]
        of_names = ["/".join([*base, alias.name]) for alias in node.names]
        modules += [path for path in ["/".join(base), *of_names] if (source / f"{path}.py").is_file()]
    return modules


def _present(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*.py")}


def copy(source: Path, target: Path) -> None:
    """Make ``target`` hold the files of ``files(source)`` and no other Python file.

    Raises:
        OSError: a file cannot be read or written.
        ValueError: see ``files``.
    """
    contents = {name: (source / name).read_bytes() for name in files(source)}
    for stale in _present(target) - set(contents):
        (target / stale).unlink()
    for name, content in contents.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(content)


def differences(source: Path, target: Path) -> list[str]:
    """A sentence for every file that is missing in the copy, differs from its source, or has none."""
    wanted, present = files(source), _present(target)
    sentences = [f"{name} is missing in the copy." for name in wanted if name not in present]
    sentences += [f"{name} has no source." for name in sorted(present - set(wanted))]
    sentences += [
        f"{name} differs from its source."
        for name in wanted
        if name in present and (source / name).read_bytes() != (target / name).read_bytes()
    ]
    return sentences


if __name__ == "__main__":
    sys.exit(main())
