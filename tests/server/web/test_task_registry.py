"""Tasks of several processes: all see them, and any of them may end one."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

import pytest
from monailabel.utils.async_tasks import utils as async_tasks

from lib.server.web import task_registry
from lib.server.web.task_registry import BATCH, TRAIN, UNKNOWN, TaskBoard
from lib.server.worker_registry import WorkerRegistry


class Process:
    """As much of one as is asked for."""

    def __init__(self, pid: int) -> None:
        self.pid = pid


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TaskBoard:
    monkeypatch.setattr(async_tasks, "background_tasks", {})
    monkeypatch.setattr(async_tasks, "background_processes", {})
    return TaskBoard(WorkerRegistry(tmp_path / "own", tmp_path))


@pytest.fixture
def other(own: TaskBoard, tmp_path: Path) -> WorkerRegistry:
    """Another process that lives; its tasks are what the test writes."""
    return WorkerRegistry(tmp_path / "own", tmp_path)


def task(name: str, status: str, second: int = 0) -> dict[str, Any]:
    return {"id": name, "status": status, "request": {}, "start_ts": f"2026-01-01 00:00:{second:02d}"}


def has(presence: WorkerRegistry, kind: str, *tasks: dict[str, Any], processes: tuple[int, ...] = ()) -> None:
    content = {"tasks": {kind: tasks}, "processes": {kind: processes}}
    (presence.folder / task_registry.FILE).write_text(json.dumps(content))


def test_tasks_of_all_stand_in_the_order_of_their_beginning(own: TaskBoard, other: WorkerRegistry) -> None:
    assert own.of(TRAIN) == []
    async_tasks.background_tasks[TRAIN] = [{**task("b", "RUNNING", 2), "details": deque(["said"])}]
    has(other, TRAIN, task("a", "DONE", 1), task("c", "SUBMITTED", 3))
    assert [one["id"] for one in own.of(TRAIN)] == ["a", "b", "c"]
    assert own.of(TRAIN)[1]["details"] == ["said"]
    assert [one["id"] for one in own.active(TRAIN)] == ["b", "c"]
    assert own.of(BATCH) == []
    other.close()
    assert [one["id"] for one in own.of(TRAIN)] == ["b"]


def test_processes_of_all_are_known(own: TaskBoard, other: WorkerRegistry) -> None:
    assert own.process_ids(TRAIN) == set()
    async_tasks.background_tasks[TRAIN] = [task("a", "SUBMITTED")]
    assert own.process_ids(TRAIN) == {UNKNOWN}
    async_tasks.background_tasks[TRAIN] = [task("a", "RUNNING")]
    async_tasks.background_processes[TRAIN] = {"a": Process(7)}
    has(other, TRAIN, processes=(8,))
    assert own.process_ids(TRAIN) == {7, 8}
    assert own.process_ids(BATCH) == set()


def test_what_is_told_is_what_others_read(own: TaskBoard, other: WorkerRegistry) -> None:
    own.tell()
    async_tasks.background_tasks[TRAIN] = [{**task("a", "RUNNING"), "details": deque(["said"])}]
    async_tasks.background_processes[TRAIN] = {"a": Process(7)}
    own.tell()
    async_tasks.background_tasks.clear()  # both boards of this test live in one process
    async_tasks.background_processes.clear()
    reader = TaskBoard(other)
    assert reader.of(TRAIN) == [{**task("a", "RUNNING"), "details": ["said"]}]
    assert reader.process_ids(TRAIN) == {7}


def test_a_file_that_is_not_there_or_damaged_tells_nothing(own: TaskBoard, other: WorkerRegistry) -> None:
    assert own.of(TRAIN) == []
    (other.folder / task_registry.FILE).write_text('{"tasks"')
    assert own.of(TRAIN) == []


def test_the_task_of_another_is_ended_by_its_own_process(own: TaskBoard, other: WorkerRegistry) -> None:
    has(other, TRAIN, task("a", "RUNNING"))
    end = time.monotonic() + 30

    def obey() -> None:
        while not (other.folder / f"stop-{TRAIN}").exists():
            assert time.monotonic() < end
            time.sleep(0.01)
        has(other, TRAIN, task("a", "STOPPED"))

    thread = threading.Thread(target=obey)
    thread.start()
    assert own.stop(TRAIN) == task("a", "STOPPED")
    thread.join()
    assert own.stop(TRAIN) is None
    assert own.stop(BATCH) is None


def test_of_two_tasks_the_first_is_ended(
    own: TaskBoard, other: WorkerRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped: list[str] = []
    monkeypatch.setattr(task_registry, "stop_background_task", stopped.append)
    monkeypatch.setattr(task_registry, "_STOP_S", 0.1)
    async_tasks.background_tasks[TRAIN] = [task("waits", "RUNNING", 2)]
    has(other, TRAIN, task("trains", "RUNNING", 1))
    assert own.stop(TRAIN) == task("trains", "RUNNING", 1)
    assert stopped == []
    has(other, TRAIN, task("waits too", "RUNNING", 3))
    own.stop(TRAIN)
    assert stopped == [TRAIN]


def test_a_process_that_does_not_obey_is_not_waited_for_forever(
    own: TaskBoard, other: WorkerRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task_registry, "_STOP_S", 0.3)
    has(other, TRAIN, task("a", "RUNNING"))
    assert own.stop(TRAIN) == task("a", "RUNNING")


def test_a_process_ends_its_task_when_it_is_asked(
    own: TaskBoard, other: WorkerRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped: list[str] = []
    monkeypatch.setattr(task_registry, "stop_background_task", stopped.append)
    monkeypatch.setattr(task_registry, "_EVERY_S", 0.02)
    folder = own._presence.folder
    own.start()
    (folder / f"stop-{BATCH}").touch()
    end = time.monotonic() + 30
    while (folder / f"stop-{BATCH}").exists() or not (folder / task_registry.FILE).exists():
        assert time.monotonic() < end
        time.sleep(0.01)
    own.close()
    assert stopped == [BATCH]
