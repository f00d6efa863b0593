"""A copy of the sources that a module needs, found by following its imports."""

from __future__ import annotations

import ast
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

LIB = Path(__file__).resolve().parents[1]
"""The package whose sources are copied."""


def imported_sources(module: Path) -> list[Path]:
    """A module of ``lib``, every module of ``lib`` that it imports, wherever in it, and so on, with their packages.

    Returns:
        Paths in order.
    """
    found, pending = set[Path](), [module.resolve()]
    while pending:
        path = pending.pop()
        if path in found or not path.is_file():
            continue
        found.add(path)
        pending.extend(_imports_of(path))
    return sorted(found)


def _imports_of(path: Path) -> Iterator[Path]:
    """Modules and packages of ``lib`` that a source names in relative imports, and the packages that it lies in."""
    for folder in path.relative_to(LIB).parents:
        yield LIB / folder / "__init__.py"
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            yield from _modules([base, *(base / alias.name for alias in node.names)])


def _modules(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        yield path.with_suffix(".py")
        yield path / "__init__.py"


def copy_sources(module: Path, folder: Path) -> None:
    """Put ``imported_sources`` of a module in a package ``lib`` in a folder; they import each other as before.

    Raises:
        OSError: a file cannot be written.
    """
    for source in imported_sources(module):
        target = folder / "lib" / source.relative_to(LIB)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def copy_flat(modules: Iterable[Path], folder: Path) -> None:
    """Put single modules side by side in a folder; their relative imports become absolute ones of the last part.

    Raises:
        OSError: a file cannot be written.
    """
    for module in modules:
        text = re.sub(r"^from \.[\w.]*?(\w+) import", r"from \1 import", module.read_text("utf-8"), flags=re.MULTILINE)
        (folder / module.name).write_text(text, encoding="utf-8")
