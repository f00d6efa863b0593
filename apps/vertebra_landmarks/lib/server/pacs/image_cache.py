"""Cache of fetched files on the disk: bounded, shared by all processes of a working folder."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from filelock import FileLock

from ...spine.atomic_write import atomic_write
from ..store.store_context import SourceUnavailableError
from ..store.studies_folder import TEMPORARY_AGE_S

MIN_KEPT_S = 120.0
"""A file that was asked for within this time is not evicted, since somebody may be about to read it."""
MAX_NAMES = 5_000
DISK_FULL = "the disk of the working folder is full, so that images of the PACS cannot be kept: make room there"
_SPARE_BYTES = 1_000_000  # of a disk, beside a file that is to be added
_FULL = (errno.ENOSPC, errno.EDQUOT)
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
        self._estimate, self._added, self._lacking = 0, _RECOUNT_AFTER, 0
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

        Where the disk is full, files that are no longer in use make room.

        Raises:
            SourceUnavailableError: the disk is full of other things.
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
            content, path = retrieve(), self.path(name)
            try:
                _write(path, content)
            except OSError as error:
                if error.errno not in _FULL:
                    raise
                self._write_to_full_disk(path, content)
        self._lacking = 0
        self._note_added(len(content))
        return path

    def _write_to_full_disk(self, path: Path, content: bytes) -> None:
        self._evict(sum(size for _, size, _ in self._states()) - len(content))
        try:
            _write(path, content)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            self._lacking = len(content)
            raise SourceUnavailableError(DISK_FULL) from error

    @property
    def failure(self) -> str | None:
        """Why no file can be added now, as a sentence; ``None`` while some can."""
        is_full = self._lacking and shutil.disk_usage(self._files).free < self._lacking + _SPARE_BYTES
        return DISK_FULL if is_full else None

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
            self._evict(self._max_bytes)

    def _evict(self, max_bytes: int) -> None:
        """Remove the least recently used files until the others have at most so many bytes."""
        states = sorted(self._states())
        total, until = sum(size for _, size, _ in states), time.time_ns() - int(MIN_KEPT_S * 1e9)
        for used_ns, size, path in states:
            if total <= max_bytes or used_ns > until:
                break
            with suppress(OSError):  # open, on Windows
                path.unlink(missing_ok=True)
                total -= size
        self._estimate, self._added = total, 0


def _write(path: Path, content: bytes) -> None:
    with atomic_write(path) as temporary:
        with os.fdopen(os.open(temporary, _NEW_FILE, 0o600), "wb") as file:
            file.write(content)
        _note_used(temporary)


def _note_used(path: Path) -> None:
    os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))
