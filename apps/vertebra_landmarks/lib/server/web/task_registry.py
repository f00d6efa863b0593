"""Tasks of all servers of a studies folder: each writes down its own, and may be asked by another to end one."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
from monailabel.utils.async_tasks.utils import processes, stop_background_task, tasks

from ...spine.atomic_write import atomic_write
from ..log_privacy import redacted_traceback
from ..worker_registry import WorkerRegistry

logger = logging.getLogger(__name__)

BATCH, TRAIN, SCORING = "batch_infer", "train", "scoring"
KINDS = (BATCH, TRAIN, SCORING)
SUBMITTED, RUNNING, STOPPED = "SUBMITTED", "RUNNING", "STOPPED"
FILE = "tasks.json"
UNKNOWN = 0
"""In the place of the number of a process that is about to begin."""
_EVERY_S, _STOP_S = 0.5, 10.0

Task = dict[str, Any]


class TaskBoard:
    """MONAI Label keeps tasks in the memory of the process that was asked for them; here all processes see them.

    Args:
        presence: folder of this process, and of the others that live.
    """

    def __init__(self, presence: WorkerRegistry) -> None:
        self._presence, self._written = presence, ""
        self._writing, self._over = threading.Lock(), threading.Event()

    def start(self) -> None:
        """Keep what others see up to date, in the background.

        Raises:
            OSError: it cannot be written.
        """
        self.tell()
        threading.Thread(target=self._keep_up, name="tasks", daemon=True).start()

    def close(self) -> None:
        """No longer do that."""
        self._over.set()

    def of(self, kind: str) -> list[Task]:
        """All tasks of a kind in the order of their beginning, as JSON can hold them."""
        found = [shown(task) for task in tasks(kind)]
        for told in self._others():
            found += told["tasks"].get(kind, [])
        return sorted(found, key=lambda task: str(task["start_ts"]))

    def active(self, kind: str) -> list[Task]:
        """Those of them that wait or run."""
        return [task for task in self.of(kind) if task["status"] in (SUBMITTED, RUNNING)]

    def process_ids(self, kind: str) -> set[int]:
        """Processes of a kind, ``UNKNOWN`` for those that are about to begin."""
        return _process_ids(kind).union(*(told["processes"].get(kind, []) for told in self._others()))

    def tell(self) -> None:
        """Write down the tasks of this process.

        Raises:
            OSError: that cannot be written.
        """
        with self._writing:
            text = json.dumps(
                {
                    "tasks": {kind: [shown(task) for task in tasks(kind)] for kind in KINDS},
                    "processes": {kind: sorted(_process_ids(kind)) for kind in KINDS},
                }
            )
            if text != self._written:
                with atomic_write(self._presence.folder / FILE) as temporary:
                    temporary.write_text(text, encoding="utf-8")
                self._written = text

    def stop(self, kind: str) -> Task | None:
        """End the running task of a kind that began first, whosever it is.

        Returns:
            The task; ``None`` if none runs.
        """
        running = [task for task in self.of(kind) if task["status"] == RUNNING]
        if not running:
            return None
        name = running[0]["id"]
        if any(task["id"] == name for task in tasks(kind)):
            ended = _stopped(kind)
            return shown(ended) if ended is not None else None
        for folder in self._presence.others():
            if _task(folder, kind, name) is not None:
                _stop_file(folder, kind).touch()
                return self._when_ended(folder, kind, running[0])
        return None

    def _when_ended(self, folder: Path, kind: str, task: Task) -> Task:
        end = time.monotonic() + _STOP_S
        while time.monotonic() < end:
            task = _task(folder, kind, task["id"]) or {**task, "status": STOPPED}
            if task["status"] != RUNNING:
                break
            time.sleep(_EVERY_S / 5)
        return task

    def _others(self) -> list[dict[str, Any]]:
        return [_read(folder) for folder in self._presence.others()]

    def _keep_up(self) -> None:
        while not self._over.wait(_EVERY_S):
            try:
                for kind in KINDS:
                    if _stop_file(self._presence.folder, kind).exists():
                        _stopped(kind)
                        _stop_file(self._presence.folder, kind).unlink()
                self.tell()
            except Exception as error:  # it must go on, for all that comes later
                logger.warning("The tasks could not be written down\n%s", redacted_traceback(error))


def _process_ids(kind: str) -> set[int]:
    waiting = {UNKNOWN} if any(task["status"] == SUBMITTED for task in tasks(kind)) else set()
    return waiting | {process.pid for process in list(processes(kind).values())}


def _stopped(kind: str) -> Task | None:
    try:
        task: Task | None = stop_background_task(kind)
    except (psutil.Error, ProcessLookupError, StopIteration, IndexError):  # it ended in this moment
        return None
    return task


def _stop_file(folder: Path, kind: str) -> Path:
    return folder / f"stop-{kind}"


def _read(folder: Path) -> dict[str, Any]:
    try:
        told: dict[str, Any] = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # it has told nothing yet, or just ended
        return {"tasks": {}, "processes": {}}
    return told


def _task(folder: Path, kind: str, name: str) -> Task | None:
    """The task of a name that another process has told of."""
    return next((task for task in _read(folder)["tasks"].get(kind, []) if task["id"] == name), None)


def shown(task: Mapping[str, Any]) -> Task:
    """A task as JSON; its last lines of output are a queue."""
    return {name: list(value) if name == "details" else value for name, value in task.items()}
