"""What takes several requests, one after the other; runs on a worker's thread."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Optional

from ..client.api import Client
from ..client.errors import NOT_FOUND, REFUSED, TAKEN, ServerError
from ..client.radiograph import Radiograph
from ..client.responses import FINAL, NO_LABEL_INFO, PREDICTED, ImageEntry, LabelInfo, Prediction, ServerInfo, Training
from ..spine.image_suffixes import file_stem
from .drafts import Draft
from .open_image import AutosavePolicy, label_info_of
from .workers import Job

_MAX_NAMES, _MAX_CHOICES = 100, 5


@dataclass(frozen=True, eq=False)
class LoadedImage:
    """A film and what the server has about it.

    Attributes:
        film: to look at.
        label: content of a ``.mrk.json`` file, ``None`` where there is none.
        is_final: whether a person submitted it.
        facts: what is noted about it.
        session: upload session that holds the film, "" for an image of the server's folder.
    """

    film: Radiograph
    label: Optional[bytes] = None
    is_final: bool = False
    facts: LabelInfo = NO_LABEL_INFO
    session: str = ""


class ReplacedLabelError(ServerError):
    """There is a label that the person does not know of, and that would be replaced without a word.

    Args:
        image_id: the image.
        final: what is noted about that label.
    """

    def __init__(self, image_id: str, final: LabelInfo) -> None:
        when = "" if final.when is None else time.strftime(" at %Y-%m-%d %H:%M", time.localtime(final.when))
        who = f" by {final.user}" if final.user else ""
        sentence = f"{image_id} has a label{who}{when} that you have not seen. It was not replaced; your work is kept."
        super().__init__(TAKEN, f"{sentence} Submit again if yours is to take its place.")
        self.final = final


def fetch_server_state(client: Client, job: Job) -> tuple[ServerInfo, tuple[ImageEntry, ...]]:
    """The server and its images."""
    return client.info(job.signal), client.images(job.signal)


def open_image(client: Client, image_id: str, job: Job) -> LoadedImage:
    """An image of the server's folder, with the label that a person submitted, else the prediction kept there."""
    film = client.film(image_id, job.signal, job.report)
    for tag in (FINAL, PREDICTED):
        try:
            label = client.label(image_id, tag, job.signal)
            return LoadedImage(film, label, tag == FINAL, client.parse_label_info(image_id, tag, job.signal))
        except ServerError as error:
            if error.kind != NOT_FOUND:
                raise
    return LoadedImage(film)


def open_next(
    client: Client, strategy: str, present: str, passed: Collection[str], left: tuple[str, ...], job: Job
) -> Optional[LoadedImage]:
    """The image that the strategy chooses, or the next one where the person has passed over that.

    Args:
        client: the server.
        strategy: how to choose.
        present: the image that is open, "" where none is.
        passed: images that were open already and have no label.
        left: images without a label, in the order of the list.
        job: this one.

    Returns:
        ``None`` when all are labelled.

    Raises:
        ServerError: REFUSED, the present one is the only one that has no label.
    """
    chosen = ""
    for _ in range(_MAX_CHOICES):
        found = client.next_image(strategy, job.signal)
        if found is None:
            return None
        if found == chosen:  # it insists
            break
        chosen = found
        if chosen != present and chosen not in passed:
            return open_image(client, chosen, job)
    begin = left.index(present) + 1 if present in left else 0
    others = [name for name in (*left[begin:], *left[:begin], chosen) if name != present]
    if not others:
        sentence = "This is the only film left without a label. Submit it, or open another one from the list."
        raise ServerError(REFUSED, sentence)
    return open_image(client, next((name for name in others if name not in passed), others[0]), job)


def open_file(client: Client, path: str, job: Job) -> LoadedImage:
    """A file of this computer, through an upload session."""
    session = client.create_session(path, job.signal, job.report)
    try:
        return LoadedImage(client.session_radiograph(session, path, job.signal, job.report), session=session)
    except ServerError:
        with contextlib.suppress(ServerError):
            client.delete_session(session)
        raise


def infer_image(client: Client, image_id: str, fixed: Mapping[str, Any], job: Job) -> tuple[Prediction, str]:
    """Landmarks of an image of the server's folder; the second value, a session, is empty."""
    return client.infer(image_id, fixed=fixed, cancel=job.signal), ""


def infer_file(client: Client, path: str, session: str, fixed: Mapping[str, Any], job: Job) -> tuple[Prediction, str]:
    """Landmarks of a file, and the session that holds it now: the one before may be over."""
    if session:
        try:
            return client.infer(session_id=session, fixed=fixed, cancel=job.signal), session
        except ServerError as error:
            if error.kind != NOT_FOUND:
                raise
    session = client.create_session(path, job.signal, job.report)
    return client.infer(session_id=session, fixed=fixed, cancel=job.signal), session


def store_file(client: Client, path: str, wanted: str, job: Job) -> str:
    """Put a file into the server's folder, under the name wanted or a free one; once, however often it is asked for.

    Returns:
        Its name there.
    """
    wanted = wanted or file_stem(path)
    for number in range(1, _MAX_NAMES):
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


def submit(
    client: Client, draft: Draft, keeper: AutosavePolicy, revision: int, known: Optional[LabelInfo], job: Job
) -> tuple[str, LabelInfo]:
    """Store a label, and before that the film where the server does not have it.

    Until the server has said yes, the draft stays on the disk, with the note that it was on its way.

    Args:
        client: the server.
        draft: the work.
        keeper: of the draft.
        revision: of the work.
        known: the label that the person knows of; another one is not replaced.
        job: this one.

    Returns:
        Name of the image at the server, and what is noted about its label now.

    Raises:
        ReplacedLabelError: there is another label by now.
    """
    with contextlib.suppress(OSError):  # a full disk here is no reason not to store it there
        keeper.write(draft, revision)
    image_id = draft.image_id
    if draft.source:
        image_id = store_file(client, draft.source, draft.image_id, job)
    present = fetch_final_label_info(client, image_id, job)
    is_known = present is None or (known is not None and present.is_same_label(known))
    if present is not None and not is_known and client.label(image_id, FINAL, job.signal) != draft.markups:
        raise ReplacedLabelError(image_id, present)
    client.save_label(image_id, draft.markups, label_info_of(draft), cancel=job.signal)
    if draft.image_left_is is not None:
        with contextlib.suppress(ServerError):  # it stands among the label's facts, too
            client.set_side(image_id, draft.image_left_is, job.signal)
    with contextlib.suppress(OSError):
        keeper.forget(revision)
    stored = None
    with contextlib.suppress(ServerError):
        stored = fetch_final_label_info(client, image_id, job)
    return image_id, stored or LabelInfo(draft.user, None, draft.origin)


def fetch_final_label_info(client: Client, image_id: str, job: Job) -> Optional[LabelInfo]:
    """What is noted about the label that a person submitted; ``None`` where nobody did."""
    try:
        return client.parse_label_info(image_id, FINAL, job.signal)
    except ServerError as error:
        if error.kind != NOT_FOUND:
            raise
        return None


def start_training_run(client: Client, settings: Mapping[str, Any], job: Job) -> Optional[Training]:
    """Start a training, and say what was known about the one before."""
    before = client.training(job.signal)
    client.start_training(settings, job.signal)
    return before
