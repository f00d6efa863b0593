"""Worker threads: jobs run on them, their results are delivered on the thread that polls."""

from __future__ import annotations

import logging
import queue
import threading
import time
from typing import Any, Callable, NamedTuple, Optional

from ..client.errors import CANCELLED, FAILED, ServerError
from ..client.sockets import CancelSignal

logger = logging.getLogger(__name__)

OnDone = Callable[[Any], object]
OnError = Callable[[ServerError], object]
OnProgress = Callable[[int, Optional[int]], object]
Work = Callable[["Job"], Any]


class Job:
    """Handle of one job, for its caller and for the work itself.

    Attributes:
        signal: passed on by the work to whatever it calls, so that ``cancel`` aborts that.
    """

    def __init__(self, callbacks: queue.SimpleQueue[Callable[[], None]], on_progress: Optional[OnProgress]) -> None:
        self.signal = CancelSignal()
        self._callbacks, self._on_progress = callbacks, on_progress
        self._lock = threading.Lock()
        self._progress: Optional[tuple[int, Optional[int]]] = None
        self._is_running = True

    def cancel(self) -> None:
        """Cancel: neither ``on_done`` nor ``on_progress`` is called from now on, even if the job has finished."""
        self._is_running = False
        self.signal.cancel()

    def is_running(self) -> bool:
        """Whether a callback with its result is still to come."""
        return self._is_running

    def report(self, done: int, total: Optional[int]) -> None:
        """Report progress; called by the work, as often as it likes: only the latest value is delivered."""
        if self._on_progress is None:
            return
        with self._lock:
            is_queued, self._progress = self._progress is not None, (done, total)
        if not is_queued:
            self._callbacks.put(self._deliver)

    def _deliver(self) -> None:
        with self._lock:
            progress, self._progress = self._progress, None
        if self._is_running and self._on_progress is not None and progress is not None:
            self._on_progress(*progress)


class _Task(NamedTuple):
    job: Job
    work: Work
    on_done: Optional[OnDone]
    on_error: Optional[OnError]
    reports_cancel: bool


class WorkerPool:
    """Daemon threads that run jobs in the order of their start; none keeps the process from exiting.

    Args:
        threads: maximum number of jobs at once; threads are started as needed.
        name: of the threads.
    """

    def __init__(self, threads: int = 2, name: str = "vertebra-landmarks") -> None:
        self._max_threads, self._name = threads, name
        self._tasks: queue.SimpleQueue[Optional[_Task]] = queue.SimpleQueue()
        self._callbacks: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._open: set[Job] = set()
        self._is_closed = False

    def start(
        self,
        work: Work,
        on_done: Optional[OnDone] = None,
        on_error: Optional[OnError] = None,
        on_progress: Optional[OnProgress] = None,
        reports_cancel: bool = False,
    ) -> Job:
        """Run ``work(job)`` on a thread.

        Args:
            work: gets its job, for ``job.signal`` and ``job.report``; returns a value or raises.
            on_done: called by ``poll`` with the value.
            on_error: called by ``poll`` with the exception; other ones than ``ServerError`` become kind FAILED.
            on_progress: called by ``poll`` with the latest ``job.report``.
            reports_cancel: whether ``job.cancel()`` leads to ``on_error`` with kind CANCELLED, or to no call.

        Returns:
            The job; a cancelled one where the pool is closed.
        """
        job = Job(self._callbacks, on_progress)
        if self._is_closed:
            job.cancel()
            return job
        with self._lock:
            self._open.add(job)
            if len(self._threads) < min(self._max_threads, len(self._open)):
                thread = threading.Thread(target=self._run, name=f"{self._name}-{len(self._threads)}", daemon=True)
                self._threads.append(thread)
                thread.start()
        self._tasks.put(_Task(job, work, on_done, on_error, reports_cancel))
        return job

    def poll(self, max_s: float = 0.005) -> int:
        """Run pending callbacks on the calling thread.

        Args:
            max_s: no further callback begins after this time; the first always does.

        Returns:
            How many were run.
        """
        end, count = time.monotonic() + max_s, 0
        while count == 0 or time.monotonic() < end:
            try:
                callback = self._callbacks.get_nowait()
            except queue.Empty:
                break
            count += 1
            callback()
        return count

    def close(self) -> None:
        """Cancel all jobs and let the threads end, without waiting; no callback is run any more."""
        self._is_closed = True
        with self._lock:
            jobs, threads = list(self._open), len(self._threads)
        for job in jobs:
            job.cancel()
        for _ in range(threads):
            self._tasks.put(None)
        while not self._callbacks.empty():
            self._callbacks.get_nowait()

    def _run(self) -> None:
        while True:
            task = self._tasks.get()
            if task is None:
                return
            value, error = _run_work(task.job, task.work)
            with self._lock:
                self._open.discard(task.job)
            if not self._is_closed:
                self._callbacks.put(_completion(task, value, error))


def _run_work(job: Job, work: Work) -> tuple[Any, Optional[ServerError]]:
    try:
        job.signal.check()
        return work(job), None
    except ServerError as error:
        return None, error
    except OSError as error:
        logger.exception("A local file could not be read or written")
        reason = error.strerror or str(error)
        sentence = f"A file on this computer could not be used: {reason}. Check free disk space and permissions."
        return None, ServerError(FAILED, sentence, repr(error))
    except Exception as error:
        logger.exception("A job failed")
        sentence = (
            "An internal error occurred in this module; your work is kept. Try again, and report what the log says."
        )
        return None, ServerError(FAILED, sentence, repr(error))


def _completion(task: _Task, value: Any, error: Optional[ServerError]) -> Callable[[], None]:
    """The callback that ``poll`` runs for a finished job; only then is it known whether it was cancelled."""
    job, _, on_done, on_error, reports_cancel = task

    def complete() -> None:
        job._is_running = False
        if job.signal.is_set():
            if reports_cancel and on_error is not None:
                on_error(ServerError(CANCELLED, "Cancelled."))
        elif error is not None:
            if on_error is not None:
                on_error(error)
        elif on_done is not None:
            on_done(value)

    return complete
