"""Sequences of requests of a study; they run on a worker thread."""

from __future__ import annotations

from typing import Optional

from ..client.api import Client
from ..client.errors import NOT_FOUND, ServerError
from ..client.responses import PREDICTED
from ..client.study import REPEAT, NextReading, Reading, Study
from . import server_tasks
from .server_tasks import LoadedImage
from .workers import Job


def open_next(
    client: Client, user: str, strategy: str, present: Optional[tuple[str, Optional[Reading]]], job: Job
) -> tuple[NextReading, Optional[LoadedImage]]:
    """What a user is to do next, and its image.

    Args:
        client: of the server.
        user: reader or adjudicator.
        strategy: for choosing a new image.
        present: image and reading that are open, which are not loaded again; ``None`` without them.
        job: this one.
    """
    given = client.next_reading(user, strategy, job.signal)
    if given.image_id is None or (present is not None and _is_same_work(given, *present)):
        return given, None
    if given.reading is None:
        return given, open_adjudication(client, given.image_id, job)
    return given, open_reading(client, given.image_id, given.reading, job)


def _is_same_work(given: NextReading, image_id: str, reading: Optional[Reading]) -> bool:
    """Whether what is open goes on: the same reading, or the one that the same user has of the image instead."""
    if given.image_id != image_id or given.reading is None or reading is None:
        return given.image_id == image_id and given.reading is reading
    return given.reading == reading or REPEAT not in (given.reading.kind, reading.kind)


def open_image(client: Client, image_id: str, reading: Optional[Reading], study: Study, job: Job) -> LoadedImage:
    """An image that the user has chosen from the list: to adjudicate, with the own reading, or only to look at.

    Args:
        client: of the server.
        image_id: the image.
        reading: that the user had of it, as far as is known here; the one that the server names counts more.
        study: with a plan.
        job: this one.
    """
    if study.is_adjudicator:
        readings = client.readings(image_id, job.signal)
        if len(readings.independent) > 1:
            return LoadedImage(client.radiograph(image_id, job.signal, job.report), readings=readings)
    if study.is_reader:
        found = client.readings(image_id, job.signal)
        last = found.last_of(study.user)
        own = None if found.part is None else found.part.reading
        reading = own or reading or (None if last is None else last.reading)
    if reading is not None:
        return open_reading(client, image_id, reading, job)
    return server_tasks.open_image(client, image_id, job)


def open_reading(client: Client, image_id: str, reading: Reading, job: Job) -> LoadedImage:
    """An image with what the user has submitted in this reading, else with the model's points if they are offered.

    No other label is asked for, whatever the server would show.
    """
    radiograph = client.radiograph(image_id, job.signal, job.report)
    tag = client.reading_tag(image_id, reading, job.signal)
    is_submitted, tag = tag is not None, tag or (PREDICTED if reading.offers_model else None)
    if tag is None:
        return LoadedImage(radiograph, reading=reading)
    try:
        label, info = client.label(image_id, tag, job.signal), client.label_info(image_id, tag, job.signal)
    except ServerError as error:
        if error.kind != NOT_FOUND:
            raise
        return LoadedImage(radiograph, reading=reading)
    return LoadedImage(radiograph, label, is_submitted, info, reading=reading)


def open_adjudication(client: Client, image_id: str, job: Job) -> LoadedImage:
    """An image with its readings."""
    readings = client.readings(image_id, job.signal)
    return LoadedImage(client.radiograph(image_id, job.signal, job.report), readings=readings)
