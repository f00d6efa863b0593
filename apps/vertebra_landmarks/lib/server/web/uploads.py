"""Files that clients send: kept under names of our own in a private folder, for a request or for a session."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from fastapi import HTTPException

from ...learning.reading import IMAGE_SUFFIXES, UnreadableImageError, is_dicom, read_radiograph

FOLDER = ".uploads"
STALE_S = 86_400.0
MOST_SESSIONS = 100
UNREADABLE = 415


class Uploads:
    """A folder that only this process uses, inside the studies folder, so that a file can move from there in one step.

    Args:
        studies: the studies folder. What killed servers left in it more than a day ago is removed.
    """

    def __init__(self, studies: Path) -> None:
        parent = studies / FOLDER
        parent.mkdir(exist_ok=True)
        for left in parent.iterdir():
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime > STALE_S:
                    shutil.rmtree(left)
        self.folder = Path(tempfile.mkdtemp(dir=parent))

    def close(self) -> None:
        """Remove the folder and what is in it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # another server uses its own
            self.folder.parent.rmdir()

    def store(self, stream: BinaryIO, client_name: str) -> Path:
        """Keep an image under a name of our own, with the suffix that the client's name or the content gives it.

        Raises:
            HTTPException: 415, neither says that it is an image that can be read.
        """
        name = client_name.lower()
        suffix = max((end for end in IMAGE_SUFFIXES if name.endswith(end)), key=len, default="")
        place = Path(tempfile.mkdtemp(dir=self.folder)) / f"image{suffix}"
        try:
            with place.open("wb") as file:
                shutil.copyfileobj(stream, file, 1 << 20)
            if not suffix:
                if not is_dicom(place):
                    known = ", ".join(IMAGE_SUFFIXES)
                    raise HTTPException(UNREADABLE, f"the file's name must end with one of {known}")
                place = place.rename(place.with_suffix(".dcm"))
        except BaseException:
            self.discard(place)
            raise
        return place

    @contextlib.contextmanager
    def stored(self, stream: BinaryIO, client_name: str) -> Iterator[Path]:
        """The same for as long as the block lasts."""
        place = self.store(stream, client_name)
        try:
            yield place
        finally:
            self.discard(place)

    def discard(self, place: Path) -> None:
        """Remove a stored image, if it is still there."""
        shutil.rmtree(place.parent, ignore_errors=True)


def check_readable(image: Path) -> None:
    """See that a stored file is a radiograph.

    Raises:
        HTTPException: 415, it is not.
    """
    try:
        read_radiograph(image)
    except UnreadableImageError as error:
        raise HTTPException(UNREADABLE, str(error)) from error


@dataclass(frozen=True)
class Session:
    """An image that a client sent once to ask about it often. Times are seconds since 1970."""

    name: str
    place: Path
    bytes: int
    create_ts: int
    last_access_ts: int
    expiry: int

    def to_dict(self) -> dict[str, object]:
        """As MONAI Label describes a session, without paths of this machine."""
        facts = asdict(self)
        return {**facts, "place": None, "path": "", "image": self.place.name, "meta": {}}


class Sessions:
    """Images that stay for a while, limited in number, bytes and time. MONAI Label's own takes a path for a session.

    Args:
        uploads: where they are kept.
        most_bytes: limit of all together.
        longest_s: time after its last use for which one may stay.
    """

    def __init__(self, uploads: Uploads, most_bytes: int, longest_s: int) -> None:
        self._uploads, self._most_bytes, self._longest_s = uploads, most_bytes, longest_s
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()

    def add(self, stream: BinaryIO, client_name: str, expiry: int) -> Session:
        """Keep an image.

        Raises:
            HTTPException: 415, it cannot be read; 503, there are too many.
        """
        self.remove_expired()
        place = self._uploads.store(stream, client_name)
        try:
            check_readable(place)
            now, size = int(time.time()), place.stat().st_size
            life = min(expiry, self._longest_s) if expiry > 0 else self._longest_s
            session = Session(str(uuid.uuid4()), place, size, now, now, life)
            with self._lock:
                used = sum(other.bytes for other in self._sessions.values())
                if len(self._sessions) >= MOST_SESSIONS or used + size > self._most_bytes:
                    raise HTTPException(
                        503, "the server keeps as many sessions as it can", headers={"Retry-After": "300"}
                    )
                self._sessions[session.name] = session
        except BaseException:
            self._uploads.discard(place)
            raise
        return session

    def get(self, name: str, touch: bool) -> Session:
        """A session; ``touch`` lets its time begin anew.

        Raises:
            HTTPException: 404, there is none of that name.
        """
        self.remove_expired()
        with self._lock:
            session = self._sessions.get(name)
            if session is None:
                raise HTTPException(404, f"there is no session {name!r:.80}")
            if touch:
                session = self._sessions[name] = Session(**{**vars(session), "last_access_ts": int(time.time())})
            return session

    def remove(self, name: str) -> Session:
        """Forget a session and its image.

        Raises:
            HTTPException: 404, there is none of that name.
        """
        session = self.get(name, touch=False)
        with self._lock:
            self._sessions.pop(name, None)
        self._uploads.discard(session.place)
        return session

    def remove_expired(self) -> int:
        """Forget those whose time is over, and say how many; MONAI Label calls this every few minutes."""
        now = time.time()
        with self._lock:
            over = [s for s in self._sessions.values() if s.last_access_ts + s.expiry < now]
            for session in over:
                del self._sessions[session.name]
        for session in over:
            self._uploads.discard(session.place)
        return len(over)
