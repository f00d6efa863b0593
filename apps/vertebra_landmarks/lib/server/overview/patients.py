"""Which images are of one patient: by a digest of the patient's id, noted in the image's row when it is first read.

The id is PatientID of a DICOM file, with its issuer where that is stated, else what the name of the image tells as
training takes it. A DICOM file without a PatientID is of nobody who is known. The id itself is neither stored nor sent.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import time
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Row, func, select
from sqlalchemy.exc import DBAPIError

from ...image_io.dicom.study import StudyTags, read_study_tags
from ...learning.data.labelled_items import patient_by_name
from ..store.datastore import StudiesDatastore
from ..store.schema import GONE, images, stores
from ..store.store_context import StoreContext
from ..store.studies_folder import is_storable

logger = logging.getLogger(__name__)

READING_TIMEOUT_S = 1.0
"""For which one request reads headers of images that were not read before; the next ones go on."""
_BATCH = 200
_DIGITS = 32
_NAMES = ("key", "id", "file", "size", "mtime_ns", "state", "is_predicted", "patient", "taken_on")
_COLUMNS = tuple(images.c[name] for name in _NAMES)


class Siblings(NamedTuple):
    """Images of one patient.

    Attributes:
        patient: digest of the patient's id; ``None`` where unknown.
        rows: of ``id``, ``size`` and ``mtime_ns`` of the file, ``state``, ``is_predicted``, and ``taken_on``, the date
            in the header (ISO 8601, "" where it states none); the image itself is among them.
        unread: how many images of the folder have not been read yet: more may be of the patient.
    """

    patient: str | None
    rows: list[Row[Any]]
    unread: int


def note_study(context: StoreContext, image: str) -> None:
    """Note patient and date of an image in its row, unless they are noted for its present file.

    Args:
        context: the studies folder and its rows.
        image: id of the image.
    """
    if not is_storable(image):
        return
    query = select(*_COLUMNS).where(images.c.store == context.key, images.c.id == image, images.c.patient.is_(None))
    try:
        with context.database.reading() as connection:
            row = connection.execute(query).one_or_none()
        if row is not None:
            _note(context, [row], float("inf"))
    except DBAPIError as error:  # such as a full disk; whoever reads the image can go on
        logger.warning("The patient of an image could not be noted: %s", type(error).__name__)


def patient_of(store: StudiesDatastore, image: str) -> str:
    """What stands for the patient of an image, "" where unknown; its file is read only where that is not noted."""
    note_study(store.context, image)
    query = select(images.c.patient).where(images.c.store == store.context.key, images.c.id == image)
    with store.context.database.reading() as connection:
        return connection.execute(query).scalar_one_or_none() or ""


def patients_of(store: StudiesDatastore, names: Collection[str]) -> dict[str, str]:
    """What stands for the patients of images, by image id; see ``patient_of``.

    Args:
        store: the studies folder.
        names: ids of the images.
    """
    context, wanted = store.context, set(names)
    unread = select(*_COLUMNS).where(images.c.store == context.key, images.c.patient.is_(None))
    with context.database.reading() as connection:
        rows = [row for row in connection.execute(unread) if row.id in wanted]
    _note(context, rows, float("inf"))
    noted = select(images.c.id, images.c.patient).where(images.c.store == context.key)
    with context.database.reading() as connection:
        found = {image: patient or "" for image, patient in connection.execute(noted)}
    return {name: found.get(name, "") for name in wanted}


def note_stated(context: StoreContext, stated: Mapping[str, StudyTags]) -> None:
    """Note patients and dates of images as an archive states them, so that their files need not be read for that.

    Args:
        context: the studies folder and its rows.
        stated: by image id.
    """
    identity = _identity(context)
    with context.database.writing(durable=False) as connection:
        for image, tags in stated.items():
            values = {"patient": _patient_of(tags, identity), "taken_on": tags.taken_on}
            at = images.c.store == context.key, images.c.id == image, images.c.patient.is_(None)
            connection.execute(images.update().where(*at).values(values))


def _identity(context: StoreContext) -> str:
    with context.database.reading() as connection:
        query = select(stores.c.identity).where(stores.c.key == context.key)
        return str(connection.execute(query).scalar_one())


def _note(context: StoreContext, rows: Iterable[Row[Any]], end: float) -> int:
    """Read headers of files that are here and note them until a time of the monotonic clock; returns how many."""
    identity = _identity(context)
    noted = []
    for row in rows:
        if time.monotonic() > end:
            break
        path = context.source.location(row.file)
        if not path.exists():
            continue
        patient, taken_on = _study_of(row.id, path, identity)
        noted.append((row, {"patient": patient, "taken_on": taken_on}))
    if noted:
        with context.database.writing(durable=False) as connection:
            for row, values in noted:
                same = images.c.key == row.key, images.c.size == row.size, images.c.mtime_ns == row.mtime_ns
                connection.execute(images.update().where(*same).values(values))
    return len(noted)


def _study_of(image: str, path: Path, identity: str) -> tuple[str, str]:
    """Digest of the patient's id, "" where unknown, and the date of the header."""
    tags = read_study_tags(path)
    if tags is None:
        return _digest("name", patient_by_name(image), identity), ""
    return _patient_of(tags, identity), tags.taken_on


def _patient_of(tags: StudyTags, identity: str) -> str:
    return _digest("PatientID", tags.patient, identity) if tags.patient else ""


def _digest(kind: str, patient: str, identity: str) -> str:
    """Digest that tells patients of one folder apart, and those of different folders do not share."""
    text = f"{kind}\0{patient}".encode(errors="surrogateescape")
    return hmac.new(identity.encode(), text, hashlib.sha256).hexdigest()[:_DIGITS]


def siblings(store: StudiesDatastore, image: str, timeout_s: float = READING_TIMEOUT_S) -> Siblings:
    """The images of the same patient as an image.

    Args:
        store: the studies folder.
        image: id of an image.
        timeout_s: see ``READING_TIMEOUT_S``.
    """
    context, end = store.context, time.monotonic() + timeout_s
    note_study(context, image)
    present = images.c.store == context.key, images.c.state != GONE
    own = select(*_COLUMNS).where(*present, images.c.id == image)
    unread = select(*_COLUMNS).where(*present, images.c.patient.is_(None)).order_by(images.c.key).limit(_BATCH)
    read = _BATCH
    while read == _BATCH:
        with context.database.reading() as connection:
            rows = connection.execute(unread).all()
        read = _note(context, rows, end) if rows else 0
    count = select(func.count()).select_from(images).where(*present, images.c.patient.is_(None))
    with context.database.reading(snapshot=True) as connection:
        row = connection.execute(own).one_or_none()
        patient = None if row is None else row.patient or None
        same = select(*_COLUMNS).where(*present, images.c.patient == patient)
        rows = connection.execute(same).all() if patient else [] if row is None else [row]
        return Siblings(patient, list(rows), int(connection.execute(count).scalar_one()))
