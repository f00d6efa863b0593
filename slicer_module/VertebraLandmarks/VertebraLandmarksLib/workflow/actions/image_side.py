"""The patient's side at the left of the open image, stated by the user where the file does not state it."""

from __future__ import annotations

from typing import Optional

from ...client.api import Client
from ...client.errors import NOT_FOUND, TAKEN, ServerError
from ...client.radiograph import BY_PERSON, SERVER, Radiograph
from ..open_image import EditSession
from ..workers import Job
from .base import Action


class ImageSideAction(Action):
    """Sets the side, and stores it on the server or, where that is not possible, in the draft."""

    def set_side(self, side: Optional[str]) -> None:
        """Set the side at the left of the upright image: "left" or "right" of the patient, ``None`` to clear it."""
        session, shown = self._autosave.session, self._logic.radiograph
        if session is None or session.is_view_only or shown is None or shown.info.is_side_in_file:
            return
        self._logic.set_side(side)
        self._store.update_current(image_left_is=side)
        if self._is_stored_by_server(session, shown):
            self._send(session, side)
        else:
            self._store_in_draft(session, side)

    def _is_stored_by_server(self, session: EditSession, shown: Radiograph) -> bool:
        state = self._store.state
        is_on_server = shown.source == SERVER and session.server == self._requests.server and state.is_connected
        is_supported = shown.info.image_left_is_source is not None
        return is_on_server and is_supported and state.info is not None and state.info.may_label

    def _store_in_draft(self, session: EditSession, side: Optional[str]) -> None:
        session.image_left_is = side
        self._autosave.mark_edited(session)

    def _send(self, session: EditSession, side: Optional[str]) -> None:
        image_id = session.image_id

        def work(client: Client, job: Job) -> None:
            client.set_side(image_id, side, job.signal)

        def on_stored(_: None) -> None:
            session.image_left_is = None

        def on_error(error: ServerError) -> None:
            if error.kind == TAKEN:  # the file was replaced
                sentence = "The image on the server now states its side itself. Open it again; your work is kept."
                self._requests.show_error(ServerError(TAKEN, sentence, error.detail))
                return
            self._store_in_draft(session, side)
            if error.kind != NOT_FOUND:  # a server before 0.8
                self._requests.show_error(error)

        self._requests.submit("side", "Storing the patient's side", work, on_stored, on_error)


def format_side(radiograph: Radiograph, side: Optional[str]) -> str:
    """Whose sides are shown, and who states them, for display.

    Args:
        radiograph: the image.
        side: the side in effect; ``None`` where unknown.
    """
    if side is None:
        return "Sides are the image's."
    source = radiograph.info.image_left_is_source if radiograph.info.is_side_in_file else BY_PERSON
    return f"Sides are the patient's{f', {source}' if source else ''}."
