"""Images that clients sent once to ask about them often: in a folder that all servers of the studies share."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from fastapi import HTTPException
from filelock import FileLock

from .uploads import Uploads, check_readable

MOST_SESSIONS = 100
_FACTS, _LOCK = "session.json", "sessions.lock"


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
        """Whether nobody has used it for too long."""
        return self.last_access_ts + self.expiry < time.time()

    def to_dict(self) -> dict[str, object]:
        """As MONAI Label describes a session, without paths of this machine."""
        return {**vars(self), "place": None, "path": "", "image": self.place.name, "meta": {}}


class Sessions:
    """Images that stay for a while, limited in number, bytes and time. MONAI Label's own takes a path for a session.

    A session is a folder of the image and of its facts, whose time of change is that of its last use; it is there as
    long as its facts are.

    Args:
        folder: of all sessions, which is made; on the same disk as the uploads.
        uploads: where an image comes from.
        most_bytes: limit of all together.
        longest_s: time after its last use for which one may stay.
    """

    def __init__(self, folder: Path, uploads: Uploads, most_bytes: int, longest_s: int) -> None:
        self._folder, self._uploads = folder, uploads
        self._most_bytes, self._longest_s = most_bytes, longest_s

    def add(self, stream: BinaryIO, client_name: str, expiry: int) -> Session:
        """Keep an image.

        Raises:
            HTTPException: 415, it cannot be read; 503, there are too many.
        """
        self.remove_expired()
        place = self._uploads.store(stream, client_name)
        try:
            check_readable(place)
            name, size = str(uuid.uuid4()), place.stat().st_size
            life = min(expiry, self._longest_s) if expiry > 0 else self._longest_s
            facts = {"image": place.name, "bytes": size, "create_ts": int(time.time()), "expiry": life}
            place.with_name(_FACTS).write_text(json.dumps(facts), encoding="utf-8")
            self._folder.mkdir(exist_ok=True)
            with FileLock(self._folder / _LOCK):
                kept = self._all()
                if len(kept) >= MOST_SESSIONS or sum(other.bytes for other in kept) + size > self._most_bytes:
                    raise HTTPException(
                        503, "the server keeps as many sessions as it can", headers={"Retry-After": "300"}
                    )
                place.parent.rename(self._folder / name)
        except BaseException:
            self._uploads.discard(place)
            raise
        return self.get(name, touch=False)

    def get(self, name: str, touch: bool) -> Session:
        """A session; ``touch`` lets its time begin anew.

        Raises:
            HTTPException: 404, there is none of that name.
        """
        self.remove_expired()
        session = self._read(name) if _is_name(name) else None
        if session is None:
            raise HTTPException(404, f"there is no session {name!r:.80}")
        if touch:
            with contextlib.suppress(FileNotFoundError):
                os.utime(session.place.with_name(_FACTS))
        return session

    def remove(self, name: str) -> Session:
        """Forget a session and its image.

        Raises:
            HTTPException: 404, there is none of that name.
        """
        session = self.get(name, touch=False)
        _discard(session.place.parent)
        return session

    def remove_expired(self) -> int:
        """Forget those whose time is over, and say how many; MONAI Label calls this every few minutes."""
        over = [session for session in self._all() if session.is_over]
        for session in over:
            _discard(session.place.parent)
        return len(over)

    def _all(self) -> list[Session]:
        names = [path.name for path in self._folder.iterdir()] if self._folder.is_dir() else []
        return [session for session in map(self._read, filter(_is_name, names)) if session is not None]

    def _read(self, name: str) -> Session | None:
        place = self._folder / name / _FACTS
        try:
            used = int(place.stat().st_mtime)
            facts = json.loads(place.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):  # the latter after a power cut
            return None
        return Session(name, place.with_name(facts.pop("image")), last_access_ts=used, **facts)


def _is_name(name: str) -> bool:
    """Whether it is one that a session may have; anything else would be a path."""
    try:
        return str(uuid.UUID(name)) == name
    except ValueError:
        return False


def _discard(folder: Path) -> None:
    (folder / _FACTS).unlink(missing_ok=True)  # first: from now on there is no such session
    shutil.rmtree(folder, ignore_errors=True)
