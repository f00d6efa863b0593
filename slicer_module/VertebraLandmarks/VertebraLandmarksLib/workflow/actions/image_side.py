"""Which of the patient's sides is at the left of the open image, where its file does not say: a person does."""

from __future__ import annotations

from typing import Optional

from ...client.api import Client
from ...client.errors import NOT_FOUND, TAKEN, ServerError
from ...client.radiograph import BY_PERSON, SERVER, Radiograph
from ..autosave import Autosave
from ..open_image import EditSession
from ..requests import ServerRequests
from ..state import Logic, StateStore
from ..workers import Job


class ImageSideAction:
    """Takes what the person states, and has the server keep it; what the server does not keep stays in the draft.

    Args:
        board: the state.
        requests: asks the server.
        saving: keeps the work on the open film.
        logic: measures with the side.
    """

    def __init__(self, board: StateStore, requests: ServerRequests, saving: Autosave, logic: Logic) -> None:
        self._store, self._requests, self._saving, self._logic = board, requests, saving, logic

    def state(self, side: Optional[str]) -> None:
        """Say which side is at the left of the upright image.

        Args:
            side: "left" or "right" of the patient; ``None`` to take back what was said.
        """
        film, shown = self._saving.film, self._logic.film
        if film is None or shown is None or shown.facts.is_side_in_file:
            return
        self._logic.set_side(side)
        self._store.set_current(image_left_is=side)
        if self._is_kept_by_server(film, shown):
            self._send(film, side)
        else:
            self._keep(film, side)

    def _is_kept_by_server(self, film: EditSession, shown: Radiograph) -> bool:
        info = self._store.state.info
        is_there = shown.source == SERVER and film.server == self._requests.server and self._store.state.is_connected
        return is_there and shown.facts.image_left_is_source is not None and info is not None and info.may_label

    def _keep(self, film: EditSession, side: Optional[str]) -> None:
        film.image_left_is = side
        self._saving.edited(film)

    def _send(self, film: EditSession, side: Optional[str]) -> None:
        image_id = film.image_id

        def work(client: Client, job: Job) -> None:
            client.set_side(image_id, side, job.signal)

        def stored(_: None) -> None:
            film.image_left_is = None

        def failed(error: ServerError) -> None:
            if error.kind == TAKEN:  # by the file, which is another one by now
                sentence = "The image at the server states its side itself by now. Open it again; your work is kept."
                self._requests.failed(ServerError(TAKEN, sentence, error.detail))
                return
            self._keep(film, side)
            if error.kind != NOT_FOUND:  # a server that does not know how to
                self._requests.failed(error)

        self._requests.ask("side", "Stating the patient's side", work, stored, failed)


def format_side(film: Radiograph, side: Optional[str]) -> str:
    """Who says which side is at the left of the image, for people.

    Args:
        film: the image.
        side: the side that counts; ``None`` where nobody knows.
    """
    if side is None:
        return "Sides are the image's."
    source = film.facts.image_left_is_source if film.facts.is_side_in_file else BY_PERSON
    return f"Sides are the patient's{f', {source}' if source else ''}."
