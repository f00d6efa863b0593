"""Autosave of the open image: work is on the disk before anything replaces it, and unsubmitted drafts are listed."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Callable, Optional

from ..client.errors import FAILED, ServerError
from .drafts import Draft, Drafts
from .open_image import EditSession
from .state import LogicProtocol, StateStore
from .workers import WorkerPool

NOT_SAVED = "Your edits cannot be saved on this computer. Free some disk space; the image stays open until then."
PUT_AWAY_NOT_SAVED = (
    "Work of the user before cannot be saved on this computer yet. "
    "Free some disk space, and leave Slicer open until then."
)


@dataclass(frozen=True, eq=False)
class PutAwayWork:
    """Work on an image that is no longer open, until it is written.

    Attributes:
        session: of the image.
        draft: the work.
        revision: of the work.
    """

    session: EditSession
    draft: Draft
    revision: int


class Autosave:
    """Saves the work on the open image.

    Args:
        store: the state.
        logic: holds the points.
        drafts: folder of drafts.
        writer: pool of one thread, so that drafts are written in order.
        on_error: called with errors.

    Attributes:
        session: of the open image; ``None`` without one.
        drafts: folder of drafts.
    """

    def __init__(
        self,
        store: StateStore,
        logic: LogicProtocol,
        drafts: Drafts,
        writer: WorkerPool,
        on_error: Callable[[ServerError], object],
    ) -> None:
        self.session: Optional[EditSession] = None
        self.drafts = drafts
        self._store, self._logic, self._writer, self._on_error = store, logic, writer, on_error
        self._put_away: tuple[PutAwayWork, ...] = ()

    def poll(self) -> None:
        """Deliver results, and write what is due."""
        self._writer.poll(0.002)
        if self.session is not None and self.session.policy.is_due():
            self._save(self.session)
        for work in self._put_away:
            if work.session.policy.is_due():
                self._write_put_away(work, is_told=True)

    def mark_edited(self, session: EditSession) -> None:
        """Note that the user changed something."""
        session.policy.mark_changed()
        session.timer.touch()
        self.publish(session)

    def publish(self, session: EditSession) -> None:
        """Put the amount of work, and whether it is saved, into the state; only for the open image."""
        if session is not self.session:
            return
        origin, policy = self._logic.editor.origin, session.policy
        self._store.update_current(
            is_unsaved=policy.is_unsaved,
            is_saved=policy.is_saved,
            model_version=origin.model_version,
            names_right=origin.names_right,
            edits=session.edits(self._logic),
            seconds=int(session.timer.seconds),
            begun_by=session.begun_by,
        )

    def save_now(self) -> None:
        """Write unsaved edits before returning."""
        session = self.session
        if session is None or session.policy.is_saved:
            return
        draft, policy = self._draft(session), session.policy
        try:
            policy.saved_revision = policy.write(draft, policy.revision)
        except OSError as error:
            self._on_save_failed(session, ServerError(FAILED, "", str(error)))
        self.publish(session)

    def save_then(self, then: Callable[[], object]) -> None:
        """Call ``then``, which replaces the open image, once its work is saved; never where that fails."""
        session = self.session
        if session is None or session.policy.is_saved:
            then()
        else:
            self._save(session, lambda: self.save_then(then))

    def put_away(self) -> None:
        """Take the work from the open image, which is closed next, and write it, however long the disk takes."""
        session = self.session
        if session is None:
            return
        self.session = None
        if session.policy.is_saved:
            self.release(session)
            return
        work = PutAwayWork(session, self._draft(session), session.policy.revision)
        self._put_away = (*self._put_away, work)
        self._write_put_away(work)

    def list_drafts(self) -> tuple[Draft, ...]:
        """All drafts that may be resumed, newest first, also those that the disk does not take; for any thread.

        Raises:
            OSError: the folder cannot be read.
        """
        put_away = {work.draft.key: work.draft for work in self._put_away}
        written = (draft for draft in self.drafts.list() if draft.key not in put_away)
        return tuple(sorted((*put_away.values(), *written), key=lambda draft: draft.saved, reverse=True))

    def write_note(self, session: EditSession, draft: Draft, revision: int) -> None:
        """Write a draft again with another note."""
        self._writer.start(
            lambda job: session.policy.write(draft, revision), lambda written: self._on_saved(session, written)
        )

    def adopt_draft(self, session: EditSession, draft: Draft) -> None:
        """Write a resumed draft under the key of its new session."""
        policy, revision = session.policy, session.policy.revision

        def on_written(_: int) -> None:
            self._forget_put_away(draft.key)
            self.refresh_drafts()

        self._writer.start(lambda job: policy.write(draft, revision), on_written, self._on_error)

    def discard(self, draft: Draft) -> None:
        """Delete a draft."""
        self._forget_put_away(draft.key)
        self._writer.start(lambda job: self.drafts.remove(draft.key), lambda _: self.refresh_drafts(), self._on_error)

    def release(self, session: EditSession) -> None:
        """Unlock the draft of an image that is no longer open, and list it."""
        if session is self.session:
            self.session = None
        self._writer.start(lambda job: session.policy.release())
        self.refresh_drafts()

    def refresh_drafts(self) -> None:
        """List the drafts on the disk, without that of the open image."""

        def on_listed(drafts: tuple[Draft, ...]) -> None:
            own = "" if self.session is None else self.session.policy.key
            user, has_plan = self._store.user, self._store.state.study is not None
            shown = (draft for draft in drafts if draft.key != own and draft.is_for(user, has_plan))
            self._store.update(drafts=tuple(shown))

        self._writer.start(lambda job: self.list_drafts(), on_listed, self._on_error)

    def close(self) -> None:
        """Save what is unsaved, and unlock it."""
        self.save_now()
        if self.session is not None:
            self.session.policy.release()
        for work in self._put_away:
            with contextlib.suppress(OSError):  # it was said that Slicer should stay open
                work.session.policy.write(work.draft, work.revision)
            work.session.policy.release()
        self._writer.close()

    def _draft(self, session: EditSession) -> Draft:
        return session.draft(self._logic, self._store.user)

    def _save(self, session: EditSession, then: Optional[Callable[[], object]] = None) -> None:
        """Write the work as it is now, and call ``then`` once it is written."""
        draft, policy, revision = self._draft(session), session.policy, session.policy.revision

        def on_written(written: int) -> None:
            self._on_saved(session, written)
            if then is not None:
                then()

        self._writer.start(
            lambda job: policy.write(draft, revision), on_written, lambda error: self._on_save_failed(session, error)
        )

    def _write_put_away(self, work: PutAwayWork, is_told: bool = False) -> None:
        policy = work.session.policy

        def on_written(_: int) -> None:
            self._forget_put_away(work.draft.key)
            self.refresh_drafts()

        def on_error(error: ServerError) -> None:
            policy.schedule_retry()
            self.refresh_drafts()
            if not is_told:
                self._on_error(ServerError(FAILED, PUT_AWAY_NOT_SAVED, error.detail or error.message))

        self._writer.start(lambda job: policy.write(work.draft, work.revision), on_written, on_error)

    def _forget_put_away(self, key: str) -> None:
        for work in self._put_away:
            if work.draft.key == key:
                self._put_away = tuple(other for other in self._put_away if other is not work)
                self._writer.start(lambda job, policy=work.session.policy: policy.release())

    def _on_saved(self, session: EditSession, revision: int) -> None:
        session.policy.saved_revision = max(session.policy.saved_revision, revision)
        self.publish(session)

    def _on_save_failed(self, session: EditSession, error: ServerError) -> None:
        session.policy.schedule_retry()
        self._on_error(ServerError(FAILED, NOT_SAVED, error.detail or error.message))
