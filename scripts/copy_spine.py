"""Copy what the Slicer module needs of ``lib/spine``, with all it imports there: ``python scripts/copy_spine.py``.

``--check`` copies nothing and says whether the copy is as its source.
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
    "__init__",
    "schema",
    "markups",
    "files",
    "curves",
    "anatomy",
    "display",
    "image_frame",
    "image_suffixes",
    "image_warnings",
    "reader_error",
    "angle_interval",
    "planes",
)
"""What the module itself imports."""


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
    print(f"{len(list(COPY.glob('*.py')))} files in {COPY.relative_to(ROOT).as_posix()}")
    return 0


def files(source: Path, needed: tuple[str, ...] = NEEDED) -> list[str]:
    """Names of the files to copy: those needed and what they import beside them, sorted.

    Raises:
        OSError: one of them is not there.
        ValueError: one imports from outside the folder, so that its copy would not work.
    """
    found: set[str] = set()
    waiting = list(needed)
    while waiting:
        name = f"{waiting.pop()}.py"
        if name not in found:
            found.add(name)
            waiting.extend(_siblings((source / name).read_text(encoding="utf-8"), name))
    return sorted(found)


def _siblings(text: str, name: str) -> list[str]:
    """Modules of the same folder that a source imports."""
    relative = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom) and node.level]
    if any(node.level > 1 for node in relative):
        raise ValueError(f"{name} imports from above its folder, where the copy has nothing")
    return [module for node in relative for module in ([node.module] if node.module else [a.name for a in node.names])]


def copy(source: Path, target: Path) -> None:
    """Make ``target`` hold the files of ``files(source)`` and no other Python file.

    Raises:
        OSError: a file cannot be read or written.
        ValueError: see ``files``.
    """
    contents = {name: (source / name).read_bytes() for name in files(source)}
    target.mkdir(parents=True, exist_ok=True)
    for stale in set(target.glob("*.py")) - {target / name for name in contents}:
        stale.unlink()
    for name, content in contents.items():
        (target / name).write_bytes(content)


def differences(source: Path, target: Path) -> list[str]:
    """A sentence for every file that is missing in the copy, is not the same byte for byte, or has no source."""
    wanted = files(source)
    present = {path.name for path in target.glob("*.py")}
    sentences = [f"{name} is missing in the copy." for name in wanted if name not in present]
    sentences += [f"{name} has no business in the copy." for name in sorted(present - set(wanted))]
    sentences += [
        f"{name} is not as its source."
        for name in wanted
        if name in present and (source / name).read_bytes() != (target / name).read_bytes()
    ]
    return sentences


if __name__ == "__main__":
    sys.exit(main())
