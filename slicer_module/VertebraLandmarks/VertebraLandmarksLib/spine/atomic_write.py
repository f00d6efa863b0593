"""Writing files so that a reader sees the old file or the whole new one, never a part."""

from __future__ import annotations

import os
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE_S = 1.5 if os.name == "nt" else 0.0
"""On Windows no file can be replaced while somebody reads it, which is over soon."""
_PAUSE_S = 0.05


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside ``path``; what was written there takes its place when the block ends well.

    Args:
        path: file to write or replace.

    Yields:
        The name to write to.

    Raises:
        OSError: the file cannot be written; the old one is untouched and nothing is left behind.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name[:80]}.{uuid.uuid4().hex[:12]}.tmp")
    try:
        yield temporary
        _replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _replace(temporary: Path, path: Path) -> None:
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            temporary.replace(path)
            return
        except PermissionError:
            if time.monotonic() >= end:
                raise
        time.sleep(_PAUSE_S)


def check_writable(path: Path) -> None:
    """Make sure that a file can be written, before the work whose result it is to hold; its folder is made.

    Raises:
        OSError: it is a folder, or its folder takes no file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder")
    with tempfile.TemporaryFile(dir=path.parent):
        pass
