"""Everything the user can do, as methods that return at once; results of the worker threads come with ``poll``."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Callable, Optional

from ..client.api import Client
from ..client.errors import ServerError
from ..client.http import Connection
from ..client.proposal import Proposal
from ..client.responses import LABELLED, LabelInfo, ServerInfo
from ..editor.spine_editor import ADOPTED, LOADED, LOCKED, MOVED, Change
from . import server_tasks
from .actions.adjudication import AdjudicationAction
from .actions.base import ActionContext
from .actions.image_loader import ImageLoader
from .actions.image_side import ImageSideAction
from .actions.inference import InferenceAction
from .actions.proposal import ProposalAction
from .actions.study import StudyAction
from .actions.submission import ConfirmationRequest, SubmissionAction
from .actions.training import TrainingAction
from .autosave import Autosave
from .drafts import Draft, Drafts
from .requests import ServerRequests
from .server_tasks import LoadedImage, ServerState
from .state import ConnectionState, LogicProtocol, State, StateStore, Take
from .workers import WorkerPool


def make_client(url: str, token: str) -> Client:
    """A client for a server; raises ``ServerError`` where URL or token is malformed."""
    return Client(Connection(url, token))


class Controller:
    """Facade of the workflow: connect, choose, infer, submit and train.

    Unsaved work is on the disk before anything replaces it. All methods belong to the thread of the logic. None waits
    for server or disk, except ``save_now`` and ``close``, which write one small file.

    Args:
        logic: shows images and holds the points.
        drafts: folder of unsubmitted work.
        connect_to: makes a client from URL and token.
        workers: for requests; by default a pool of its own.
        writer: for drafts, which never wait behind a slow server; by default a pool of one thread.
        clock: monotonic time in seconds.

    Attributes:
        strategy: for choosing the next image, one of ``state.info.strategies``; "" for the first of them.
        next_after_submit: whether a submit opens the next image.
        infer_on_open: whether a prediction is requested for an image without points.
        follow_moves: whether a prediction is requested around each point that the user has moved.
    """

    def __init__(
        self,
        logic: LogicProtocol,
        drafts: Drafts,
        connect_to: Callable[[str, str], Client] = make_client,
        workers: Optional[WorkerPool] = None,
        writer: Optional[WorkerPool] = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.strategy = ""
        self.next_after_submit = self.infer_on_open = self.follow_moves = False
        self._connect_to = connect_to
        self._workers = workers or WorkerPool(3)
        self._store = StateStore()
        self._requests = ServerRequests(self._store, self._workers, clock)
        writer = writer or WorkerPool(1, "vertebra-landmarks-drafts")
        self._autosave = Autosave(self._store, logic, drafts, writer, self._requests.show_error)
        context = ActionContext(self._store, self._requests, self._autosave, logic, clock)
        self._loader = ImageLoader(context, self._on_image_shown)
        self._inference = InferenceAction(context, self._loader)
        self._study = StudyAction(context, self._loader)
        self._adjudication = AdjudicationAction(context, self._loader, self._on_label_stored)
        self._submission = SubmissionAction(context, self._on_label_stored, self._adjudication.reload)
        self._side = ImageSideAction(context)
        self._proposal = ProposalAction(context)
        self._training = TrainingAction(context, self._on_training_finished)
        self._is_closed = self._is_new_model = False
        self._address = ("", "")
        self._unsubscribe = logic.editor.subscribe(self._on_edit)
        self._autosave.refresh_drafts()

    @property
    def state(self) -> State:
        """Everything that the panel shows; replaced, never changed."""
        return self._store.state

    @property
    def annotator(self) -> str:
        """Name that the user entered, for labels and drafts where the server has no login."""
        return self._store.annotator

    @annotator.setter
    def annotator(self, name: str) -> None:
        before, self._store.annotator = self._store.user, name
        if self._store.user == before:
            return
        self._study.on_user_changed()
        if self._requests.client is not None:  # what is under way stays that of the user before
            self._requests.client = self._new_client(*self._address)
            self._refresh_in_background()
        elif self.state.connection is ConnectionState.CONNECTING:
            self.connect(*self._address)

    # called by the panel, apart from buttons

    def subscribe(self, listener: Callable[[State], object]) -> Callable[[], None]:
        """Call the listener from ``poll`` with each new state; returns a function that ends it."""
        return self._store.subscribe(listener)

    def poll(self) -> None:
        """Deliver results, save, follow training and connection. To be called every 10 to 20 ms."""
        if self._is_closed:
            return
        self._workers.poll()
        self._loader.poll()
        self._autosave.poll()
        self._inference.poll()
        self._training.poll()
        self._study.poll()
        if self._requests.is_reconnect_due():
            self._refresh_in_background()
        self._store.notify()

    def touch(self) -> None:
        """Count activity of the user other than edits as working time."""
        if self._autosave.session is not None:
            self._autosave.session.timer.touch()
            self._autosave.publish(self._autosave.session)

    def dismiss(self) -> None:
        """Clear the last error and notice."""
        self._store.update(error=None, notice="")

    def cancel(self, name: str = "") -> None:
        """Cancel the job of that name (see ``RunningJob.name``), or all."""
        is_connecting = self.state.connection is ConnectionState.CONNECTING and name in ("", "connect")
        self._requests.jobs.cancel(name)
        if is_connecting:
            self._store.update(connection=ConnectionState.DISCONNECTED)

    # connection

    def connect(self, url: str, token: str = "") -> None:
        """Connect to a server; the open image stays open unless it belongs to another server."""
        self.disconnect()
        self._address = (url, token)
        self._store.update(url=url, info=None, images=(), training=None, all_labelled=False, notice="", error=None)
        self._store.update(study=None, queue=())
        try:
            client = self._new_client(url, token)
        except ServerError as error:
            self._store.update(connection=ConnectionState.FAILED, error=error)
            return
        self._store.update(connection=ConnectionState.CONNECTING)
        self._requests.jobs.start(
            "connect",
            "Connecting",
            lambda job: server_tasks.fetch_server_state(client, job),
            lambda result: self._on_connected(client, result),
            lambda error: self._store.update(connection=ConnectionState.FAILED, error=error),
        )

    def _new_client(self, url: str, token: str) -> Client:
        client = self._connect_to(url, token)
        client.connection.user = self._store.annotator
        return client

    def _on_connected(self, client: Client, server: ServerState) -> None:
        self._requests.client = client
        self._store.update(connection=ConnectionState.CONNECTED, training=server.info.training, error=None)
        self._on_server_state(server)
        self._loader.on_connected()
        self._autosave.refresh_drafts()

    def disconnect(self) -> None:
        """Cancel all requests; the image stays open."""
        self._requests.close()
        self._store.update(connection=ConnectionState.DISCONNECTED)

    def refresh(self) -> None:
        """Request the list of images and the state of the server."""
        work, on_done = server_tasks.fetch_server_state, self._for_this_user(self._on_server_state)
        self._requests.submit("refresh", "Reading the list of images", work, on_done)

    def _refresh_in_background(self) -> None:
        self._requests.submit_background(server_tasks.fetch_server_state, self._for_this_user(self._on_server_state))

    def _for_this_user(self, then: Callable[[Any], object]) -> Callable[[Any], None]:
        """The callback, which drops what was requested for somebody who has left the workstation since."""
        user = self.annotator

        def on_done(result: Any) -> None:
            if self.annotator == user:
                then(result)

        return on_done

    def _on_server_state(self, server: ServerState) -> None:
        self._store.update(images=server.images, queue=server.queue)
        session = self._autosave.session
        if session is not None and session.server == self._requests.server and session.reader is None:
            entry = next((one for one in server.images if one.id == session.image_id), None)
            if entry is not None:
                session.final = LabelInfo(entry.user, entry.timestamp) if entry.status == LABELLED else None
        self._on_server_info(server.info)
        self._study.on_study(server.study)

    def _on_server_info(self, info: ServerInfo) -> None:
        before = self.state.info
        is_new = before is not None and before.model_version != info.model_version
        self._store.update(info=info)
        self._training.on_report(info.training)
        if is_new or self._is_new_model:
            self._is_new_model = False
            self._inference.infer_with_new_model()

    # choosing an image

    def next_image(self, strategy: Optional[str] = None) -> None:
        """Open the image that the strategy chooses; a skipped one comes again after all others.

        In a study, what its plan gives to the user.
        """
        info = self.state.info
        by_default = info.strategies[0] if info is not None and info.strategies else "first"
        open_next = self._loader.open_next if self.state.study is None else self._study.open_next
        open_next(strategy or self.strategy or by_default)

    def previous(self) -> None:
        """Open the image that was open before this one."""
        self._loader.open_previous()

    def open_image(self, image_id: str) -> None:
        """Open an image of the server's folder, with the user's newest draft of it if there is one.

        The open image is reloaded as the server has it; edits are kept as a draft.
        """
        self._loader.open_image(image_id)

    def open_local(self, path: str) -> None:
        """Open a local file: through the server while connected, else with Slicer's reader."""
        self._loader.open_file(path)

    def close_image(self) -> None:
        """Show nothing."""
        self._loader.close()

    def revert(self) -> None:
        """Keep the edits as a draft, and show again what the server has."""
        self._loader.reload()

    def on_scene_closed(self) -> None:
        """The scene was closed, and the image with it; call ``save_now`` before.

        Where the work could not be saved, the image is restored and saving is retried.
        """
        self._loader.on_scene_closed()

    def _on_image_shown(self, loaded: LoadedImage, is_draft: bool) -> None:
        self._adjudication.on_shown(loaded, is_draft)
        if not is_draft:
            self._inference.infer_if_outdated(loaded, self.infer_on_open)
            self._proposal.look(loaded)

    # drafts

    def resume_draft(self, draft: Draft) -> None:
        """Open the image of a draft with its points."""
        self._loader.resume_draft(draft)

    def discard(self, draft: Draft) -> None:
        """Delete a draft; besides a submit the only way in which unsaved work is removed."""
        self._autosave.discard(draft)

    def save_now(self) -> None:
        """Write unsaved edits before returning: the scene or Slicer is about to close."""
        self._autosave.save_now()

    def close(self) -> None:
        """Save, cancel all jobs and release the logic, without waiting."""
        if self._is_closed:
            return
        self._is_closed = True
        self._autosave.close()
        self._unsubscribe()
        self._store.clear_listeners()
        self._requests.jobs.cancel()
        self._workers.close()

    def _on_edit(self, change: Change) -> None:
        session = self._autosave.session
        if session is None or session.is_view_only or change.kind == LOCKED:
            return
        session.change_count += 1
        if not self._loader.is_programmatic and change.kind not in (LOADED, ADOPTED):
            self._autosave.mark_edited(session)
            self._inference.on_edited(self.follow_moves and change.kind == MOVED and not change.is_ongoing)

    # landmarks

    def infer(self) -> None:
        """Request a prediction; touched points stay, and the rest is decoded around them."""
        self._inference.infer()

    def set_side(self, side: Optional[str]) -> None:
        """Set the patient's side at the left of the open image: "left", "right", or ``None`` to clear it."""
        self._side.set_side(side)

    def take_proposal(self, proposal: Proposal) -> None:
        """Move corners onto the lines that somebody has edited in a viewer, where they are still proposed."""
        self._proposal.take(proposal)

    def submit(self, confirmed: Optional[ConfirmationRequest] = None) -> Optional[ConfirmationRequest]:
        """Store the label as final.

        Args:
            confirmed: what the user has confirmed. It counts for the image and the points that it was about: other
                points of the same image must be confirmed anew, and for another image nothing is sent.

        Returns:
            What must be confirmed first, then nothing was sent; ``None`` where it was sent, or cannot be.
        """
        return self._submission.submit(confirmed)

    def _on_label_stored(self, is_open: bool) -> None:
        self._requests.submit_background(
            lambda client, job: client.info(job.signal), self._for_this_user(self._on_server_info)
        )
        if self.state.study is not None:
            self._study.refresh()
        if self.next_after_submit and is_open:
            self.next_image()
        elif is_open:
            self._adjudication.reload()

    # study

    def release_reading(self) -> None:
        """Give the open image back unread; edits are kept as a draft."""
        self._study.release()

    def choose_reading(self, take: Take) -> None:
        """Choose a reading by its number, or the mean of both, as the final label; ``confirm_choice`` stores it."""
        self._adjudication.choose(take)

    def edit_final(self) -> None:
        """Begin to correct the points of a reading, which ``submit`` stores as the final label."""
        self._adjudication.edit()

    def confirm_choice(self) -> None:
        """Store what was chosen as the final label."""
        self._adjudication.confirm()

    # training

    def start_training(self, settings: Optional[Mapping[str, Any]] = None) -> None:
        """Train the server's model on all final labels."""
        self._training.start(settings or {})

    def stop_training(self) -> None:
        """Stop the running training; the model stays unchanged."""
        self._training.stop()

    def _on_training_finished(self, is_new_model: bool) -> None:
        self._is_new_model = is_new_model
        self._refresh_in_background()
