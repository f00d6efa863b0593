"""Temporary files that writers who were killed have left behind."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..filenames import is_inside
from .studies_folder import LABELS, StudiesFolder, remove_files

OLD_S = 3600.0
"""Nobody takes so long to write a label."""
_TEMPORARY = re.compile(r"\..*\.[0-9a-f]{12}\.tmp")


def remove_leftovers(folder: StudiesFolder) -> None:
    """Remove temporary files of labels, versions and notes that are older than an hour."""
    tops = (folder.path / LABELS, folder.own / "versions")
    remove_files(path for top in tops for path in _old_files(top, folder.path))
    remove_files(_old(folder.own, [path.name for path in folder.own.iterdir()]))


def _old_files(top: Path, studies: Path) -> Iterator[Path]:
    for place, _, names in os.walk(top):
        if is_inside(Path(place), studies):
            yield from _old(Path(place), names)


def _old(place: Path, names: Iterable[str]) -> Iterator[Path]:
    return (place / name for name in names if _TEMPORARY.fullmatch(name) and _age(place / name) > OLD_S)


def _age(path: Path) -> float:
    try:
        return time.time() - path.lstat().st_mtime
    except OSError:  # removed in this moment
        return 0.0
