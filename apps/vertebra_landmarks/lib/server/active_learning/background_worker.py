"""A thread that works in rounds beside the requests, in one process of a studies folder at a time."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ..log_privacy import redacted_traceback

logger = logging.getLogger(__name__)

POLL_INTERVAL_S = 10.0
"""Between two rounds: how soon another model, image or label is noticed."""


class BackgroundWorker(ABC):
    """Does one round of work after the other until it is stopped; a round that fails is logged, and the next one tries.

    Of several processes that share the lock file, the one that holds it works, and the others wait. The lock is one of
    the operating system: a process that crashes releases it.

    Args:
        name: of the thread, which also names the lock file.
        folder: of the lock file; it is made.
        interval_s: seconds between two rounds.
        status: the first ``status()``, whose ``state`` is "waiting".
    """

    def __init__(self, name: str, folder: Path, interval_s: float, status: dict[str, Any]) -> None:
        self._folder, self._interval_s = Path(folder), interval_s
        self._lock = FileLock(self._folder / lock_name(name), timeout=0)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._status = {"state": "waiting", **status}

    @abstractmethod
    def catch_up(self) -> None:
        """Do all that is there to do now; return early when ``is_stopping``."""

    @property
    def is_stopping(self) -> bool:
        """Whether the work is to end."""
        return self._stopping.is_set()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the image in work; does not wait for it."""
        self._stopping.set()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end of the thread, and say whether it has ended."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def work_once(self) -> bool:
        """One round in the caller's thread; returns False where another process works."""
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            with self._lock:
                self.catch_up()
        except Timeout:
            self._status["state"] = "waiting"
            return False
        return True

    def status(self) -> dict[str, Any]:
        """How far it is; ``state`` is "working", "idle" when all is done, or "waiting" where another process works."""
        return dict(self._status)

    def _run(self) -> None:
        while not self.is_stopping:
            try:
                self.work_once()
            except Exception as error:  # such as a datastore that is closed; the next round may go better
                logger.error("The background work %r failed\n%s", self._thread.name, redacted_traceback(error))
            self._stopping.wait(self._interval_s)


def lock_name(name: str) -> str:
    """The lock file of a worker, by which the processes agree on one of them."""
    return f"{name}.lock"
