"""Rounds of work in the background."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from lib.server.active_learning.background_worker import BackgroundWorker, lock_name


class Counting(BackgroundWorker):
    """Counts its rounds, and does something in each."""

    def __init__(self, folder: Path, act: Callable[[int], None] = lambda _: None) -> None:
        super().__init__("counting", folder, 0.01, {"done": 0})
        self._act, self.has_begun = act, threading.Event()

    def catch_up(self) -> None:
        self._status["state"] = "working"
        self._status["done"] += 1
        self.has_begun.set()
        self._act(self._status["done"])
        self._status["state"] = "idle"


def test_it_works_in_rounds_until_it_is_stopped(tmp_path: Path) -> None:
    third = threading.Event()
    worker = Counting(tmp_path / "new", lambda done: third.set() if done == 3 else None)
    assert worker.status() == {"state": "waiting", "done": 0}
    worker.start()
    assert third.wait(30)
    worker.stop()
    assert worker.join(30)
    done = worker.status()["done"]
    assert worker.status() == {"state": "idle", "done": done}
    assert done >= 3
    assert worker.status() is not worker.status()


def test_a_round_that_fails_is_logged_without_its_values_and_the_next_one_is_tried(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    second = threading.Event()

    def fail_once(done: int) -> None:
        if done == 1:
            raise RuntimeError("the name of a patient")
        second.set()

    worker = Counting(tmp_path, fail_once)
    with caplog.at_level(logging.ERROR):
        worker.start()
        assert second.wait(30)
        worker.stop()
        assert worker.join(30)
    assert "'counting' failed" in caplog.text
    assert "RuntimeError" in caplog.text
    assert "patient" not in caplog.text


def test_one_process_of_several_works_and_the_next_takes_over(tmp_path: Path) -> None:
    worker = Counting(tmp_path)
    with FileLock(tmp_path / lock_name("counting")):
        worker.start()
        assert not worker.has_begun.wait(0.2)
        assert worker.status()["state"] == "waiting"
    assert worker.has_begun.wait(30)
    worker.stop()
    assert worker.join(30)
    with FileLock(tmp_path / lock_name("counting"), timeout=0):
        pass


def test_the_thread_bears_the_name_of_the_work(tmp_path: Path) -> None:
    names = []
    worker = Counting(tmp_path, lambda _: names.append(threading.current_thread().name))
    worker.start()
    assert worker.has_begun.wait(30)
    worker.stop()
    assert worker.join(30)
    assert set(names) == {"counting"}
