"""Which film is open: chosen by the server or the person, with the points that belong to it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable, Optional

from ...client.api import Client
from ...client.errors import BAD_RESPONSE, NOT_FOUND, UNREACHABLE, UNREADABLE, ServerError, is_connection_error
from ...client.radiograph import SERVER, Radiograph
from ...client.responses import LABELLED
from ...workflow import server_tasks
from ..autosave import Autosave
from ..drafts import SUBMITTING, Draft, mask_of, new_key
from ..open_image import AutosavePolicy, EditSession, WorkTimer
from ..requests import ServerRequests
from ..server_tasks import LoadedImage
from ..state import ConnectionState, Current, Logic, StateStore
from ..workers import Job

Found = tuple[LoadedImage, Optional[Draft]]


@dataclass(frozen=True)
class OpenRequest:
    """How a film is to be opened.

    Attributes:
        draft: work to go on with; ``None`` for the person's newest on the film, if there is any.
        is_reload: whether to show what the server has, whatever work there is.
        is_going_back: whether it was open before the present one.
    """

    draft: Optional[Draft] = None
    is_reload: bool = False
    is_going_back: bool = False


class ImageLoader:
    """Puts one film in the place of another.

    Args:
        board: the state.
        requests: asks the server.
        saving: keeps the work on the film that is open.
        logic: shows films.
        clock: seconds from any moment on.
        on_shown: called after a film is shown, with what the server has about it, and whether its points are work.
    """

    def __init__(
        self,
        board: StateStore,
        requests: ServerRequests,
        saving: Autosave,
        logic: Logic,
        clock: Callable[[], float],
        on_shown: Callable[[LoadedImage, bool], object],
    ) -> None:
        self.is_ours = False
        self._store, self._requests, self._saving, self._logic = board, requests, saving, logic
        self._clock, self._on_shown = clock, on_shown
        self._history: list[Current] = []
        self._skipped: list[str] = []
        self._server = ""
        self._needs_restore = False

    @contextmanager
    def ours(self) -> Iterator[None]:
        """What the editor says within the block (``is_ours``) is no edit of the person."""
        before, self.is_ours = self.is_ours, True
        try:
            yield
        finally:
            self.is_ours = before

    def next(self, strategy: str) -> None:
        """Open the image that the strategy chooses, other than those that were passed over."""
        state = self._store.state
        present = state.current.id if state.current is not None and state.current.source == SERVER else ""
        left = tuple(entry.id for entry in state.images if entry.status != LABELLED)
        if not set(left) - {present, *self._skipped}:
            self._skipped.clear()  # every film was passed over: from the beginning
        passed, user, server = tuple(self._skipped), self._store.user, self._requests.server

        def work(client: Client, job: Job) -> Optional[Found]:
            opened = server_tasks.open_next(client, strategy, present, passed, left, job)
            return None if opened is None else (opened, self._newest_draft(opened.film, server, user))

        def chose(found: Optional[Found]) -> None:
            if found is None:
                self._store.set(all_labelled=True, notice="All images are labelled.")
            else:
                self._on_loaded(*found, OpenRequest())

        self._requests.ask("open", "Choosing the next image", work, chose)

    def previous(self) -> None:
        """Open the film that was open before this one."""
        if self._history:
            last = self._history[-1]
            if last.path is not None:
                self.file(last.path, OpenRequest(is_going_back=True))
            else:
                self.image(last.id, OpenRequest(is_going_back=True))

    def image(self, image_id: str, wish: Optional[OpenRequest] = None) -> None:
        """Open an image of the server's folder; the one that is open is loaded again."""
        current, user, server = self._store.state.current, self._store.user, self._requests.server
        is_open = current is not None and (current.id, current.source) == (image_id, SERVER)
        wanted = wish or OpenRequest(is_reload=is_open)

        def work(client: Client, job: Job) -> Found:
            opened = server_tasks.open_image(client, image_id, job)
            return opened, wanted.draft or self._newest_draft(opened.film, server, user)

        self._requests.ask("open", f"Loading {image_id}", work, lambda found: self._on_loaded(*found, wanted))

    def file(self, path: str, wish: Optional[OpenRequest] = None) -> None:
        """Open a file of this computer: as the server reads it while there is one, else as Slicer does."""
        current, user, name = self._store.state.current, self._store.user, Path(path).name
        wanted = wish or OpenRequest(is_reload=current is not None and current.path == path)
        if self._store.state.connection is not ConnectionState.CONNECTED:
            self._read(path, wanted)
            return

        def work(client: Client, job: Job) -> Found:
            opened = server_tasks.open_file(client, path, job)
            return opened, wanted.draft or self._newest_draft(opened.film, "", user)

        def failed(error: ServerError) -> None:
            self._requests.failed(error)
            if is_connection_error(error):
                self._read(path, wanted)

        self._requests.ask("open", f"Loading {name}", work, lambda found: self._on_loaded(*found, wanted), failed)

    def again(self) -> None:
        """Keep the edits as a draft, and show what the server has."""
        current, film, opened = self._store.state.current, self._logic.film, self._saving.film
        if current is None or film is None or opened is None:
            return
        if current.source == SERVER:
            self.image(current.id, OpenRequest(is_reload=True))
        else:
            self._on_loaded(LoadedImage(film, session=opened.session), None, OpenRequest(is_reload=True))

    def resume_draft(self, draft: Draft) -> None:
        """Open the film of a draft and go on with its points."""
        if draft.source and Path(draft.source).is_file():
            self.file(draft.source, OpenRequest(draft))
        elif draft.source:
            sentence = f"The film is no longer at {draft.source}. Put it back there; the work on it is kept."
            self._requests.failed(ServerError(NOT_FOUND, sentence))
        elif draft.server != self._requests.server:
            sentence = f"This film belongs to the server {draft.server}. Connect to it first; the work is kept."
            self._requests.failed(ServerError(UNREACHABLE, sentence))
        else:
            self.image(draft.image_id, OpenRequest(draft))

    def close(self) -> None:
        """Show nothing, once the work is kept."""
        self._requests.jobs.cancel("open")
        self._saving.save_then(self._close)

    def connected(self) -> None:
        """There is a server: images of another one are other films, even of the same name."""
        server, film = self._requests.server, self._saving.film
        if server != self._server:
            self._server = server
            self._skipped.clear()
            self._history = [entry for entry in self._history if entry.source != SERVER]
            self._store.set(can_go_back=bool(self._history))
        if film is not None and film.server not in ("", server):
            self._saving.save_then(self._close)
        elif film is not None:
            film.session = ""  # it was one of the server before

    def on_scene_closed(self) -> None:
        """The scene was closed and took the film with it; where its work is not kept, the film comes back."""
        self._requests.jobs.cancel("infer")
        self._saving.save_now()  # a drag that the scene's end ended is a change, too
        film = self._saving.film
        if film is not None and not film.keeper.is_saved:
            self._needs_restore = True
            return
        self._needs_restore = False
        if film is not None:
            self._requests.delete_session(film.session)
            self._saving.let_go(film)
        self._store.set(current=None)

    def poll(self) -> None:
        """Bring back a film that a closed scene took away; not while it closes."""
        if self._needs_restore:
            self._needs_restore = False
            with self.ours():
                self._logic.restore()

    def _read(self, path: str, wish: OpenRequest) -> None:
        """Read a file here, without a server."""
        name, user = Path(path).name, self._store.user

        def unreadable(error: Exception) -> ServerError:
            return ServerError(UNREADABLE, f"{name} cannot be read: {error}", repr(error))

        try:
            finish = self._logic.begin_local(path)
        except (ValueError, OSError, RuntimeError) as error:
            self._requests.failed(unreadable(error))
            return

        def work(job: Job) -> Found:
            try:
                film = finish()
            except (ValueError, OSError, RuntimeError) as error:
                raise unreadable(error) from error
            return LoadedImage(film), wish.draft or self._newest_draft(film, "", user)

        def done(found: Found) -> None:
            self._on_loaded(*found, wish)

        self._requests.jobs.start("open", f"Loading {name}", work, done, self._requests.failed)

    def _newest_draft(self, film: Radiograph, server: str, user: str) -> Optional[Draft]:
        """The newest work of that person on a film; on a worker's thread."""
        for draft in self._saving.drafts.list():
            is_film = draft.source == film.path if film.path else (draft.server, draft.image_id) == (server, film.id)
            if is_film and bool(draft.source) == bool(film.path) and draft.user == user:
                return draft
        return None

    def _on_loaded(self, opened: LoadedImage, draft: Optional[Draft], wish: OpenRequest) -> None:
        """A film is there; it is shown once the work on the one before is kept."""
        notice = ""
        if draft is not None and opened.is_final and draft.note == SUBMITTING and opened.label == draft.markups:
            self._saving.discard(draft)
            draft, notice = None, "This label had reached the server already."
        elif wish.is_reload:
            film = self._saving.film
            is_unsaved = film is not None and film.keeper.is_unsaved
            draft, notice = None, "Your edits are kept under unfinished work." if is_unsaved else ""
        elif draft is not None and wish.draft is None:
            at = time.strftime("%Y-%m-%d %H:%M", time.localtime(draft.saved))
            if opened.is_final and opened.facts.when is not None and opened.facts.when > draft.saved:
                draft, notice = None, f"There is unfinished work of {at} on this film, older than this label."
            else:
                notice = f"This is your unfinished work of {at}. “Start over” shows what was there before it."
        self._saving.save_then(lambda: self._show(opened, draft, wish.is_going_back, notice))

    def _show(self, opened: LoadedImage, draft: Optional[Draft], is_going_back: bool, notice: str) -> None:
        film, before, was_open = opened.film, self._store.state.current, self._saving.film
        self._requests.jobs.cancel("infer")
        self._needs_restore = False
        self._saving.film = error = None
        with self.ours():
            self._logic.show_image(film)
            try:
                self._show_points(opened, draft)
            except ValueError as failure:
                sentence = (
                    "The label that belongs to this film cannot be read. Place the points again, or ask for them."
                )
                error, draft = ServerError(BAD_RESPONSE, sentence, str(failure)), None
                opened = replace(opened, label=None, is_final=False)
        self._saving.film = now_open = self._new_session(opened, draft)
        if now_open.image_left_is is not None:
            self._logic.set_side(now_open.image_left_is)
        self._update_history(before, film, is_going_back)
        kind = "draft" if draft is not None else "" if opened.label is None else "prediction"
        kind = "label" if draft is None and opened.is_final else kind
        self._store.set(
            current=Current(film.id, film.source, film.path, kind, image_left_is=self._logic.image_left_is),
            can_go_back=bool(self._history),
            all_labelled=False,
            error=error,
            notice=notice,
        )
        now_open.effort.active()
        self._saving.show(now_open)
        if was_open is not None:
            if was_open.session != opened.session:
                self._requests.delete_session(was_open.session)
            self._saving.let_go(was_open)
        if draft is not None:
            self._saving.move(now_open, draft)
        self._saving.list()
        if error is None:
            self._on_shown(opened, draft is not None)

    def _new_session(self, opened: LoadedImage, draft: Optional[Draft]) -> EditSession:
        film = opened.film
        server = self._requests.server if film.source == SERVER else ""
        key, user = new_key(server, film.id), self._store.user
        keeper = AutosavePolicy(self._saving.drafts, key, self._clock, "" if draft is None else draft.key)
        made = EditSession(film.id, server, film.path, opened.session, keeper, WorkTimer(clock=self._clock))
        made.final = opened.facts if opened.is_final else None
        made.is_proposal = opened.label is not None and not opened.is_final
        if draft is not None:
            made.effort, made.edits_before = WorkTimer(draft.seconds, self._clock), draft.edits
            made.begun_by = draft.begun_by or (draft.user if draft.user != user else "")
            made.is_proposal = draft.is_proposal
            made.image_left_is = None if film.facts.is_side_in_file else draft.image_left_is
        return made

    def _show_points(self, opened: LoadedImage, draft: Optional[Draft]) -> None:
        """Raises ValueError where they cannot be read."""
        if draft is not None:
            self._logic.set_label(draft.markups, mask_of(draft.touched), draft.origin, is_own=True)
        elif opened.label is not None:
            self._logic.set_label(opened.label, origin=opened.facts.origin, is_own=opened.is_final)

    def _update_history(self, before: Optional[Current], film: Radiograph, is_going_back: bool) -> None:
        """What was open, for ``previous`` and ``next``."""
        if is_going_back and self._history:
            self._history.pop()
        elif before is not None and (before.id, before.source) != (film.id, film.source):
            self._history.append(before)
        if film.source == SERVER and film.id not in self._skipped:
            self._skipped.append(film.id)

    def _close(self) -> None:
        with self.ours():
            self._logic.close_image()
        self.on_scene_closed()
