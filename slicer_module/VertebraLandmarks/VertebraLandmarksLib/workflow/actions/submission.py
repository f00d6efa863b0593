"""Submitting a label, after warnings about likely mistakes are confirmed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Callable, Optional

import numpy as np

from ...client.api import Client
from ...client.errors import CANCELLED, FORBIDDEN, REFUSED, TAKEN, ServerError
from ...client.radiograph import SERVER
from ...client.responses import LABELLED, READ, ImageEntry, LabelInfo, replace_entry
from ...spine.labels.submission_warnings import SubmissionWarning, submission_warnings
from .. import server_tasks
from ..drafts import SUBMITTING
from ..open_image import EditSession
from ..server_tasks import ReplacedLabelError, Submitted
from ..workers import Job
from .base import Action, ActionContext

VIEW_ONLY = "You have no reading of this image under work. “Your next image” gives you one."


@dataclass(frozen=True)
class ConfirmationRequest:
    """Warnings that the user must confirm; a confirmation counts for these points of this image only.

    Attributes:
        key: of the edit session.
        revision: of its points.
        warnings: at least one.
    """

    key: str
    revision: int
    warnings: tuple[SubmissionWarning, ...]


class SubmissionAction(Action):
    """Submits labels.

    Args:
        context: see ``Action``.
        on_stored: called when the server has a label, with whether its image is still open without newer edits.
        on_readings_changed: called with the error where an adjudicator has not seen the readings as they are.
    """

    def __init__(
        self,
        context: ActionContext,
        on_stored: Callable[[bool], object],
        on_readings_changed: Callable[[ServerError], object],
    ) -> None:
        super().__init__(context)
        self._on_label_stored, self._on_readings_changed = on_stored, on_readings_changed

    def submit(self, confirmed: Optional[ConfirmationRequest] = None) -> Optional[ConfirmationRequest]:
        """Submit the label of the open image, or return what must be confirmed, see ``Controller.submit``."""
        session, info = self._autosave.session, self._store.state.info
        if session is None or self._store.state.is_busy("submit"):
            return None
        if not session.is_of(self._store.user):  # it is being closed
            return None
        if confirmed is not None and confirmed.key != session.policy.key:
            self._store.update(notice="Nothing was submitted: the image that you confirmed is no longer open.")
            return None
        if not self._requests.check_same_server(session.server):
            return None
        if info is not None and not info.may_label:
            sentence = "Your token allows viewing images, but not labelling them. Ask the server's administrator."
            self._requests.show_error(ServerError(FORBIDDEN, sentence))
            return None
        if session.is_view_only:
            self._requests.show_error(ServerError(REFUSED, VIEW_ONLY))
            return None
        xy = self._logic.image_frame.upright(self._logic.editor.spine()).visible_xy
        if not np.isfinite(xy).any():
            sentence = "There are no points to submit. Place them, or find landmarks."
            self._requests.show_error(ServerError(REFUSED, sentence))
            return None
        warnings = submission_warnings(xy, session.final, self._store.user, session.shows_proposal(self._logic))
        request = ConfirmationRequest(session.policy.key, session.change_count, warnings)
        if warnings and request != confirmed:
            return request
        self._send(session)
        return None

    def _send(self, session: EditSession) -> None:
        session.timer.touch()
        session.note = SUBMITTING
        draft, policy = session.draft(self._logic, self._store.user), session.policy
        if policy.revision == policy.submitted_revision:
            policy.revision += 1  # unchanged points become a label of this user
        self._autosave.publish(session)
        revision, prediction_count, final = policy.revision, self._logic.editor.prediction_count, session.final

        def work(client: Client, job: Job) -> Submitted:
            return server_tasks.submit(client, draft, policy, revision, final, job)

        def on_stored(stored: Submitted) -> None:
            self._on_stored(session, stored, revision, prediction_count)

        def on_error(error: ServerError) -> None:
            session.note = "" if error.kind == CANCELLED else error.message
            self._autosave.write_note(session, replace(draft, note=session.note), revision)
            self._on_error(session, error)

        self._requests.submit("submit", f"Submitting {session.image_id}", work, on_stored, on_error, True)

    def _on_error(self, session: EditSession, error: ServerError) -> None:
        if not session.is_of(self._store.user):
            self._autosave.refresh_drafts()
            return
        if isinstance(error, ReplacedLabelError):
            session.final = error.final
            self._update_image_list(session, error.final)
        if error.kind == CANCELLED:
            sentence = "Cancelled; the label may have been stored or not. Your work is kept. Submit it again."
            self._store.update(notice=sentence)
        elif session is self._autosave.session and session.seen_versions and error.kind == TAKEN:
            self._on_readings_changed(error)
        elif session is self._autosave.session:
            self._requests.show_error(error)
        else:
            sentence = f"{session.image_id} was not submitted; it is among the unfinished work. {error.message}"
            self._requests.show_error(ServerError(error.kind, sentence, error.detail))
            self._autosave.refresh_drafts()

    def _on_stored(self, session: EditSession, stored: Submitted, revision: int, prediction_count: int) -> None:
        policy, is_new = session.policy, session.path is not None
        image_id, final, is_moved = stored.image_id, stored.info, stored.reading != session.reading
        file = "" if session.path is None else f"{image_id}{session.path[session.path.rfind('.') :]}"
        policy.submitted_revision = max(policy.submitted_revision, revision)
        session.image_id, session.server, session.path, session.note = image_id, self._requests.server, None, ""
        session.final, session.is_proposal, session.prediction_count = final, False, prediction_count
        session.reading = stored.reading
        is_open = session is self._autosave.session
        if is_open:
            self._store.update_current(proposal=None)  # it was about the label before
            self._logic.editor.is_own = True
            if is_new:
                self._requests.delete_session(session.upload_id)
                session.upload_id = ""
            if is_new and self._store.state.study is not None:  # to be opened again as a reading
                session.reader, session.is_view_only = self._store.user, True
            self._store.update_current(
                id=image_id, source=SERVER, path=None, reading=session.reading, is_view_only=session.is_view_only
            )
            if not policy.is_unsaved:
                self._store.update_current(label="label")
            self._autosave.publish(session)
        self._autosave.refresh_drafts()
        if not session.is_of(self._store.user):
            return
        self._store.update(notice=_format_stored(session, is_moved))
        self._update_image_list(session, final, file)
        self._on_label_stored(is_open and not policy.is_unsaved)

    def _update_image_list(self, session: EditSession, final: LabelInfo, file: str = "") -> None:
        """Show the label in the list of images without requesting the list."""
        image_id, status = session.image_id, LABELLED if session.reading is None else READ
        old = next((entry for entry in self._store.state.images if entry.id == image_id), None)
        if old is None and not file:
            return
        entry = ImageEntry(image_id, status, final.user, final.timestamp, file if old is None else old.file)
        self._store.update(images=replace_entry(self._store.state.images, entry))


def _format_stored(session: EditSession, is_moved: bool) -> str:
    if session.reading is not None and is_moved:
        beginning = f"{session.image_id} was given to somebody else meanwhile"
        return f"{beginning}. Your reading is stored as the {session.reading.kind} one."
    if session.reading is not None:
        return f"Your reading of {session.image_id} is stored."
    if session.seen_versions:
        return f"The final label of {session.image_id} is stored."
    return f"{session.image_id} is stored as final."
