"""What the person can do, as methods that return at once; work runs on threads, its results come with ``poll``."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Callable, Optional

from ..client.api import Client
from ..client.errors import ServerError
from ..client.http import Connection
from ..client.responses import LABELLED, ImageEntry, LabelInfo, ServerInfo
from ..editor.spine_editor import LOCKED, MOVED
from ..workflow import server_tasks
from .actions.image_loader import ImageLoader
from .actions.image_side import ImageSideAction
from .actions.inference import InferenceAction
from .actions.submission import ConfirmationRequest, SubmissionAction
from .actions.training import TrainingAction
from .autosave import Autosave
from .drafts import Draft, Drafts
from .requests import ServerRequests
from .server_tasks import LoadedImage
from .state import ConnectionState, Logic, State, StateStore
from .workers import WorkerPool

_NO_CHANGE = ("loaded", "adopted", "locked")
"""Kinds of the editor's changes that are none of the person."""


def make_client(url: str, token: str) -> Client:
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
        strategy: how the next image is chosen, one of ``state.info.strategies``; "" for the first of them.
        next_after_submit: whether a submit opens the next image.
        infer_on_open: whether landmarks are asked for when an image without any is opened.
        follow_moves: whether a model is asked again around each point that the person has moved.
    """

    def __init__(
        self,
        logic: Logic,
        drafts: Drafts,
        connect_to: Callable[[str, str], Client] = make_client,
        worker: Optional[WorkerPool] = None,
        saver: Optional[WorkerPool] = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.strategy = ""
        self.next_after_submit = self.infer_on_open = self.follow_moves = False
        self._logic, self._connect_to = logic, connect_to
        self._worker = worker or WorkerPool(3)
        self._store = StateStore()
        self._requests = ServerRequests(self._store, self._worker, clock)
        own_saver = saver or WorkerPool(1, "vertebra-landmarks-drafts")
        self._saving = Autosave(self._store, logic, drafts, own_saver, self._requests.failed)
        self._opening = ImageLoader(self._store, self._requests, self._saving, logic, clock, self._on_shown)
        self._inferring = InferenceAction(self._store, self._requests, self._saving, self._opening, logic, clock)
        self._submitting = SubmissionAction(self._store, self._requests, self._saving, logic, self._on_label_stored)
        self._sides = ImageSideAction(self._store, self._requests, self._saving, logic)
        self._trainings = TrainingAction(self._store, self._requests, clock, self._on_training_finished)
        self._is_closed = self._is_new_model = False
        self._unsubscribe = logic.editor.subscribe(self._changed)
        self._saving.list()

    @property
    def state(self) -> State:
        """What is going on; replaced, never changed."""
        return self._store.state

    @property
    def person(self) -> str:
        """Who works, for labels and drafts where the server has no login."""
        return self._store.person

    @person.setter
    def person(self, name: str) -> None:
        self._store.person = name

    # what the panel does besides the buttons

    def on_change(self, listener: Callable[[State], object]) -> Callable[[], None]:
        """Call the listener from ``poll`` with the new state whenever it is another; returns what ends that."""
        return self._store.on_change(listener)

    def poll(self) -> None:
        """Run what is due: results of jobs, saving, looking after training and server. Every 10 to 20 ms."""
        if self._is_closed:
            return
        self._worker.poll()
        self._opening.poll()
        self._saving.poll()
        self._inferring.poll()
        self._trainings.poll()
        if self._requests.is_reconnect_due():
            self._refresh_in_background()
        self._store.tell()

    def active(self) -> None:
        """The person does something with the film: counts as time of work. Edits are noticed without."""
        if self._saving.film is not None:
            self._saving.film.effort.active()
            self._saving.show(self._saving.film)

    def dismiss(self) -> None:
        """Forget the last error and notice."""
        self._store.set(error=None, notice="")

    def cancel(self, name: str = "") -> None:
        """Cancel the job of that name (see ``Busy.name``), or all that the person waits for."""
        is_connecting = self.state.connection is ConnectionState.CONNECTING and name in ("", "connect")
        self._requests.jobs.cancel(name)
        if is_connecting:
            self._store.set(connection=ConnectionState.DISCONNECTED)

    # connection

    def connect(self, url: str, token: str = "") -> None:
        """Connect to a server; the film that is open stays so if it is no image of another server."""
        self.disconnect()
        self._store.set(url=url, info=None, images=(), training=None, all_labelled=False, notice="", error=None)
        try:
            client = self._connect_to(url, token)
        except ServerError as error:
            self._store.set(connection=ConnectionState.FAILED, error=error)
            return
        self._store.set(connection=ConnectionState.CONNECTING)
        self._requests.jobs.start(
            "connect",
            "Connecting",
            lambda job: server_tasks.fetch_server_state(client, job),
            lambda found: self._connected(client, *found),
            lambda error: self._store.set(connection=ConnectionState.FAILED, error=error),
        )

    def _connected(self, client: Client, info: ServerInfo, images: tuple[ImageEntry, ...]) -> None:
        self._requests.client = client
        self._store.set(connection=ConnectionState.CONNECTED, training=info.training, error=None)
        self._on_server_state(info, images)
        self._opening.connected()

    def disconnect(self) -> None:
        """Ask nothing any more; the film stays open."""
        self._requests.end()
        self._store.set(connection=ConnectionState.DISCONNECTED)

    def refresh(self) -> None:
        """Read the list of images, the counts and the model again."""
        work = server_tasks.fetch_server_state
        self._requests.ask("refresh", "Reading the list of images", work, lambda found: self._on_server_state(*found))

    def _refresh_in_background(self) -> None:
        self._requests.quietly(server_tasks.fetch_server_state, lambda found: self._on_server_state(*found))

    def _on_server_state(self, info: ServerInfo, images: tuple[ImageEntry, ...]) -> None:
        self._store.set(images=images)
        film = self._saving.film
        entry = None if film is None else next((one for one in images if one.id == film.image_id), None)
        if film is not None and entry is not None and film.server == self._requests.server:
            film.final = LabelInfo(entry.user, entry.when) if entry.status == LABELLED else None
        self._on_server_info(info)

    def _on_server_info(self, info: ServerInfo) -> None:
        before = self.state.info
        is_new = before is not None and before.model_version != info.model_version
        self._store.set(info=info)
        self._trainings.saw(info.training)
        if is_new or self._is_new_model:
            self._is_new_model = False
            self._inferring.infer_with_new_model()

    # choosing

    def next_image(self, strategy: Optional[str] = None) -> None:
        """Open the image that the strategy chooses; one that was passed over comes again after all others."""
        info = self.state.info
        by_default = info.strategies[0] if info is not None and info.strategies else "first"
        self._opening.next(strategy or self.strategy or by_default)

    def previous(self) -> None:
        """Open the image that was open before this one."""
        self._opening.previous()

    def open_image(self, image_id: str) -> None:
        """Open an image of the server's folder, with the person's newest work on it where there is any.

        The one that is open is loaded again, as the server has it; edits are kept as a draft first.
        """
        self._opening.image(image_id)

    def open_local(self, path: str) -> None:
        """Open a file of this computer: as the server reads it while there is one, else as Slicer does."""
        self._opening.file(path)

    def close_image(self) -> None:
        """Show nothing."""
        self._opening.close()

    def revert(self) -> None:
        """Keep the edits as a draft, and show again what the server has."""
        self._opening.again()

    def on_scene_closed(self) -> None:
        """The scene was closed and took the film with it; call ``save_now`` before it does.

        Where its work could not be saved the film comes back, and saving is tried again.
        """
        self._opening.on_scene_closed()

    def _on_shown(self, opened: LoadedImage, is_work: bool) -> None:
        """A film is open: ask for landmarks where there are none, or those of another model."""
        if not is_work:
            self._inferring.infer_if_outdated(opened, self.infer_on_open)

    # drafts

    def resume_draft(self, draft: Draft) -> None:
        """Open the film of a draft and go on with its points."""
        self._opening.resume_draft(draft)

    def discard(self, draft: Draft) -> None:
        """Delete a draft; besides a submit the only way in which unsaved work goes away."""
        self._saving.discard(draft)

    def save_now(self) -> None:
        """Have unsaved edits on the disk before this returns: the scene closes, or Slicer does."""
        self._saving.save_now()

    def close(self) -> None:
        """Save, end all jobs and let go of the logic; waits for nobody."""
        if self._is_closed:
            return
        self._is_closed = True
        self._saving.close()
        self._unsubscribe()
        self._store.clear()
        self._requests.jobs.cancel()
        self._worker.close()

    def _changed(self, change: Any) -> None:
        """The editor's points are others."""
        film, kind = self._saving.film, getattr(change, "kind", "")
        if film is None or kind == LOCKED:
            return
        film.changes += 1
        if not self._opening.is_ours and kind not in _NO_CHANGE:
            self._saving.edited(film)
            self._inferring.moved(self.follow_moves and kind == MOVED and not change.is_ongoing)

    # landmarks

    def infer(self) -> None:
        """Ask for landmarks; points that the person touched stay, and the rest is decoded around them."""
        self._inferring.infer()

    def set_side(self, side: Optional[str]) -> None:
        """Say which of the patient's sides, "left" or "right", is at the left of the open image; ``None`` for none."""
        self._sides.state(side)

    def submit(self, confirmed: Optional[ConfirmationRequest] = None) -> Optional[ConfirmationRequest]:
        """Store the label as final.

        Args:
            confirmed: what the person was asked and said yes to. It counts for the film and the points that it was
                about: for others of the same film the person is asked anew, and for another film nothing is sent.

        Returns:
            What must be asked first, then nothing was sent; ``None`` where it was sent, or cannot be.
        """
        return self._submitting.submit(confirmed)

    def _on_label_stored(self, is_open: bool) -> None:
        """The server has a label: show the counts, and go on."""
        self._requests.quietly(lambda client, job: client.info(job.signal), self._on_server_info)
        if self.next_after_submit and is_open:
            self.next_image()

    # training

    def start_training(self, settings: Optional[Mapping[str, Any]] = None) -> None:
        """Train the server's model on all final labels."""
        self._trainings.start(settings or {})

    def stop_training(self) -> None:
        """End the training that runs; the model stays as it was."""
        self._trainings.stop()

    def _on_training_finished(self, is_new_model: bool) -> None:
        self._is_new_model = is_new_model
        self._refresh_in_background()
