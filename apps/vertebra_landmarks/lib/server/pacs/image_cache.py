"""Cache of fetched files on the disk: bounded, shared by all processes of a working folder."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from filelock import FileLock

from ...spine.atomic_write import atomic_write
from ..store.studies_folder import TEMPORARY_AGE_S

MIN_KEPT_S = 120.0
"""A file that was asked for within this time is not evicted, since somebody may be about to read it."""
MAX_NAMES = 5_000
_LOCKS = 256
_LOCK_POLL_INTERVAL_S = 0.01
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
_RECOUNT_AFTER = 64  # files, since other processes add some as well


class ImageCache:
    """Files by name, the least recently used evicted first; nobody but their owner can read them.

    Args:
        folder: of the files; it is made.
        max_bytes: size of all files together, which files in use may exceed for a while.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._files, self._locks, self._max_bytes = folder / "images", folder / "locks", max_bytes
        for path in (self._files, self._locks):
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._estimate, self._added = 0, _RECOUNT_AFTER
        for path in self._files.glob(".*.tmp"):  # of killed processes
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > TEMPORARY_AGE_S:
                    path.unlink()

    def path(self, name: str) -> Path:
        """Where a file lies if it is cached."""
        return self._files / name

    def find(self, name: str) -> Path | None:
        """Path of a cached file, which counts as used now; ``None`` where it is not cached."""
        path = self.path(name)
        try:
            _note_used(path)
        except FileNotFoundError:
            return None
        return path

    def fetch(self, name: str, retrieve: Callable[[], bytes]) -> Path:
        """Path of a file, retrieved once where several threads and processes ask for it.

        Raises:
            OSError: it cannot be written, or what ``retrieve`` raises.
        """
        cached = self.find(name)
        if cached is not None:
            return cached
        stripe = hashlib.sha256(name.encode()).digest()[0] % _LOCKS
        with FileLock(self._locks / f"{stripe:03d}").acquire(poll_interval=_LOCK_POLL_INTERVAL_S):
            cached = self.find(name)
            if cached is not None:
                return cached
            content = retrieve()
            path = self.path(name)
            with atomic_write(path) as temporary:
                descriptor = os.open(
                    temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600
                )
                with os.fdopen(descriptor, "wb") as file:
                    file.write(content)
                _note_used(temporary)
        self._note_added(len(content))
        return path

    def drop(self, name: str) -> None:
        """Remove a file, if it is cached."""
        with suppress(OSError):
            self.path(name).unlink()

    def names(self) -> list[str]:
        """Names of the cached files, the most recently used first, at most ``MAX_NAMES``."""
        return [path.name for _, _, path in sorted(self._states(), reverse=True)[:MAX_NAMES]]

    def size(self) -> tuple[int, int]:
        """Number of cached files, and their bytes."""
        sizes = [size for _, size, _ in self._states()]
        return len(sizes), sum(sizes)

    def _states(self) -> list[tuple[int, int, Path]]:
        """Time of the last use in ns, size in bytes, and path of each file."""
        states = []
        with os.scandir(self._files) as entries:
            for entry in entries:
                if not entry.name.startswith("."):
                    with suppress(FileNotFoundError):
                        state = entry.stat()
                        states.append((state.st_atime_ns, state.st_size, Path(entry.path)))
        return states

    def _note_added(self, size: int) -> None:
        self._estimate += size
        self._added += 1
        if self._added >= _RECOUNT_AFTER or self._estimate > self._max_bytes:
            self._evict()

    def _evict(self) -> None:
        """Remove the least recently used files until the others fit."""
        states = sorted(self._states())
        total, until = sum(size for _, size, _ in states), time.time_ns() - int(MIN_KEPT_S * 1e9)
        for used_ns, size, path in states:
            if total <= self._max_bytes or used_ns > until:
                break
            with suppress(OSError):  # open, on Windows
                path.unlink(missing_ok=True)
                total -= size
        self._estimate, self._added = total, 0


def _note_used(path: Path) -> None:
    os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))
