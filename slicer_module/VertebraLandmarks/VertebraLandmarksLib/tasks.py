"""What takes several requests, one after the other; runs on a worker's thread."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

from .answers import FINAL, PREDICTED, Answer, Film, ImageEntry, ServerInfo, Training
from .client import Client, stem
from .drafts import Draft
from .errors import NOT_FOUND, REFUSED, TAKEN, ServerError
from .keeping import Keeper
from .worker import Job

_MOST_NAMES, _MOST_CHOICES = 100, 5


@dataclass(frozen=True, eq=False)
class Opened:
    """A film and what the server has about it.

    Attributes:
        film: to look at.
        label: content of a ``.mrk.json`` file, ``None`` where there is none.
        is_final: whether a person submitted it.
        session: upload session that holds the film, "" for an image of the server's folder.
    """

    film: Film
    label: Optional[bytes] = None
    is_final: bool = False
    session: str = ""


def look_around(client: Client, job: Job) -> tuple[ServerInfo, tuple[ImageEntry, ...]]:
    """The server and its images."""
    return client.info(job.signal), client.images(job.signal)


def open_image(client: Client, image_id: str, job: Job) -> Opened:
    """An image of the server's folder, with the label that a person submitted, else the prediction kept there."""
    film = client.film(image_id, job.signal, job.report)
    for tag in (FINAL, PREDICTED):
        try:
            return Opened(film, client.label(image_id, tag, job.signal), tag == FINAL)
        except ServerError as error:
            if error.kind != NOT_FOUND:
                raise
    return Opened(film)


def open_next(client: Client, strategy: str, present: str, job: Job) -> Optional[Opened]:
    """The image that the strategy chooses, other than the present one; ``None`` when all are labelled.

    Raises:
        ServerError: REFUSED, it chooses the present one again and again.
    """
    for _ in range(_MOST_CHOICES):
        image_id = client.next_image(strategy, job.signal)
        if image_id is None:
            return None
        if image_id != present:
            return open_image(client, image_id, job)
    sentence = f"“{strategy}” chooses this film again. Submit it first, or open another one from the list."
    raise ServerError(REFUSED, sentence)


def open_file(client: Client, path: str, job: Job) -> Opened:
    """A file of this computer, through an upload session."""
    session = client.begin_session(path, job.signal, job.report)
    try:
        return Opened(client.session_film(session, path, job.signal, job.report), session=session)
    except ServerError:
        with contextlib.suppress(ServerError):
            client.end_session(session)
        raise


def infer_image(client: Client, image_id: str, fixed: Mapping[str, Any], job: Job) -> tuple[Answer, str]:
    """Landmarks of an image of the server's folder; the second value, a session, is empty."""
    return client.infer(image_id, fixed=fixed, cancel=job.signal), ""


def infer_file(client: Client, path: str, session: str, fixed: Mapping[str, Any], job: Job) -> tuple[Answer, str]:
    """Landmarks of a file, and the session that holds it now: the one before may be over."""
    if session:
        try:
            return client.infer(session_id=session, fixed=fixed, cancel=job.signal), session
        except ServerError as error:
            if error.kind != NOT_FOUND:
                raise
    session = client.begin_session(path, job.signal, job.report)
    return client.infer(session_id=session, fixed=fixed, cancel=job.signal), session


def store_file(client: Client, path: str, wanted: str, job: Job) -> str:
    """Put a file into the server's folder, under the name wanted or a free one; once, however often it is asked for.

    Returns:
        Its name there.
    """
    wanted = wanted or stem(path)
    for number in range(1, _MOST_NAMES):
        name = wanted if number == 1 else f"{wanted}_{number}"
        if client.has_image(name, path, job.signal):
            return name
        try:
            return client.add_image(path, name, job.signal, job.report)
        except ServerError as error:
            if error.kind != TAKEN:
                raise
    raise ServerError(
        TAKEN, f"The server has too many images called “{wanted:.80}”. Rename the file and open it again."
    )


def submit(client: Client, draft: Draft, keeper: Keeper, revision: int, facts: Mapping[str, Any], job: Job) -> str:
    """Store a label, and before that the film where the server does not have it.

    Until the server has said yes, the draft stays on the disk, with the note that it was on its way.

    Returns:
        Name of the image at the server.
    """
    with contextlib.suppress(OSError):  # a full disk here is no reason not to store it there
        keeper.write(draft, revision)
    image_id = draft.image_id
    if draft.source:
        image_id = store_file(client, draft.source, draft.image_id, job)
    client.save_label(image_id, draft.markups, facts, cancel=job.signal)
    with contextlib.suppress(OSError):
        keeper.forget(revision)
    return image_id


def begin_training(client: Client, settings: Mapping[str, Any], job: Job) -> Optional[Training]:
    """Start a training, and say what was known about the one before."""
    before = client.training(job.signal)
    client.start_training(settings, job.signal)
    return before
