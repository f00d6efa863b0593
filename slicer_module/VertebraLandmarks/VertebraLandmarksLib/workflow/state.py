"""Observable state of the module, and the protocol of the logic that the workflow drives."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Callable, Optional, Protocol, Union

import numpy as np

from ..client.errors import ServerError
from ..client.proposal import Proposal
from ..client.radiograph import Radiograph
from ..client.readings import MEAN, ImageReadings, QueuedImage, SubmittedReading
from ..client.responses import ANONYMOUS, ImageEntry, Prediction, ServerInfo, Training
from ..client.study import Reading, Study
from ..editor.listeners import Listeners
from ..editor.spine_editor import SpineEditor
from ..spine.imaging.image_frame import ImageFrame
from ..spine.measurement.origin import UNKNOWN, Origin
from ..spine.schema import Spine
from .drafts import Draft


class ConnectionState(enum.Enum):
    """State of the connection to the server."""

    DISCONNECTED = "not connected"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    LOST = "connection lost"
    """Was connected; the next successful request restores it."""
    FAILED = "cannot connect"
    """Never was connected; ``State.error`` says why (unreachable, wrong app, another schema version, login)."""


@dataclass(frozen=True)
class RunningJob:
    """A job whose progress is shown.

    Attributes:
        name: for ``Controller.cancel``: "connect", "refresh", "open", "infer", "submit", "side" or "train".
        description: for the user, such as "Loading AB12".
        done: bytes transferred; 0 where they are not counted.
        total: bytes in total; ``None`` where unknown.
    """

    name: str
    description: str
    done: int = 0
    total: Optional[int] = None


@dataclass(frozen=True)
class CurrentImage:
    """The open image.

    Attributes:
        id: its name on the server, or the name that it would get there.
        source: ``radiograph.SERVER``, ``SESSION`` or ``LOCAL``.
        path: the file on this computer, ``None`` for an image of the server.
        label: "" (no points yet), "prediction", "label" (submitted before), "draft" (resumed work) or "readings" (that
            an adjudicator compares).
        is_unsaved: whether there are edits that were not submitted; for whether they are on the disk see ``is_saved``.
        is_saved: whether all edits are on the disk.
        model_version: of the model that predicted the untouched points, "" where unknown.
        names_right: probability that the predicted names are right; ``None`` where unknown or after a shift of names.
        edits: steps of the user on this image, including those of a resumed draft.
        seconds: working time, likewise, in whole seconds.
        begun_by: who worked on the resumed draft, "" where that is the same user.
        image_left_is: the patient's side at the left of the image; ``None`` where unknown.
        proposal: what somebody has edited in a viewer of the label that is shown; ``None`` without it.
        reading: of a study, that the points become; ``None`` without one.
        is_view_only: whether a study plan lets nobody change and submit the points here now.
    """

    id: str
    source: str
    path: Optional[str] = None
    label: str = ""
    is_unsaved: bool = False
    is_saved: bool = True
    model_version: str = ""
    names_right: Optional[float] = None
    edits: int = 0
    seconds: int = 0
    begun_by: str = ""
    image_left_is: Optional[str] = None
    proposal: Optional[Proposal] = None
    reading: Optional[Reading] = None
    is_view_only: bool = False

    @property
    def offers_model(self) -> bool:
        """Whether points of the model may be asked for."""
        return not self.is_view_only and (self.reading is None or self.reading.offers_model)


Take = Union[int, str]
"""What becomes the final label: the number of a reading, or ``readings.MEAN``."""


@dataclass(frozen=True)
class Adjudication:
    """The choice of the final label of the open image.

    Attributes:
        readings: from which it is chosen.
        take: what is chosen but not confirmed; ``None`` before that.
        is_editing: whether the adjudicator corrects points instead.
        newer_final: final label that somebody else has saved meanwhile, in stored pixels; ``None`` without it.
    """

    readings: ImageReadings
    take: Optional[Take] = None
    is_editing: bool = False
    newer_final: Optional[Spine] = None

    @property
    def shown(self) -> list[Spine]:
        """What is drawn: both readings, and their mean where that is chosen, or what somebody else has saved."""
        mean = self.readings.mean
        third = mean.spine if self.take == MEAN and mean is not None else self.newer_final
        return [one.spine for one in self.compared] + ([] if third is None else [third])

    @property
    def compared(self) -> tuple[SubmittedReading, ...]:
        """The two readings that are compared."""
        return self.readings.independent[:2]

    def reading(self, number: Optional[Take]) -> Optional[SubmittedReading]:
        """The compared reading of a number; ``None`` if there is none."""
        return next((one for one in self.compared if one.reading.number == number), None)


@dataclass(frozen=True)
class State:
    """Everything that the panel shows besides points and measurements.

    Attributes:
        connection: state of the connection.
        url: of the server, as the user typed it.
        info: state of the server; kept when the connection is lost, ``None`` before the first connection.
        images: list of the server's images.
        current: the open image; ``None`` without one.
        can_go_back: whether ``Controller.previous`` has an image to open.
        busy: running jobs.
        error: the last error; ``None`` after the next success or ``Controller.dismiss``.
        notice: the last success that is not visible otherwise, such as "Stored as final.".
        training: the newest one; ``None`` without any.
        drafts: unsubmitted work, newest first, without drafts that are open here or in another Slicer.
        all_labelled: whether the last strategy found no image left.
        study: with a plan; ``None`` without one.
        adjudication: of the open image; ``None`` where it is not adjudicated.
        queue: images to adjudicate, for adjudicators.
    """

    connection: ConnectionState = ConnectionState.DISCONNECTED
    url: str = ""
    info: Optional[ServerInfo] = None
    images: tuple[ImageEntry, ...] = ()
    current: Optional[CurrentImage] = None
    can_go_back: bool = False
    busy: tuple[RunningJob, ...] = ()
    error: Optional[ServerError] = None
    notice: str = ""
    training: Optional[Training] = None
    drafts: tuple[Draft, ...] = ()
    all_labelled: bool = False
    study: Optional[Study] = None
    adjudication: Optional[Adjudication] = None
    queue: tuple[QueuedImage, ...] = ()

    @property
    def is_connected(self) -> bool:
        """Whether requests may be sent."""
        return self.connection in (ConnectionState.CONNECTED, ConnectionState.LOST)

    def is_busy(self, name: str) -> bool:
        """Whether the job of that name runs."""
        return any(job.name == name for job in self.busy)


class StateStore:
    """Observable application state.

    Attributes:
        state: replaced, never changed.
        annotator: name that the user entered, for servers without login.
    """

    def __init__(self) -> None:
        self.state = State()
        self.annotator = ""
        self._listeners: Listeners[State] = Listeners()
        self._is_published = True

    @property
    def user(self) -> str:
        """Name of the login; without one, the name that the user entered."""
        info = self.state.info
        return info.user if info is not None and info.user not in ("", ANONYMOUS) else self.annotator

    def update(self, **changes: Any) -> None:
        """Replace attributes of the state."""
        new = replace(self.state, **changes)
        if new != self.state:
            self.state, self._is_published = new, False

    def update_current(self, **changes: Any) -> None:
        """Replace attributes of the open image, if there is one."""
        if self.state.current is not None:
            self.update(current=replace(self.state.current, **changes))

    def subscribe(self, listener: Callable[[State], object]) -> Callable[[], None]:
        """Call the listener from ``notify`` with each new state; returns a function that ends it."""
        return self._listeners.subscribe(listener)

    def notify(self) -> None:
        """Call the listeners if the state has changed since the last call."""
        if not self._is_published:
            self._is_published = True
            self._listeners.notify(self.state)

    def clear_listeners(self) -> None:
        """Remove all listeners."""
        self._listeners.clear()


class LogicProtocol(Protocol):
    """What the workflow needs of ``logic.VertebraLandmarksLogic``, so that it runs without a scene."""

    editor: SpineEditor

    @property
    def radiograph(self) -> Optional[Radiograph]:
        """The image that is shown."""

    @property
    def image_frame(self) -> ImageFrame:
        """Frame of the image, for measuring."""

    @property
    def image_left_is(self) -> Optional[str]:
        """The patient's side at the left of the upright image; ``None`` where unknown."""

    def set_side(self, side: Optional[str]) -> None:
        """Set the patient's side at the left of the upright image, as the user states it."""

    def show_image(self, radiograph: Radiograph) -> None:
        """Show an image without points, replacing the one before."""

    def close_image(self) -> None:
        """Show nothing."""

    def restore(self) -> bool:
        """Show again what a closed scene removed; returns whether there was anything."""

    def begin_local(self, path: str) -> Callable[[], Radiograph]:
        """Begin to read a file without a server; the returned function finishes on any thread.

        Both raise ValueError or OSError with a message for the user.
        """

    def show_prediction(self, prediction: Prediction) -> bool:
        """Show a prediction; returns whether that is a step that can be undone."""

    def follow_prediction(self, prediction: Prediction) -> bool:
        """Show a prediction around the last edit as a part of that edit; returns whether that was done."""

    def set_label(
        self, markups: bytes, touched: Optional[np.ndarray] = None, origin: Origin = UNKNOWN, is_own: bool = False
    ) -> None:
        """Show the points of a ``.mrk.json`` file; raises ValueError where it is malformed."""

    def markups(self) -> bytes:
        """The points as a ``.mrk.json`` file, exactly as submitted."""

    def show_readings(self, readings: Sequence[Spine]) -> None:
        """Show what is compared, at most three, in colors of their own; it never becomes points of the editor."""
