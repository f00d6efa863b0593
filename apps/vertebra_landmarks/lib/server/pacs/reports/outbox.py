"""The outbox: what is to be sent to the PACS, one row for each object of each label version, in the database.

A row is written before anything is sent, with the UID that the object will have, and says afterwards that it was sent.
Whoever is killed in between leaves a row that is tried again with the same UID, so that the PACS gets nothing twice.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, and_, func, select

from ....structured_report.subject import COBB_LINES, DOCUMENT, GRAPHICS, LANDMARKS, instance_uid, series_uid
from ...store.schema import GONE, images, labels, outbox, pacs_instances, stores
from ...store.store_context import StoreContext
from ..instances import InstanceUids

KINDS = (DOCUMENT, GRAPHICS, COBB_LINES, LANDMARKS)
"""What can be sent of a label version, in this order: once the landmark report is there, all of it is."""
WAITING, SENT, REFUSED, OMITTED, FOUND = range(5)
"""State of an object: to be sent; sent; refused by the PACS, or not to be made; there is nothing to send of this kind;
the label version has come from the PACS."""
MAX_REFUSALS = 10
"""Refused objects that ``status`` lists."""
_NOBODY_TRIED = {"attempts": 0, "due_at": 0.0, "tried_at": 0.0, "sentence": ""}
_BATCH = 200


@dataclass(frozen=True)
class OutboxItem:
    """An object to be sent; UIDs are left out of ``repr``, since they lead to a patient.

    Attributes:
        label: key of the label version.
        kind: one of ``KINDS``.
        image: id of the image.
        tag: of the label.
        version: its number.
        digest: of the label file.
        info: metadata of the version.
        attempts: that have failed.
        uids: that the object has in the PACS.
    """

    label: int
    kind: str
    image: str
    tag: str
    version: int
    digest: str
    info: Mapping[str, Any]
    attempts: int
    uids: InstanceUids = field(repr=False)


class LabelReference(NamedTuple):
    """A label version: id of its image, tag and number."""

    image: str
    tag: str
    version: int


class Outbox:
    """The rows of a store.

    Args:
        context: of the store, whose images are those of a PACS.
        tags: of the labels that are sent.
        kinds: what is sent of them, of ``KINDS``.
    """

    def __init__(self, context: StoreContext, tags: Collection[str], kinds: Collection[str]) -> None:
        self._database, self._store = context.database, context.key
        self._tags, self._kinds = tuple(tags), tuple(kinds)
        self._ours = outbox.c.store == context.key
        with self._database.reading() as connection:
            query = select(stores.c.identity).where(stores.c.key == context.key)
            self.identity = str(connection.execute(query).scalar_one())

    def candidates(self) -> list[int]:
        """Keys of the label versions that have no rows yet, oldest first."""
        with self._database.reading() as connection:
            return [row.key for row in connection.execute(self._without_rows().order_by(labels.c.key))]

    def enqueue(self, candidates: Collection[int], except_images: Collection[str] = ()) -> None:
        """Write the rows of label versions that still have none.

        Args:
            candidates: keys of the versions.
            except_images: ids of images whose versions are left for another time.
        """
        keys = list(candidates)
        for start in range(0, len(keys), _BATCH):
            query = self._without_rows().where(labels.c.key.in_(keys[start : start + _BATCH]))
            query = query.where(images.c.id.not_in(except_images))
            with self._database.writing() as connection:
                rows = [row for version in connection.execute(query).all() for row in self._rows_of(version)]
                if rows:
                    connection.execute(self._database.insert(outbox).on_conflict_do_nothing(), rows)

    def _without_rows(self) -> Any:
        """Query for the label versions of images in the PACS that have no rows yet."""
        has_rows = select(outbox.c.label).where(outbox.c.label == labels.c.key)
        columns = labels.c.key, labels.c.tag, labels.c.version, labels.c.digest
        uids = pacs_instances.c.study_uid, pacs_instances.c.instance_uid
        query = select(*columns, *uids).join(images, images.c.key == labels.c.image)
        query = query.join(pacs_instances, and_(pacs_instances.c.store == images.c.store, _is_of_image()))
        query = query.where(labels.c.store == self._store, labels.c.tag.in_(self._tags), images.c.state != GONE)
        return query.where(~has_rows.exists())

    def _rows_of(self, version: Row[Any]) -> list[dict[str, Any]]:
        named = version.instance_uid, version.tag, version.version, version.digest
        return [
            {
                "label": version.key,
                "kind": KINDS.index(kind),
                "store": self._store,
                "state": WAITING,
                "series_uid": series_uid(kind, self.identity, version.study_uid),
                "instance_uid": instance_uid(kind, self.identity, *named),
                **_NOBODY_TRIED,
            }
            for kind in self._kinds
        ]

    def next_due(self, now: float) -> OutboxItem | None:
        """The next object to be sent; ``None`` where none is due.

        Args:
            now: seconds since 1970.
        """
        query = self._waiting(outbox, labels, images.c.id, pacs_instances.c.study_uid).where(outbox.c.due_at <= now)
        with self._database.reading() as connection:
            row = connection.execute(query.order_by(outbox.c.label, outbox.c.kind).limit(1)).one_or_none()
        if row is None:
            return None
        uids = InstanceUids(row.study_uid, row.series_uid, row.instance_uid)
        kind, facts = KINDS[row.kind], json.loads(row.facts)
        return OutboxItem(row.label, kind, row.id, row.tag, row.version, row.digest, facts, row.attempts, uids)

    def _waiting(self, *columns: Any) -> Any:
        """Query for waiting objects whose images are in the PACS."""
        query = select(*columns).select_from(outbox).join(labels, labels.c.key == outbox.c.label)
        query = query.join(images, images.c.key == labels.c.image)
        query = query.join(pacs_instances, and_(pacs_instances.c.store == images.c.store, _is_of_image()))
        return query.where(self._ours, outbox.c.state == WAITING, images.c.state != GONE)

    def note_sent(self, item: OutboxItem) -> None:
        """The PACS has the object."""
        self._note(item, state=SENT, sentence="")

    def note_omitted(self, item: OutboxItem) -> None:
        """There is nothing to send of this kind."""
        self._note(item, state=OMITTED, sentence="")

    def note_refused(self, item: OutboxItem, sentence: str) -> None:
        """The object is set aside, since another attempt would fail as well."""
        self._note(item, state=REFUSED, sentence=sentence)

    def note_failed(self, item: OutboxItem, sentence: str, delay_s: float) -> None:
        """An attempt has failed; the next one comes after a delay."""
        self._note(item, attempts=item.attempts + 1, due_at=time.time() + delay_s, sentence=sentence)

    def note_unreachable(self, item: OutboxItem, sentence: str) -> None:
        """The PACS could not be used, which says nothing about the object."""
        self._note(item, sentence=sentence)

    def _note(self, item: OutboxItem, **values: Any) -> None:
        at = outbox.c.label == item.label, outbox.c.kind == KINDS.index(item.kind)
        with self._database.writing() as connection:
            connection.execute(outbox.update().where(*at).values(tried_at=time.time(), **values))

    def retry_refused(self) -> int:
        """Send what was refused once more; returns how many objects these are."""
        at = self._ours, outbox.c.state == REFUSED
        with self._database.writing() as connection:
            return connection.execute(outbox.update().where(*at).values(state=WAITING, attempts=0, due_at=0.0)).rowcount

    def recognized(self, uids: Iterable[str]) -> set[str]:
        """Those of some SOP Instance UIDs in the PACS that are of the outbox; they count as sent from now on."""
        wanted, known = list(uids), set()
        for start in range(0, len(wanted), _BATCH):
            at = self._ours, outbox.c.instance_uid.in_(wanted[start : start + _BATCH])
            with self._database.reading() as connection:
                rows = connection.execute(select(outbox.c.instance_uid, outbox.c.state).where(*at)).all()
            known |= {row.instance_uid for row in rows}
            if any(row.state == WAITING for row in rows):
                with self._database.writing() as connection:
                    sent = outbox.update().where(*at, outbox.c.state == WAITING)
                    connection.execute(sent.values(state=SENT, sentence=""))
        return known

    def note_found(self, connection: Connection, label: int, copied: int | None, uids: InstanceUids) -> None:
        """A label version has come from the PACS, and nothing of it is to be sent.

        Args:
            connection: in a writing transaction.
            label: key of the version.
            copied: key of the version that it is a copy of, whose report is its own, too; ``None`` where it is none.
            uids: of the landmark report that it has come from.
        """
        rows = [
            {
                "label": label,
                "kind": number,
                "store": self._store,
                "state": FOUND,
                "series_uid": uids.series if kind == LANDMARKS else "",
                "instance_uid": uids.instance if kind == LANDMARKS else "",
                **_NOBODY_TRIED,
            }
            for number, kind in enumerate(KINDS)
        ]
        if copied is not None:
            rows = [{**row, "label": label, "state": FOUND} for row in self._rows_in(connection, copied)]
        if rows:
            connection.execute(self._database.insert(outbox).on_conflict_do_nothing(), rows)

    def _rows_in(self, connection: Connection, label: int) -> list[dict[str, Any]]:
        """The rows of a label version, which are written where they are missing."""
        missing = connection.execute(self._without_rows().where(labels.c.key == label)).one_or_none()
        if missing is not None:
            connection.execute(self._database.insert(outbox).on_conflict_do_nothing(), self._rows_of(missing))
        return [dict(row) for row in connection.execute(select(outbox).where(outbox.c.label == label)).mappings()]

    def label_of(self, uid: str) -> LabelReference | None:
        """The label version that an object in the PACS is of, by its SOP Instance UID; ``None`` where none is known."""
        query = select(images.c.id, labels.c.tag, labels.c.version).join(labels, labels.c.key == outbox.c.label)
        query = query.join(images, images.c.key == labels.c.image).where(self._ours, outbox.c.instance_uid == uid)
        with self._database.reading() as connection:
            row = connection.execute(query.order_by(labels.c.version.desc()).limit(1)).one_or_none()
        return None if row is None else LabelReference(*row)

    def has_rows(self, label: int) -> bool:
        """Whether it is known which objects are those of a label version."""
        query = select(outbox.c.label).where(outbox.c.label == label).limit(1)
        with self._database.reading() as connection:
            return connection.execute(query).first() is not None

    def predecessor(self, item: OutboxItem) -> InstanceUids | None:
        """The landmark report of the label version before; ``None`` where there is none."""
        before = labels.alias()
        columns = outbox.c.series_uid, outbox.c.instance_uid
        query = select(*columns).join(before, before.c.key == outbox.c.label)
        query = query.join(labels, and_(labels.c.image == before.c.image, labels.c.tag == before.c.tag))
        query = query.where(labels.c.key == item.label, before.c.version < labels.c.version, self._ours)
        query = query.where(outbox.c.kind == KINDS.index(LANDMARKS), outbox.c.state.in_((WAITING, SENT, FOUND)))
        with self._database.reading() as connection:
            row = connection.execute(query.order_by(before.c.version.desc()).limit(1)).one_or_none()
        return None if row is None else InstanceUids(item.uids.study, row.series_uid, row.instance_uid)

    def status(self) -> dict[str, Any]:
        """Numbers of objects that are ``waiting``, ``sent`` and ``refused``, the last error, and what was refused."""
        by_state = select(outbox.c.state, func.count()).where(self._ours).group_by(outbox.c.state)
        missing = select(func.count()).select_from(self._without_rows().subquery())
        failed = self._ours, outbox.c.sentence != "", outbox.c.state.in_((WAITING, REFUSED))
        last = select(outbox.c.sentence).where(*failed).order_by(outbox.c.tried_at.desc()).limit(1)
        columns = images.c.id, labels.c.tag, labels.c.version, outbox.c.kind, outbox.c.sentence
        refused = select(*columns).join(labels, labels.c.key == outbox.c.label)
        refused = refused.join(images, images.c.key == labels.c.image).where(self._ours, outbox.c.state == REFUSED)
        with self._database.reading() as connection:
            numbers = {row[0]: row[1] for row in connection.execute(by_state)}
            waiting = connection.execute(self._waiting(func.count())).scalar_one()
            rows = connection.execute(refused.order_by(outbox.c.tried_at.desc()).limit(MAX_REFUSALS)).all()
            return {
                "waiting": waiting + len(self._kinds) * connection.execute(missing).scalar_one(),
                "sent": numbers.get(SENT, 0),
                "refused": numbers.get(REFUSED, 0),
                "last_error": connection.execute(last).scalar_one_or_none(),
                "refusals": [
                    {
                        "image": row.id,
                        "tag": row.tag,
                        "version": row.version,
                        "kind": KINDS[row.kind],
                        "reason": row.sentence,
                    }
                    for row in rows
                ],
            }


def _is_of_image() -> ColumnElement[bool]:
    return and_(pacs_instances.c.image == images.c.id)
