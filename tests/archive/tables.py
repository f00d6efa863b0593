"""CSV files that the tests of archives write and read."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path


def table(folder: Path, name: str) -> list[dict[str, str]]:
    """The rows of a table."""
    with (folder / name).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def sorted_lines(folder: Path, name: str) -> list[str]:
    """The lines of a table without their order."""
    return sorted((folder / name).read_text(encoding="utf-8").splitlines())


def write_csv(path: Path, *rows: Sequence[object]) -> Path:
    """Write a manifest."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)
    return path
