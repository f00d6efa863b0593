"""Rows of readings, and the readings that labels without a row amount to.

A label ``final`` of a folder without a plan, or of a release before readings, is the first reading of its image by
whoever saved it; where there are readings beside it, it is the adjudicated label. So is one that was saved past the
plan over a reading or an adjudicated label of this tag, such as by an import; by the reader of that reading, it
corrects it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, case, not_, or_, select

from ....study.plan import FIRST, REPEAT, SECOND
from ....study.slots import Adjudication, ImageReadings, Reading
from ...store.images import FINAL, saved_at_of
from ...store.label_sync import labeller
from ...store.schema import GONE, images, labels, readings
from ...store.store_context import Clock, StoreContext
from ...store.studies_folder import is_storable

HEARTBEAT_TIMEOUT_S = 180.0
"""After the last sign of a client, a reading that it had under work may be given to somebody else."""
SILENT_TIMEOUT_S = 1200.0
"""The same after the assignment, for clients that never give a sign."""
ADJUDICATION = "adjudication"
"""Kind of the row, of number 0, that notes the choice of the final label."""
AUTOMATIC = "automatic"
"""Kind of that row where the plan wanted one reading only, and has chosen the only one."""
READING_TAG = "reading-"
_BATCH = 500


def tag_of(number: int) -> str:
    """Tag of the label of a reading of an image that has several."""
    return f"{READING_TAG}{number}"


def number_of(tag: str) -> int | None:
    """Number of the reading that a tag belongs to; ``None`` where it is no such tag."""
    digits = tag[len(READING_TAG) :] if tag.startswith(READING_TAG) else ""
    return int(digits) if digits.isdecimal() and digits == str(int(digits)) and int(digits) else None


def is_expired(now: float) -> ColumnElement[bool]:
    """Condition of readings under work that may be given to somebody else."""
    timeout = case((readings.c.seen_at.is_(None), SILENT_TIMEOUT_S), else_=HEARTBEAT_TIMEOUT_S)
    seen_at = case((readings.c.seen_at.is_(None), readings.c.assigned_at), else_=readings.c.seen_at)
    return and_(not_(readings.c.is_submitted), not_(seen_at.between(now - timeout, now + timeout)))


class ReadingRows:
    """Loads and notes the readings of a studies folder, in transactions of the caller.

    Args:
        context: the studies folder and its rows.
        now: seconds since 1970.
    """

    def __init__(self, context: StoreContext, now: Clock | None = None) -> None:
        self._store, self.database = context.key, context.database
        self.now: Clock = now or (lambda _: context.database.now())

    def lock(self, connection: Connection, image: str) -> int | None:
        """Key of an image that nobody else changes before the end of the transaction; ``None`` where it is gone."""
        if not is_storable(image):
            return None
        query = select(images.c.key).where(images.c.store == self._store, images.c.id == image, images.c.state != GONE)
        return connection.execute(query.with_for_update()).scalar_one_or_none()

    def load(
        self, connection: Connection, of: Collection[str] | None = None, except_label: int = 0
    ) -> dict[str, ImageReadings]:
        """The readings of images that have any, by id; those whose assignment has expired are left out.

        Args:
            connection: for reading.
            of: ids; ``None`` for all images.
            except_label: key of a label that is not looked at.
        """
        if of is None:
            return self._load(connection, None, except_label)
        names = [image for image in of if is_storable(image)]
        found: dict[str, ImageReadings] = {}
        for start in range(0, len(names), _BATCH):
            found |= self._load(connection, names[start : start + _BATCH], except_label)
        return found

    def _load(
        self, connection: Connection, names: Collection[str] | None, except_label: int
    ) -> dict[str, ImageReadings]:
        now = self.now(connection)
        query = select(readings, images.c.id).join(images, images.c.key == readings.c.image)
        query = query.where(readings.c.store == self._store, images.c.state != GONE, not_(is_expired(now)))
        query = query if names is None else query.where(images.c.id.in_(names))
        rows: dict[str, list[Any]] = {}
        for row in connection.execute(query.order_by(readings.c.number)):
            rows.setdefault(row.id, []).append(row)
        found = {image: _image_readings(image, of) for image, of in rows.items()}
        for image, labels_ in self._without_rows(connection, names, except_label).items():
            found[image] = _with_labels(found.get(image, ImageReadings(image)), labels_)
        return found

    def _without_rows(
        self, connection: Connection, names: Collection[str] | None, except_label: int = 0
    ) -> dict[str, list[Row[Any]]]:
        """Current labels that are readings, or the final one of several, and have no row; by image, ``final`` last."""
        of_label = readings.c.image == labels.c.image, readings.c.tag == labels.c.tag, readings.c.is_submitted
        is_noted = or_(labels.c.tag != FINAL, readings.c.version >= labels.c.version)
        has_row = select(readings.c.key).where(*of_label, is_noted)
        query = select(images.c.id, labels.c.tag, labels.c.version, labels.c.facts)
        query = query.join(images, images.c.key == labels.c.image)
        is_one = or_(labels.c.tag == FINAL, labels.c.tag.like(f"{READING_TAG}%"))
        query = query.where(labels.c.store == self._store, labels.c.is_current, is_one, images.c.state != GONE)
        query = query.where(~has_row.exists(), labels.c.key != except_label)
        query = query if names is None else query.where(images.c.id.in_(names))
        found: dict[str, list[Any]] = {}
        for row in connection.execute(query.order_by(labels.c.tag.desc())):
            if row.tag == FINAL or number_of(row.tag) is not None:
                found.setdefault(row.id, []).append(row)
        return found

    def adopt(self, connection: Connection, names: Collection[str] | None) -> None:
        """Write the rows of labels that have none."""
        named = self._without_rows(connection, names)
        for image, of in sorted(self.load(connection, list(named)).items()):
            key = self.lock(connection, image)
            tags = {row.tag for row in named[image]}
            if key is None:
                continue
            for one in of.readings:
                is_new = one.tag in tags and one.is_submitted
                if is_new and not self.insert(connection, key, one):
                    self.submit(connection, key, one.number, one.tag, one.version)
            version = next((row.version for row in named[image] if row.tag == FINAL), None)
            if of.adjudication is not None and of.adjudication.version == version:
                chosen = Reading(0, ADJUDICATION, of.adjudication.by, True, self.now(connection), FINAL, version)
                before = readings.c.image == key, readings.c.number == 0
                connection.execute(readings.delete().where(*before))
                self.insert(connection, key, chosen)

    def insert(self, connection: Connection, image: int, reading: Reading) -> bool:
        """Write the row of a reading; returns whether its number was free.

        Args:
            connection: in a writing transaction that has the lock of the image.
            image: its key.
            reading: made or begun.
        """
        values = {
            "store": self._store,
            "image": image,
            "number": reading.number,
            "kind": reading.kind,
            "reader": reading.reader,
            "is_submitted": reading.is_submitted,
            "is_blind": reading.is_blind,
            "uses_model": reading.uses_model,
            "assigned_at": reading.at,
            "submitted_at": reading.at if reading.is_submitted else None,
            "tag": reading.tag,
            "version": reading.version,
        }
        insert = self.database.insert(readings).values(values).on_conflict_do_nothing().returning(readings.c.key)
        return connection.execute(insert).one_or_none() is not None

    def submit(
        self, connection: Connection, image: int, number: int, tag: str, version: int, is_blind: bool = True
    ) -> None:
        """Note that a reading is made, or corrected: the time is that of the first submission.

        Args:
            connection: in a writing transaction that has the lock of the image.
            image: its key.
            number: of the reading.
            tag: of its label.
            version: of its label.
            is_blind: whether nothing of others was shown until now; a reading that began otherwise stays not blind.
        """
        at = readings.c.image == image, readings.c.number == number
        now = self.now(connection)
        first = case((readings.c.submitted_at.is_(None), now), else_=readings.c.submitted_at)
        values = {"is_submitted": True, "submitted_at": first, "tag": tag, "version": version}
        values |= {} if is_blind else {"is_blind": False}
        connection.execute(readings.update().where(*at).values(values))

    def release(self, connection: Connection, *where: ColumnElement[bool]) -> int:
        """Delete readings under work, but for rows that others change at this moment; returns how many."""
        ours = readings.c.store == self._store, not_(readings.c.is_submitted)
        found = select(readings.c.key).where(*ours, *where).with_for_update(skip_locked=True)
        return int(connection.execute(readings.delete().where(readings.c.key.in_(found))).rowcount)

    def drop_removed(self, connection: Connection) -> None:
        """Delete submitted readings whose labels a release before readings has removed, adjudications first."""
        of_label = labels.c.image == readings.c.image, labels.c.tag == readings.c.tag, labels.c.is_current
        other = readings.alias()
        chosen = select(other.c.key).where(other.c.image == readings.c.image, other.c.tag == readings.c.tag)
        is_first = ~chosen.where(other.c.number < readings.c.number, other.c.is_submitted).exists()
        ours = readings.c.store == self._store, readings.c.is_submitted, is_first
        found = select(readings.c.key).where(*ours, ~select(labels.c.key).where(*of_label).exists())
        connection.execute(readings.delete().where(readings.c.key.in_(found)))

    def release_expired(self, connection: Connection, image: int | None = None) -> None:
        """Delete readings under work whose clients give no sign any more, of all images or of one by its key."""
        one = () if image is None else (readings.c.image == image,)
        self.release(connection, is_expired(self.now(connection)), *one)

    def ids(self, connection: Connection, *where: ColumnElement[bool]) -> Iterable[Row[Any]]:
        """Rows of ``id`` of the image and the columns of its readings that match, as a stream; gone images left out."""
        query = select(images.c.id, readings).join(images, images.c.key == readings.c.image)
        query = query.where(readings.c.store == self._store, images.c.state != GONE, *where)
        return connection.execution_options(yield_per=_BATCH).execute(
            query.order_by(readings.c.submitted_at, readings.c.key)
        )


def _image_readings(image: str, rows: Iterable[Row[Any]]) -> ImageReadings:
    found, adjudication = [], None
    for row in rows:
        if row.number == 0:
            chosen = Adjudication(row.reader, row.version, is_automatic=row.kind == AUTOMATIC)
            adjudication = chosen if row.is_submitted else None
            continue
        at = row.submitted_at if row.is_submitted else row.assigned_at
        made = Reading(row.number, row.kind, row.reader, row.is_submitted, at, row.tag, row.version)
        noted = {"is_blind": row.is_blind, "uses_model": row.uses_model, "began_at": row.assigned_at}
        found.append(replace(made, **noted))
    return ImageReadings(image, tuple(found), adjudication)


def _with_labels(image: ImageReadings, without_rows: Iterable[Row[Any]]) -> ImageReadings:
    """The readings of an image, with labels that have no row, or a later version than that."""
    found = {one.number: one for one in image.readings}
    adjudication = image.adjudication
    for row in without_rows:
        facts: Mapping[str, Any] = json.loads(row.facts)
        by, stated = labeller(facts), number_of(row.tag)
        corrected = next((one for one in found.values() if one.tag == row.tag and one.is_submitted), None)
        if corrected is not None and corrected.reader == by and adjudication is None:
            found[corrected.number] = replace(corrected, version=row.version)
        elif stated is None and any(one.is_submitted for one in found.values()):
            adjudication = Adjudication(by, row.version)
        else:
            number = stated or 1
            if number in found:  # somebody has it under work
                number = max(found) + 1
            is_other = any(one.kind != REPEAT for one in found.values())
            kind = {1: FIRST, 2: SECOND}.get(number, SECOND if is_other and number != stated else REPEAT)
            at = float(saved_at_of(facts))
            found[number] = Reading(number, kind, by, True, at, row.tag, row.version)
    return ImageReadings(image.image, tuple(found[number] for number in sorted(found)), adjudication)
