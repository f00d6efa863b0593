"""The files of the studies folder: which are images and labels, where versions lie, and nothing outside of it."""

from __future__ import annotations

import hashlib
import os
import stat
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock

from ...learning.inputs import OVERLAY_SUFFIX
from ...learning.reading import IMAGE_SUFFIXES
from ...spine.files import replacing
from ...spine.markups import SUFFIX
from ..models import FOLDER
from ..names import check_tag, is_inside

LABELS = "labels"
_SUFFIXES = sorted((SUFFIX, *IMAGE_SUFFIXES), key=len, reverse=True)
_LOCKS = 64
_POLL_S = 0.005  # how often who waits for a lock looks
_SYNCING = ThreadPoolExecutor(8, thread_name_prefix="sync")  # disks take several requests in the time of one


class Found(NamedTuple):
    """A file in a folder.

    Attributes:
        name: without its folder.
        size: bytes.
        mtime_ns: time of its last change.
    """

    name: str
    size: int
    mtime_ns: int


def id_of(file: str) -> str:
    """The image id that a file's name stands for."""
    lower = file.lower()
    for suffix in _SUFFIXES:
        if lower.endswith(suffix):
            return file[: -len(suffix)]
    return file.removesuffix(Path(file).suffix)


def is_storable(name: str) -> bool:
    """Whether a name can stand in a database: whole characters, and none of them NUL."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in name


class StudiesFolder:
    """Paths in the folder, and its files as they are now.

    Args:
        path: the folder; it is made if it is missing.

    Raises:
        ValueError: what the app keeps for itself leads out of the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.path.mkdir(parents=True, exist_ok=True)
        self.own = self.path / FOLDER
        self._versions, self._locks = self.own / "versions", self.own / "locks"
        for folder in (self._versions, self._locks, self.label_folder("final"), self.label_folder("original")):
            if not is_inside(folder, self.path):
                raise ValueError(f"{folder.relative_to(self.path).as_posix()} leads out of the studies folder")
            folder.mkdir(parents=True, exist_ok=True)

    def identity(self) -> str:
        """What the folder is called in databases; it is noted in the folder, and goes where that goes."""
        note = self.own / "identity"
        with self.lock("identity"):
            if not note.exists():
                with replacing(note) as temporary:
                    temporary.write_text(str(uuid.uuid4()), encoding="ascii")
                    sync(temporary)
                sync(self.own)
            return str(uuid.UUID(note.read_text(encoding="ascii").strip()))

    def lock(self, name: str) -> AbstractContextManager[object]:
        """What only one thread of one process holds at a time for an image, in whatever case its id is written."""
        stripe = hashlib.sha256(name.casefold().encode(errors="replace")).digest()[0] % _LOCKS
        lock: AbstractContextManager[object] = FileLock(self._locks / f"{stripe:02d}").acquire(poll_interval=_POLL_S)
        return lock

    def scan_lock(self) -> AbstractContextManager[object]:
        """What only one process holds at a time while it compares the whole folder with the database."""
        lock: AbstractContextManager[object] = FileLock(self._locks / "scan").acquire()
        return lock

    def label_folder(self, tag: str) -> Path:
        """Where the newest labels of a tag lie."""
        return self.path / LABELS / tag

    def label(self, image: str, tag: str) -> Path:
        """Where the newest label of an image lies."""
        return self.label_folder(tag) / f"{image}{SUFFIX}"

    def version(self, image: str, tag: str, number: int) -> Path:
        """Where a version of a label lies; 256 folders share the files of a tag."""
        shard = hashlib.sha256(image.encode()).hexdigest()[:2]
        return self._versions / tag / shard / f"{image}.{number}{SUFFIX}"

    def images(self) -> list[Found]:
        """Images among the files, by name."""
        return sorted(found for found in self._files(self.path) if self.is_image(found.name))

    @staticmethod
    def is_image(name: str) -> bool:
        """Whether a file of this name is a radiograph: not hidden, and no overlay of this project."""
        return name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith(".") and not name.endswith(OVERLAY_SUFFIX)

    def tags(self) -> list[str]:
        """Folders of labels whose name is a tag."""
        with os.scandir(self.path / LABELS) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir() and self._is_tag(entry.name))

    def _is_tag(self, name: str) -> bool:
        try:
            return is_inside(self.label_folder(check_tag(name)), self.path)
        except ValueError:
            return False

    def labels(self, tag: str) -> list[Found]:
        """Label files of a tag, by name."""
        files = self._files(self.label_folder(tag)) if self._is_tag(tag) else iter(())
        return sorted(found for found in files if found.name.endswith(SUFFIX) and not found.name.startswith("."))

    def _files(self, folder: Path) -> Iterator[Found]:
        with os.scandir(folder) as entries:
            for entry in entries:
                found = self.look(Path(entry.path)) if entry.is_symlink() else _of(entry.name, entry)
                if found is not None:
                    yield found

    def look(self, path: Path) -> Found | None:
        """A file that lies in the folder, whatever links lead to it; ``None`` if there is none."""
        try:
            if not is_inside(path, self.path):
                return None
            return _of(path.name, path)
        except (OSError, ValueError):
            return None


def _of(name: str, entry: os.DirEntry[str] | Path) -> Found | None:
    try:
        state = entry.stat()
    except OSError:  # removed in this moment
        return None
    return Found(name, state.st_size, state.st_mtime_ns) if stat.S_ISREG(state.st_mode) else None


def sync(*paths: Path) -> None:
    """Let files, and the names in folders where the system can do so, outlive a power cut; all of them at once.

    Raises:
        OSError: one is not there, or the disk fails.
    """
    list(_SYNCING.map(_sync, (path for path in paths if os.name == "posix" or not path.is_dir())))


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
