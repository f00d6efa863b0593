"""Atomic writes: a reader sees the old file or the whole new one, never a part."""

from __future__ import annotations

import os
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REPLACE_TIMEOUT_S = 1.5 if os.name == "nt" else 0.0
"""Windows replaces no file while it is open elsewhere; until then the replacement is tried again."""
_RETRY_INTERVAL_S = 0.05


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Context manager: a temporary path beside ``path``, which replaces it when the block ends without an error.

    Args:
        path: file to write or replace.

    Yields:
        The path to write to.

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
    deadline = time.monotonic() + REPLACE_TIMEOUT_S
    while True:
        try:
            temporary.replace(path)
            return
        except PermissionError:
            if time.monotonic() >= deadline:
                raise
        time.sleep(_RETRY_INTERVAL_S)


def check_writable(path: Path) -> None:
    """Raise early where a result could not be written; the folder is created.

    Raises:
        OSError: the path is a folder, or no file can be created in its folder.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder")
    with tempfile.TemporaryFile(dir=path.parent):
        pass
