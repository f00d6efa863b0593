"""Opening, reloading and closing images, with the points that belong to them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable, Optional

from ...client.api import Client
from ...client.errors import BAD_RESPONSE, NOT_FOUND, REFUSED, UNREADABLE, ServerError, is_connection_error
from ...client.radiograph import SERVER, Radiograph
from ...client.responses import LABELLED
from ...client.study import REPEAT, Reading
from .. import server_tasks, study_tasks
from ..drafts import SUBMITTING, Draft, mask_of, new_key
from ..open_image import AutosavePolicy, EditSession, WorkTimer
from ..requests import other_server_error
from ..server_tasks import LoadedImage
from ..state import ConnectionState, CurrentImage
from ..workers import Job
from .base import Action, ActionContext

LoadResult = tuple[LoadedImage, Optional[Draft]]


@dataclass(frozen=True)
class OpenRequest:
    """How an image is to be opened.

    Attributes:
        draft: to resume; ``None`` for the user's newest draft of the image, if there is one.
        is_reload: whether to show what the server has, without any draft.
        is_going_back: whether the image was open before the present one.
    """

    draft: Optional[Draft] = None
    is_reload: bool = False
    is_going_back: bool = False


class ImageLoader(Action):
    """Opens one image in place of another.

    Args:
        context: see ``Action``.
        on_shown: called after an image is shown, with what was loaded and whether its points are a draft.

    Attributes:
        is_programmatic: whether changes of the editor are no edits of the user.
        given: readings that the study has given to the user since connecting, by image.
    """

    def __init__(self, context: ActionContext, on_shown: Callable[[LoadedImage, bool], object]) -> None:
        super().__init__(context)
        self._on_shown = on_shown
        self.is_programmatic = False
        self.given: dict[str, Reading] = {}
        self._history: list[CurrentImage] = []
        self._skipped: list[str] = []
        self._server = ""
        self._needs_restore = False

    @contextmanager
    def programmatic_change(self) -> Iterator[None]:
        """Within the block, changes of the editor are no edits of the user (``is_programmatic``)."""
        before, self.is_programmatic = self.is_programmatic, True
        try:
            yield
        finally:
            self.is_programmatic = before

    def open_next(self, strategy: str) -> None:
        """Open the image that the strategy chooses, other than those that were skipped."""
        state = self._store.state
        present = state.current.id if state.current is not None and state.current.source == SERVER else ""
        left = tuple(entry.id for entry in state.images if entry.status != LABELLED)
        if not set(left) - {present, *self._skipped}:
            self._skipped.clear()  # all were skipped: start over
        skipped, user, server = tuple(self._skipped), self._store.user, self._requests.server

        def work(client: Client, job: Job) -> Optional[LoadResult]:
            loaded = server_tasks.open_next(client, strategy, present, skipped, left, job)
            return None if loaded is None else (loaded, self.newest_draft(loaded, server, user))

        def on_chosen(result: Optional[LoadResult]) -> None:
            if result is None:
                self._store.update(all_labelled=True, notice="All images are labelled.")
            else:
                self.on_loaded(*result, OpenRequest())

        self._requests.submit("open", "Choosing the next image", work, on_chosen)

    def open_previous(self) -> None:
        """Open the image that was open before this one."""
        if self._history:
            last = self._history[-1]
            if last.path is not None:
                self.open_file(last.path, OpenRequest(is_going_back=True))
            else:
                self.open_image(last.id, OpenRequest(is_going_back=True))

    def open_image(self, image_id: str, request: Optional[OpenRequest] = None) -> None:
        """Open an image of the server's folder; the open one is reloaded."""
        current, user, server = self._store.state.current, self._store.user, self._requests.server
        is_open = current is not None and (current.id, current.source) == (image_id, SERVER)
        wanted = request or OpenRequest(is_reload=is_open)
        study, reading = self._store.state.study, self._known_reading(image_id)
        if wanted.draft is not None:
            reading = wanted.draft.reading

        def work(client: Client, job: Job) -> LoadResult:
            if study is None:
                loaded = server_tasks.open_image(client, image_id, job)
            else:
                loaded = study_tasks.open_image(client, image_id, reading, study, job)
                _check_draft(wanted.draft, loaded)
            return loaded, wanted.draft or self.newest_draft(loaded, server, user, study is not None)

        self._requests.submit("open", f"Loading {image_id}", work, lambda result: self.on_loaded(*result, wanted))

    def open_file(self, path: str, request: Optional[OpenRequest] = None) -> None:
        """Open a local file: through the server while connected, else with Slicer's reader."""
        current, user, name = self._store.state.current, self._store.user, Path(path).name
        wanted = request or OpenRequest(is_reload=current is not None and current.path == path)
        if self._store.state.connection is not ConnectionState.CONNECTED:
            self._read_local(path, wanted)
            return

        def work(client: Client, job: Job) -> LoadResult:
            loaded = server_tasks.open_file(client, path, job)
            return loaded, wanted.draft or self.newest_draft(loaded, "", user)

        def on_error(error: ServerError) -> None:
            self._requests.show_error(error)
            if is_connection_error(error):
                self._read_local(path, wanted)

        self._requests.submit("open", f"Loading {name}", work, lambda result: self.on_loaded(*result, wanted), on_error)

    def reload(self) -> None:
        """Keep the edits as a draft, and show what the server has."""
        current, radiograph, session = self._store.state.current, self._logic.radiograph, self._autosave.session
        if current is None or radiograph is None or session is None:
            return
        request = OpenRequest(is_reload=True)
        if current.source == SERVER:
            self.open_image(current.id, request)
        else:
            self.on_loaded(LoadedImage(radiograph, upload_id=session.upload_id), None, request)

    def resume_draft(self, draft: Draft) -> None:
        """Open the image of a draft with its points."""
        if draft.source and Path(draft.source).is_file():
            self.open_file(draft.source, OpenRequest(draft))
        elif draft.source:
            sentence = f"The image is no longer at {draft.source}. Put it back there; your work is kept."
            self._requests.show_error(ServerError(NOT_FOUND, sentence))
        elif draft.server != self._requests.server:
            self._requests.show_error(other_server_error(draft.server))
        else:
            self.open_image(draft.image_id, OpenRequest(draft))

    def close(self) -> None:
        """Show nothing, once the work is saved."""
        self._requests.jobs.cancel("open")
        self._autosave.save_then(self._close)

    def put_away(self) -> None:
        """Show nothing from now on, without waiting for the disk: the work is written when that is possible."""
        self._requests.jobs.cancel("open")
        session = self._autosave.session
        self._autosave.put_away()
        if session is not None:
            self._requests.delete_session(session.upload_id)
        self._close()

    def on_connected(self) -> None:
        """Close an image of another server: images of the same name are other images there."""
        server, session = self._requests.server, self._autosave.session
        if server != self._server:
            self._server = server
            self.forget()
        if session is not None and session.server not in ("", server):
            self._autosave.save_then(self._close)
        elif session is not None:
            session.upload_id = ""  # of the server before

    def forget(self) -> None:
        """Forget which images of the server were open: another server, or another user."""
        self._skipped.clear()
        self.given.clear()
        self._history = [entry for entry in self._history if entry.source != SERVER]
        self._store.update(can_go_back=bool(self._history))

    def on_scene_closed(self) -> None:
        """The scene was closed, and the image with it; it is restored where its work cannot be saved."""
        self._requests.jobs.cancel("infer")
        self._autosave.save_now()  # the scene's end may have ended a drag
        session = self._autosave.session
        if session is not None and not session.policy.is_saved:
            self._needs_restore = True
            return
        self._needs_restore = False
        if session is not None:
            self._requests.delete_session(session.upload_id)
            self._autosave.release(session)
        self._store.update(current=None, adjudication=None)

    def poll(self) -> None:
        """Restore an image that a closed scene removed; not possible while the scene is closing."""
        if self._needs_restore:
            self._needs_restore = False
            with self.programmatic_change():
                self._logic.restore()

    def _read_local(self, path: str, request: OpenRequest) -> None:
        """Read a file without a server."""
        name, user = Path(path).name, self._store.user

        def unreadable(error: Exception) -> ServerError:
            return ServerError(UNREADABLE, f"{name} cannot be read: {error}", repr(error))

        try:
            finish = self._logic.begin_local(path)
        except (ValueError, OSError, RuntimeError) as error:
            self._requests.show_error(unreadable(error))
            return

        def work(job: Job) -> LoadResult:
            try:
                radiograph = finish()
            except (ValueError, OSError, RuntimeError) as error:
                raise unreadable(error) from error
            loaded = LoadedImage(radiograph)
            return loaded, request.draft or self.newest_draft(loaded, "", user)

        def on_done(result: LoadResult) -> None:
            self.on_loaded(*result, request)

        self._requests.jobs.start("open", f"Loading {name}", work, on_done, self._requests.show_error)

    def _known_reading(self, image_id: str) -> Optional[Reading]:
        """The user's reading of an image, as far as it was given or resumed since connecting."""
        session = self._autosave.session
        is_open = session is not None and session.reader is not None and session.image_id == image_id
        return (session.reading if is_open and session is not None else None) or self.given.get(image_id)

    def newest_draft(self, loaded: LoadedImage, server: str, user: str, has_plan: bool = False) -> Optional[Draft]:
        """The newest draft of that user for an image, in a study for the same reading; runs on a worker thread."""
        image = loaded.radiograph
        for draft in self._autosave.list_drafts():
            is_same = draft.source == image.path if image.path else (draft.server, draft.image_id) == (server, image.id)
            is_same = is_same and bool(draft.source) == bool(image.path) and draft.user == user
            if is_same and _is_of_reading(draft, loaded, has_plan and not image.path):
                return draft
        return None

    def on_loaded(self, loaded: LoadedImage, draft: Optional[Draft], request: OpenRequest) -> None:
        """Choose the points to show, and show the image once the work on the present one is saved."""
        notice = ""
        if draft is not None and loaded.is_final and draft.note == SUBMITTING and loaded.label == draft.markups:
            self._autosave.discard(draft)
            draft, notice = None, "This label had reached the server already."
        elif request.is_reload:
            session = self._autosave.session
            is_unsaved = session is not None and session.policy.is_unsaved
            draft, notice = None, "Your edits are kept under unfinished work." if is_unsaved else ""
        elif draft is not None and request.draft is None:
            at = time.strftime("%Y-%m-%d %H:%M", time.localtime(draft.saved))
            labelled_at = loaded.label_info.timestamp if loaded.is_final else None
            if labelled_at is not None and labelled_at > draft.saved:
                draft, notice = None, f"There is unfinished work of {at} on this image, older than this label."
            else:
                notice = f"This is your unfinished work of {at}. “Start over” shows what was there before it."
        if draft is not None and loaded.readings is not None:
            change = loaded.readings.changed_since(dict(draft.seen_versions), draft.seen_final or 0)
            notice = f"{change} since this work began. Compare before you submit." if change else notice
        user = self._store.user

        def show() -> None:
            if self._store.state.study is None or self._store.user == user:  # else it was loaded for somebody else
                self._show(loaded, draft, request.is_going_back, notice)

        self._autosave.save_then(show)

    def _show(self, loaded: LoadedImage, draft: Optional[Draft], is_going_back: bool, notice: str) -> None:
        radiograph, before, old_session = loaded.radiograph, self._store.state.current, self._autosave.session
        self._requests.jobs.cancel("infer")
        self._needs_restore = False
        self._autosave.session = error = None
        with self.programmatic_change():
            self._logic.show_image(radiograph)
            try:
                self._show_points(loaded, draft)
            except ValueError as failure:
                sentence = "The label of this image cannot be read. Place the points again, or find landmarks."
                error, draft = ServerError(BAD_RESPONSE, sentence, str(failure)), None
                loaded = replace(loaded, label=None, is_final=False)
        self._autosave.session = session = self._new_session(loaded, draft)
        if session.image_left_is is not None:
            self._logic.set_side(session.image_left_is)
        self._update_history(before, radiograph, is_going_back)
        label = "readings" if loaded.readings is not None else "label" if loaded.is_final else ""
        label = label if label or loaded.label is None else "prediction"
        self._store.update(
            current=CurrentImage(
                radiograph.id,
                radiograph.source,
                radiograph.path,
                label if draft is None else "draft",
                image_left_is=self._logic.image_left_is,
                reading=session.reading,
                is_view_only=session.is_view_only,
            ),
            adjudication=None,
            can_go_back=bool(self._history),
            all_labelled=False,
            error=error,
            notice=notice,
        )
        session.timer.touch()
        self._autosave.publish(session)
        if old_session is not None:
            if old_session.upload_id != loaded.upload_id:
                self._requests.delete_session(old_session.upload_id)
            self._autosave.release(old_session)
        if draft is not None:
            self._autosave.adopt_draft(session, draft)
        self._autosave.refresh_drafts()
        if error is None:
            self._on_shown(loaded, draft is not None)

    def _new_session(self, loaded: LoadedImage, draft: Optional[Draft]) -> EditSession:
        image = loaded.radiograph
        server = self._requests.server if image.source == SERVER else ""
        resumed_key = "" if draft is None else draft.key
        policy = AutosavePolicy(self._autosave.drafts, new_key(server, image.id), self._clock, resumed_key)
        timer = WorkTimer(0.0 if draft is None else draft.seconds, self._clock)
        session = EditSession(image.id, server, image.path, loaded.upload_id, policy, timer)
        session.final = loaded.label_info if loaded.is_final else None
        session.is_proposal = loaded.label is not None and not loaded.is_final
        if self._store.state.study is not None and server:
            session.reader, session.reading = self._store.user, loaded.reading
            session.seen_versions = {} if loaded.readings is None else loaded.readings.versions
            session.seen_final = None if loaded.readings is None else loaded.readings.final_version
            session.is_view_only = loaded.reading is None and (draft is None or loaded.readings is None)
        if draft is not None and loaded.readings is not None:  # what its points were made from: the server compares
            session.seen_versions, session.seen_final = dict(draft.seen_versions), draft.seen_final or 0
        if draft is not None:
            session.edits_before, session.is_proposal = draft.edits, draft.is_proposal
            session.begun_by = draft.begun_by or (draft.user if draft.user != self._store.user else "")
            session.image_left_is = None if image.info.is_side_in_file else draft.image_left_is
        return session

    def _show_points(self, loaded: LoadedImage, draft: Optional[Draft]) -> None:
        """Show the points of the draft or label; raises ValueError where they are malformed."""
        if draft is not None:
            self._logic.set_label(draft.markups, mask_of(draft.touched), draft.origin, is_own=True)
        elif loaded.label is not None:
            info = loaded.label_info
            self._logic.set_label(loaded.label, mask_of(info.touched), info.origin, is_own=loaded.is_final)

    def _update_history(self, before: Optional[CurrentImage], image: Radiograph, is_going_back: bool) -> None:
        if is_going_back and self._history:
            self._history.pop()
        elif before is not None and (before.id, before.source) != (image.id, image.source):
            self._history.append(before)
        if image.source == SERVER and image.id not in self._skipped:
            self._skipped.append(image.id)

    def _close(self) -> None:
        with self.programmatic_change():
            self._logic.close_image()
        self.on_scene_closed()


def _is_of_reading(draft: Draft, loaded: LoadedImage, has_plan: bool) -> bool:
    """Whether a draft goes on with what was loaded; in a study, with the same reading and nothing else."""
    if not has_plan:
        return draft.reading is None and not draft.seen_versions
    if loaded.readings is not None:
        return dict(draft.seen_versions) == loaded.readings.versions
    own, begun = loaded.reading, draft.reading
    if own is None or begun is None:
        return False
    if begun.number != own.number:  # the one that it was begun as ran out: it becomes the one that the user has now
        return not loaded.is_final and not draft.is_correction and REPEAT not in (begun.kind, own.kind)
    return loaded.is_final or not draft.is_correction


def _check_draft(draft: Optional[Draft], loaded: LoadedImage) -> None:
    """Refuse a draft whose reading can no longer be corrected.

    Raises:
        ServerError: REFUSED.
    """
    is_of_adjudication = draft is not None and bool(draft.seen_versions) and loaded.readings is not None
    if draft is not None and not is_of_adjudication and not _is_of_reading(draft, loaded, has_plan=True):
        sentence = f"This work on {draft.image_id} belongs to a reading that is no longer open to you; it is kept."
        raise ServerError(REFUSED, sentence)
