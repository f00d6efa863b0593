"""Observable state of the module, and the protocol of the logic that the workflow drives."""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import Any, Callable, Optional, Protocol

import numpy as np

from ..client.errors import ServerError
from ..client.provenance import UNKNOWN, Origin
from ..client.radiograph import Radiograph
from ..client.responses import ANONYMOUS, ImageEntry, Prediction, ServerInfo, Training
from ..editor.spine_editor import SpineEditor
from ..spine.imaging.image_frame import ImageFrame
from .drafts import Draft


class ConnectionState(enum.Enum):
    """Where the connection stands."""

    DISCONNECTED = "not connected"
    """Nobody asked for it."""
    CONNECTING = "connecting"
    CONNECTED = "connected"
    LOST = "connection lost"
    """It was there; the next request that is answered brings it back."""
    FAILED = "cannot connect"
    """It never was there; ``State.error`` says why (unreachable, wrong app, another schema version, login)."""


@dataclass(frozen=True)
class Busy:
    """A job that the person waits for.

    Attributes:
        name: which one, for ``Controller.cancel``: "connect", "refresh", "open", "infer", "submit" or "train".
        what: what is being done, for people, such as "Loading AB12".
        done: bytes that are done; 0 where that is not counted.
        total: bytes in all; ``None`` where that is not known.
    """

    name: str
    what: str
    done: int = 0
    total: Optional[int] = None


@dataclass(frozen=True)
class SubmissionWarning:
    """What must be asked before a label is submitted.

    Attributes:
        kind: "incomplete", "implausible" or "replaces".
        text: a sentence or two that end with what happens if the person goes on.
        vertebrae: names of the vertebrae that it is about.
    """

    kind: str
    text: str
    vertebrae: tuple[str, ...] = ()


@dataclass(frozen=True)
class Current:
    """The film that is open.

    Attributes:
        id: its name at the server, or the one that it would get.
        source: ``answers.SERVER``, ``SESSION`` or ``LOCAL``.
        path: the file on this computer, ``None`` for an image of the server.
        label: "" (nothing yet), "prediction", "label" (submitted before) or "draft" (work taken up again).
        is_unsaved: whether there are edits that were not submitted; they are on this computer's disk, see ``is_saved``.
        is_saved: whether all of them are on the disk.
        model_version: of the model that points which nobody set come from, "" where that is not known.
        names_right: chance that the names it gave are right; ``None`` where unknown, or where names were shifted.
        edits: steps of the person on this film, with those of a draft that was taken up.
        seconds: of work on it, likewise, whole ones.
        begun_by: who worked on the draft that was taken up, "" where that is the same person.
        image_left_is: the patient's side at the left of the image; ``None`` where nobody knows.
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


@dataclass(frozen=True)
class State:
    """Everything that the panel shows besides points and measurements.

    Attributes:
        connection: where the connection stands.
        url: the server's address as the person wrote it.
        info: the server; kept when the connection is lost, ``None`` before the first.
        images: the server's list.
        current: the film that is open; ``None`` without one.
        can_go_back: whether ``Controller.previous`` has an image to go to.
        busy: jobs that the person waits for.
        error: the last thing that went wrong; ``None`` after the next success or ``Controller.dismiss``.
        notice: the last thing that went well and is not seen otherwise, such as "Stored as final.".
        training: the newest one; ``None`` where there was none.
        offers: work that was not submitted, newest first; without that of films which are open, here or in another
            Slicer. ``Draft.user`` says whose it is.
        all_labelled: whether the last strategy found no image left.
    """

    connection: ConnectionState = ConnectionState.DISCONNECTED
    url: str = ""
    info: Optional[ServerInfo] = None
    images: tuple[ImageEntry, ...] = ()
    current: Optional[Current] = None
    can_go_back: bool = False
    busy: tuple[Busy, ...] = ()
    error: Optional[ServerError] = None
    notice: str = ""
    training: Optional[Training] = None
    offers: tuple[Draft, ...] = ()
    all_labelled: bool = False

    @property
    def is_connected(self) -> bool:
        """Whether requests may be sent."""
        return self.connection in (ConnectionState.CONNECTED, ConnectionState.LOST)

    def is_busy(self, name: str) -> bool:
        """Whether the job of that name runs."""
        return any(busy.name == name for busy in self.busy)


class StateStore:
    """What is going on, as the panel shows it.

    Attributes:
        state: replaced, never changed.
        person: who works, where the server has no login.
    """

    def __init__(self) -> None:
        self.state = State()
        self.person = ""
        self._listeners: list[Callable[[State], object]] = []
        self._is_told = True

    @property
    def user(self) -> str:
        """Who works: the name of the login, else what the person said."""
        info = self.state.info
        return info.user if info is not None and info.user not in ("", ANONYMOUS) else self.person

    def set(self, **changes: Any) -> None:
        """Replace attributes of the state."""
        new = replace(self.state, **changes)
        if new != self.state:
            self.state, self._is_told = new, False

    def set_current(self, **changes: Any) -> None:
        """Replace attributes of what is said about the open film, if there is one."""
        if self.state.current is not None:
            self.set(current=replace(self.state.current, **changes))

    def on_change(self, listener: Callable[[State], object]) -> Callable[[], None]:
        """Call the listener from ``tell`` with the new state; returns what ends that."""
        self._listeners.append(listener)

        def end() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return end

    def tell(self) -> None:
        """Tell the listeners if the state is another than they know."""
        if self._is_told:
            return
        self._is_told = True
        for listener in tuple(self._listeners):
            listener(self.state)

    def clear(self) -> None:
        """Forget the listeners."""
        self._listeners.clear()


class Logic(Protocol):
    """The film and its points, see ``logic.VertebraLandmarksLogic``."""

    editor: SpineEditor

    @property
    def film(self) -> Optional[Radiograph]:
        """The film that is shown."""

    @property
    def image_frame(self) -> ImageFrame:
        """What measuring needs to know about the film."""

    @property
    def image_left_is(self) -> Optional[str]:
        """The patient's side at the left of the upright image; ``None`` where nobody knows."""

    def set_side(self, side: Optional[str]) -> None:
        """Let the person say which of the patient's sides is at the left of the upright image."""

    def show_image(self, film: Radiograph) -> None:
        """Show a film without points, in place of the one before."""

    def close_image(self) -> None:
        """Show nothing."""

    def restore(self) -> bool:
        """Show again what a closed scene took away; returns whether there was something."""

    def begin_local(self, path: str) -> Callable[[], Radiograph]:
        """Begin to read a file without a server; what is returned gives the film, on any thread.

        Both raise ValueError or OSError with a sentence.
        """

    def show_prediction(self, answer: Prediction) -> bool:
        """Show what the server found; returns whether that is a step that can be undone."""

    def follow_prediction(self, answer: Prediction) -> bool:
        """Show what the server found around the last edit, as a part of it; returns whether that was done."""

    def set_label(
        self, markups: bytes, touched: Optional[np.ndarray] = None, origin: Origin = UNKNOWN, is_own: bool = False
    ) -> None:
        """Show the points of a ``.mrk.json`` file; raises ValueError where it is none."""

    def markups(self) -> bytes:
        """The points as content of a ``.mrk.json`` file, exactly as it is submitted."""
