"""Starting, stopping and following a training on the server."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Callable, Optional

from ...client.api import Client
from ...client.errors import FAILED, ServerError
from ...client.responses import DONE, INTERRUPTED, STARTING, STOPPED, Training
from .. import server_tasks
from ..workers import Job
from .base import Action, ActionContext

POLL_INTERVAL_S = 1.5
START_TIMEOUT_S = 60.0
"""Within which a training that was started must be reported by the server."""


class TrainingWatch:
    """When to poll a training, and which reports are still about the one before it.

    Args:
        clock: monotonic time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next_poll = 0.0
        self._before: Optional[Training] = None
        self._start_deadline: Optional[float] = None

    def on_started(self, before: Optional[Training]) -> Training:
        """A training was started; ``before`` is the report until then. Returns what to show."""
        self._before, self._start_deadline = before, self._clock() + START_TIMEOUT_S
        return Training(STARTING)

    def on_stopped(self) -> None:
        """The training was stopped: every report from now on is about it."""
        self._start_deadline = None

    def is_due(self, shown: Optional[Training]) -> bool:
        """Whether it is time to poll; true once per interval."""
        now = self._clock()
        if shown is None or not shown.is_ongoing or now < self._next_poll:
            return False
        self._next_poll = now + POLL_INTERVAL_S
        return True

    def filter_report(self, report: Optional[Training]) -> Optional[Training]:
        """What to show: a new training takes a moment to replace the report about the one before it."""
        if self._start_deadline is not None and report == self._before and self._clock() < self._start_deadline:
            return Training(STARTING)
        self._start_deadline = None
        return report


class TrainingAction(Action):
    """Starts, stops and follows trainings.

    Args:
        context: see ``Action``.
        on_finished: called when a training has succeeded, with whether it published a model.
    """

    def __init__(self, context: ActionContext, on_finished: Callable[[bool], object]) -> None:
        super().__init__(context)
        self._on_finished = on_finished
        self._watch = TrainingWatch(context.clock)

    def start(self, settings: Mapping[str, Any]) -> None:
        """Train the model on all final labels."""
        settings = dict(settings)

        def work(client: Client, job: Job) -> Optional[Training]:
            return server_tasks.start_training(client, settings, job)

        def on_started(before: Optional[Training]) -> None:
            self._store.update(training=self._watch.on_started(before))

        self._requests.submit("train", "Starting the training", work, on_started)

    def stop(self) -> None:
        """Stop the running training; the model stays unchanged."""

        def work(client: Client, job: Job) -> None:
            client.stop_training(job.signal)

        self._requests.submit("train", "Stopping the training", work, lambda _: self._watch.on_stopped())

    def poll(self) -> None:
        """Request the progress if it is due."""
        if not self._requests.is_background_running and self._watch.is_due(self._store.state.training):
            self._requests.submit_background(lambda client, job: client.training(job.signal), self.on_report)

    def on_report(self, report: Optional[Training]) -> None:
        """Show the progress, and the outcome of a training that has ended."""
        before, training = self._store.state.training, self._watch.filter_report(report)
        self._store.update(training=training)
        if before is None or not before.is_ongoing or training is None or training.is_ongoing:
            return
        if training.state == DONE:
            is_published = bool(training.version_after)
            result = f"Model {training.version_after} is now in use." if is_published else ""
            self._store.update(notice=" ".join(filter(None, ("The training is done.", result, training.message))))
            self._on_finished(is_published)
        elif training.state == STOPPED:
            self._store.update(notice="The training was stopped. The model is unchanged.")
        elif training.state == INTERRUPTED:
            notice = "The training was interrupted. The model is unchanged; start again to resume it."
            self._store.update(notice=notice)
        else:
            why = f": {training.message.rstrip('.')}." if training.message else "."
            sentence = f"The training failed{why} The model is unchanged."
            self._requests.show_error(ServerError(FAILED, sentence, training.message))
