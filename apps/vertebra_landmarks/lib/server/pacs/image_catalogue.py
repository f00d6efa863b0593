"""Which images of a store are which instances of its PACS, in the database.

The id of an image is a keyed hash of the UID of its instance: the same whenever the instance is found, and it says
nothing to those who do not have the key, which lies in the working folder.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, func, select

from ...spine.atomic_write import atomic_write
from ..store.schema import pacs_instances as rows
from ..store.store_context import StoreContext
from ..store.studies_folder import FileEntry, is_storable, sync
from .instances import InstanceUids

SUFFIX = ".dcm"
KEY_FILE = "key"
_KEY_BYTES = 32
_ID_DIGITS = 20  # 80 bits: a million images share an id with a probability of 4e-13
_BATCH = 500
_Item = TypeVar("_Item")


class ImageCatalogue:
    """Instances of a PACS that are images of a store.

    Sizes and times of their files are made of the ids, so that they stay whatever the cache does: by its UID, an
    instance never changes.

    Args:
        context: of the store.
        folder: of the key, which is made where there is none.

    Raises:
        ValueError: the key is damaged.
    """

    def __init__(self, context: StoreContext, folder: Path) -> None:
        self._store, self._database = context.key, context.database
        self._ours = rows.c.store == context.key
        with context.folder.lock(KEY_FILE):
            self._key = _key_in(folder / KEY_FILE)

    def id_of(self, instance_uid: str) -> str:
        """The image id of an instance."""
        return hmac.new(self._key, instance_uid.encode(), hashlib.sha256).hexdigest()[:_ID_DIGITS]

    def entries(self) -> list[FileEntry]:
        """All images that are in the PACS, by name."""
        query = select(rows.c.image).where(self._ours, ~rows.c.is_gone).order_by(rows.c.image)
        with self._database.reading() as connection:
            return [_entry(image) for image in connection.execute(query).scalars()]

    def entry(self, name: str) -> FileEntry | None:
        """The file of an image; ``None`` where there is no such image in the PACS."""
        return None if self.uids(name) is None else _entry(name.removesuffix(SUFFIX))

    def uids(self, name: str) -> InstanceUids | None:
        """Where the instance of a file lies; ``None`` where there is no such image in the PACS."""
        image = name.removesuffix(SUFFIX)
        if not name.endswith(SUFFIX) or not is_storable(image):
            return None
        query = select(rows.c.study_uid, rows.c.series_uid, rows.c.instance_uid)
        with self._database.reading() as connection:
            row = connection.execute(query.where(self._ours, rows.c.image == image, ~rows.c.is_gone)).one_or_none()
        return None if row is None else InstanceUids(*row)

    def count(self) -> int:
        """Number of images that are or were in the PACS."""
        with self._database.reading() as connection:
            return int(connection.execute(select(func.count()).select_from(rows).where(self._ours)).scalar_one())

    def studies(self, uids: Iterable[str]) -> set[str]:
        """Those of some Study Instance UIDs that images in the PACS belong to."""
        known: set[str] = set()
        for batch in _batches(uids):
            query = select(rows.c.study_uid).where(self._ours, rows.c.study_uid.in_(batch), ~rows.c.is_gone)
            with self._database.reading() as connection:
                known.update(connection.execute(query).scalars())
        return known

    def note(self, instances: Iterable[InstanceUids]) -> list[str]:
        """Note instances that pass the filter, and where they lie now, since a PACS may move them to another study.

        Returns:
            The file names of those that are new or have come back.
        """
        found = {self.id_of(uids.instance): uids for uids in instances}
        appeared: list[str] = []
        for batch in _batches(found.items()):
            new = dict(batch)
            with self._database.writing(durable=False) as connection:
                query = select(rows).where(self._ours, rows.c.image.in_(new))
                known = {row.image: row for row in connection.execute(query)}
                present = {image for image, row in known.items() if not row.is_gone}
                kept = {i for i in present if (known[i].study_uid, known[i].series_uid) == new[i][:2]}
                self._write(connection, {image: uids for image, uids in new.items() if image not in kept})
            appeared += [f"{image}{SUFFIX}" for image in new if image not in present]
        return appeared

    def _write(self, connection: Connection, new: Mapping[str, InstanceUids]) -> None:
        now = int(time.time())
        values = [
            {
                "store": self._store,
                "image": image,
                "study_uid": uids.study,
                "series_uid": uids.series,
                "instance_uid": uids.instance,
                "first_seen": now,
                "is_gone": False,
            }
            for image, uids in new.items()
        ]
        if values:
            insert = self._database.insert(rows)
            changed = {name: insert.excluded[name] for name in ("study_uid", "series_uid", "is_gone")}
            keys = [rows.c.store, rows.c.image]
            connection.execute(insert.on_conflict_do_update(index_elements=keys, set_=changed), values)

    def note_gone(self, names: Iterable[str]) -> list[str]:
        """Note that images are no longer in the PACS; returns the file names of those that were."""
        gone: list[str] = []
        for batch in _batches(name.removesuffix(SUFFIX) for name in names):
            at = self._ours, rows.c.image.in_(batch), ~rows.c.is_gone
            with self._database.writing(durable=False) as connection:
                images = list(connection.execute(select(rows.c.image).where(*at)).scalars())
                connection.execute(rows.update().where(self._ours, rows.c.image.in_(images)).values(is_gone=True))
            gone += [f"{image}{SUFFIX}" for image in images]
        return gone


def _entry(image: str) -> FileEntry:
    """A size and a time that stay the same as long as the image has its id."""
    digest = hashlib.sha256(image.encode()).digest()
    return FileEntry(f"{image}{SUFFIX}", int.from_bytes(digest[:4], "big") + 1, int.from_bytes(digest[4:11], "big") + 1)


def _key_in(path: Path) -> bytes:
    if not path.exists():
        with atomic_write(path) as temporary:
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_hex(_KEY_BYTES))
            sync(temporary)
        sync(path.parent)
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise ValueError(
            f"{path.name} in the folder {path.parent.name!r}, by which images get their ids, is damaged: restore it "
            "from a backup; without it all images get new ids, and no label fits"
        )
    return key


def _batches(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    remaining = iter(items)
    while batch := list(islice(remaining, _BATCH)):
        yield batch
