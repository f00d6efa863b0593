"""Requests to the connected server: named jobs, error messages, reconnection."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable, Optional

from ..client.api import Client
from ..client.errors import UNREACHABLE, ServerError, is_connection_error
from .state import ConnectionState, RunningJob, StateStore
from .workers import Job, OnDone, OnError, Work, WorkerPool

RECONNECT_INTERVAL_S = 5.0


class JobList:
    """Jobs by name, one of each at a time, whose progress is shown.

    Args:
        workers: run them.
        on_change: called when ``busy`` changes.
    """

    def __init__(self, workers: WorkerPool, on_change: Callable[[], object]) -> None:
        self._workers, self._on_change = workers, on_change
        self._running: dict[str, tuple[Job, RunningJob]] = {}

    @property
    def busy(self) -> tuple[RunningJob, ...]:
        """Running jobs, oldest first."""
        return tuple(shown for _, shown in self._running.values())

    def start(
        self,
        name: str,
        description: str,
        work: Work,
        on_done: OnDone,
        on_error: OnError,
        reports_cancel: bool = False,
    ) -> None:
        """Start a job; one of the same name is cancelled.

        Args:
            name: of the job.
            description: for the user.
            work: see ``WorkerPool.start``.
            on_done: called with the result.
            on_error: called with the error.
            reports_cancel: see ``WorkerPool.start``.
        """
        self.cancel(name)

        def ending(then: Callable[..., object]) -> Callable[..., None]:
            def end(result: object) -> None:
                if self._is_running(name, job):
                    del self._running[name]
                    self._on_change()
                then(result)

            return end

        def on_progress(done: int, total: Optional[int]) -> None:
            if self._is_running(name, job):
                self._running[name] = (job, replace(self._running[name][1], done=done, total=total))
                self._on_change()

        job = self._workers.start(work, ending(on_done), ending(on_error), on_progress, reports_cancel)
        self._running[name] = (job, RunningJob(name, description))
        self._on_change()

    def cancel(self, name: str = "") -> None:
        """Cancel the job of that name, or all."""
        for each in [name] if name else list(self._running):
            if each in self._running:
                self._running.pop(each)[0].cancel()
                self._on_change()

    def _is_running(self, name: str, job: Job) -> bool:
        return name in self._running and self._running[name][0] is job


class ServerRequests:
    """Requests to the connected server.

    Args:
        store: the state.
        workers: run the requests.
        clock: monotonic time in seconds.

    Attributes:
        client: of the server; ``None`` without one.
        jobs: requests whose progress is shown.
    """

    def __init__(self, store: StateStore, workers: WorkerPool, clock: Callable[[], float]) -> None:
        self.client: Optional[Client] = None
        self.jobs = JobList(workers, lambda: store.update(busy=self.jobs.busy))
        self._store, self._workers, self._clock = store, workers, clock
        self._background_job: Optional[Job] = None
        self._next_reconnect = 0.0

    @property
    def server(self) -> str:
        """URL of the server, "" without one."""
        return "" if self.client is None else str(self.client.connection.url)

    @property
    def is_background_running(self) -> bool:
        """Whether a background request is running."""
        return self._background_job is not None and self._background_job.is_running()

    def submit(
        self,
        name: str,
        description: str,
        work: Callable[[Client, Job], Any],
        on_done: Callable[[Any], object],
        on_error: Optional[Callable[[ServerError], object]] = None,
        reports_cancel: bool = False,
    ) -> None:
        """Start a request whose progress is shown, see ``JobList.start``; errors are shown by default."""
        client = self.client
        if client is None:
            self.show_error(ServerError(UNREACHABLE, "Connect to a server first."))
            return

        def on_response(value: Any) -> None:
            self._mark_connected()
            self._store.update(error=None)
            on_done(value)

        on_error = on_error or self.show_error
        self.jobs.start(name, description, lambda job: work(client, job), on_response, on_error, reports_cancel)

    def submit_background(self, work: Callable[[Client, Job], Any], on_done: Callable[[Any], object]) -> None:
        """Start a request without progress, whose errors are not shown."""
        client = self.client
        if client is None:
            return

        def on_response(value: Any) -> None:
            self._mark_connected()
            on_done(value)

        self._background_job = self._workers.start(
            lambda job: work(client, job), on_response, self._note_connection_error
        )

    def run_quietly(self, work: Work) -> None:
        """Start a job whose result and errors matter to nobody."""
        self._workers.start(work)

    def delete_session(self, upload_id: str) -> None:
        """Delete an upload session on the server; "" is none."""
        client = self.client
        if client is not None and upload_id:
            self._workers.start(lambda job: client.delete_session(upload_id, job.signal))

    def show_error(self, error: ServerError) -> None:
        """Show an error."""
        self._note_connection_error(error)
        self._store.update(error=error)

    def check_same_server(self, server: str) -> bool:
        """Whether an image of that server ("" for a local file) belongs to the connected one; if not, says so.

        Another server may have another image of the same name.
        """
        if self.client is None or server in ("", self.server):
            return True
        self.show_error(other_server_error(server))
        return False

    def is_reconnect_due(self) -> bool:
        """Whether the connection is lost and it is time to try again."""
        is_lost = self._store.state.connection is ConnectionState.LOST
        return is_lost and self._clock() >= self._next_reconnect and not self.is_background_running

    def close(self) -> None:
        """Cancel all requests and drop the client."""
        self.jobs.cancel()
        if self._background_job is not None:
            self._background_job.cancel()
        self.client = None

    def _note_connection_error(self, error: ServerError) -> None:
        if is_connection_error(error) and self.client is not None:
            self._next_reconnect = self._clock() + RECONNECT_INTERVAL_S
            if self._store.state.connection is ConnectionState.CONNECTED:
                self._store.update(connection=ConnectionState.LOST)

    def _mark_connected(self) -> None:
        if self._store.state.connection is ConnectionState.LOST:
            self._store.update(connection=ConnectionState.CONNECTED)


def other_server_error(server: str) -> ServerError:
    """The error for work on an image of a server that is not connected."""
    return ServerError(
        UNREACHABLE, f"This image belongs to the server {server}. Connect to it first; your work is kept."
    )
