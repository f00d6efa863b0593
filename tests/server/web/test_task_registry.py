"""Tasks of several processes: all see them, and any of them may end one."""

from __future__ import annotations

import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

import pytest
from monailabel.utils.async_tasks import utils as async_tasks

from lib.server.store.schema import tasks as table
from lib.server.store.store_context import StoreContext
from lib.server.web import task_registry
from lib.server.web.task_registry import BATCH, TRAIN, UNKNOWN_PID, TaskRegistry, _values
from lib.server.worker_registry import WorkerRegistry

from ..store.conftest import Open, database, opened, postgresql  # noqa: F401


class Process:
    """A process with an id."""

    def __init__(self, pid: int) -> None:
        self.pid = pid


@pytest.fixture
def context(tmp_path: Path, opened: Open) -> StoreContext:  # noqa: F811
    return opened(tmp_path / "studies").context


@pytest.fixture
def elsewhere(tmp_path: Path, opened: Open) -> StoreContext:  # noqa: F811
    """Another folder, in the same database where that is PostgreSQL."""
    return opened(tmp_path / "elsewhere").context


@pytest.fixture
def own(context: StoreContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TaskRegistry:
    monkeypatch.setattr(async_tasks, "background_tasks", {})
    monkeypatch.setattr(async_tasks, "background_processes", {})
    return TaskRegistry(WorkerRegistry(tmp_path / "own", tmp_path), context)


@pytest.fixture
def other(own: TaskRegistry, tmp_path: Path) -> WorkerRegistry:
    """Another process that lives; its tasks are what the test writes."""
    return WorkerRegistry(tmp_path / "own", tmp_path)


def task(name: str, status: str, second: int = 0) -> dict[str, Any]:
    return {"id": name, "status": status, "request": {}, "start_ts": f"2026-01-01 00:00:{second:02d}"}


def has(context: StoreContext, server: str, kind: str, *tasks: dict[str, Any], process: int | None = None) -> None:
    """Another server publishes its tasks in the place of those before."""
    with context.database.writing() as connection:
        connection.execute(table.delete().where(table.c.store == context.key, table.c.server == server))
        for one in tasks:
            row = {"store": context.key, "server": server, "kind": kind, "id": one["id"], "is_to_stop": False}
            values = _values(kind, one)
            connection.execute(table.insert().values(**row, **{**values, "process": process or values["process"]}))


def marked_to_stop(context: StoreContext) -> list[tuple[str, str]]:
    """Server and id of the tasks that are to be stopped."""
    with context.database.reading() as connection:
        rows = connection.execute(table.select().where(table.c.store == context.key, table.c.is_to_stop)).all()
    return [(row.server, row.id) for row in rows]


def test_tasks_of_all_stand_in_the_order_of_their_beginning(
    context: StoreContext, own: TaskRegistry, other: WorkerRegistry
) -> None:
    assert own.of(TRAIN) == []
    async_tasks.background_tasks[TRAIN] = [{**task("b", "RUNNING", 2), "details": deque(["said"])}]
    has(context, other.folder.name, TRAIN, task("a", "DONE", 1), task("c", "SUBMITTED", 3))
    assert [one["id"] for one in own.of(TRAIN)] == ["a", "b", "c"]
    assert own.of(TRAIN)[1]["details"] == ["said"]
    assert [one["id"] for one in own.active(TRAIN)] == ["b", "c"]
    assert own.of(BATCH) == []
    other.close()
    assert [one["id"] for one in own.of(TRAIN)] == ["b"]


def test_processes_of_all_are_known(context: StoreContext, own: TaskRegistry, other: WorkerRegistry) -> None:
    assert own.process_ids(TRAIN) == set()
    async_tasks.background_tasks[TRAIN] = [task("a", "SUBMITTED")]
    assert own.process_ids(TRAIN) == {UNKNOWN_PID}
    async_tasks.background_tasks[TRAIN] = [task("a", "RUNNING")]
    async_tasks.background_processes[TRAIN] = {"a": Process(7)}
    has(context, other.folder.name, TRAIN, task("b", "RUNNING"), process=8)
    assert own.process_ids(TRAIN) == {7, 8}
    assert own.process_ids(BATCH) == set()


def test_published_tasks_are_visible_to_other_workers(
    context: StoreContext, own: TaskRegistry, other: WorkerRegistry
) -> None:
    own.publish()
    async_tasks.background_tasks[TRAIN] = [{**task("a", "RUNNING"), "details": deque(["said"])}]
    async_tasks.background_processes[TRAIN] = {"a": Process(7)}
    own.publish()
    async_tasks.background_tasks.clear()  # both registries of this test are in one process
    async_tasks.background_processes.clear()
    reader = TaskRegistry(other, context)
    assert reader.of(TRAIN) == [{**task("a", "RUNNING"), "details": ["said"]}]
    assert reader.process_ids(TRAIN) == {7}


def test_only_what_has_changed_is_published_again(
    context: StoreContext, own: TaskRegistry, other: WorkerRegistry
) -> None:
    async_tasks.background_tasks[TRAIN] = [task("a", "DONE"), task("b", "RUNNING")]
    own.publish()
    with context.database.writing() as connection:
        connection.execute(table.update().where(table.c.id == "a").values(content="as it was"))
        connection.execute(table.update().where(table.c.id == "b").values(is_to_stop=True))
    async_tasks.background_tasks[TRAIN] = [task("a", "DONE"), {**task("b", "RUNNING"), "details": deque(["said"])}]
    own.publish()
    with context.database.reading() as connection:
        rows = {row.id: row for row in connection.execute(table.select().where(table.c.store == context.key))}
    assert rows["a"].content == "as it was"
    assert "said" in rows["b"].content
    assert rows["b"].is_to_stop
    async_tasks.background_tasks[TRAIN] = [task("b", "RUNNING")]
    own.publish()
    async_tasks.background_tasks.clear()
    assert [one["id"] for one in TaskRegistry(other, context).of(TRAIN)] == ["b"]


def test_tasks_of_servers_that_ended_are_forgotten_when_the_next_begins(
    context: StoreContext, own: TaskRegistry, other: WorkerRegistry
) -> None:
    has(context, "ended", TRAIN, task("a", "RUNNING"))
    has(context, other.folder.name, TRAIN, task("b", "RUNNING"))
    assert [one["id"] for one in own.of(TRAIN)] == ["b"]
    own.start()
    own.close()
    with context.database.reading() as connection:
        assert connection.execute(table.select().where(table.c.store == context.key)).one().id == "b"


def test_tasks_of_another_folder_in_the_same_database_are_not_seen(
    elsewhere: StoreContext, own: TaskRegistry, other: WorkerRegistry
) -> None:
    has(elsewhere, other.folder.name, TRAIN, task("a", "RUNNING"))
    assert own.of(TRAIN) == []


def test_the_task_of_another_is_ended_by_its_own_process(
    context: StoreContext, own: TaskRegistry, other: WorkerRegistry
) -> None:
    has(context, other.folder.name, TRAIN, task("a", "RUNNING"))
    end = time.monotonic() + 30

    def obey() -> None:
        while not marked_to_stop(context):
            assert time.monotonic() < end
            time.sleep(0.01)
        has(context, other.folder.name, TRAIN, task("a", "STOPPED"))

    thread = threading.Thread(target=obey)
    thread.start()
    assert own.stop(TRAIN) == task("a", "STOPPED")
    thread.join()
    assert own.stop(TRAIN) is None
    assert own.stop(BATCH) is None


def test_of_two_tasks_the_first_is_ended(
    context: StoreContext, own: TaskRegistry, other: WorkerRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped: list[str] = []
    monkeypatch.setattr(task_registry, "stop_background_task", stopped.append)
    monkeypatch.setattr(task_registry, "_STOP_TIMEOUT_S", 0.1)
    async_tasks.background_tasks[TRAIN] = [task("waits", "RUNNING", 2)]
    has(context, other.folder.name, TRAIN, task("trains", "RUNNING", 1))
    assert own.stop(TRAIN) == task("trains", "RUNNING", 1)
    assert stopped == []
    has(context, other.folder.name, TRAIN, task("waits too", "RUNNING", 3))
    own.stop(TRAIN)
    assert stopped == [TRAIN]


def test_a_process_that_does_not_obey_is_not_waited_for_forever(
    context: StoreContext, own: TaskRegistry, other: WorkerRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_registry, "_STOP_TIMEOUT_S", 0.3)
    has(context, other.folder.name, TRAIN, task("a", "RUNNING"))
    assert own.stop(TRAIN) == task("a", "RUNNING")


def test_a_process_ends_its_task_when_it_is_asked(
    context: StoreContext, own: TaskRegistry, other: WorkerRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped: list[str] = []
    monkeypatch.setattr(task_registry, "stop_background_task", stopped.append)
    monkeypatch.setattr(task_registry, "_POLL_INTERVAL_S", 0.02)
    async_tasks.background_tasks[BATCH] = [task("a", "RUNNING")]
    own.start()
    with context.database.writing() as connection:
        connection.execute(table.update().where(table.c.store == context.key).values(is_to_stop=True))
    end = time.monotonic() + 30
    while marked_to_stop(context):
        assert time.monotonic() < end
        time.sleep(0.01)
    own.close()
    assert stopped == [BATCH]
