"""Images that clients sent once to ask about them often: rows of the database, and files that all servers share."""

from __future__ import annotations

import json
import shutil
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from fastapi import HTTPException
from sqlalchemy import Connection, func, select

from ..store.schema import sessions as table
from ..store.schema import stores
from ..store.store_context import StoreContext
from .uploads import Uploads, check_readable

MAX_SESSIONS = 100
_FORMER_FACTS = "session.json"
"""In which releases before 0.9 kept what is a row now; the time of its change was that of the last use."""


@dataclass(frozen=True)
class Session:
    """An image that a client sent once. Times are seconds since 1970."""

    name: str
    place: Path
    bytes: int
    create_ts: int
    last_access_ts: int
    expiry: int

    @property
    def is_over(self) -> bool:
        """Whether nobody has used it for too long, or its file is gone."""
        return self.last_access_ts + self.expiry < time.time() or not self.place.is_file()

    def to_dict(self) -> dict[str, object]:
        """As MONAI Label describes a session, without paths of this machine."""
        return {**vars(self), "place": None, "path": "", "image": self.place.name, "meta": {}}


class Sessions:
    """Images that stay for a while, limited in number, bytes and time. MONAI Label's own takes a path for a session.

    A session is a row, and a folder of its name with the image.

    Args:
        context: the studies folder and its rows.
        folder: of all sessions, which is made; on the same disk as the uploads.
        uploads: where an image comes from.
        most_bytes: limit of all together.
        longest_s: time after its last use for which one may stay.
    """

    def __init__(self, context: StoreContext, folder: Path, uploads: Uploads, most_bytes: int, longest_s: int) -> None:
        self._database, self._store = context.database, context.key
        self._folder, self._uploads = folder, uploads
        self._max_bytes, self._longest_s = most_bytes, longest_s
        self._adopt()
        self.remove_expired()

    def add(self, stream: BinaryIO, client_name: str, expiry: int) -> Session:
        """Keep an image.

        Raises:
            HTTPException: 415, it cannot be read; 503, there are too many.
        """
        self.remove_expired()
        place = self._uploads.store(stream, client_name)
        try:
            check_readable(place)
            now, life = int(time.time()), min(expiry, self._longest_s) if expiry > 0 else self._longest_s
            name = str(uuid.uuid4())
            session = Session(name, self._folder / name / place.name, place.stat().st_size, now, now, life)
            self._folder.mkdir(exist_ok=True)
            with self._database.writing(durable=False) as connection:
                self._check_room(connection, session.bytes)
                connection.execute(table.insert().values(self._values(session)))
                place.parent.rename(session.place.parent)
        except BaseException:
            self._uploads.discard(place)
            raise
        return session

    def _check_room(self, connection: Connection, more: int) -> None:
        """See that so many bytes more fit in; other servers wait until the transaction ends."""
        connection.execute(select(stores.c.key).where(stores.c.key == self._store).with_for_update(key_share=True))
        kept = select(func.count(), func.coalesce(func.sum(table.c.bytes), 0)).where(table.c.store == self._store)
        count, size = connection.execute(kept).one()
        if count >= MAX_SESSIONS or size + more > self._max_bytes:
            raise HTTPException(503, "the server keeps as many sessions as it can", headers={"Retry-After": "300"})

    def get(self, name: str, touch: bool) -> Session:
        """A session; ``touch`` lets its time begin anew.

        Raises:
            HTTPException: 404, there is none of that name.
        """
        query = select(table).where(table.c.store == self._store, table.c.name == name)
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none() if _is_name(name) else None
        session = None if row is None else self._session(row)
        if session is None or session.is_over:
            raise HTTPException(404, f"there is no session {name!r:.80}")
        now = int(time.time())
        if touch and session.last_access_ts != now:
            with self._database.writing(durable=False) as connection:
                used = table.update().where(table.c.store == self._store, table.c.name == name)
                connection.execute(used.values(used_at=now))
        return session

    def remove(self, name: str) -> Session:
        """Forget a session and its image.

        Raises:
            HTTPException: 404, there is none of that name.
        """
        session = self.get(name, touch=False)
        self._discard(session)
        return session

    def remove_expired(self) -> int:
        """Forget those whose time is over, and say how many; MONAI Label calls this every few minutes."""
        with self._database.reading() as connection:
            rows = connection.execute(select(table).where(table.c.store == self._store)).all()
        over = [session for session in map(self._session, rows) if session.is_over]
        for session in over:
            self._discard(session)
        return len(over)

    def _session(self, row: Any) -> Session:
        place = self._folder / row.name / row.file
        return Session(row.name, place, row.bytes, row.created_at, row.used_at, row.expiry_s)

    def _values(self, session: Session) -> dict[str, Any]:
        times = {"created_at": session.create_ts, "used_at": session.last_access_ts, "expiry_s": session.expiry}
        key = {"store": self._store, "name": session.name}
        return {**key, "file": session.place.name, "bytes": session.bytes, **times}

    def _discard(self, session: Session) -> None:
        with self._database.writing(durable=False) as connection:  # first: from now on there is no such session
            connection.execute(table.delete().where(table.c.store == self._store, table.c.name == session.name))
        shutil.rmtree(session.place.parent, ignore_errors=True)

    def _adopt(self) -> None:
        """Take over sessions of a server of an older release that lives, or of one that has just made way."""
        names = [path.name for path in self._folder.iterdir()] if self._folder.is_dir() else []
        for name in filter(_is_name, names):
            former = self._folder / name / _FORMER_FACTS
            try:
                used = int(former.stat().st_mtime)
                facts = json.loads(former.read_text(encoding="utf-8"))
                numbers = (int(facts["bytes"]), int(facts["create_ts"]), used, int(facts["expiry"]))
                session = Session(name, former.with_name(str(facts["image"])), *numbers)
            except (OSError, ValueError, KeyError, TypeError):  # one of our own, or cut short by a power cut
                continue
            with self._database.writing(durable=False) as connection:
                row = self._database.insert(table).values(self._values(session))
                connection.execute(row.on_conflict_do_nothing())


def _is_name(name: str) -> bool:
    """Whether it is one that a session may have; anything else would be a path."""
    try:
        return str(uuid.UUID(name)) == name
    except ValueError:
        return False
