"""Files that are locked as long as the process which locked them lives, however it ends."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import BinaryIO

if sys.platform == "win32":
    import msvcrt

    def _lock(file: BinaryIO) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


class Hold:
    """A locked file, from now to ``release`` or the end of this process.

    Args:
        path: of the file; it is made, and says for people which process holds it.

    Raises:
        OSError: it cannot be made, or another process holds it.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._file = path, path.open("wb")
        try:
            _lock(self._file)
            self._file.write(f" {socket.gethostname()} {os.getpid()}\n".encode())
            self._file.flush()
        except OSError:
            self._file.close()
            raise

    def release(self) -> None:
        """Let go of the file and remove it."""
        self._file.close()
        self._path.unlink(missing_ok=True)


def is_held(path: Path) -> bool:
    """Whether a process that lives holds the file; no where there is none, or where files cannot be locked."""
    try:
        with path.open("r+b") as file:
            _lock(file)
    except (BlockingIOError, PermissionError):
        return True
    except OSError:
        return False
    return False
