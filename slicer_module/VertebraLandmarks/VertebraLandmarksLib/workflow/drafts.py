"""Drafts: unsubmitted work as files, written atomically and locked while they are open."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import socket
import sys
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Optional, TypeVar

import numpy as np

from ..client.errors import ServerError
from ..client.json_fields import as_integer, as_list, optional_choice
from ..client.provenance import parse_origin
from ..client.study import Reading, parse_reading
from ..spine.atomic_write import atomic_write
from ..spine.labels.markups import label_of
from ..spine.measurement.cobb import SIDES
from ..spine.measurement.origin import UNKNOWN, Origin
from ..spine.schema import POINTS, VERTEBRAE

if sys.platform == "win32":
    import msvcrt

    def _lock(file: BinaryIO) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


class FileLock:
    """Lock on a file, until ``release`` or the end of this process, however it ends.

    Args:
        path: of the lock file; it is created and names host and process.

    Raises:
        OSError: it cannot be created, or another process holds the lock.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._file = path, path.open("wb")
        try:
            _lock(self._file)
            self._file.write(f" {socket.gethostname()} {os.getpid()}\n".encode())
            self._file.flush()
        except OSError:
            self._file.close()
            raise

    def release(self) -> None:
        """Release the lock and delete the file."""
        self._file.close()
        self._path.unlink(missing_ok=True)


def is_locked(path: Path) -> bool:
    """Whether a running process holds the lock; false without a file, or where files cannot be locked."""
    try:
        with path.open("r+b") as file:
            _lock(file)
    except (BlockingIOError, PermissionError):
        return True
    except OSError:
        return False
    return False


SUBMITTING = "submitting"
"""Note of a draft that was being submitted when it was written."""

_FORMAT = 1
_SUFFIX, _CORRUPT, _LOCK = ".draft.json", ".damaged", ".open"
_NAMES = tuple(label_of(vertebra, point) for vertebra in VERTEBRAE for point in POINTS)


@dataclass(frozen=True)
class Draft:
    """Unsubmitted points of one image. The names of the attributes are those in the file.

    Attributes:
        key: name of the file, from ``new_key``.
        image_id: name of the image on the server, or the name that it would get there.
        server: URL of its server, "" for a local file.
        user: who worked.
        markups: content of a ``.mrk.json`` file, byte for byte.
        touched: names of the points that the user set, such as "T7" and "T7 TL".
        seconds: working time.
        edits: number of edits.
        saved: time of the draft, seconds since 1970.
        source: path of the local file; "" for an image of the server.
        note: ``SUBMITTING``, why the server did not accept it, or "".
        origin: provenance of the untouched points.
        is_proposal: whether some of the points are a model's that no user has submitted.
        begun_by: who worked on it before ``user``, "" where nobody did.
        image_left_is: the patient's side at the left of the image as the user states it, while no server stores it.
        reading: of a study, that it belongs to; ``None`` without one.
        is_correction: whether that reading was submitted before.
        seen_versions: numbers and versions of the readings that an adjudicator has seen who edits the final label;
            none in other work.
        seen_final: version of the final label that this adjudicator has seen, 0 for none; ``None`` in other work.
    """

    key: str
    image_id: str
    server: str
    user: str
    markups: bytes
    touched: tuple[str, ...]
    seconds: float
    edits: int
    saved: float
    source: str = ""
    note: str = ""
    origin: Origin = UNKNOWN
    is_proposal: bool = False
    begun_by: str = ""
    image_left_is: Optional[str] = None
    reading: Optional[Reading] = None
    is_correction: bool = False
    seen_versions: tuple[tuple[int, int], ...] = ()
    seen_final: Optional[int] = None

    def is_for(self, user: str, has_plan: bool) -> bool:
        """Whether it may be shown to a user: work on readings is shown to nobody else, nor is any in a study.

        In a study, work on an image of the server that belongs to no reading stays hidden: its points may have begun
        with those of somebody else.

        Args:
            user: who works now.
            has_plan: whether the connected server has a study plan.
        """
        is_of_study = self.reading is not None or bool(self.seen_versions)
        if not (has_plan or is_of_study):
            return True
        return self.user == user and (is_of_study or bool(self.source))


def new_key(server: str, image_id: str) -> str:
    """A unique key for a draft of an image; a valid file name on every system."""
    content = json.dumps([server, image_id]).encode()
    return f"{hashlib.sha256(content).hexdigest()[:16]}-{uuid.uuid4().hex[:16]}"


class Drafts:
    """Folder of drafts, for any thread.

    Args:
        folder: created when the first draft is saved.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = Path(folder)
        self._locks: dict[str, FileLock] = {}

    def save(self, draft: Draft) -> None:
        """Write a draft atomically and durably, atomic_write the one with the same key.

        Raises:
            OSError: it cannot be written; the one before is unchanged.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        content = {
            **vars(draft),
            "format": _FORMAT,
            "seconds": float(draft.seconds),
            "saved": float(draft.saved),
            "markups": draft.markups.decode("utf-8", "surrogateescape"),
            "origin": draft.origin.as_dict(),
            "reading": None if draft.reading is None else draft.reading.as_dict(),
            "sha256": hashlib.sha256(draft.markups).hexdigest(),
        }
        with atomic_write(self._path(draft.key)) as temporary, temporary.open("xb") as file:
            file.write(json.dumps(content).encode("ascii"))
            file.flush()
            os.fsync(file.fileno())
        _sync_folder(self._folder)

    def lock(self, key: str) -> None:
        """Hide a draft from other processes until ``unlock`` or the end of this process.

        Has no effect where files cannot be locked.
        """
        if key in self._locks:
            return
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._locks[key] = FileLock(self._lock_path(key))

    def unlock(self, key: str) -> None:
        """Let other processes list a draft again."""
        lock = self._locks.pop(key, None)
        if lock is not None:
            with contextlib.suppress(OSError):
                lock.release()

    def list(self) -> tuple[Draft, ...]:
        """All drafts that no other process has locked, newest first; corrupt files are renamed and kept.

        Raises:
            OSError: the folder cannot be read.
        """
        if not self._folder.is_dir():
            return ()
        found = (self._read(path) for path in self._folder.glob(f"*{_SUFFIX}"))
        return tuple(sorted((draft for draft in found if draft), key=lambda draft: draft.saved, reverse=True))

    def remove(self, key: str) -> None:
        """Delete a draft if it exists.

        Raises:
            OSError: it cannot be deleted.
        """
        self._path(key).unlink(missing_ok=True)
        if key not in self._locks:
            self._lock_path(key).unlink(missing_ok=True)  # left by a killed process

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}{_SUFFIX}"

    def _lock_path(self, key: str) -> Path:
        return self._folder / f"{key}{_LOCK}"

    def _read(self, path: Path) -> Optional[Draft]:
        key = path.name[: -len(_SUFFIX)]
        if key not in self._locks and is_locked(self._lock_path(key)):
            return None
        try:
            return _draft(json.loads(path.read_text(encoding="utf-8")), key)
        except FileNotFoundError:  # submitted meanwhile by another Slicer
            return None
        except (ValueError, RecursionError, ServerError):
            path.replace(path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}{_CORRUPT}"))
            return None


def _draft(content: Any, key: str) -> Draft:
    """Parse what ``Drafts.save`` writes; raises ValueError where it is malformed."""
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise ValueError("not a draft")
    markups = _typed(content, "markups", str).encode("utf-8", "surrogateescape")
    if hashlib.sha256(markups).hexdigest() != content.get("sha256"):
        raise ValueError("checksum mismatch")
    touched = _typed(content, "touched", list)
    if not set(map(str, touched)) <= set(_NAMES):
        raise ValueError("unknown names of points")
    return Draft(
        key=key,
        image_id=_typed(content, "image_id", str),
        server=_typed(content, "server", str),
        user=_typed(content, "user", str),
        markups=markups,
        touched=tuple(touched),
        seconds=_typed(content, "seconds", float),
        edits=_typed(content, "edits", int),
        saved=_typed(content, "saved", float),
        source=_typed(content, "source", str),
        note=_typed(content, "note", str),
        origin=parse_origin(content.get("origin", {})),
        is_proposal=content.get("is_proposal") is True,
        begun_by=str(content.get("begun_by", "")),
        image_left_is=optional_choice(content.get("image_left_is"), SIDES, "image_left_is"),
        reading=None if content.get("reading") is None else parse_reading(content["reading"]),
        is_correction=content.get("is_correction") is True,
        seen_versions=tuple(_pair(one) for one in as_list(content.get("seen_versions", []), "seen_versions")),
        seen_final=None if content.get("seen_final") is None else as_integer(content["seen_final"], "seen_final"),
    )


def _pair(value: Any) -> tuple[int, int]:
    number, version = (as_integer(one, "seen_versions", 1) for one in as_list(value, "seen_versions"))
    return number, version


_Kind = TypeVar("_Kind")


def _typed(content: dict[str, Any], name: str, kind: type[_Kind]) -> _Kind:
    value = content.get(name)
    if not isinstance(value, kind):
        raise ValueError(f"{name} must be of kind {kind.__name__}, got {value!r:.40}")
    return value


def _sync_folder(folder: Path) -> None:
    """Make a new directory entry durable; not supported, nor needed, on Windows."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def names_of(touched: np.ndarray) -> tuple[str, ...]:
    """Names of the points where a ``(V, P)`` mask is true."""
    return tuple(_NAMES[i] for i in np.flatnonzero(np.asarray(touched).reshape(-1)))


def mask_of(names: Collection[str]) -> np.ndarray:
    """``(V, P)`` mask that is true at the points of these names."""
    return np.array([name in names for name in _NAMES]).reshape(len(VERTEBRAE), len(POINTS))
