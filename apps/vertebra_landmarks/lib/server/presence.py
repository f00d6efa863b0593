"""Which servers of a studies folder live: each has a folder of its own, and holds a lock in it until it ends."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path

from filelock import FileLock, Timeout

GATE, ALIVE = "servers.lock", "alive.lock"


class Presence:
    """A folder that only this process uses, by which other processes see that it lives.

    The sign of life is a lock of the operating system and no row of the database: a process that crashes releases it.

    What servers that were killed have left goes when the next one begins; what all of them share, with the last one.

    Args:
        parent: of the folders of all servers; it is made, and goes with the last one.
        gate: folder of the lock by which servers come and go one at a time; it is made.
        shared: names below ``parent`` of what servers share.
    """

    def __init__(self, parent: Path, gate: Path, shared: tuple[str, ...] = ()) -> None:
        gate.mkdir(parents=True, exist_ok=True)
        self._parent, self._shared, self._gate = parent, shared, FileLock(gate / GATE, thread_local=False)
        with self._gate:
            parent.mkdir(exist_ok=True)
            self._remove_left(None)
            self.folder = Path(tempfile.mkdtemp(dir=parent))
            self._alive = FileLock(self.folder / ALIVE, thread_local=False)
            self._alive.acquire()

    def others(self) -> list[Path]:
        """Folders of the other processes that live."""
        return [path for path in self._folders() if path != self.folder and _lives(path)]

    def close(self) -> None:
        """Remove the folder and what is in it."""
        with self._gate:
            self._alive.release()
            self._remove_left(self.folder)
            with contextlib.suppress(OSError):  # others are there
                self._parent.rmdir()

    def _remove_left(self, ended: Path | None) -> None:
        """Remove the folders of the dead, and with the last of them what all have shared."""
        folders = self._folders()
        living = [path for path in folders if path != ended and _lives(path)]
        gone = set(folders) - set(living)
        for path in gone if living else gone | {self._parent / name for name in self._shared}:
            shutil.rmtree(path, ignore_errors=True)

    def _folders(self) -> list[Path]:
        return [path for path in self._parent.iterdir() if path.name not in self._shared]


def _lives(folder: Path) -> bool:
    """Whether somebody holds the lock of a folder."""
    try:
        with FileLock(folder / ALIVE, timeout=0):
            return False
    except Timeout:
        return True
    except (FileNotFoundError, NotADirectoryError):
        return False
