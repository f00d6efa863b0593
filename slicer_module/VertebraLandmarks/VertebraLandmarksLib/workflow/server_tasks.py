"""Sequences of requests, such as storing an image and its label; they run on a worker thread."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Optional

from ..client.api import Client
from ..client.errors import NOT_FOUND, REFUSED, TAKEN, ServerError
from ..client.radiograph import Radiograph
from ..client.readings import ImageReadings, QueuedImage
from ..client.responses import (
    FINAL,
    NO_LABEL_INFO,
    PREDICTED,
    ImageEntry,
    LabelInfo,
    Prediction,
    ServerInfo,
    Training,
)
from ..client.study import REPEAT, Reading, Study, refusal
from ..spine.image_suffixes import file_stem
from .drafts import Draft
from .open_image import AutosavePolicy, label_info_of
from .workers import Job

_MAX_NAMES, _MAX_CHOICES = 100, 5


@dataclass(frozen=True, eq=False)
class LoadedImage:
    """An image with its label on the server.

    Attributes:
        radiograph: the image.
        label: content of a ``.mrk.json`` file, ``None`` without one.
        is_final: whether a user submitted it.
        label_info: information about it.
        upload_id: upload session that holds the image, "" for an image of the server's folder.
        reading: of a study, that its user makes or corrects; ``None`` without one.
        readings: from which its user chooses the final label; ``None`` where that is not to be done.
    """

    radiograph: Radiograph
    label: Optional[bytes] = None
    is_final: bool = False
    label_info: LabelInfo = NO_LABEL_INFO
    upload_id: str = ""
    reading: Optional[Reading] = None
    readings: Optional[ImageReadings] = None


class ServerState(NamedTuple):
    """State of the server, as far as this module shows it.

    Attributes:
        info: app, model, user.
        images: of its folder.
        study: ``None`` without a plan.
        queue: images to adjudicate, for an adjudicator.
    """

    info: ServerInfo
    images: tuple[ImageEntry, ...]
    study: Optional[Study]
    queue: tuple[QueuedImage, ...]


class ReplacedLabelError(ServerError):
    """A submit would silently replace a label that the user has not seen.

    Args:
        image_id: the image.
        final: information about that label.
    """

    def __init__(self, image_id: str, final: LabelInfo) -> None:
        at = "" if final.timestamp is None else time.strftime(" at %Y-%m-%d %H:%M", time.localtime(final.timestamp))
        who = f" by {final.user}" if final.user else ""
        sentence = f"{image_id} has a label{who}{at} that you have not seen. It was not replaced; your work is kept."
        super().__init__(TAKEN, f"{sentence} Submit again to replace it with yours.")
        self.final = final


class ReadingGoneError(ServerError):
    """The server has no such reading of the user: it ran out and was given to somebody else, or may not be changed."""


class Submitted(NamedTuple):
    """A label that the server has stored.

    Attributes:
        image_id: name of the image on the server.
        info: information about the label.
        reading: that the label is, of a study; another one than that of the draft where that was given to somebody
            else meanwhile.
    """

    image_id: str
    info: LabelInfo
    reading: Optional[Reading]


def fetch_server_state(client: Client, job: Job) -> ServerState:
    """State of the server, its list of images, and its study."""
    return ServerState(client.info(job.signal), client.images(job.signal), *fetch_study(client, job))


def fetch_study(client: Client, job: Job) -> tuple[Optional[Study], tuple[QueuedImage, ...]]:
    """The study, and for an adjudicator what is to be adjudicated."""
    study = client.study(job.signal)
    is_adjudicator = study is not None and study.is_adjudicator
    return study, client.adjudication_queue(job.signal) if is_adjudicator else ()


def open_image(client: Client, image_id: str, job: Job) -> LoadedImage:
    """An image of the server's folder with its submitted label, else with its stored prediction."""
    radiograph = client.radiograph(image_id, job.signal, job.report)
    for tag in (FINAL, PREDICTED):
        try:
            label = client.label(image_id, tag, job.signal)
            return LoadedImage(radiograph, label, tag == FINAL, client.label_info(image_id, tag, job.signal))
        except ServerError as error:
            if error.kind != NOT_FOUND:
                raise
    return LoadedImage(radiograph)


def open_next(
    client: Client, strategy: str, present: str, skipped: Collection[str], left: tuple[str, ...], job: Job
) -> Optional[LoadedImage]:
    """The image that the strategy chooses, or the next of the list where the user has skipped that.

    Args:
        client: of the server.
        strategy: for choosing the image.
        present: the open image, "" without one.
        skipped: images that were open already and have no label.
        left: images without a label, in the order of the list.
        job: this one.

    Returns:
        ``None`` when all images are labelled.

    Raises:
        ServerError: REFUSED, the open image is the only one without a label.
    """
    chosen = ""
    for _ in range(_MAX_CHOICES):
        image_id = client.next_image(strategy, job.signal)
        if image_id is None:
            return None
        if image_id == chosen:  # the strategy keeps to its choice
            break
        chosen = image_id
        if chosen != present and chosen not in skipped:
            return open_image(client, chosen, job)
    begin = left.index(present) + 1 if present in left else 0
    others = [name for name in (*left[begin:], *left[:begin], chosen) if name != present]
    if not others:
        sentence = "This is the only image left without a label. Submit it, or open another one from the list."
        raise ServerError(REFUSED, sentence)
    return open_image(client, next((name for name in others if name not in skipped), others[0]), job)


def open_file(client: Client, path: str, job: Job) -> LoadedImage:
    """A local file, through an upload session."""
    upload_id = client.create_session(path, job.signal, job.report)
    try:
        return LoadedImage(client.session_radiograph(upload_id, path, job.signal, job.report), upload_id=upload_id)
    except ServerError:
        with contextlib.suppress(ServerError):
            client.delete_session(upload_id)
        raise


def infer_image(client: Client, image_id: str, fixed: Mapping[str, Any], job: Job) -> tuple[Prediction, str]:
    """Prediction for an image of the server's folder; the second value, an upload session, is empty."""
    return client.infer(image_id, fixed=fixed, cancel=job.signal), ""


def infer_file(client: Client, path: str, upload_id: str, fixed: Mapping[str, Any], job: Job) -> tuple[Prediction, str]:
    """Prediction for a local file, and the upload session that holds it now, as the one before may have expired."""
    if upload_id:
        try:
            return client.infer(session_id=upload_id, fixed=fixed, cancel=job.signal), upload_id
        except ServerError as error:
            if error.kind != NOT_FOUND:
                raise
    upload_id = client.create_session(path, job.signal, job.report)
    return client.infer(session_id=upload_id, fixed=fixed, cancel=job.signal), upload_id


def store_file(client: Client, path: str, wanted: str, job: Job) -> str:
    """Store a file in the server's folder, under the wanted name or a free one; idempotent.

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
    client: Client, draft: Draft, policy: AutosavePolicy, revision: int, seen: Optional[LabelInfo], job: Job
) -> Submitted:
    """Store a label, and before that the image where the server does not have it.

    The draft stays on the disk, with the note that it is being submitted, until the server has confirmed.

    Args:
        client: of the server.
        draft: the work.
        policy: of the draft.
        revision: of the work.
        seen: the label that the user has seen; another one is not replaced.
        job: this one.

    Raises:
        ReplacedLabelError: the server has another label.
        ReadingGoneError: the plan has no reading of this user for these points.
    """
    with contextlib.suppress(OSError):  # a full local disk does not prevent submitting
        policy.write(draft, revision)
    image_id = draft.image_id
    if draft.source:
        image_id = store_file(client, draft.source, draft.image_id, job)
    reading = draft.reading
    if draft.seen_versions:  # the server compares these, too
        seen_final = draft.seen_final
        client.save_label(
            image_id, draft.markups, label_info_of(draft), base_version=seen_final, cancel=job.signal
        )  # fmt: skip
    else:
        try:
            _save_label(client, image_id, draft, seen, job)
        except ReadingGoneError as refused:
            reading = _save_elsewhere(client, image_id, draft, refused, job)
    if draft.image_left_is is not None:
        with contextlib.suppress(ServerError):  # it is part of the label information, too
            client.set_side(image_id, draft.image_left_is, job.signal)
    with contextlib.suppress(OSError):
        policy.delete_if_older(revision)
    stored = None
    with contextlib.suppress(ServerError):
        stored = find_label(client, image_id, reading, job)
    info = LabelInfo(draft.user, None, draft.origin) if stored is None else stored[1]
    return Submitted(image_id, info, reading)


def _save_label(client: Client, image_id: str, draft: Draft, seen: Optional[LabelInfo], job: Job) -> None:
    """Save the label of an image or of a reading, if it replaces none that the user has not seen."""
    present = find_label(client, image_id, draft.reading, job)
    if present is not None:
        tag, info = present
        if draft.reading is not None and info.user not in ("", draft.user):  # shown where a study is not blind
            raise ReadingGoneError(REFUSED, f"{image_id} was given to somebody else meanwhile. Your work is kept.")
        is_seen = seen is not None and info.is_same_label(seen)
        if not is_seen and client.label(image_id, tag, job.signal) != draft.markups:
            raise ReplacedLabelError(image_id, info)
    base_version = 0 if present is None else present[1].version
    tag, facts = FINAL if draft.reading is None else draft.reading.tag, label_info_of(draft)
    try:
        client.save_label(image_id, draft.markups, facts, tag, base_version=base_version, cancel=job.signal)
    except ServerError as error:
        if error.kind != TAKEN:
            raise
        newer = find_label(client, image_id, draft.reading, job)  # somebody has stored one since
        if draft.reading is not None and (newer is None or newer[1].version == base_version):
            refused = refusal(error)
            raise ReadingGoneError(refused.kind, refused.message, refused.detail) from error
        raise ReplacedLabelError(image_id, LabelInfo() if newer is None else newer[1]) from error


def _save_elsewhere(client: Client, image_id: str, draft: Draft, refused: ReadingGoneError, job: Job) -> Reading:
    """Save a label as another reading of the same user, where theirs ran out and was given to somebody else.

    Returns:
        The reading that it is.

    Raises:
        ServerError: ``refused`` where the plan has no other one for this user.
    """
    own, part = draft.reading, client.readings(image_id, job.signal).part
    if own is None or own.kind == REPEAT or draft.is_correction or part is None or not part.may_save:
        raise refused
    other = part.reading
    if part.is_submitted or (other is not None and (other.number == own.number or other.kind == REPEAT)):
        raise refused
    tag = FINAL if other is None else other.tag  # the server begins the reading that the plan has
    try:
        client.save_label(image_id, draft.markups, label_info_of(draft), tag, base_version=0, cancel=job.signal)
    except ServerError as error:
        raise refusal(error) from error
    if other is None:
        stored = client.readings(image_id, job.signal).part
        other = None if stored is None else stored.reading
    return other or own


def find_label(client: Client, image_id: str, reading: Optional[Reading], job: Job) -> Optional[tuple[str, LabelInfo]]:
    """Tag and information of the submitted label of an image or of a reading; ``None`` without one."""
    tag = FINAL if reading is None else client.reading_tag(image_id, reading, job.signal)
    if tag is None:
        return None
    try:
        return tag, client.label_info(image_id, tag, job.signal)
    except ServerError as error:
        if error.kind != NOT_FOUND:
            raise
        return None


def start_training(client: Client, settings: Mapping[str, Any], job: Job) -> Optional[Training]:
    """Start a training; returns the report about the one before."""
    before = client.training(job.signal)
    client.start_training(settings, job.signal)
    return before
