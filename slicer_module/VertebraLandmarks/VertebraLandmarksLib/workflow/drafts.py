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
from ..client.json_fields import optional_choice
from ..client.provenance import UNKNOWN, Origin, parse_origin
from ..spine.atomic_write import replacing
from ..spine.labels.markups import label_of
from ..spine.measurement.cobb import SIDES
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
    """A locked file, from now to ``release`` or the end of this process.

    Args:
        path: of the file; it is made, and says for people which process holds it.

    Raises:
        OSError: it cannot be made, or another process holds it.
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
        """Let go of the file and remove it."""
        self._file.close()
        self._path.unlink(missing_ok=True)


def is_locked(path: Path) -> bool:
    """Whether a process that lives holds the file; no where there is none, or where files cannot be locked."""
    try:
        with path.open("r+b") as file:
            _lock(file)
    except (BlockingIOError, PermissionError):
        return True
    except OSError:
        return False
    return False


SUBMITTING = "submitting"
"""Note of a draft that was on its way to the server when it was written."""

_FORMAT = 1
_SUFFIX, _DAMAGED, _HELD = ".draft.json", ".damaged", ".open"
_NAMES = tuple(label_of(vertebra, point) for vertebra in VERTEBRAE for point in POINTS)


@dataclass(frozen=True)
class Draft:
    """The points of one film as they were at some moment.

    Attributes:
        key: name of the file; ``new_key`` makes one.
        image_id: name of the image at the server, or the one that it would get.
        server: its address, "" for a film that belongs to none.
        user: who worked.
        markups: content of a ``.mrk.json`` file, byte for byte.
        touched: names of the points that the person set, such as "T7" and "T7 TL".
        seconds: of work.
        edits: how many.
        saved: seconds since 1970.
        source: the file on this computer that the film is; "" for an image of the server.
        note: ``SUBMITTING``, why it was not accepted, or "".
        origin: where the points that were not touched come from.
        is_proposal: whether a model's points came in the place of what was there before.
        begun_by: who worked on it before ``user``, "" where nobody did.
        image_left_is: the patient's side at the left of the image, as the person states it and no server knows yet.
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


def new_key(server: str, image_id: str) -> str:
    """A key for the work on an image, that no other work has and that is a file's name on every system."""
    place = json.dumps([server, image_id]).encode()
    return f"{hashlib.sha256(place).hexdigest()[:16]}-{uuid.uuid4().hex[:16]}"


class Drafts:
    """A folder of drafts. Methods may be called on any thread.

    Args:
        folder: made when the first draft is saved.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = Path(folder)
        self._holds: dict[str, FileLock] = {}

    def save(self, draft: Draft) -> None:
        """Write a draft in place of the one with the same key; afterwards it survives a power cut.

        Raises:
            OSError: it cannot be written; the one before is untouched.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        content = {
            **vars(draft),
            "format": _FORMAT,
            "seconds": float(draft.seconds),
            "saved": float(draft.saved),
            "markups": draft.markups.decode("utf-8", "surrogateescape"),
            "origin": draft.origin.as_dict(),
            "sha256": hashlib.sha256(draft.markups).hexdigest(),
        }
        with replacing(self._path(draft.key)) as temporary, temporary.open("xb") as file:
            file.write(json.dumps(content).encode("ascii"))
            file.flush()
            os.fsync(file.fileno())
        _sync_folder(self._folder)

    def hold(self, key: str) -> None:
        """Keep a draft from being offered by other processes until ``release``, or until this process ends.

        Where files cannot be locked nothing happens.
        """
        if key in self._holds:
            return
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._holds[key] = FileLock(self._hold_path(key))

    def release(self, key: str) -> None:
        """Let a draft be offered again."""
        held = self._holds.pop(key, None)
        if held is not None:
            with contextlib.suppress(OSError):
                held.release()

    def list(self) -> tuple[Draft, ...]:
        """All drafts but those that another process holds, newest first; files that are none are renamed and kept.

        Raises:
            OSError: the folder cannot be read.
        """
        if not self._folder.is_dir():
            return ()
        found = (self._read(path) for path in self._folder.glob(f"*{_SUFFIX}"))
        return tuple(sorted((draft for draft in found if draft), key=lambda draft: draft.saved, reverse=True))

    def remove(self, key: str) -> None:
        """Delete a draft, if it is there.

        Raises:
            OSError: it cannot be deleted.
        """
        self._path(key).unlink(missing_ok=True)
        if key not in self._holds:
            self._hold_path(key).unlink(missing_ok=True)  # of a process that was killed

    def _path(self, key: str) -> Path:
        return self._folder / f"{key}{_SUFFIX}"

    def _hold_path(self, key: str) -> Path:
        return self._folder / f"{key}{_HELD}"

    def _read(self, path: Path) -> Optional[Draft]:
        key = path.name[: -len(_SUFFIX)]
        if key not in self._holds and is_locked(self._hold_path(key)):
            return None
        try:
            return _draft(json.loads(path.read_text(encoding="utf-8")), key)
        except FileNotFoundError:  # submitted meanwhile by another Slicer
            return None
        except (ValueError, RecursionError, ServerError):
            path.replace(path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}{_DAMAGED}"))
            return None


def _draft(content: Any, key: str) -> Draft:
    """Raises ValueError where the content is not what ``Drafts.save`` writes."""
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise ValueError("no draft")
    markups = _of_kind(content, "markups", str).encode("utf-8", "surrogateescape")
    if hashlib.sha256(markups).hexdigest() != content.get("sha256"):
        raise ValueError("not as it was written")
    touched = _of_kind(content, "touched", list)
    if not set(map(str, touched)) <= set(_NAMES):
        raise ValueError("no points")
    return Draft(
        key=key,
        image_id=_of_kind(content, "image_id", str),
        server=_of_kind(content, "server", str),
        user=_of_kind(content, "user", str),
        markups=markups,
        touched=tuple(touched),
        seconds=_of_kind(content, "seconds", float),
        edits=_of_kind(content, "edits", int),
        saved=_of_kind(content, "saved", float),
        source=_of_kind(content, "source", str),
        note=_of_kind(content, "note", str),
        origin=parse_origin(content.get("origin", {})),
        is_proposal=content.get("is_proposal") is True,
        begun_by=str(content.get("begun_by", "")),
        image_left_is=optional_choice(content.get("image_left_is"), SIDES, "image_left_is"),
    )


_Kind = TypeVar("_Kind")


def _of_kind(content: dict[str, Any], name: str, kind: type[_Kind]) -> _Kind:
    value = content.get(name)
    if not isinstance(value, kind):
        raise ValueError(f"{name} must be of kind {kind.__name__}, got {value!r:.40}")
    return value


def _sync_folder(folder: Path) -> None:
    """Have the name itself survive a power cut; Windows knows no such thing, and does not need it."""
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
