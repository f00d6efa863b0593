"""What the person can do, as methods that return at once; work runs on threads, its results come with ``poll``."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Optional

from . import tasks
from .answers import DONE, INTERRUPTED, NOBODY, SERVER, STOPPED, Answer, ImageEntry, ServerInfo, Training
from .client import Client
from .connection import Connection
from .drafts import SUBMITTING, Draft, Drafts, mask_of, new_key
from .effort import Effort
from .errors import (
    BAD_ANSWER,
    CANCELLED,
    FAILED,
    FORBIDDEN,
    NOT_FOUND,
    REFUSED,
    UNREACHABLE,
    UNREADABLE,
    ServerError,
    is_about_connection,
)
from .jobs import Jobs
from .keeping import Keeper
from .needs import Logic
from .open_film import OpenFilm, facts_of
from .questions import questions_about
from .state import ConnectionState, Current, Question, State
from .tasks import Opened
from .watching import TrainingWatch
from .worker import Job, Worker

RECONNECT_S = 5.0
"""How often a lost server is asked whether it is back."""
_NO_CHANGE = ("loaded", "adopted", "locked")
"""Kinds of the editor's changes that are none of the person."""


def client_of(url: str, token: str) -> Client:
    """The client for an address; raises ``ServerError`` where address or token cannot be one."""
    return Client(Connection(url, token))


class Controller:
    """Connect, choose, infer, submit and train; what is unsaved is on the disk before anything replaces it.

    All methods belong to one thread, that of the logic. None of them waits for server or disk, but ``save_now`` and
    ``close``, which write one small file.

    Args:
        logic: shows films and holds the points.
        drafts: work that is not submitted.
        connect_to: makes a client for address and token.
        worker: for requests; by default one of its own.
        saver: for files, so that these never wait behind a slow server; by default one of its own, of one thread.
        clock: seconds from any moment on.

    Attributes:
        state: what is going on; replaced, never changed.
        person: who works, for labels and drafts where the server has no login.
        strategy: how the next image is chosen, one of ``state.info.strategies``; "" for the first of them.
        next_after_submit: whether a submit opens the next image.
        infer_on_open: whether landmarks are asked for when an image without any is opened.
    """

    def __init__(
        self,
        logic: Logic,
        drafts: Drafts,
        connect_to: Callable[[str, str], Client] = client_of,
        worker: Optional[Worker] = None,
        saver: Optional[Worker] = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.state = State()
        self.person, self.strategy = "", ""
        self.next_after_submit = self.infer_on_open = False
        self._logic, self._drafts, self._connect_to, self._clock = logic, drafts, connect_to, clock
        self._worker, self._saver = worker or Worker(3), saver or Worker(1, "vertebra-landmarks-drafts")
        self._jobs = Jobs(self._worker, lambda: self._set(busy=self._jobs.busy))
        self._listeners: list[Callable[[State], object]] = []
        self._is_told, self._is_ours, self._is_closed = True, False, False
        self._client: Optional[Client] = None
        self._open: Optional[OpenFilm] = None
        self._history: list[Current] = []
        self._watch = TrainingWatch(clock)
        self._asking: Optional[Job] = None
        self._next_try, self._is_new_model = 0.0, False
        self._unsubscribe = logic.editor.subscribe(self._changed)
        self._list_drafts()

    # what the panel does besides the buttons

    def on_change(self, listener: Callable[[State], object]) -> Callable[[], None]:
        """Call the listener from ``poll`` with the new state whenever it is another; returns what ends that."""
        self._listeners.append(listener)

        def end() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return end

    def poll(self) -> None:
        """Run what is due: results of jobs, saving, looking after training and server. Every 10 to 20 ms."""
        if self._is_closed:
            return
        self._worker.poll()
        self._saver.poll(0.002)
        if self._open is not None and self._open.keeper.is_due():
            self._keep(self._open)
        self._look_after_training()
        self._look_after_server()
        if not self._is_told:
            self._is_told = True
            for listener in tuple(self._listeners):
                listener(self.state)

    def active(self) -> None:
        """The person does something with the film: counts as time of work. Edits are noticed without."""
        if self._open is not None:
            self._open.effort.active()

    def dismiss(self) -> None:
        """Forget the last error and notice."""
        self._set(error=None, notice="")

    def cancel(self, name: str = "") -> None:
        """Cancel the job of that name (see ``Busy.name``), or all that the person waits for."""
        is_connecting = self.state.connection is ConnectionState.CONNECTING and name in ("", "connect")
        self._jobs.cancel(name)
        if is_connecting:
            self._set(connection=ConnectionState.DISCONNECTED)

    # connection

    def connect(self, url: str, token: str = "") -> None:
        """Connect to a server; the film that is open stays so if it is no image of another server."""
        self.disconnect()
        self._set(url=url, info=None, images=(), training=None, all_labelled=False, notice="", error=None)
        try:
            client = self._connect_to(url, token)
        except ServerError as error:
            self._set(connection=ConnectionState.FAILED, error=error)
            return
        self._set(connection=ConnectionState.CONNECTING)
        self._jobs.start(
            "connect",
            "Connecting",
            lambda job: tasks.look_around(client, job),
            lambda found: self._connected(client, *found),
            lambda error: self._set(connection=ConnectionState.FAILED, error=error),
        )

    def _connected(self, client: Client, info: ServerInfo, images: tuple[ImageEntry, ...]) -> None:
        self._client = client
        self._set(connection=ConnectionState.CONNECTED, training=info.training, error=None)
        self._saw(info, images)
        if self._open is not None and self._open.server not in ("", self._server):
            self._keep_then(self._close_film)
        elif self._open is not None:
            self._open.session = ""  # it was one of the server before

    def disconnect(self) -> None:
        """Ask nothing any more; the film stays open."""
        self._jobs.cancel()
        if self._asking is not None:
            self._asking.cancel()
        self._client = None
        self._set(connection=ConnectionState.DISCONNECTED)

    def refresh(self) -> None:
        """Read the list of images, the counts and the model again."""
        self._ask("refresh", "Reading the list of images", tasks.look_around, lambda found: self._saw(*found))

    @property
    def _server(self) -> str:
        return "" if self._client is None else str(self._client.connection.address)

    def _saw(self, info: ServerInfo, images: tuple[ImageEntry, ...]) -> None:
        before = self.state.info
        is_new = before is not None and before.model_version != info.model_version
        training = self._watch.seen(info.training)
        self._set(info=info, images=images)
        self._saw_training(training)
        if is_new or self._is_new_model:
            self._is_new_model = False
            self._predict_again()

    # choosing

    def next_image(self, strategy: Optional[str] = None) -> None:
        """Open the image that the strategy chooses."""
        info, current = self.state.info, self.state.current
        chosen = strategy or self.strategy or (info.strategies[0] if info is not None and info.strategies else "first")
        present = current.id if current is not None and current.source == SERVER else ""

        def work(client: Client, job: Job) -> Optional[Opened]:
            return tasks.open_next(client, chosen, present, job)

        def chose(opened: Optional[Opened]) -> None:
            if opened is None:
                self._set(all_labelled=True, notice="All images are labelled.")
            else:
                self._arrive(opened)

        self._ask("open", "Choosing the next image", work, chose)

    def previous(self) -> None:
        """Open the image that was open before this one."""
        if not self._history:
            return
        last = self._history[-1]
        if last.path is not None:
            self._open_file(last.path, is_back=True)
        else:
            self._open_image(last.id, is_back=True)

    def open_image(self, image_id: str) -> None:
        """Open an image of the server's folder."""
        current = self.state.current
        if current is not None and current.id == image_id and current.source == SERVER:
            self._set(notice="This film is open already.")
        else:
            self._open_image(image_id)

    def open_local(self, path: str) -> None:
        """Open a file of this computer: as the server reads it while there is one, else as Slicer does."""
        self._open_file(path)

    def close_film(self) -> None:
        """Show nothing."""
        self._jobs.cancel("open")
        self._keep_then(self._close_film)

    def revert(self) -> None:
        """Keep the edits as a draft, and show again what the server has."""
        current, film = self.state.current, self._logic.film
        if current is None or film is None or self._open is None:
            return
        if current.source == SERVER:
            self._open_image(current.id)
        else:
            self._arrive(Opened(film, session=self._open.session))

    def _open_image(self, image_id: str, draft: Optional[Draft] = None, is_back: bool = False) -> None:
        def opened(found: Opened) -> None:
            if draft is not None and draft.note == SUBMITTING and found.is_final and found.label == draft.markups:
                self.discard(draft)
                self._arrive(found, None, is_back, "This label had reached the server already.")
            else:
                self._arrive(found, draft, is_back)

        self._ask("open", f"Loading {image_id}", lambda client, job: tasks.open_image(client, image_id, job), opened)

    def _open_file(self, path: str, draft: Optional[Draft] = None, is_back: bool = False) -> None:
        if self._client is not None:
            what = f"Loading {Path(path).name}"
            done = lambda found: self._arrive(found, draft, is_back)  # noqa: E731
            self._ask("open", what, lambda client, job: tasks.open_file(client, path, job), done)
            return

        def show() -> None:
            try:
                film = self._logic.load_local(path)
            except (ValueError, OSError, RuntimeError) as error:
                self._failed(ServerError(UNREADABLE, f"{Path(path).name} cannot be read: {error}", repr(error)))
            else:
                self._show(Opened(film), draft, is_back)

        self._keep_then(show)

    def _arrive(self, opened: Opened, draft: Optional[Draft] = None, is_back: bool = False, notice: str = "") -> None:
        self._keep_then(lambda: self._show(opened, draft, is_back, notice))

    def _show(self, opened: Opened, draft: Optional[Draft] = None, is_back: bool = False, notice: str = "") -> None:
        """Put a film in the place of the one before, whose work is kept."""
        film, before, was_open = opened.film, self.state.current, self._open
        server = self._server if film.source == SERVER else ""
        keeper = Keeper(self._drafts, new_key(server, film.id), self._clock)
        seconds, edits = (draft.seconds, draft.edits) if draft is not None else (0.0, 0)
        effort = Effort(seconds, self._clock)
        self._jobs.cancel("infer")
        self._open = OpenFilm(film.id, server, film.path, opened.session, keeper, effort, edits)
        if was_open is not None and was_open.session != opened.session:
            self._end_session(was_open)
        points = opened.label if draft is None else draft.markups
        error = None
        with self._ours():
            self._logic.show_film(film)
            try:
                if points is not None:
                    self._logic.set_label(points)
            except ValueError as failure:
                sentence = (
                    "The label that belongs to this film cannot be read. Place the points again, or ask for them."
                )
                error, points = ServerError(BAD_ANSWER, sentence, str(failure)), None
            if draft is not None and error is None:
                self._logic.editor.load(self._logic.editor.spine(), mask_of(draft.touched))
        if draft is not None and error is None:
            keeper.revision = keeper.kept = 1
            self._move_draft(draft, keeper)
        if is_back and self._history:
            self._history.pop()
        elif before is not None and (before.id, before.source) != (film.id, film.source):
            self._history.append(before)
        kind = "" if points is None else "draft" if draft is not None else "label" if opened.is_final else "prediction"
        self._set(
            current=Current(film.id, film.source, film.path, kind, keeper.is_unsaved, keeper.is_kept),
            can_go_back=bool(self._history),
            all_labelled=False,
            error=error,
            notice=notice,
        )
        self.active()
        self._list_drafts()
        if self.infer_on_open and points is None and error is None and self._has_model:
            self.infer()

    def _close_film(self) -> None:
        with self._ours():
            self._logic.close_film()
        self.film_is_gone()

    def film_is_gone(self) -> None:
        """The scene was closed and took the film with it; call ``save_now`` before it does."""
        self._jobs.cancel("infer")
        if self._open is not None:
            self._end_session(self._open)
        self._open = None
        self._set(current=None)
        self._list_drafts()

    def _end_session(self, film: OpenFilm) -> None:
        client, session = self._client, film.session
        if client is not None and session:
            self._worker.start(lambda job: client.end_session(session, job.signal))

    # drafts

    def take_up(self, draft: Draft) -> None:
        """Open the film of a draft and go on with its points."""
        if draft.source:
            if Path(draft.source).is_file():
                self._open_file(draft.source, draft)
            else:
                sentence = f"The film is no longer at {draft.source}. Put it back there; the work on it is kept."
                self._failed(ServerError(NOT_FOUND, sentence))
        elif draft.server != self._server:
            sentence = f"This film belongs to the server {draft.server}. Connect to it first; the work is kept."
            self._failed(ServerError(UNREACHABLE, sentence))
        else:
            self._open_image(draft.image_id, draft)

    def discard(self, draft: Draft) -> None:
        """Delete a draft; besides a submit the only way in which unsaved work goes away."""
        self._saver.start(lambda job: self._drafts.remove(draft.key), lambda _: self._list_drafts(), self._failed)

    def save_now(self) -> None:
        """Have unsaved edits on the disk before this returns: the scene closes, or Slicer does."""
        film = self._open
        if film is None or film.keeper.is_kept:
            return
        try:
            film.keeper.kept = film.keeper.write(film.draft(self._logic, self._user), film.keeper.revision)
        except OSError as error:
            self._not_kept(film, ServerError(FAILED, "", str(error)))
        self._show_kept(film)

    def close(self) -> None:
        """Save, end all jobs and let go of the logic; waits for nobody."""
        if self._is_closed:
            return
        self.save_now()
        self._is_closed = True
        self._unsubscribe()
        self._listeners.clear()
        self._jobs.cancel()
        self._worker.close()
        self._saver.close()

    @property
    def _user(self) -> str:
        info = self.state.info
        return info.user if info is not None and info.user not in ("", NOBODY) else self.person

    def _changed(self, change: Any) -> None:
        """The editor's points are others."""
        if self._is_ours or self._open is None or getattr(change, "kind", "") in _NO_CHANGE:
            return
        self._edited(self._open)

    def _edited(self, film: OpenFilm) -> None:
        film.keeper.changed()
        film.effort.active()
        self._show_kept(film)

    def _show_kept(self, film: OpenFilm) -> None:
        current, keeper = self.state.current, film.keeper
        if film is not self._open or current is None:
            return
        if (current.is_unsaved, current.is_kept) != (keeper.is_unsaved, keeper.is_kept):  # a drag comes here often
            self._set(current=replace(current, is_unsaved=keeper.is_unsaved, is_kept=keeper.is_kept))

    def _keep(self, film: OpenFilm, then: Optional[Callable[[], object]] = None) -> None:
        """Write the work on the open film as it is now, and go on only when it is written."""
        draft, revision, keeper = film.draft(self._logic, self._user), film.keeper.revision, film.keeper

        def kept(written: int) -> None:
            self._kept(film, written)
            if then is not None:
                then()

        self._saver.start(lambda job: keeper.write(draft, revision), kept, lambda error: self._not_kept(film, error))

    def _kept(self, film: OpenFilm, revision: int) -> None:
        film.keeper.kept = max(film.keeper.kept, revision)
        self._show_kept(film)

    def _not_kept(self, film: OpenFilm, error: ServerError) -> None:
        film.keeper.later()
        sentence = (
            "Your edits cannot be saved on this computer. Make space on its disk; the film stays open until then."
        )
        self._failed(ServerError(FAILED, sentence, error.detail or error.message))

    def _keep_then(self, then: Callable[[], object]) -> None:
        """Do something that replaces the open film, once its work is kept."""
        if self._open is None or self._open.keeper.is_kept:
            then()
        else:
            self._keep(self._open, lambda: self._keep_then(then))

    def _move_draft(self, draft: Draft, keeper: Keeper) -> None:
        """Give a draft that is taken up a name of its own; another Slicer may have been offered it too."""

        def work(job: Job) -> None:
            keeper.write(draft, keeper.revision)
            self._drafts.remove(draft.key)

        self._saver.start(work, lambda _: self._list_drafts(), self._failed)

    def _list_drafts(self) -> None:
        def listed(found: tuple[Draft, ...]) -> None:
            own = "" if self._open is None else self._open.keeper.key
            self._set(offers=tuple(draft for draft in found if draft.key != own))

        self._saver.start(lambda job: self._drafts.list(), listed, self._failed)

    # landmarks

    @property
    def _has_model(self) -> bool:
        return self.state.info is not None and bool(self.state.info.model)

    def infer(self) -> None:
        """Ask for landmarks; points that the person touched stay, and the rest is decoded around them."""
        film = self._open
        if film is None:
            return
        if self._client is not None and not self._has_model:
            self._failed(ServerError(REFUSED, "The server has no model. Place the points by hand."))
            return
        fixed, image_id, path, session = self._logic.editor.fixed(), film.image_id, film.path, film.session

        def work(client: Client, job: Job) -> tuple[Answer, str]:
            if path is None:
                return tasks.infer_image(client, image_id, fixed, job)
            return tasks.infer_file(client, path, session, fixed, job)

        what = "Finding landmarks around yours" if fixed else "Finding landmarks"
        self._ask("infer", what, work, lambda found: self._inferred(film, *found))

    def _inferred(self, film: OpenFilm, answer: Answer, session: str) -> None:
        film.session = session
        shown = self._logic.film
        if film is not self._open or shown is None or self.state.current is None:
            return
        if (answer.image.height, answer.image.width) != shown.pixels.shape:
            sentence = "The film at the server is another one by now. Open it again; your work is kept."
            self._failed(ServerError(BAD_ANSWER, sentence))
            return
        is_around = film.keeper.is_unsaved or bool(self._logic.editor.touched.any())
        with self._ours():
            self._logic.set_answer(answer)
        film.model_version = answer.model_version or (self.state.info.model_version if self.state.info else "")
        if is_around:
            self._edited(film)
        kind = self.state.current.label if film.keeper.is_unsaved else "prediction"
        current = replace(
            self.state.current, label=kind, model_version=film.model_version, names_right=answer.names_right
        )
        self._set(current=current)

    def _predict_again(self) -> None:
        """Another model is served: ask it about a film that nobody has worked on."""
        current = self.state.current
        is_free = current is not None and current.label == "prediction" and not current.is_unsaved
        if is_free and not self._logic.editor.touched.any():
            self.infer()

    def submit(self, confirmed: bool = False) -> tuple[Question, ...]:
        """Store the label as final.

        Args:
            confirmed: whether the person was asked and goes on.

        Returns:
            What must be asked first; then nothing was sent.
        """
        film, current, info = self._open, self.state.current, self.state.info
        if film is None or current is None or self.state.is_busy("submit"):
            return ()
        if info is not None and not info.may_label:
            sentence = "Your token lets you look at films, but not label them. Ask whoever runs the server."
            self._failed(ServerError(FORBIDDEN, sentence))
            return ()
        xy = self._logic.editor.xy
        if not (xy == xy).any():
            self._failed(ServerError(REFUSED, "There are no points to submit. Place them, or ask for landmarks."))
            return ()
        entry = next((one for one in self.state.images if one.id == current.id), None)
        questions = questions_about(xy, entry if current.source == SERVER else None, self._user)
        if questions and not confirmed:
            return questions
        self._submit(film)
        return ()

    def _submit(self, film: OpenFilm) -> None:
        self.active()
        film.note = SUBMITTING
        draft, keeper = film.draft(self._logic, self._user), film.keeper
        if keeper.revision == keeper.submitted:
            keeper.revision += 1  # nothing was changed, but from now on this is somebody's word
            self._show_kept(film)
        revision, server, facts = keeper.revision, self._server, facts_of(draft, film.model_version)

        def work(client: Client, job: Job) -> str:
            return tasks.submit(client, draft, keeper, revision, facts, job)

        def failed(error: ServerError) -> None:
            film.note = "" if error.kind == CANCELLED else error.message
            noted = replace(draft, note=film.note)
            self._saver.start(lambda job: keeper.write(noted, revision), lambda written: self._kept(film, written))
            if error.kind == CANCELLED:
                sentence = "Cancelled; the label may have arrived or not. Your work is kept. Submit it again."
                self._set(notice=sentence)
            else:
                self._failed(error)

        what = f"Submitting {film.image_id}"
        self._ask("submit", what, work, lambda name: self._submitted(film, name, server, revision), failed, True)

    def _submitted(self, film: OpenFilm, image_id: str, server: str, revision: int) -> None:
        keeper = film.keeper
        keeper.submitted = max(keeper.submitted, revision)
        is_new = film.path is not None
        film.image_id, film.server, film.path, film.note = image_id, server, None, ""
        if film is self._open and self.state.current is not None:
            if is_new:
                self._end_session(film)
                film.session = ""
            current = replace(self.state.current, id=image_id, source=SERVER, path=None)
            if not keeper.is_unsaved:
                current = replace(current, label="label")
            self._set(current=current, notice=f"{image_id} is stored as final.")
            self._show_kept(film)
        self._look_quietly()
        if self.next_after_submit and film is self._open and not keeper.is_unsaved:
            self.next_image()

    # training

    def start_training(self, settings: Optional[Mapping[str, Any]] = None) -> None:
        """Train the server's model on all final labels."""
        given = dict(settings or {})

        def work(client: Client, job: Job) -> Optional[Training]:
            return tasks.begin_training(client, given, job)

        self._ask(
            "train", "Starting the training", work, lambda before: self._set(training=self._watch.started(before))
        )

    def stop_training(self) -> None:
        """End the training that runs; the model stays as it was."""

        def stopped(_: object) -> None:
            self._watch.stopped()

        self._ask("train", "Stopping the training", lambda client, job: client.stop_training(job.signal), stopped)

    def _look_after_training(self) -> None:
        client = self._client
        if client is None or (self._asking is not None and self._asking.is_running()):
            return
        if self._watch.is_due(self.state.training):
            self._quietly(
                lambda job: client.training(job.signal), lambda said: self._saw_training(self._watch.seen(said))
            )

    def _saw_training(self, training: Optional[Training]) -> None:
        before = self.state.training
        self._set(training=training)
        if before is None or not before.is_going_on or training is None or training.is_going_on:
            return
        if training.state == DONE:
            self._is_new_model = bool(training.version_after)
            result = f"Model {training.version_after} is served from now on." if self._is_new_model else ""
            self._set(notice=" ".join(filter(None, ("The training is done.", result, training.message))))
            self._look_quietly()
        elif training.state == STOPPED:
            self._set(notice="The training was stopped. The model stays as it was.")
        elif training.state == INTERRUPTED:
            self._set(notice="The training was interrupted. The model stays as it was; started again, it goes on.")
        else:
            why = f": {training.message.rstrip('.')}." if training.message else "."
            self._failed(ServerError(FAILED, f"The training failed{why} The model stays as it was.", training.message))

    # requests

    def _look_after_server(self) -> None:
        if self.state.connection is not ConnectionState.LOST or self._clock() < self._next_try:
            return
        if self._asking is None or not self._asking.is_running():
            self._look_quietly()

    def _look_quietly(self) -> None:
        client = self._client
        if client is not None:
            self._quietly(lambda job: tasks.look_around(client, job), lambda found: self._saw(*found))

    def _quietly(self, work: Callable[[Job], Any], done: Callable[[Any], object]) -> None:
        """Ask something that nobody waits for."""

        def answered(value: Any) -> None:
            self._is_back()
            done(value)

        self._asking = self._worker.start(work, answered, self._lost)

    def _ask(
        self,
        name: str,
        what: str,
        work: Callable[[Client, Job], Any],
        done: Callable[[Any], object],
        failed: Optional[Callable[[ServerError], object]] = None,
        tell_cancelled: bool = False,
    ) -> None:
        """Ask something that the person waits for."""
        client = self._client
        if client is None:
            self._failed(ServerError(UNREACHABLE, "Connect to a server first."))
            return

        def answered(value: Any) -> None:
            self._is_back()
            self._set(error=None)
            done(value)

        self._jobs.start(name, what, lambda job: work(client, job), answered, failed or self._failed, tell_cancelled)

    def _failed(self, error: ServerError) -> None:
        self._lost(error)
        self._set(error=error)

    def _lost(self, error: ServerError) -> None:
        """Notice where the server is out of reach."""
        if is_about_connection(error) and self._client is not None:
            self._next_try = self._clock() + RECONNECT_S
            if self.state.connection is ConnectionState.CONNECTED:
                self._set(connection=ConnectionState.LOST)

    def _is_back(self) -> None:
        if self.state.connection is ConnectionState.LOST:
            self._set(connection=ConnectionState.CONNECTED)

    # state

    @contextlib.contextmanager
    def _ours(self) -> Iterator[None]:
        """What the editor says within the block is no edit of the person."""
        before, self._is_ours = self._is_ours, True
        try:
            yield
        finally:
            self._is_ours = before

    def _set(self, **changes: Any) -> None:
        new = replace(self.state, **changes)
        if new != self.state:
            self.state, self._is_told = new, False
