"""The work on the open film is on the disk before anything replaces it; what is left there is offered."""

from __future__ import annotations

from typing import Callable, Optional

from ..client.errors import FAILED, ServerError
from .drafts import Draft, Drafts
from .open_image import EditSession
from .state import Logic, StateStore
from .workers import WorkerPool


class Autosave:
    """Keeps the work on the open film.

    Args:
        board: the state.
        logic: holds the points.
        drafts: where work is kept.
        saver: for files, of one thread, so that they are written in order.
        failed: called with errors.

    Attributes:
        film: the one that is open; ``None`` without one.
        drafts: where work is kept.
    """

    def __init__(
        self,
        board: StateStore,
        logic: Logic,
        drafts: Drafts,
        saver: WorkerPool,
        failed: Callable[[ServerError], object],
    ) -> None:
        self.film: Optional[EditSession] = None
        self.drafts = drafts
        self._store, self._logic, self._saver, self._failed = board, logic, saver, failed

    def poll(self) -> None:
        """Write what is due."""
        self._saver.poll(0.002)
        if self.film is not None and self.film.keeper.is_due():
            self._keep(self.film)

    def edited(self, film: EditSession) -> None:
        """The points of a film are others, by what the person did."""
        film.keeper.changed()
        film.effort.active()
        self.show(film)

    def show(self, film: EditSession) -> None:
        """Show how much work there is on the film, and whether it is kept."""
        if film is not self.film:
            return
        origin, keeper = self._logic.editor.origin, film.keeper
        self._store.set_current(
            is_unsaved=keeper.is_unsaved,
            is_saved=keeper.is_saved,
            model_version=origin.model_version,
            names_right=origin.names_right,
            edits=film.edits(self._logic),
            seconds=int(film.effort.seconds),
            begun_by=film.begun_by,
        )

    def save_now(self) -> None:
        """Have unsaved edits on the disk before this returns."""
        film = self.film
        if film is None or film.keeper.is_saved:
            return
        try:
            film.keeper.kept = film.keeper.write(film.draft(self._logic, self._store.user), film.keeper.revision)
        except OSError as error:
            self._not_kept(film, ServerError(FAILED, "", str(error)))
        self.show(film)

    def save_then(self, then: Callable[[], object]) -> None:
        """Do something that replaces the open film, once its work is kept; never, where that cannot be."""
        film = self.film
        if film is None or film.keeper.is_saved:
            then()
        else:
            self._keep(film, lambda: self.save_then(then))

    def note(self, film: EditSession, draft: Draft, revision: int) -> None:
        """Write a draft of a film anew, with another note."""
        keeper = film.keeper
        self._saver.start(lambda job: keeper.write(draft, revision), lambda written: self._kept(film, written))

    def move(self, film: EditSession, draft: Draft) -> None:
        """Give a draft that is taken up the name under which its film is kept now."""
        keeper, revision = film.keeper, film.keeper.revision
        self._saver.start(lambda job: keeper.write(draft, revision), lambda _: self.list(), self._failed)

    def discard(self, draft: Draft) -> None:
        """Delete a draft."""
        self._saver.start(lambda job: self.drafts.remove(draft.key), lambda _: self.list(), self._failed)

    def let_go(self, film: EditSession) -> None:
        """A film is no longer open: its draft, if there is one, is offered."""
        if film is self.film:
            self.film = None
        self._saver.start(lambda job: film.keeper.release())
        self.list()

    def list(self) -> None:
        """Offer what is on the disk."""

        def listed(found: tuple[Draft, ...]) -> None:
            own = "" if self.film is None else self.film.keeper.key
            self._store.set(offers=tuple(draft for draft in found if draft.key != own))

        self._saver.start(lambda job: self.drafts.list(), listed, self._failed)

    def close(self) -> None:
        """Save what is unsaved, and let other processes have it."""
        self.save_now()
        if self.film is not None:
            self.film.keeper.release()
        self._saver.close()

    def _keep(self, film: EditSession, then: Optional[Callable[[], object]] = None) -> None:
        """Write the work on the film as it is now, and go on only when it is written."""
        draft, revision, keeper = film.draft(self._logic, self._store.user), film.keeper.revision, film.keeper

        def kept(written: int) -> None:
            self._kept(film, written)
            if then is not None:
                then()

        self._saver.start(lambda job: keeper.write(draft, revision), kept, lambda error: self._not_kept(film, error))

    def _kept(self, film: EditSession, revision: int) -> None:
        film.keeper.kept = max(film.keeper.kept, revision)
        self.show(film)

    def _not_kept(self, film: EditSession, error: ServerError) -> None:
        film.keeper.later()
        sentence = (
            "Your edits cannot be saved on this computer. Make space on its disk; the film stays open until then."
        )
        self._failed(ServerError(FAILED, sentence, error.detail or error.message))
