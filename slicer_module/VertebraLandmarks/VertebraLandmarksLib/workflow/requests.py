"""Requests to the connected server: named jobs, error messages, reconnection."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable, Optional

from ..client.api import Client
from ..client.errors import UNREACHABLE, ServerError, is_connection_error
from .state import Busy, ConnectionState, StateStore
from .workers import Done, Failed, Job, Work, WorkerPool


class JobList:
    """What the person waits for.

    Args:
        worker: runs them.
        changed: called when ``busy`` is another.
    """

    def __init__(self, worker: WorkerPool, changed: Callable[[], object]) -> None:
        self._worker, self._changed = worker, changed
        self._running: dict[str, tuple[Job, Busy]] = {}

    @property
    def busy(self) -> tuple[Busy, ...]:
        """Those that run, in the order of their begin."""
        return tuple(busy for _, busy in self._running.values())

    def start(self, name: str, what: str, work: Work, done: Done, failed: Failed, reports_cancel: bool = False) -> None:
        """Run a job in place of the one of that name, which is cancelled.

        Args:
            name: of the job.
            what: is being done, for people.
            work: see ``WorkerPool.start``.
            done: called with the result.
            failed: called with the error.
            reports_cancel: see ``WorkerPool.start``.
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

        job = self._worker.start(work, ending(done), ending(failed), progress, reports_cancel)
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


RECONNECT_INTERVAL_S = 5.0
"""How often a lost server is asked whether it is back."""


class ServerRequests:
    """Requests to the server that the person is connected to.

    Args:
        board: the state.
        worker: runs them.
        clock: seconds from any moment on.

    Attributes:
        client: the server's abilities; ``None`` while there is none.
        jobs: what the person waits for.
    """

    def __init__(self, board: StateStore, worker: WorkerPool, clock: Callable[[], float]) -> None:
        self.client: Optional[Client] = None
        self.jobs = JobList(worker, lambda: board.set(busy=self.jobs.busy))
        self._store, self._worker, self._clock = board, worker, clock
        self._asking: Optional[Job] = None
        self._next_try = 0.0

    @property
    def server(self) -> str:
        """Address of the server, "" without one."""
        return "" if self.client is None else str(self.client.connection.address)

    @property
    def is_background_running(self) -> bool:
        """Whether something is asked that nobody waits for."""
        return self._asking is not None and self._asking.is_running()

    def ask(
        self,
        name: str,
        what: str,
        work: Callable[[Client, Job], Any],
        done: Callable[[Any], object],
        failed: Optional[Callable[[ServerError], object]] = None,
        reports_cancel: bool = False,
    ) -> None:
        """Ask something that the person waits for; arguments as ``JobList.start`` has them. Errors are shown."""
        client = self.client
        if client is None:
            self.failed(ServerError(UNREACHABLE, "Connect to a server first."))
            return

        def answered(value: Any) -> None:
            self._is_back()
            self._store.set(error=None)
            done(value)

        self.jobs.start(name, what, lambda job: work(client, job), answered, failed or self.failed, reports_cancel)

    def quietly(self, work: Callable[[Client, Job], Any], done: Callable[[Any], object]) -> None:
        """Ask something that nobody waits for, and whose errors nobody needs to see."""
        client = self.client
        if client is None:
            return

        def answered(value: Any) -> None:
            self._is_back()
            done(value)

        self._asking = self._worker.start(lambda job: work(client, job), answered, self._lost)

    def delete_session(self, session: str) -> None:
        """Have the server forget a file that was sent; "" is none."""
        client = self.client
        if client is not None and session:
            self._worker.start(lambda job: client.delete_session(session, job.signal))

    def failed(self, error: ServerError) -> None:
        """Show what went wrong."""
        self._lost(error)
        self._store.set(error=error)

    def check_same_server(self, server: str) -> bool:
        """Whether the image of a server, "" for a file of this computer, may be spoken of here; if not, says so.

        Another server may well have another image of that name.
        """
        if self.client is None or server in ("", self.server):
            return True
        sentence = f"This film belongs to the server {server}. Connect to it first; the work is kept."
        self.failed(ServerError(UNREACHABLE, sentence))
        return False

    def is_reconnect_due(self) -> bool:
        """Whether a lost server should be asked now whether it is back."""
        is_lost = self._store.state.connection is ConnectionState.LOST
        return is_lost and self._clock() >= self._next_try and not self.is_background_running

    def end(self) -> None:
        """Ask nothing any more."""
        self.jobs.cancel()
        if self._asking is not None:
            self._asking.cancel()
        self.client = None

    def _lost(self, error: ServerError) -> None:
        """Notice where the server is out of reach."""
        if is_connection_error(error) and self.client is not None:
            self._next_try = self._clock() + RECONNECT_INTERVAL_S
            if self._store.state.connection is ConnectionState.CONNECTED:
                self._store.set(connection=ConnectionState.LOST)

    def _is_back(self) -> None:
        if self._store.state.connection is ConnectionState.LOST:
            self._store.set(connection=ConnectionState.CONNECTED)
