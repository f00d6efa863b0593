"""Session store: images that clients upload once for many requests, as rows and files that all servers share."""

from __future__ import annotations

import json
import shutil
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
_LEGACY_FILE = "session.json"
"""Metadata of a session before 0.9; its mtime was the time of the last use."""


@dataclass(frozen=True)
class Session:
    """An uploaded image. Times are seconds since 1970."""

    name: str
    path: Path
    bytes: int
    create_ts: int
    last_access_ts: int
    expiry: int

    def is_expired(self, now: float) -> bool:
        """Whether it was not used for too long by now, in seconds since 1970, or its file is missing."""
        return self.last_access_ts + self.expiry < now or not self.path.is_file()

    def to_dict(self) -> dict[str, object]:
        """As MONAI Label describes a session, without paths of this machine."""
        return {**vars(self), "place": None, "path": "", "image": self.path.name, "meta": {}}


class SessionStore:
    """Sessions, limited in number, bytes and time; each is a row, and a folder of its name with the image.

    Args:
        context: the studies folder and its rows.
        folder: of all sessions; it is created, on the same disk as the uploads.
        uploads: stores an image first.
        max_bytes: of all sessions together.
        max_expiry_s: maximum time between two uses.
    """

    def __init__(
        self, context: StoreContext, folder: Path, uploads: Uploads, max_bytes: int, max_expiry_s: int
    ) -> None:
        self._database, self._store = context.database, context.key
        self._folder, self._uploads = folder, uploads
        self._max_bytes, self._max_expiry_s = max_bytes, max_expiry_s
        self._adopt()
        self.remove_expired()

    def add(self, stream: BinaryIO, client_name: str, expiry: int) -> Session:
        """Create a session with an image.

        Raises:
            HTTPException: 415, it cannot be read; 503, the limits are reached.
        """
        self.remove_expired()
        upload = self._uploads.store(stream, client_name)
        try:
            check_readable(upload)
            now, name = int(self._database.now()), str(uuid.uuid4())
            expiry_s = min(expiry, self._max_expiry_s) if expiry > 0 else self._max_expiry_s
            session = Session(name, self._folder / name / upload.name, upload.stat().st_size, now, now, expiry_s)
            self._folder.mkdir(exist_ok=True)
            with self._database.writing(durable=False) as connection:
                self._check_limits(connection, session.bytes)
                connection.execute(table.insert().values(self._values(session)))
                upload.parent.rename(session.path.parent)
        except BaseException:
            self._uploads.discard(upload)
            raise
        return session

    def _check_limits(self, connection: Connection, added_bytes: int) -> None:
        """Raise unless one more session fits; other servers wait until the transaction ends."""
        connection.execute(select(stores.c.key).where(stores.c.key == self._store).with_for_update(key_share=True))
        totals = select(func.count(), func.coalesce(func.sum(table.c.bytes), 0)).where(table.c.store == self._store)
        count, size = connection.execute(totals).one()
        if count >= MAX_SESSIONS or size + added_bytes > self._max_bytes:
            raise HTTPException(503, "the server keeps as many sessions as it can", headers={"Retry-After": "300"})

    def get(self, name: str, touch: bool) -> Session:
        """A session; ``touch`` restarts its expiry.

        Raises:
            HTTPException: 404, there is none of that name.
        """
        query = select(table).where(table.c.store == self._store, table.c.name == name)
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none() if _is_session_name(name) else None
        session = None if row is None else self._session(row)
        if session is None or session.is_expired(self._database.now()):
            raise HTTPException(404, f"there is no session {name!r:.80}")
        now = int(self._database.now())
        if touch and session.last_access_ts != now:
            with self._database.writing(durable=False) as connection:
                update = table.update().where(table.c.store == self._store, table.c.name == name)
                connection.execute(update.values(used_at=now))
        return session

    def remove(self, name: str) -> Session:
        """Delete a session and its image.

        Raises:
            HTTPException: 404, there is none of that name.
        """
        session = self.get(name, touch=False)
        self._discard(session)
        return session

    def remove_expired(self) -> int:
        """Delete expired sessions and return their number; MONAI Label calls this every few minutes."""
        with self._database.reading() as connection:
            rows = connection.execute(select(table).where(table.c.store == self._store)).all()
        now = self._database.now()
        expired = [session for session in map(self._session, rows) if session.is_expired(now)]
        for session in expired:
            self._discard(session)
        return len(expired)

    def _session(self, row: Any) -> Session:
        path = self._folder / row.name / row.file
        return Session(row.name, path, row.bytes, row.created_at, row.used_at, row.expiry_s)

    def _values(self, session: Session) -> dict[str, Any]:
        times = {"created_at": session.create_ts, "used_at": session.last_access_ts, "expiry_s": session.expiry}
        key = {"store": self._store, "name": session.name}
        return {**key, "file": session.path.name, "bytes": session.bytes, **times}

    def _discard(self, session: Session) -> None:
        with self._database.writing(durable=False) as connection:  # first: from now on there is no such session
            connection.execute(table.delete().where(table.c.store == self._store, table.c.name == session.name))
        shutil.rmtree(session.path.parent, ignore_errors=True)

    def _adopt(self) -> None:
        """Adopt sessions of a server of an older release, which may still run."""
        names = [path.name for path in self._folder.iterdir()] if self._folder.is_dir() else []
        for name in filter(_is_session_name, names):
            legacy = self._folder / name / _LEGACY_FILE
            try:
                used_at = int(legacy.stat().st_mtime)
                metadata = json.loads(legacy.read_text(encoding="utf-8"))
                numbers = (int(metadata["bytes"]), int(metadata["create_ts"]), used_at, int(metadata["expiry"]))
                session = Session(name, legacy.with_name(str(metadata["image"])), *numbers)
            except (OSError, ValueError, KeyError, TypeError):  # of this release, or cut short
                continue
            with self._database.writing(durable=False) as connection:
                row = self._database.insert(table).values(self._values(session))
                connection.execute(row.on_conflict_do_nothing())


def _is_session_name(name: str) -> bool:
    """Whether it is a UUID; anything else might be a path."""
    try:
        return str(uuid.UUID(name)) == name
    except ValueError:
        return False
