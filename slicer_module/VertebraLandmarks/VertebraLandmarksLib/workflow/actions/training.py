"""Starting, stopping and following a training on the server."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Callable, Optional

from ...client.api import Client
from ...client.errors import FAILED, ServerError
from ...client.responses import DONE, INTERRUPTED, STARTING, STOPPED, Training
from ...workflow import server_tasks
from ..requests import ServerRequests
from ..state import StateStore
from ..workers import Job

POLL_INTERVAL_S = 1.5
START_TIMEOUT_S = 60.0
"""Time in which a training that was asked for must show up."""


class TrainingWatch:
    """Looks after a training.

    Args:
        clock: seconds from any moment on.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next = 0.0
        self._before: Optional[Training] = None
        self._until: Optional[float] = None

    def started(self, before: Optional[Training]) -> Training:
        """A training was asked for; ``before`` is what the server said until then."""
        self._before, self._until = before, self._clock() + START_TIMEOUT_S
        return Training(STARTING)

    def stopped(self) -> None:
        """The training was told to end; whatever the server says now is about it."""
        self._until = None

    def is_due(self, shown: Optional[Training]) -> bool:
        """Whether it is time to ask; then it is so once."""
        now = self._clock()
        if shown is None or not shown.is_ongoing or now < self._next:
            return False
        self._next = now + POLL_INTERVAL_S
        return True

    def seen(self, said: Optional[Training]) -> Optional[Training]:
        """What to show for an answer: a new training takes a moment to replace what was said about the last one."""
        if self._until is not None and said == self._before and self._clock() < self._until:
            return Training(STARTING)
        self._until = None
        return said


class TrainingAction:
    """What is known of the newest training.

    Args:
        board: the state.
        requests: asks the server.
        clock: seconds from any moment on.
        is_done: called when a training has ended well, with whether there is another model now.
    """

    def __init__(
        self,
        board: StateStore,
        requests: ServerRequests,
        clock: Callable[[], float],
        is_done: Callable[[bool], object],
    ) -> None:
        self._store, self._requests, self._is_done = board, requests, is_done
        self._watch = TrainingWatch(clock)

    def start(self, settings: Mapping[str, Any]) -> None:
        """Train the model on all final labels."""
        given = dict(settings)

        def work(client: Client, job: Job) -> Optional[Training]:
            return server_tasks.start_training_run(client, given, job)

        def started(before: Optional[Training]) -> None:
            self._store.set(training=self._watch.started(before))

        self._requests.ask("train", "Starting the training", work, started)

    def stop(self) -> None:
        """End the training that runs; the model stays as it was."""

        def work(client: Client, job: Job) -> None:
            client.stop_training(job.signal)

        self._requests.ask("train", "Stopping the training", work, lambda _: self._watch.stopped())

    def poll(self) -> None:
        """Ask how it is getting on, if it is time to."""
        if not self._requests.is_background_running and self._watch.is_due(self._store.state.training):
            self._requests.quietly(lambda client, job: client.training(job.signal), self.saw)

    def saw(self, said: Optional[Training]) -> None:
        """The server said how it is getting on."""
        before, training = self._store.state.training, self._watch.seen(said)
        self._store.set(training=training)
        if before is None or not before.is_ongoing or training is None or training.is_ongoing:
            return
        if training.state == DONE:
            is_new = bool(training.version_after)
            result = f"Model {training.version_after} is served from now on." if is_new else ""
            self._store.set(notice=" ".join(filter(None, ("The training is done.", result, training.message))))
            self._is_done(is_new)
        elif training.state == STOPPED:
            self._store.set(notice="The training was stopped. The model stays as it was.")
        elif training.state == INTERRUPTED:
            notice = "The training was interrupted. The model stays as it was; started again, it goes on."
            self._store.set(notice=notice)
        else:
            why = f": {training.message.rstrip('.')}." if training.message else "."
            sentence = f"The training failed{why} The model stays as it was."
            self._requests.failed(ServerError(FAILED, sentence, training.message))
