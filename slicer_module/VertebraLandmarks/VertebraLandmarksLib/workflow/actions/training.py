"""Trainings of the server's model: started, stopped, and looked after until they end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable, Optional

from ...client.api import Client
from ...client.errors import FAILED, ServerError
from ...client.responses import DONE, INTERRUPTED, STOPPED, Training
from .. import server_tasks
from ..board import Board
from ..requests import Requests
from ..workers import Job
from .watching import TrainingWatch


class Trainings:
    """What is known of the newest training.

    Args:
        board: the state.
        requests: asks the server.
        clock: seconds from any moment on.
        is_done: called when a training has ended well, with whether there is another model now.
    """

    def __init__(
        self,
        board: Board,
        requests: Requests,
        clock: Callable[[], float],
        is_done: Callable[[bool], object],
    ) -> None:
        self._board, self._requests, self._is_done = board, requests, is_done
        self._watch = TrainingWatch(clock)

    def start(self, settings: Mapping[str, Any]) -> None:
        """Train the model on all final labels."""
        given = dict(settings)

        def work(client: Client, job: Job) -> Optional[Training]:
            return server_tasks.begin_training(client, given, job)

        def started(before: Optional[Training]) -> None:
            self._board.set(training=self._watch.started(before))

        self._requests.ask("train", "Starting the training", work, started)

    def stop(self) -> None:
        """End the training that runs; the model stays as it was."""

        def work(client: Client, job: Job) -> None:
            client.stop_training(job.signal)

        self._requests.ask("train", "Stopping the training", work, lambda _: self._watch.stopped())

    def look_after(self) -> None:
        """Ask how it is getting on, if it is time to."""
        if not self._requests.is_asking_quietly and self._watch.is_due(self._board.state.training):
            self._requests.quietly(lambda client, job: client.training(job.signal), self.saw)

    def saw(self, said: Optional[Training]) -> None:
        """The server said how it is getting on."""
        before, training = self._board.state.training, self._watch.seen(said)
        self._board.set(training=training)
        if before is None or not before.is_going_on or training is None or training.is_going_on:
            return
        if training.state == DONE:
            is_new = bool(training.version_after)
            result = f"Model {training.version_after} is served from now on." if is_new else ""
            self._board.set(notice=" ".join(filter(None, ("The training is done.", result, training.message))))
            self._is_done(is_new)
        elif training.state == STOPPED:
            self._board.set(notice="The training was stopped. The model stays as it was.")
        elif training.state == INTERRUPTED:
            notice = "The training was interrupted. The model stays as it was; started again, it goes on."
            self._board.set(notice=notice)
        else:
            why = f": {training.message.rstrip('.')}." if training.message else "."
            sentence = f"The training failed{why} The model stays as it was."
            self._requests.failed(ServerError(FAILED, sentence, training.message))
