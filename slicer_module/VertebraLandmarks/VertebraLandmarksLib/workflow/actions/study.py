"""Work by a study plan: the next image, giving it back, the heartbeat, and that nobody sees the work of others."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Optional

from ...client.api import Client
from ...client.errors import REFUSED, ServerError
from ...client.readings import QueuedImage
from ...client.responses import ANONYMOUS
from ...client.study import FIRST, REPEAT, SECOND, NextReading, Reading, Study
from .. import server_tasks, study_tasks
from ..drafts import Draft
from ..open_image import EditSession
from ..server_tasks import LoadedImage
from ..state import ConnectionState, CurrentImage
from ..workers import Job
from .base import Action, ActionContext
from .image_loader import ImageLoader, OpenRequest
from .submission import VIEW_ONLY

PRESENCE_INTERVAL_S = 20.0
"""Between signs that an image is open here; the server gives it to somebody else 180 s after the last one."""
NAMES = {FIRST: "First reading", SECOND: "Second reading", REPEAT: "Repeat"}
_BLIND = {
    FIRST: "",
    SECOND: ", blind: nothing of other readings is shown",
    REPEAT: ", blind: your first reading is not shown",
}
MODEL_OFFERED = "Points of the model are offered."
MODEL_NOT_OFFERED = "No points of the model: place the points by hand."
_NextImage = tuple[NextReading, Optional[LoadedImage], Optional[Draft]]


class StudyAction(Action):
    """Reads images in the order of the plan.

    Args:
        context: see ``Action``.
        loader: opens the images.
    """

    def __init__(self, context: ActionContext, loader: ImageLoader) -> None:
        super().__init__(context)
        self._loader = loader
        self._client_id = str(uuid.uuid4())
        self._present: Optional[tuple[str, Client]] = None
        self._next_sign = 0.0

    def on_study(self, study: Optional[Study]) -> None:
        """Take in what the server says of the study, and close what the user may not see."""
        before = self._store.state.study
        self._store.update(study=study)
        if (before and before.user) != (study and study.user):
            self._loader.forget()
            self._autosave.refresh_drafts()
        self.close_work_of_others()

    def close_work_of_others(self) -> None:
        """Keep as a draft, and close, what somebody else has open, or what was opened before there was a plan."""
        session, study = self._autosave.session, self._store.state.study
        if session is None:
            return
        is_from_before = study is not None and bool(session.server) and session.reader is None
        if is_from_before or not session.is_of(self._store.user):
            self._loader.put_away()

    def on_user_changed(self) -> None:
        """Somebody else works from now on: what the user before was shown goes, and comes again for this one."""
        session, study = self._autosave.session, self._store.state.study
        if study is None and (session is None or session.is_of(self._store.user)):
            return
        if study is not None:  # there is a plan; which part this user has, the server says
            study = replace(study, user=self._store.user, is_reader=False, is_adjudicator=False, readers=())
        for name in ("open", "infer"):
            self._requests.jobs.cancel(name)
        self._loader.forget()
        self._store.update(study=study, images=(), queue=(), notice="", error=None)
        self.close_work_of_others()
        self._autosave.refresh_drafts()

    def refresh(self) -> None:
        """Request plan and progress."""
        user = self._store.user

        def on_done(found: tuple[Optional[Study], tuple[QueuedImage, ...]]) -> None:
            study, queue = found
            if user == self._store.user:
                self.on_study(study)
                self._store.update(queue=queue)

        self._requests.submit_background(server_tasks.fetch_study, on_done)

    def open_next(self, strategy: str) -> None:
        """Open what the user has under work, or is to read or to adjudicate next."""
        session, user, server = self._autosave.session, self._store.user, self._requests.server
        is_at_work = session is not None and self._is_at_work(session)
        present = (session.image_id, session.reading) if session is not None and is_at_work else None

        def work(client: Client, job: Job) -> _NextImage:
            given, loaded = study_tasks.open_next(client, user, strategy, present, job)
            draft = None if loaded is None else self._loader.newest_draft(loaded, server, user, has_plan=True)
            return given, loaded, draft

        def on_done(result: _NextImage) -> None:
            if user == self._store.user:
                self._on_next(*result)

        self._requests.submit("open", "Choosing your next image", work, on_done)

    def _on_next(self, given: NextReading, loaded: Optional[LoadedImage], draft: Optional[Draft]) -> None:
        if given.image_id is None:
            self._store.update(notice=given.sentence)
        elif loaded is not None:
            if given.reading is not None:
                self._loader.given[given.image_id] = given.reading
            self._loader.on_loaded(loaded, draft, OpenRequest())
        elif given.reading is None:
            self._store.update(notice=f"{given.image_id} is still yours to adjudicate.")
        else:
            self._loader.given[given.image_id] = given.reading
            session = self._autosave.session
            if session is not None and session.image_id == given.image_id and session.reading is not None:
                session.reading = given.reading  # another one, where the one before ran out
                self._store.update_current(reading=given.reading)
            self._store.update(notice=f"{given.image_id} is still yours to read: submit it, or give it back.")

    def release(self) -> None:
        """Give the open image back unread, and close it; edits are kept as a draft of the user."""
        session, user = self._autosave.session, self._store.user
        if session is None or session.reading is None:
            return
        image_id = session.image_id

        def work(client: Client, job: Job) -> bool:
            return client.release_reading(image_id, user, job.signal)

        def on_done(is_released: bool) -> None:
            if not is_released:
                sentence = f"You do not have {image_id} under work: there is nothing to give back."
                self._requests.show_error(ServerError(REFUSED, sentence))
                return
            self._loader.given.pop(image_id, None)
            if session is self._autosave.session:
                self._loader.close()
            self._store.update(notice=f"{image_id} is given back.")
            self.refresh()

        self._requests.submit("release", f"Giving {image_id} back", work, on_done)

    def poll(self) -> None:
        """Tell the server every ``PRESENCE_INTERVAL_S`` that an image of the study is open here."""
        session, client = self._autosave.session, self._requests.client
        is_connected = self._store.state.connection is ConnectionState.CONNECTED
        is_at_work = session is not None and self._is_at_work(session)
        present = (session.image_id, client) if session is not None and client is not None and is_at_work else None
        if not is_connected:
            return
        if present != self._present:
            self._end_presence()
            self._present, self._next_sign = present, 0.0
        if present is not None and session is not None and self._clock() >= self._next_sign:
            self._next_sign = self._clock() + PRESENCE_INTERVAL_S
            image_id, user, edits = session.image_id, session.reader or "", session.edits(self._logic)
            self._requests.submit_background(
                lambda client, job: client.note_presence(image_id, self._client_id, user, edits, job.signal),
                lambda _: None,
            )

    def _is_at_work(self, session: EditSession) -> bool:
        return session.reading is not None or self._store.state.adjudication is not None

    def _end_presence(self) -> None:
        if self._present is not None:
            image_id, client = self._present
            self._requests.run_quietly(lambda job: client.end_presence(image_id, self._client_id, job.signal))


def format_reading(reading: Reading) -> str:
    """What kind of reading it is, and whether points of the model are offered, for display."""
    blind = _BLIND[reading.kind] if reading.is_blind else ""
    model = MODEL_OFFERED if reading.offers_model else MODEL_NOT_OFFERED
    return f"{NAMES[reading.kind]}{blind}. {model}"


def format_part(study: Optional[Study], current: Optional[CurrentImage], is_adjudicating: bool) -> str:
    """What the user does in the study now, or why nothing, for display; "" without a plan.

    Args:
        study: with a plan.
        current: the open image.
        is_adjudicating: whether its final label is being chosen.
    """
    if study is None or not study.readers:
        return ""
    if study.user in ("", ANONYMOUS):
        return "This server has a study plan. Enter your name under Connection to read."
    if not study.has_part:
        return f"“{study.user}” is neither reader nor adjudicator of this study. You can look at images, not read them."
    if is_adjudicating:
        return "Adjudication: choose the final label of this image."
    if current is not None and current.reading is not None:
        return format_reading(current.reading)
    if current is not None and current.is_view_only:
        return VIEW_ONLY
    role = "a reader" if study.is_reader else "an adjudicator"
    return f"You are {role} of this study. “Your next image” (N) opens what is to be done."


def format_progress(study: Study) -> str:
    """Numbers of images, for display."""
    images = "1 image" if study.images == 1 else f"{study.images} images"
    return f"{images}: {study.read} read, {study.to_adjudicate} to adjudicate, {study.final} final"
