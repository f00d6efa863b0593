"""Landmarks of the open film, found by the server's model; what a person made is never lost to them."""

from __future__ import annotations

from typing import Callable, Optional

from ...client.api import Client
from ...client.errors import BAD_RESPONSE, REFUSED, ServerError
from ...client.responses import Prediction
from ...workflow import server_tasks
from ..autosave import Autosave
from ..open_image import EditSession
from ..requests import ServerRequests
from ..server_tasks import LoadedImage
from ..state import Logic, StateStore
from ..workers import Job
from .image_loader import ImageLoader

FOLLOW_DELAY_S = 0.1
"""A model is asked around a move when no other one has followed for so long, as those of a key that is held do."""


class InferenceAction:
    """Asks the model.

    Args:
        board: the state.
        requests: asks the server.
        saving: keeps the work on the open film.
        opening: knows what the editor says that is no edit.
        logic: shows what is found.
        clock: seconds from any moment on.
    """

    def __init__(
        self,
        board: StateStore,
        requests: ServerRequests,
        saving: Autosave,
        opening: ImageLoader,
        logic: Logic,
        clock: Callable[[], float],
    ) -> None:
        self._store, self._requests, self._saving = board, requests, saving
        self._opening, self._logic, self._clock = opening, logic, clock
        self._due: Optional[float] = None

    @property
    def _has_model(self) -> bool:
        info = self._store.state.info
        return info is not None and bool(info.model)

    def infer(self) -> None:
        """Ask for landmarks; points that the person touched stay, and the rest is decoded around them."""
        film = self._saving.film
        if film is None or not self._requests.check_same_server(film.server):
            return
        if self._requests.client is not None and not self._has_model:
            self._requests.failed(ServerError(REFUSED, "The server has no model. Place the points by hand."))
            return
        what = "Finding landmarks around yours" if self._logic.editor.is_touched else "Finding landmarks"
        self._ask(film, what, lambda answer: self._show(film, answer))

    def moved(self, is_followed: bool) -> None:
        """The person has changed something: where it is to be followed, ask once more when nothing else comes soon."""
        self._due = self._clock() + FOLLOW_DELAY_S if is_followed else None

    def poll(self) -> None:
        """Do what is due."""
        if self._due is not None and self._clock() >= self._due:
            self._due = None
            self._follow()

    def _follow(self) -> None:
        """Ask where the points that were not moved are a model's; else do nothing."""
        film = self._saving.film
        is_here = film is not None and film.server in ("", self._requests.server)
        if film is None or not (is_here and self._store.state.is_connected and self._has_model):
            return
        if not film.shows_proposal(self._logic):
            return
        changes = film.changes

        def show(answer: Prediction) -> None:
            with self._opening.ours():
                is_followed = film.changes == changes and self._logic.follow_prediction(answer)
            if is_followed:  # else there is a newer edit, which is followed by itself
                self._saving.edited(film)

        self._ask(film, "Finding the others around yours", show)

    def _ask(self, film: EditSession, what: str, show: Callable[[Prediction], None]) -> None:
        fixed, image_id, path, session = self._logic.editor.fixed(), film.image_id, film.path, film.session

        def work(client: Client, job: Job) -> tuple[Prediction, str]:
            if path is None:
                return server_tasks.infer_image(client, image_id, fixed, job)
            return server_tasks.infer_file(client, path, session, fixed, job)

        self._requests.ask("infer", what, work, lambda found: self._inferred(film, *found, show))

    def infer_if_outdated(self, opened: LoadedImage, is_wanted: bool) -> None:
        """Ask about a film that was opened, where its points are those of another model than the one that is served.

        Args:
            opened: what the server has about it.
            is_wanted: whether to ask also where it has no points.
        """
        info = self._store.state.info
        if info is None or not self._has_model or opened.is_final:
            return
        is_old = opened.label is not None and opened.facts.origin.model_version != info.model_version
        if is_old or (is_wanted and opened.label is None):
            self.infer()

    def infer_with_new_model(self) -> None:
        """Another model is served: ask it about the open film, if nobody has worked on that."""
        current = self._store.state.current
        is_free = current is not None and current.label == "prediction" and not current.is_unsaved
        if is_free and not self._logic.editor.is_touched:
            self.infer()

    def _inferred(
        self, film: EditSession, answer: Prediction, session: str, show: Callable[[Prediction], None]
    ) -> None:
        film.session = session
        shown = self._logic.film
        if film is not self._saving.film or shown is None or self._store.state.current is None:
            return
        if (answer.image.height, answer.image.width) != shown.pixels.shape:
            sentence = "The film at the server is another one by now. Open it again; your work is kept."
            self._requests.failed(ServerError(BAD_RESPONSE, sentence))
            return
        show(answer)

    def _show(self, film: EditSession, answer: Prediction) -> None:
        current = self._store.state.current
        with self._opening.ours():
            is_step = self._logic.show_prediction(answer)
        if is_step:
            self._saving.edited(film)
        else:
            film.is_proposal = True
            self._store.set_current(label="prediction")
            self._saving.show(film)
        if current is not None and current.label == "label":
            self._store.set(notice="These are points of the model. Undo brings the submitted label back.")
