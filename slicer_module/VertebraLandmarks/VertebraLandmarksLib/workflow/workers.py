"""Work on threads whose results come back on the thread that asks for them."""

from __future__ import annotations

import logging
import queue
import threading
import time
from typing import Any, Callable, Optional

from ..client.errors import CANCELLED, FAILED, ServerError
from ..client.sockets import CancelSignal

logger = logging.getLogger(__name__)

Done = Callable[[Any], object]
Failed = Callable[[ServerError], object]
Progress = Callable[[int, Optional[int]], object]
Work = Callable[["Job"], Any]


class Job:
    """One piece of work, as its caller and the work itself see it.

    Attributes:
        signal: for the work to pass on to whatever it calls, so that ``cancel`` ends that.
    """

    def __init__(self, waiting: queue.SimpleQueue[Callable[[], None]], progress: Optional[Progress]) -> None:
        self.signal = CancelSignal()
        self._waiting, self._progress = waiting, progress
        self._lock = threading.Lock()
        self._news: Optional[tuple[int, Optional[int]]] = None
        self._is_running = True

    def cancel(self) -> None:
        """End it: neither ``done`` nor ``progress`` is called from now on, even if it is finished already."""
        self._is_running = False
        self.signal.cancel()

    def is_running(self) -> bool:
        """Whether a callback with its result is still to come."""
        return self._is_running

    def report(self, done: int, total: Optional[int]) -> None:
        """For the work: say how far it is. The caller hears of the latest only, however often this is called."""
        if self._progress is None:
            return
        with self._lock:
            is_told, self._news = self._news is not None, (done, total)
        if not is_told:
            self._waiting.put(self._notify)

    def _notify(self) -> None:
        with self._lock:
            news, self._news = self._news, None
        if self._is_running and self._progress is not None and news is not None:
            self._progress(*news)


class WorkerPool:
    """A few threads that take one job after the other.

    Nothing that a job does can stop the process from ending: the threads are daemons.

    Args:
        threads: how many jobs run at once; threads are started when they are needed.
        name: of the threads.
    """

    def __init__(self, threads: int = 2, name: str = "vertebra-landmarks") -> None:
        self._most, self._name = threads, name
        self._jobs: queue.SimpleQueue[Optional[tuple[Job, Work, Optional[Done], Optional[Failed], bool]]] = (
            queue.SimpleQueue()
        )
        self._waiting: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._open: set[Job] = set()
        self._is_closed = False

    def start(
        self,
        work: Work,
        done: Optional[Done] = None,
        failed: Optional[Failed] = None,
        progress: Optional[Progress] = None,
        reports_cancel: bool = False,
    ) -> Job:
        """Have ``work(job)`` run on a thread.

        Args:
            work: gets its job, for ``job.signal`` and ``job.report``; gives a value or raises.
            done: called by ``poll`` with the value.
            failed: called by ``poll`` with what was raised; anything but a ``ServerError`` becomes one of kind FAILED.
            progress: called by ``poll`` with what ``job.report`` was given last.
            reports_cancel: call ``failed`` with kind CANCELLED after ``job.cancel()``; else nothing is called then.

        Returns:
            The job; one that is cancelled already where the worker is closed.
        """
        job = Job(self._waiting, progress)
        if self._is_closed:
            job.cancel()
            return job
        with self._lock:
            self._open.add(job)
            if len(self._threads) < min(self._most, len(self._open)):
                thread = threading.Thread(target=self._run, name=f"{self._name}-{len(self._threads)}", daemon=True)
                self._threads.append(thread)
                thread.start()
        self._jobs.put((job, work, done, failed, reports_cancel))
        return job

    def poll(self, most_s: float = 0.005) -> int:
        """Run callbacks that wait, on the calling thread.

        Args:
            most_s: no further one begins after so many seconds; the first always does.

        Returns:
            How many were run.
        """
        end, count = time.monotonic() + most_s, 0
        while count == 0 or time.monotonic() < end:
            try:
                callback = self._waiting.get_nowait()
            except queue.Empty:
                break
            count += 1
            callback()
        return count

    def close(self) -> None:
        """Cancel all jobs and let the threads end; waits for none of them, and no callback is run any more."""
        self._is_closed = True
        with self._lock:
            jobs, threads = list(self._open), len(self._threads)
        for job in jobs:
            job.cancel()
        for _ in range(threads):
            self._jobs.put(None)
        while not self._waiting.empty():
            self._waiting.get_nowait()

    def _run(self) -> None:
        while True:
            taken = self._jobs.get()
            if taken is None:
                return
            job, work, done, failed, reports_cancel = taken
            value, error = _result(job, work)
            with self._lock:
                self._open.discard(job)
            if not self._is_closed:
                self._waiting.put(_ending(job, value, error, done, failed, reports_cancel))


def _result(job: Job, work: Work) -> tuple[Any, Optional[ServerError]]:
    try:
        job.signal.check()
        return work(job), None
    except ServerError as error:
        return None, error
    except OSError as error:
        logger.exception("A file of this computer could not be used")
        reason = error.strerror or str(error)
        sentence = f"A file on this computer could not be used: {reason}. Check that there is space and permission."
        return None, ServerError(FAILED, sentence, repr(error))
    except Exception as error:
        logger.exception("A job failed")
        sentence = "This module made a mistake; nothing of your work is lost. Try again, and report what the log says."
        return None, ServerError(FAILED, sentence, repr(error))


def _ending(
    job: Job,
    value: Any,
    error: Optional[ServerError],
    done: Optional[Done],
    failed: Optional[Failed],
    reports_cancel: bool,
) -> Callable[[], None]:
    """What ``poll`` runs when the work is over; whether it was cancelled is known only then."""

    def end() -> None:
        job._is_running = False
        if job.signal.is_set():
            if reports_cancel and failed is not None:
                failed(ServerError(CANCELLED, "Cancelled."))
        elif error is not None:
            if failed is not None:
                failed(error)
        elif done is not None:
            done(value)

    return end
