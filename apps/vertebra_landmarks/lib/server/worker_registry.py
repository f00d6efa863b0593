"""Lock-based liveness of the server processes of a studies folder: each holds a lock in a folder of its own."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path

from filelock import FileLock, Timeout

GATE, ALIVE = "servers.lock", "alive.lock"
UPLOADS, SESSIONS = ".uploads", "sessions"
"""Folder below the studies with those of the processes, and the one in it that all servers of the studies share."""


class WorkerRegistry:
    """Registers this process by a private folder with a held lock, and finds the other processes that are alive.

    The next process to start removes what killed ones have left; the last one to end removes what all of them share.

    Args:
        parent: of the folders of all processes; it is made, and removed with the last one.
        gate: folder of the lock that serializes starts and ends; it is made.
        shared: names below ``parent`` of what the processes share.
    """

    def __init__(self, parent: Path, gate: Path, shared: tuple[str, ...] = ()) -> None:
        gate.mkdir(parents=True, exist_ok=True)
        self._parent, self._shared, self._gate = parent, shared, FileLock(gate / GATE, thread_local=False)
        with self._gate:
            parent.mkdir(exist_ok=True)
            self._remove_stale(None)
            self.folder = Path(tempfile.mkdtemp(dir=parent))
            self._alive = FileLock(self.folder / ALIVE, thread_local=False)
            self._alive.acquire()

    def others(self) -> list[Path]:
        """Folders of the other processes that are alive."""
        return [path for path in self._folders() if path != self.folder and _is_alive(path)]

    def close(self) -> None:
        """Unregister, and remove the folder with its content."""
        with self._gate:
            self._alive.release()
            self._remove_stale(self.folder)
            with contextlib.suppress(OSError):  # others are registered
                self._parent.rmdir()

    def _remove_stale(self, ended: Path | None) -> None:
        """Remove the folders of dead processes, and with the last one what all have shared."""
        folders = self._folders()
        living = [path for path in folders if path != ended and _is_alive(path)]
        stale = set(folders) - set(living)
        for path in stale if living else stale | {self._parent / name for name in self._shared}:
            shutil.rmtree(path, ignore_errors=True)

    def _folders(self) -> list[Path]:
        return [path for path in self._parent.iterdir() if path.name not in self._shared]


def is_served(studies: Path) -> bool:
    """Whether a server process, of this machine or another, works on a studies folder."""
    folders = (studies / UPLOADS).glob("*")
    return any(_is_alive(folder) for folder in folders if folder.name != SESSIONS)


def _is_alive(folder: Path) -> bool:
    """Whether a process holds the lock of a folder."""
    try:
        with FileLock(folder / ALIVE, timeout=0):
            return False
    except Timeout:
        return True
    except (FileNotFoundError, NotADirectoryError):
        return False
