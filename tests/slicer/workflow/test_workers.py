"""Jobs on threads, whose results come back where they are asked for."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from VertebraLandmarksLib.client.errors import ServerError
from VertebraLandmarksLib.workflow import workers as worker_module
from VertebraLandmarksLib.workflow.workers import Job, WorkerPool

pytestmark = pytest.mark.slicer


@pytest.fixture
def worker() -> Iterator[WorkerPool]:
    """A worker with two threads."""
    running = WorkerPool(2)
    yield running
    running.close()


def poll_until(worker: WorkerPool, is_reached: Callable[[], bool], most_s: float = 5.0) -> None:
    """Run callbacks until something is so."""
    end = time.monotonic() + most_s
    while not is_reached():
        assert time.monotonic() < end, "it did not happen in time"
        worker.poll()
        time.sleep(0.002)


def test_the_value_comes_back_on_the_thread_that_polls(worker: WorkerPool) -> None:
    threads, values = [], []

    def work(job: Job) -> int:
        threads.append(threading.get_ident())
        return 7

    def done(value: int) -> None:
        threads.append(threading.get_ident())
        values.append(value)

    job = worker.start(work, done)
    assert job.is_running()
    time.sleep(0.05)
    assert values == []  # not before somebody asks
    poll_until(worker, lambda: bool(values))
    assert values == [7]
    assert threads[0] != threads[1] == threading.get_ident()
    assert not job.is_running()


def test_errors_come_back_as_such(worker: WorkerPool) -> None:
    errors: list[ServerError] = []

    def fail(error: Exception) -> Callable[[Job], None]:
        def work(job: Job) -> None:
            raise error

        return work

    worker.start(fail(ServerError("busy", "Too busy.")), on_error=errors.append)
    poll_until(worker, lambda: len(errors) == 1)
    worker.start(fail(PermissionError(13, "Permission denied", "/images/a.png")), on_error=errors.append)
    poll_until(worker, lambda: len(errors) == 2)
    worker.start(fail(ZeroDivisionError("division by zero")), on_error=errors.append)
    poll_until(worker, lambda: len(errors) == 3)
    assert [error.kind for error in errors] == ["busy", "failed", "failed"]
    assert "Permission denied" in errors[1].message
    assert "ZeroDivisionError" in errors[2].detail
    assert "ZeroDivisionError" not in errors[2].message


def test_a_failure_nobody_foresaw_is_logged(worker: WorkerPool, caplog: pytest.LogCaptureFixture) -> None:
    errors: list[ServerError] = []
    worker.start(lambda job: {}["missing"], on_error=errors.append)
    poll_until(worker, lambda: bool(errors))
    assert "KeyError: 'missing'" in caplog.text


def test_two_jobs_run_at_once_and_the_third_waits(worker: WorkerPool) -> None:
    begun, go, values = [], threading.Event(), []

    def work(number: int) -> Callable[[Job], int]:
        def run(job: Job) -> int:
            begun.append(number)
            go.wait(60)
            return number

        return run

    for number in range(3):
        worker.start(work(number), values.append)
    time.sleep(0.2)
    assert sorted(begun) == [0, 1]
    go.set()
    poll_until(worker, lambda: len(values) == 3)
    assert sorted(values) == [0, 1, 2]


def test_only_the_latest_progress_is_told(worker: WorkerPool) -> None:
    seen, values = [], []

    def work(job: Job) -> str:
        for done in range(1000):
            job.report(done, 1000)
        return "end"

    worker.start(work, values.append, on_progress=lambda done, total: seen.append((done, total)))
    time.sleep(0.2)
    poll_until(worker, lambda: bool(values))
    assert seen == [(999, 1000)]


def test_callbacks_of_a_cancelled_job_never_run(worker: WorkerPool) -> None:
    calls, ended = [], threading.Event()

    def work(job: Job) -> str:
        job.report(1, 2)
        ended.set()
        return "value"

    job = worker.start(work, calls.append, calls.append, lambda *_: calls.append("progress"))
    assert ended.wait(60)
    time.sleep(0.05)  # the result waits already
    job.cancel()
    assert not job.is_running()
    for _ in range(20):
        worker.poll()
        time.sleep(0.005)
    assert calls == []


def test_a_job_that_waits_is_never_begun_after_its_cancel() -> None:
    worker, go, begun = WorkerPool(1), threading.Event(), []
    worker.start(lambda job: go.wait(60))
    waiting = worker.start(lambda job: begun.append(1))
    waiting.cancel()
    go.set()
    last: list[object] = []
    worker.start(lambda job: "last", last.append)
    poll_until(worker, lambda: bool(last))
    assert begun == []
    worker.close()


def test_whoever_wants_to_hear_of_the_cancel_does(worker: WorkerPool) -> None:
    errors: list[ServerError] = []
    job = worker.start(lambda job: time.sleep(0.1), on_error=errors.append, reports_cancel=True)
    job.cancel()
    poll_until(worker, lambda: bool(errors))
    assert [error.kind for error in errors] == ["cancelled"]


def test_polling_stops_after_its_time_and_goes_on_later(worker: WorkerPool) -> None:
    values: list[int] = []

    def slow(value: int) -> None:
        time.sleep(0.02)
        values.append(value)

    for number in range(5):
        worker.start(lambda job, number=number: number, slow)
    time.sleep(0.2)
    assert worker.poll(0.005) == 1
    poll_until(worker, lambda: len(values) == 5)


def test_polling_without_anything_to_do_is_quick(worker: WorkerPool) -> None:
    begin = time.thread_time()
    assert sum(worker.poll() for _ in range(1000)) == 0
    assert time.thread_time() - begin < 1.0


def test_close_does_not_wait_and_silences_everything() -> None:
    worker, calls = WorkerPool(2), []
    for _ in range(4):
        worker.start(lambda job: time.sleep(3), calls.append, calls.append)
    begin = time.monotonic()
    worker.close()
    assert time.monotonic() - begin < 2.5  # the jobs take 3 s
    worker.poll()
    assert calls == []
    late = worker.start(lambda job: calls.append("late"), calls.append, calls.append)
    assert not late.is_running()
    time.sleep(0.05)
    worker.poll()
    assert calls == []


def test_threads_end_when_the_worker_is_closed() -> None:
    worker = WorkerPool(2, "threads-that-end")
    values: list[int] = []
    for _ in range(2):
        worker.start(lambda job: 1, values.append)
    poll_until(worker, lambda: len(values) == 2)
    worker.close()
    end = time.monotonic() + 60
    while any(thread.name.startswith("threads-that-end") for thread in threading.enumerate()):
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_process_ends_whatever_its_jobs_do() -> None:
    code = (
        "import time; from VertebraLandmarksLib.workflow.workers import WorkerPool; w = WorkerPool(1); "
        "w.start(lambda job: time.sleep(60)); time.sleep(0.1)"
    )
    begin = time.monotonic()
    subprocess.run([sys.executable, "-c", code], cwd=Path(worker_module.__file__).parents[2], check=True, timeout=30)
    assert time.monotonic() - begin < 20
