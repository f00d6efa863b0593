"""Files of the studies folder: which are images and labels, where versions lie; nothing outside of it is touched."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import re
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock

from ...image_io.formats import DICOM, HEAD_BYTES, format_of
from ...learning.data.input_files import OVERLAY_SUFFIX
from ...spine.image_suffixes import IMAGE_SUFFIXES, image_suffix
from ...spine.labels.markups import SUFFIX
from ...study.plan import PLAN_FILE
from ..filenames import MAX_NAME_BYTES, casefold_key, check_tag, is_inside
from ..models import FOLDER

logger = logging.getLogger(__name__)

LABELS, VERSIONS = "labels", "versions"
TAGS = ("final", "original")
"""Tags that every folder has; other spellings of them are refused."""
SUBFOLDER = "a folder: only images at the top level of the studies folder are served"
OUTSIDE = "a link that leads to no file in the studies folder"
DICOMDIR = "an index of DICOM files and no image"
UNOPENABLE = "the file cannot be opened"
_MONAI_LABEL_FILE = "datastore_v2.json"
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")  # of a version
MAX_SNIFFED = 500_000
"""Files whose type by content is cached, so that each is opened once."""
_LOCKS, SCANNED = 64, "scanned"
_LOCK_POLL_INTERVAL_S = 0.005
_SYNC_POOL = ThreadPoolExecutor(8, thread_name_prefix="sync")  # disks take several requests in the time of one
TEMPORARY_AGE_S = 3600.0
"""Temporary files older than this were left by killed writers."""
_TEMPORARY = re.compile(r"\..*\.[0-9a-f]{12}\.tmp")

IDENTITY = "identity"
"""In the app's folder: what tells the studies folder from an empty place where a share is not mounted."""
_NAMES = ("EIO", "ESTALE", "ENOTCONN", "ETIMEDOUT", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH", "EREMOTEIO")
UNAVAILABLE = frozenset(getattr(errno, name) for name in _NAMES if hasattr(errno, name))
"""Errors of a disk or a network share that say nothing about whether a file exists."""


class StudiesUnavailableError(OSError):
    """The studies folder cannot be used now: its message is a sentence that says why."""


FileState = tuple[int, int]
"""Size of a file in bytes, and its mtime in ns."""


class FileEntry(NamedTuple):
    """A regular file in a folder.

    Attributes:
        name: without its folder.
        size: bytes.
        mtime_ns: time of its last modification.
    """

    name: str
    size: int
    mtime_ns: int


def id_of(file: str) -> str:
    """The image id of a file name: the name without an image suffix."""
    suffix = SUFFIX if file.lower().endswith(SUFFIX) else image_suffix(file)
    return file[: len(file) - len(suffix)]


def relative_version(image: str, tag: str, number: int) -> Path:
    """Path of a label version below the folder of all versions."""
    shard = hashlib.sha256(image.encode()).hexdigest()[:2]
    return Path(tag, shard, f"{image}.{number}{SUFFIX}")


def is_storable(name: str) -> bool:
    """Whether a database can store a name: valid Unicode without NUL."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in name


def is_servable(file: str) -> bool:
    """Whether an image of this name can be served: storable, and short enough for the names of its labels."""
    return is_storable(file) and len(id_of(file).encode()) <= MAX_NAME_BYTES


class StudiesFolder:
    """Paths in the folder, and its files as they are now; an ``ImageSource``.

    Args:
        path: the folder; it is created if missing.

    Raises:
        ValueError: a folder of the app leads out of the studies folder.
    """

    why_fixed, failure = "", None

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.path.mkdir(parents=True, exist_ok=True)
        self.app_folder = self.path / FOLDER
        self._is_known = False
        self._sniffed: dict[FileEntry, str | None] = {}
        self._skipped: dict[str, str] = {}
        self._versions, self._locks = self.app_folder / VERSIONS, self.app_folder / "locks"
        folders = (self._locks, *(self._versions / tag for tag in TAGS), *(self.label_folder(tag) for tag in TAGS))
        for folder in folders:
            if not is_inside(folder, self.path):
                raise ValueError(f"{folder.relative_to(self.path).as_posix()} leads out of the studies folder")
            folder.mkdir(parents=True, exist_ok=True)

    def remember(self) -> None:
        """The folder has its identity: from now on, one without it is another folder, or none."""
        self._is_known = True

    def check_available(self) -> None:
        """Make sure that the folder is there, and not an empty one in whose place a network share is not mounted.

        Raises:
            StudiesUnavailableError: it is not.
        """
        if not self._is_known:
            return
        try:
            (self.app_folder / IDENTITY).stat()
        except OSError as error:
            why = os.strerror(error.errno or errno.EIO)
            raise StudiesUnavailableError(
                f"the studies folder cannot be reached at the moment ({why}): try again when its disk or share is back"
            ) from error

    def lock(self, name: str) -> AbstractContextManager[object]:
        """Lock of an image across threads and processes, the same for all spellings of its id.

        Raises:
            StudiesUnavailableError: the folder is not there.
        """
        self.check_available()
        stripe = hashlib.sha256(casefold_key(name).encode(errors="replace")).digest()[0] % _LOCKS
        lock = FileLock(self._locks / f"{stripe:02d}")
        acquired: AbstractContextManager[object] = lock.acquire(poll_interval=_LOCK_POLL_INTERVAL_S)
        return acquired

    def scan_lock(self) -> AbstractContextManager[object]:
        """Lock of a scan of the whole folder, across processes.

        Raises:
            StudiesUnavailableError: the folder is not there.
        """
        self.check_available()
        lock: AbstractContextManager[object] = FileLock(self._locks / "scan").acquire()
        return lock

    def scanned_at(self) -> float:
        """When any server has scanned the whole folder last, in seconds since 1970; 0 where that is not known."""
        try:
            return (self._locks / SCANNED).stat().st_mtime
        except OSError:
            return 0.0

    def note_scanned(self) -> None:
        """Note that the whole folder was scanned."""
        with suppress(OSError):  # then others scan it, too
            (self._locks / SCANNED).touch()

    def label_folder(self, tag: str) -> Path:
        """Folder of the current labels of a tag."""
        return self.path / LABELS / tag

    def label(self, image: str, tag: str) -> Path:
        """Path of the current label of an image."""
        return self.label_folder(tag) / f"{image}{SUFFIX}"

    def version(self, image: str, tag: str, number: int) -> Path:
        """Path of a label version; 256 folders share the files of a tag."""
        return self._versions / relative_version(image, tag, number)

    def labels_of(self, image: str) -> list[Path]:
        """Paths of the current labels of an image, whether or not they exist."""
        return [self.label(image, tag) for tag in self.tags()]

    def all_versions(self) -> dict[tuple[str, str], list[int]]:
        """Ascending numbers of all version files, by image and tag, whether or not a row describes them."""
        versions: dict[tuple[str, str], list[int]] = {}
        for tag in sorted(path.name for path in self._versions.iterdir() if self._is_tag(path.name)):
            for path in (self._versions / tag).glob(f"*/*{SUFFIX}"):
                image, _, number = path.name.removesuffix(SUFFIX).rpartition(".")
                is_version = is_storable(image) and _NUMBER.fullmatch(number)
                if is_version and path == self.version(image, tag, int(number)) and self.entry(path):
                    versions.setdefault((image, tag), []).append(int(number))
        return {label: sorted(numbers) for label, numbers in sorted(versions.items())}

    def versions_of(self, image: str) -> list[Path]:
        """All version files of an image's labels, whether or not a row describes them."""
        name = re.compile(re.escape(image) + r"\.[0-9]+" + re.escape(SUFFIX))
        shards = [folder / self.version(image, "final", 1).parent.name for folder in self._versions.iterdir()]
        inside = [shard for shard in shards if shard.is_dir() and is_inside(shard, self.path)]
        return sorted(path for shard in inside for path in shard.iterdir() if name.fullmatch(path.name))

    def images(self, sniffed: Iterable[FileEntry] = ()) -> list[FileEntry]:
        """The images at the top level, by name.

        Args:
            sniffed: image files that need not be opened again, as others without an image suffix are.
        """
        self._sniffed.update((file, None) for file in sniffed if not has_image_suffix(file.name))
        images, skipped = [], {}
        with os.scandir(self.path) as entries:
            for entry in entries:
                if is_reserved(entry.name):
                    continue
                file, reason = self._classify(entry)
                if reason is not None:
                    skipped[entry.name] = reason
                elif file is not None:
                    images.append(file)
        self._skipped = skipped
        return sorted(images)

    def skipped(self) -> dict[str, str]:
        """Top-level files and folders that are no images, as last classified, with the reason."""
        return dict(self._skipped)

    def image_entry(self, name: str) -> FileEntry | None:
        """The file of an image as it is now; ``None`` where there is none."""
        if is_reserved(name):
            return None
        file, reason = self._classify(self.path / name)
        if file is None and reason is None:
            self.check_available()
        self._skipped.pop(name, None)
        if reason is not None:
            self._skipped[name] = reason
        return file if reason is None else None

    def location(self, name: str) -> Path:
        """Path of an image file, whether or not it exists."""
        return (self.path / name).resolve()

    def readable_path(self, name: str) -> Path | None:
        """Path of an image file; ``None`` where there is none in the folder."""
        if self.entry(self.path / name):
            return self.location(name)
        self.check_available()
        return None

    def at_hand(self) -> tuple[str, ...]:
        """Nothing: it is not asked for, since there is no ``failure``."""
        return ()

    def prefetch(self, upcoming: Callable[[], Iterable[str]], then: Callable[[str], object]) -> None:
        """Nothing: every file is here."""

    def close(self) -> None:
        """Nothing: it holds nothing."""

    def _classify(self, entry: os.DirEntry[str] | Path) -> tuple[FileEntry | None, str | None]:
        """The file, and why it is no image; both ``None`` where there is nothing to report."""
        is_link = entry.is_symlink()
        file = self.entry(Path(entry)) if is_link else _stat(entry.name, entry)
        if file is None:
            return None, OUTSIDE if is_link else SUBFOLDER if entry.is_dir() else None
        return file, None if has_image_suffix(file.name) else self._sniff(file)

    def _sniff(self, file: FileEntry) -> str | None:
        """Why a file is no image by its content; an unchanged file is opened once."""
        if file not in self._sniffed:
            if len(self._sniffed) >= MAX_SNIFFED:
                self._sniffed.clear()
            self._sniffed[file] = _not_an_image(self.path / file.name)
        return self._sniffed[file]

    def tags(self) -> list[str]:
        """Tags that have a label folder."""
        with suppress(FileNotFoundError), os.scandir(self.path / LABELS) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir() and self._is_tag(entry.name))
        return []

    def other_spelling(self, tag: str) -> str | None:
        """A tag with versions whose folder collides with this one's on disks that ignore case, if any."""
        with os.scandir(self._versions) as entries:
            key = casefold_key(tag)
            return next((e.name for e in entries if e.name != tag and casefold_key(e.name) == key), None)

    def _is_tag(self, name: str) -> bool:
        try:
            return is_inside(self.label_folder(check_tag(name)), self.path)
        except ValueError:
            return False

    def labels(self, tag: str) -> list[FileEntry]:
        """Label files of a tag, by name; none where it has no folder."""
        files = self._files(self.label_folder(tag)) if self._is_tag(tag) else iter(())
        with suppress(FileNotFoundError):
            return sorted(file for file in files if file.name.endswith(SUFFIX) and not file.name.startswith("."))
        return []

    def _files(self, folder: Path) -> Iterator[FileEntry]:
        with os.scandir(folder) as entries:
            for entry in entries:
                file = self.entry(Path(entry.path)) if entry.is_symlink() else _stat(entry.name, entry)
                if file is not None:
                    yield file

    def entry(self, path: Path) -> FileEntry | None:
        """Size and time of a file that lies in the folder, links resolved; ``None`` if there is none.

        Raises:
            StudiesUnavailableError: a disk or share does not say whether there is one.
        """
        try:
            if not is_inside(path, self.path):
                return None
            return _stat(path.name, path)
        except StudiesUnavailableError:
            raise
        except (OSError, ValueError):
            return None


def has_image_suffix(name: str) -> bool:
    """Whether a file name has the suffix of an image format."""
    return bool(image_suffix(name))


def is_reserved(name: str) -> bool:
    """Whether a name in the folder is hidden, or that of the labels or of a file of this project or MONAI Label."""
    return (
        name.startswith(".")
        or name in (LABELS, PLAN_FILE, _MONAI_LABEL_FILE)
        or name.endswith((OVERLAY_SUFFIX, SUFFIX))
    )


def _not_an_image(path: Path) -> str | None:
    """Why a file without an image suffix is no image; ``None`` for a DICOM file."""
    if path.name.upper().startswith("DICOMDIR"):
        return DICOMDIR
    try:
        with path.open("rb") as stream:
            kind = format_of(stream.read(HEAD_BYTES))
    except OSError:
        return UNOPENABLE
    if kind == DICOM:
        return None
    suffixes = ", ".join(IMAGE_SUFFIXES)
    return f"{kind or 'a file of unknown kind'}: neither a DICOM file nor a name that ends with one of {suffixes}"


def _stat(name: str, entry: os.DirEntry[str] | Path) -> FileEntry | None:
    try:
        state = entry.stat()
    except OSError as error:
        if error.errno is not None and error.errno in UNAVAILABLE:
            raise StudiesUnavailableError(
                f"the studies folder cannot be read at the moment ({os.strerror(error.errno)}): try again later"
            ) from error
        return None  # removed meanwhile
    return FileEntry(name, state.st_size, state.st_mtime_ns) if stat.S_ISREG(state.st_mode) else None


def remove_files(paths: Iterable[Path]) -> None:
    """Remove files; those that cannot be removed are logged."""
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("A file in the studies folder could not be removed: %s", error.strerror)


def sync(*paths: Path) -> None:
    """Flush files, and on POSIX folders, to the disk in parallel.

    Raises:
        OSError: one is not there, or the disk fails.
    """
    list(_SYNC_POOL.map(_sync, (path for path in paths if os.name == "posix" or not path.is_dir())))


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_temporary_files(folder: StudiesFolder) -> None:
    """Remove leftover temporary files of labels, versions and notes."""
    tops = (folder.path / LABELS, folder.app_folder / VERSIONS)
    remove_files(path for top in tops for path in _temporary_files_below(top, folder.path))
    remove_files(_temporary_files(folder.app_folder, [path.name for path in folder.app_folder.iterdir()]))


def _temporary_files_below(top: Path, studies: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(top):
        if is_inside(Path(parent), studies):
            yield from _temporary_files(Path(parent), names)


def _temporary_files(folder: Path, names: Iterable[str]) -> Iterator[Path]:
    return (folder / name for name in names if _TEMPORARY.fullmatch(name) and _age_s(folder / name) > TEMPORARY_AGE_S)


def _age_s(path: Path) -> float:
    try:
        return time.time() - path.lstat().st_mtime
    except OSError:  # removed meanwhile
        return 0.0
