"""A label goes to the server, after what may be a slip was asked about."""

from __future__ import annotations

from dataclasses import replace
from typing import Callable, Optional

import numpy as np

from ...client.api import Client
from ...client.errors import CANCELLED, FORBIDDEN, REFUSED, ServerError
from ...client.responses import LABELLED, SERVER, ImageEntry, LabelFacts, with_entry
from .. import server_tasks
from ..autosave import Saving
from ..board import Board
from ..drafts import SUBMITTING
from ..needs import Logic
from ..open_image import OpenFilm
from ..requests import Requests
from ..server_tasks import ReplacedLabelError
from ..workers import Job
from .questions import Asked, questions_about


class Submitting:
    """Stores labels.

    Args:
        board: the state.
        requests: asks the server.
        saving: keeps the work until the server has it.
        logic: holds the points.
        is_stored: called when the server has a label, with whether its film is still open and nothing is newer.
    """

    def __init__(
        self, board: Board, requests: Requests, saving: Saving, logic: Logic, is_stored: Callable[[bool], object]
    ) -> None:
        self._board, self._requests, self._saving, self._logic = board, requests, saving, logic
        self._is_stored = is_stored

    def submit(self, confirmed: Optional[Asked] = None) -> Optional[Asked]:
        """Store the label of the open film, or say what must be asked first, see ``Controller.submit``."""
        film, info = self._saving.film, self._board.state.info
        if film is None or self._board.state.is_busy("submit"):
            return None
        if confirmed is not None and confirmed.key != film.keeper.key:
            self._board.set(notice="Nothing was submitted: that was about a film which is no longer open.")
            return None
        if not self._requests.may_ask_about(film.server):
            return None
        if info is not None and not info.may_label:
            sentence = "Your token lets you look at films, but not label them. Ask whoever runs the server."
            self._requests.failed(ServerError(FORBIDDEN, sentence))
            return None
        xy = self._logic.image_frame.upright(self._logic.editor.spine()).visible_xy
        if not np.isfinite(xy).any():
            sentence = "There are no points to submit. Place them, or ask for landmarks."
            self._requests.failed(ServerError(REFUSED, sentence))
            return None
        questions = questions_about(xy, film.final, self._board.user, film.shows_proposal(self._logic))
        asked = Asked(film.keeper.key, film.changes, questions)
        if questions and asked != confirmed:
            return asked
        self._send(film)
        return None

    def _send(self, film: OpenFilm) -> None:
        film.effort.active()
        film.note = SUBMITTING
        draft, keeper = film.draft(self._logic, self._board.user), film.keeper
        if keeper.revision == keeper.submitted:
            keeper.revision += 1  # nothing was changed, but from now on this is somebody's word
        self._saving.show(film)
        revision, predictions, known = keeper.revision, self._logic.editor.predictions, film.final

        def work(client: Client, job: Job) -> tuple[str, LabelFacts]:
            return server_tasks.submit(client, draft, keeper, revision, known, job)

        def stored(found: tuple[str, LabelFacts]) -> None:
            self._stored(film, found[0], found[1], revision, predictions)

        def failed(error: ServerError) -> None:
            film.note = "" if error.kind == CANCELLED else error.message
            self._saving.note(film, replace(draft, note=film.note), revision)
            self._not_stored(film, error)

        self._requests.ask("submit", f"Submitting {film.image_id}", work, stored, failed, True)

    def _not_stored(self, film: OpenFilm, error: ServerError) -> None:
        if isinstance(error, ReplacedLabelError):
            film.final = error.final
            self._enter(film.image_id, error.final)
        if error.kind == CANCELLED:
            sentence = "Cancelled; the label may have arrived or not. Your work is kept. Submit it again."
            self._board.set(notice=sentence)
        elif film is self._saving.film:
            self._requests.failed(error)
        else:
            sentence = f"{film.image_id} was not submitted; it is among the unfinished work. {error.message}"
            self._requests.failed(ServerError(error.kind, sentence, error.detail))
            self._saving.list()

    def _stored(self, film: OpenFilm, image_id: str, final: LabelFacts, revision: int, predictions: int) -> None:
        keeper, is_new = film.keeper, film.path is not None
        file = "" if film.path is None else f"{image_id}{film.path[film.path.rfind('.') :]}"
        keeper.submitted = max(keeper.submitted, revision)
        film.image_id, film.server, film.path, film.note = image_id, self._requests.server, None, ""
        film.final, film.is_proposal, film.predictions = final, False, predictions
        is_open = film is self._saving.film
        if is_open:
            self._logic.editor.is_own = True
            if is_new:
                self._requests.end_session(film.session)
                film.session = ""
            self._board.set_current(id=image_id, source=SERVER, path=None)
            if not keeper.is_unsaved:
                self._board.set_current(label="label")
            self._saving.show(film)
        self._board.set(notice=f"{image_id} is stored as final.")
        self._enter(image_id, final, file)
        self._saving.list()
        self._is_stored(is_open and not keeper.is_unsaved)

    def _enter(self, image_id: str, final: LabelFacts, file: str = "") -> None:
        """Show the label in the list of images, without asking for the whole list."""
        known = next((one for one in self._board.state.images if one.id == image_id), None)
        if known is None and not file:
            return
        entry = ImageEntry(image_id, LABELLED, final.user, final.when, file if known is None else known.file)
        self._board.set(images=with_entry(self._board.state.images, entry))
