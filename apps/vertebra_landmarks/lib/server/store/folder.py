"""The files of the studies folder: which are images and labels, where versions lie, and nothing outside of it."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import stat
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock

from ...learning.image_io.formats import DICOM, HEAD_BYTES, format_of
from ...learning.inputs import OVERLAY_SUFFIX
from ...spine.image_suffixes import IMAGE_SUFFIXES, image_suffix
from ...spine.markups import SUFFIX
from ..models import FOLDER
from ..names import LONGEST_NAME_BYTES, check_tag, folded, is_inside

logger = logging.getLogger(__name__)

LABELS = "labels"
TAGS = ("final", "original")
"""Tags that every folder has; others in the same letters are none."""
SUBFOLDER = "a folder: only images at the top level of the studies folder are served"
OUTSIDE = "a link that leads to no file in the studies folder"
DICOMDIR = "an index of DICOM files and no image"
GONE_OR_CLOSED = "the file cannot be opened"
_NOTES_OF_MONAI_LABEL = "datastore_v2.json"
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")  # of a version
MAX_SNIFFED = 500_000
"""Files whose content is remembered, so that they are opened once."""
_LOCKS = 64
_POLL_S = 0.005  # how often who waits for a lock looks
_SYNCING = ThreadPoolExecutor(8, thread_name_prefix="sync")  # disks take several requests in the time of one


FileState = tuple[int, int]
"""Size of a file in bytes, and when it was changed last, in ns."""


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
    """The image id that a file's name stands for: the name without an image's ending, else the whole name."""
    suffix = SUFFIX if file.lower().endswith(SUFFIX) else image_suffix(file)
    return file[: len(file) - len(suffix)]


def is_storable(name: str) -> bool:
    """Whether a name can stand in a database: whole characters, and none of them NUL."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in name


def is_servable(file: str) -> bool:
    """Whether an image of this name can be served, and its labels have names that disks take."""
    return is_storable(file) and len(id_of(file).encode()) <= LONGEST_NAME_BYTES


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
        self._sniffed: dict[Found, str | None] = {}
        self._others: dict[str, str] = {}
        self._versions, self._locks = self.own / "versions", self.own / "locks"
        own = (self._locks, *(self._versions / tag for tag in TAGS), *(self.label_folder(tag) for tag in TAGS))
        for folder in own:
            if not is_inside(folder, self.path):
                raise ValueError(f"{folder.relative_to(self.path).as_posix()} leads out of the studies folder")
            folder.mkdir(parents=True, exist_ok=True)

    def lock(self, name: str) -> AbstractContextManager[object]:
        """What only one thread of one process holds at a time for an image, however its id is written."""
        stripe = hashlib.sha256(folded(name).encode(errors="replace")).digest()[0] % _LOCKS
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

    def labels_of(self, image: str) -> list[Path]:
        """Where newest labels of an image may lie."""
        return [self.label(image, tag) for tag in self.tags()]

    def all_versions(self) -> dict[tuple[str, str], list[int]]:
        """Numbers, in order, of all versions that lie in the folder, by image and tag, whatever the rows say."""
        found: dict[tuple[str, str], list[int]] = {}
        for tag in sorted(path.name for path in self._versions.iterdir() if self._is_tag(path.name)):
            for path in (self._versions / tag).glob(f"*/*{SUFFIX}"):
                image, _, number = path.name.removesuffix(SUFFIX).rpartition(".")
                is_version = is_storable(image) and _NUMBER.fullmatch(number)
                if is_version and path == self.version(image, tag, int(number)) and self.look(path):
                    found.setdefault((image, tag), []).append(int(number))
        return {label: sorted(numbers) for label, numbers in sorted(found.items())}

    def versions_of(self, image: str) -> list[Path]:
        """All versions of an image's labels that lie in the folder, whether or not a row speaks of them."""
        name = re.compile(re.escape(image) + r"\.[0-9]+" + re.escape(SUFFIX))
        shards = [folder / self.version(image, "final", 1).parent.name for folder in self._versions.iterdir()]
        inside = [shard for shard in shards if shard.is_dir() and is_inside(shard, self.path)]
        return sorted(path for shard in inside for path in shard.iterdir() if name.fullmatch(path.name))

    def images(self, known: Iterable[Found] = ()) -> list[Found]:
        """Images among the files, by name.

        Args:
            known: files that are images; only other ones are opened where the name does not say what they are.
        """
        self._sniffed.update((found, None) for found in known if not has_image_suffix(found.name))
        images, others = [], {}
        with os.scandir(self.path) as entries:
            for entry in entries:
                if is_own(entry.name):
                    continue
                found, reason = self._judge(entry)
                if reason is not None:
                    others[entry.name] = reason
                elif found is not None:
                    images.append(found)
        self._others = others
        return sorted(images)

    def others(self) -> dict[str, str]:
        """Files and folders at the top level that are no images as they were last looked at, and why they are none."""
        return dict(self._others)

    def look_at_image(self, name: str) -> Found | None:
        """An image as its file is now; ``None`` where there is none."""
        if is_own(name):
            return None
        found, reason = self._judge(self.path / name)
        self._others.pop(name, None)
        if reason is not None:
            self._others[name] = reason
        return found if reason is None else None

    def _judge(self, entry: os.DirEntry[str] | Path) -> tuple[Found | None, str | None]:
        """A file, and why it is no image; neither where there is nothing to tell of."""
        is_link = entry.is_symlink()
        found = self.look(Path(entry)) if is_link else _of(entry.name, entry)
        if found is None:
            return None, OUTSIDE if is_link else SUBFOLDER if entry.is_dir() else None
        return found, None if has_image_suffix(found.name) else self._sniff(found)

    def _sniff(self, found: Found) -> str | None:
        """Why a file is no image by its content; a file that has not changed is opened once."""
        if found not in self._sniffed:
            if len(self._sniffed) >= MAX_SNIFFED:
                self._sniffed.clear()
            self._sniffed[found] = _not_an_image(self.path / found.name)
        return self._sniffed[found]

    def tags(self) -> list[str]:
        """Folders of labels whose name is a tag."""
        with suppress(FileNotFoundError), os.scandir(self.path / LABELS) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir() and self._is_tag(entry.name))
        return []

    def other_spelling(self, tag: str) -> str | None:
        """A tag with versions that is the same folder on disks that ignore case, where there is one."""
        with os.scandir(self._versions) as entries:
            return next(
                (entry.name for entry in entries if entry.name != tag and folded(entry.name) == folded(tag)), None
            )

    def _is_tag(self, name: str) -> bool:
        try:
            return is_inside(self.label_folder(check_tag(name)), self.path)
        except ValueError:
            return False

    def labels(self, tag: str) -> list[Found]:
        """Label files of a tag, by name; none where its folder is not there."""
        files = self._files(self.label_folder(tag)) if self._is_tag(tag) else iter(())
        with suppress(FileNotFoundError):
            return sorted(found for found in files if found.name.endswith(SUFFIX) and not found.name.startswith("."))
        return []

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


def has_image_suffix(name: str) -> bool:
    """Whether a file's name ends like an image's."""
    return bool(image_suffix(name))


def is_own(name: str) -> bool:
    """Whether a name in the folder is hidden, that of the labels, or of a file of this project or MONAI Label."""
    return name.startswith(".") or name in (LABELS, _NOTES_OF_MONAI_LABEL) or name.endswith((OVERLAY_SUFFIX, SUFFIX))


def _not_an_image(path: Path) -> str | None:
    """Why a file is no image, since its name does not say that it is one and its content neither."""
    if path.name.upper().startswith("DICOMDIR"):
        return DICOMDIR
    try:
        with path.open("rb") as stream:
            kind = format_of(stream.read(HEAD_BYTES))
    except OSError:
        return GONE_OR_CLOSED
    if kind == DICOM:
        return None
    known = ", ".join(IMAGE_SUFFIXES)
    return f"{kind or 'a file of unknown kind'}: neither a DICOM file nor a name that ends with one of {known}"


def _of(name: str, entry: os.DirEntry[str] | Path) -> Found | None:
    try:
        state = entry.stat()
    except OSError:  # removed in this moment
        return None
    return Found(name, state.st_size, state.st_mtime_ns) if stat.S_ISREG(state.st_mode) else None


def remove_files(paths: Iterable[Path]) -> None:
    """Remove what can be removed; a warning tells of the rest."""
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("A file in the studies folder could not be removed: %s", error.strerror)


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
