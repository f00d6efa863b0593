"""Task registry of all servers of a studies folder: each publishes its own tasks, and stops them on request."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import psutil
from monailabel.utils.async_tasks.utils import processes, stop_background_task, tasks
from sqlalchemy import ColumnElement, Row, select

from ..log_privacy import redacted_traceback
from ..store.schema import tasks as table
from ..store.store_context import StoreContext
from ..worker_registry import WorkerRegistry

logger = logging.getLogger(__name__)

BATCH, TRAIN, SCORING = "batch_infer", "train", "scoring"
KINDS = (BATCH, TRAIN, SCORING)
SUBMITTED, RUNNING, STOPPED = "SUBMITTED", "RUNNING", "STOPPED"
UNKNOWN_PID = 0
"""Stands for the id of a process that is about to start."""
_POLL_INTERVAL_S, _STOP_TIMEOUT_S = 0.5, 10.0

Task = dict[str, Any]


class TaskRegistry:
    """Tasks of all processes, which MONAI Label keeps in the memory of the process that started them.

    A process is alive while it holds its lock (``registry``), which the operating system releases at a crash. Rows of
    dead processes are ignored, and deleted at the start of the next server.

    Args:
        registry: this process, and the others that are alive.
        context: the studies folder and its rows.
    """

    def __init__(self, registry: WorkerRegistry, context: StoreContext) -> None:
        self._registry, self._database, self._store = registry, context.database, context.key
        self._own = registry.folder.name
        self._published: dict[tuple[str, str], dict[str, Any]] = {}
        self._publishing, self._closed = threading.Lock(), threading.Event()

    def start(self) -> None:
        """Publish this process's tasks, and stop them on request, in the background."""
        dead = table.c.server.not_in([self._own, *self._others()])
        with self._database.writing(durable=False) as connection:
            connection.execute(table.delete().where(table.c.store == self._store, dead))
        self.publish()
        threading.Thread(target=self._run, name="tasks", daemon=True).start()

    def close(self) -> None:
        """End the background thread."""
        self._closed.set()

    def of(self, kind: str) -> list[Task]:
        """All tasks of a kind as JSON, by start time."""
        everyone = [task_json(task) for task in tasks(kind)] + [json.loads(row.content) for row in self._rows(kind)]
        return sorted(everyone, key=lambda task: str(task["start_ts"]))

    def active(self, kind: str) -> list[Task]:
        """Tasks of a kind that wait or run."""
        return [task for task in self.of(kind) if task["status"] in (SUBMITTED, RUNNING)]

    def process_ids(self, kind: str) -> set[int]:
        """Processes of a kind, ``UNKNOWN_PID`` for those that are about to start."""
        return _process_ids(kind) | {row.process for row in self._rows(kind) if row.process is not None}

    def publish(self) -> None:
        """Publish the tasks of this process."""
        with self._publishing:
            present = {(kind, str(task["id"])): _values(kind, task) for kind in KINDS for task in list(tasks(kind))}
            if present == self._published:
                return
            changed = {key: values for key, values in present.items() if self._published.get(key) != values}
            with self._database.writing(durable=False) as connection:
                for kind, name in self._published.keys() - present.keys():
                    connection.execute(table.delete().where(*self._own_rows(kind), table.c.id == name))
                for (kind, name), values in changed.items():
                    key = {"store": self._store, "server": self._own, "kind": kind, "id": name}
                    row = self._database.insert(table).values(**key, **values, is_to_stop=False)
                    connection.execute(row.on_conflict_do_update(index_elements=list(key), set_=values))
            self._published = present

    def stop(self, kind: str) -> Task | None:
        """Stop the running task of a kind that started first, in whichever process.

        Returns:
            The task; ``None`` if none runs.
        """
        running = [task for task in self.of(kind) if task["status"] == RUNNING]
        if not running:
            return None
        name = running[0]["id"]
        if any(task["id"] == name for task in tasks(kind)):
            stopped = _stop_own(kind)
            return task_json(stopped) if stopped is not None else None
        row = next((row for row in self._rows(kind) if row.id == name), None)
        if row is None:
            return None
        with self._database.writing(durable=False) as connection:
            at = table.c.store == self._store, table.c.server == row.server, table.c.kind == kind, table.c.id == name
            connection.execute(table.update().where(*at).values(is_to_stop=True))
        return self._wait_for_end(kind, running[0])

    def _wait_for_end(self, kind: str, task: Task) -> Task:
        end = time.monotonic() + _STOP_TIMEOUT_S
        while time.monotonic() < end:
            present = (json.loads(row.content) for row in self._rows(kind) if row.id == task["id"])
            task = next(present, {**task, "status": STOPPED})
            if task["status"] != RUNNING:
                break
            time.sleep(_POLL_INTERVAL_S / 5)
        return task

    def _others(self) -> list[str]:
        """Names of the other processes that are alive."""
        return [folder.name for folder in self._registry.others()]

    def _rows(self, kind: str) -> Sequence[Row[Any]]:
        """Rows of the tasks of a kind of the other processes that are alive."""
        others = self._others()
        if not others:
            return []
        theirs = table.c.store == self._store, table.c.kind == kind, table.c.server.in_(others)
        with self._database.reading() as connection:
            return connection.execute(select(table).where(*theirs)).all()

    def _own_rows(self, kind: str) -> tuple[ColumnElement[bool], ...]:
        return table.c.store == self._store, table.c.server == self._own, table.c.kind == kind

    def _run(self) -> None:
        is_failing = False
        while not self._closed.wait(_POLL_INTERVAL_S):
            try:
                self._stop_requested()
                self.publish()
                is_failing = False
            except Exception as error:  # the next round may succeed
                if not is_failing:
                    logger.warning("The tasks could not be published\n%s", redacted_traceback(error))
                is_failing = True

    def _stop_requested(self) -> None:
        """Stop the tasks of this process that another one has marked."""
        if not self._published:
            return
        marked = table.c.store == self._store, table.c.server == self._own, table.c.is_to_stop
        with self._database.reading() as connection:
            kinds = set(connection.execute(select(table.c.kind).where(*marked)).scalars())
        for kind in kinds:
            _stop_own(kind)
            with self._database.writing(durable=False) as connection:
                connection.execute(table.update().where(*self._own_rows(kind)).values(is_to_stop=False))


def _values(kind: str, task: Mapping[str, Any]) -> dict[str, Any]:
    """Columns of the row of a task of this process."""
    process = processes(kind).get(task["id"])
    pid = process.pid if process is not None else UNKNOWN_PID if task["status"] == SUBMITTED else None
    return {"content": json.dumps(task_json(task)), "process": pid}


def _process_ids(kind: str) -> set[int]:
    waiting = {UNKNOWN_PID} if any(task["status"] == SUBMITTED for task in tasks(kind)) else set()
    return waiting | {process.pid for process in list(processes(kind).values())}


def _stop_own(kind: str) -> Task | None:
    try:
        task: Task | None = stop_background_task(kind)
    except (psutil.Error, ProcessLookupError, StopIteration, IndexError):  # it has just ended
        return None
    return task


def task_json(task: Mapping[str, Any]) -> Task:
    """A task as JSON; ``details``, its last lines of output, are a deque."""
    return {name: list(value) if name == "details" else value for name, value in task.items()}
