"""Jobs under names: one of each at a time, shown to the person while they run."""

from __future__ import annotations

from dataclasses import replace
from typing import Callable, Optional

from .state import Busy
from .workers import Done, Failed, Job, Work, Worker


class Jobs:
    """What the person waits for.

    Args:
        worker: runs them.
        changed: called when ``busy`` is another.
    """

    def __init__(self, worker: Worker, changed: Callable[[], object]) -> None:
        self._worker, self._changed = worker, changed
        self._running: dict[str, tuple[Job, Busy]] = {}

    @property
    def busy(self) -> tuple[Busy, ...]:
        """Those that run, in the order of their begin."""
        return tuple(busy for _, busy in self._running.values())

    def start(self, name: str, what: str, work: Work, done: Done, failed: Failed, tell_cancelled: bool = False) -> None:
        """Run a job in place of the one of that name, which is cancelled.

        Args:
            name: of the job.
            what: is being done, for people.
            work: see ``Worker.start``.
            done: called with the result.
            failed: called with the error.
            tell_cancelled: see ``Worker.start``.
        """
        self.cancel(name)

        def ending(then: Callable[..., object]) -> Callable[..., None]:
            def end(result: object) -> None:
                if self._is(name, job):
                    del self._running[name]
                    self._changed()
                then(result)

            return end

        def progress(done_bytes: int, total: Optional[int]) -> None:
            if self._is(name, job):
                self._running[name] = (job, replace(self._running[name][1], done=done_bytes, total=total))
                self._changed()

        job = self._worker.start(work, ending(done), ending(failed), progress, tell_cancelled)
        self._running[name] = (job, Busy(name, what))
        self._changed()

    def cancel(self, name: str = "") -> None:
        """Cancel the job of that name, or all."""
        for each in [name] if name else list(self._running):
            if each in self._running:
                self._running.pop(each)[0].cancel()
                self._changed()

    def _is(self, name: str, job: Job) -> bool:
        return name in self._running and self._running[name][0] is job
