"""Tasks of all servers of a studies folder: each publishes its own in the database, and ends one when another asks."""

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
UNKNOWN = 0
"""In the place of the number of a process that is about to begin."""
_EVERY_S, _STOP_S = 0.5, 10.0

Task = dict[str, Any]


class TaskRegistry:
    """MONAI Label keeps tasks in the memory of the process that was asked for them; here all processes see them.

    Whether a process lives is told by the lock that it holds (``registry``) and not by the database: the operating
    system releases a lock when a process crashes, and a row would stay. Rows of processes that do not live count for
    nothing, and go when the next server begins.

    Args:
        registry: this process, and the others that live.
        context: the studies folder and its rows.
    """

    def __init__(self, registry: WorkerRegistry, context: StoreContext) -> None:
        self._registry, self._database, self._store = registry, context.database, context.key
        self._own = registry.folder.name
        self._published: dict[tuple[str, str], dict[str, Any]] = {}
        self._publishing, self._over = threading.Lock(), threading.Event()

    def start(self) -> None:
        """Keep what others see up to date, in the background."""
        dead = table.c.server.not_in([self._own, *self._others()])
        with self._database.writing(durable=False) as connection:
            connection.execute(table.delete().where(table.c.store == self._store, dead))
        self.publish()
        threading.Thread(target=self._keep_up, name="tasks", daemon=True).start()

    def close(self) -> None:
        """No longer do that."""
        self._over.set()

    def of(self, kind: str) -> list[Task]:
        """All tasks of a kind in the order of their beginning, as JSON can hold them."""
        found = [shown(task) for task in tasks(kind)] + [json.loads(row.content) for row in self._rows(kind)]
        return sorted(found, key=lambda task: str(task["start_ts"]))

    def active(self, kind: str) -> list[Task]:
        """Those of them that wait or run."""
        return [task for task in self.of(kind) if task["status"] in (SUBMITTED, RUNNING)]

    def process_ids(self, kind: str) -> set[int]:
        """Processes of a kind, ``UNKNOWN`` for those that are about to begin."""
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
                    connection.execute(table.delete().where(*self._is_own(kind), table.c.id == name))
                for (kind, name), values in changed.items():
                    key = {"store": self._store, "server": self._own, "kind": kind, "id": name}
                    row = self._database.insert(table).values(**key, **values, is_to_stop=False)
                    connection.execute(row.on_conflict_do_update(index_elements=list(key), set_=values))
            self._published = present

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
        row = next((row for row in self._rows(kind) if row.id == name), None)
        if row is None:
            return None
        with self._database.writing(durable=False) as connection:
            is_it = table.c.store == self._store, table.c.server == row.server, table.c.kind == kind, table.c.id == name
            connection.execute(table.update().where(*is_it).values(is_to_stop=True))
        return self._when_ended(kind, running[0])

    def _when_ended(self, kind: str, task: Task) -> Task:
        end = time.monotonic() + _STOP_S
        while time.monotonic() < end:
            present = (json.loads(row.content) for row in self._rows(kind) if row.id == task["id"])
            task = next(present, {**task, "status": STOPPED})
            if task["status"] != RUNNING:
                break
            time.sleep(_EVERY_S / 5)
        return task

    def _others(self) -> list[str]:
        """Names of the other processes that live."""
        return [folder.name for folder in self._registry.others()]

    def _rows(self, kind: str) -> Sequence[Row[Any]]:
        """Tasks of a kind of the other processes that live."""
        others = self._others()
        if not others:
            return []
        is_theirs = table.c.store == self._store, table.c.kind == kind, table.c.server.in_(others)
        with self._database.reading() as connection:
            return connection.execute(select(table).where(*is_theirs)).all()

    def _is_own(self, kind: str) -> tuple[ColumnElement[bool], ...]:
        return table.c.store == self._store, table.c.server == self._own, table.c.kind == kind

    def _keep_up(self) -> None:
        is_failing = False
        while not self._over.wait(_EVERY_S):
            try:
                self._stop_asked_for()
                self.publish()
                is_failing = False
            except Exception as error:  # it must go on, for all that comes later
                if not is_failing:
                    logger.warning("The tasks could not be published\n%s", redacted_traceback(error))
                is_failing = True

    def _stop_asked_for(self) -> None:
        """End the tasks of this process whose end another one asks for."""
        if not self._published:
            return
        asked = table.c.store == self._store, table.c.server == self._own, table.c.is_to_stop
        with self._database.reading() as connection:
            kinds = set(connection.execute(select(table.c.kind).where(*asked)).scalars())
        for kind in kinds:
            _stopped(kind)
            with self._database.writing(durable=False) as connection:
                connection.execute(table.update().where(*self._is_own(kind)).values(is_to_stop=False))


def _values(kind: str, task: Mapping[str, Any]) -> dict[str, Any]:
    """What a row says about a task of this process."""
    process = processes(kind).get(task["id"])
    pid = process.pid if process is not None else UNKNOWN if task["status"] == SUBMITTED else None
    return {"content": json.dumps(shown(task)), "process": pid}


def _process_ids(kind: str) -> set[int]:
    waiting = {UNKNOWN} if any(task["status"] == SUBMITTED for task in tasks(kind)) else set()
    return waiting | {process.pid for process in list(processes(kind).values())}


def _stopped(kind: str) -> Task | None:
    try:
        task: Task | None = stop_background_task(kind)
    except (psutil.Error, ProcessLookupError, StopIteration, IndexError):  # it ended in this moment
        return None
    return task


def shown(task: Mapping[str, Any]) -> Task:
    """A task as JSON; its last lines of output are a queue."""
    return {name: list(value) if name == "details" else value for name, value in task.items()}
