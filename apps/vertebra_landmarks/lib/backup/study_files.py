"""Files of a studies folder that belong to a backup, and how one is copied."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from ..server.models import FACTS_SUFFIX, FOLDER, POINTER, WEIGHTS_SUFFIX
from ..server.pacs.image_catalogue import KEY_FILE
from ..server.store.datastore import PACS_FOLDER
from ..server.store.folder_adoption import ASSIGNMENTS_FILE, DATASTORE, SCORED_VERSIONS_FILE
from ..server.store.label_sync import digest_of, is_whole
from ..server.store.studies_folder import IDENTITY, LABELS, VERSIONS, StudiesFolder, relative_version, sync
from ..spine.atomic_write import atomic_write
from ..spine.labels.markups import SUFFIX
from ..study.plan import PLAN_FILE
from .study_rows import ImageRow, LabelRow

_CHUNK = 1 << 20
_SPARE_BYTES = 64 << 20
"""Left free on a disk, beside what is copied."""


class DamagedFileError(ValueError):
    """A file has not the content that was written; its message is a sentence."""


class StudyFile(NamedTuple):
    """A file of a study.

    Attributes:
        path: below the studies folder, with slashes.
        source: where it lies now.
        digest: SHA-256 that it must have; ``None`` where nobody has noted one.
    """

    path: str
    source: Path
    digest: str | None = None


def own_files(folder: StudiesFolder) -> list[StudyFile]:
    """The study plan, the folder's identity, model versions and what else no row describes, the served model first."""
    app = folder.app_folder
    names = IDENTITY, ASSIGNMENTS_FILE, SCORED_VERSIONS_FILE, f"{PACS_FOLDER}/{KEY_FILE}"
    tops = [folder.path / PLAN_FILE, folder.path / DATASTORE, *(app / name for name in names)]
    models = [path for path in app.glob("models*/*") if path.suffix in (FACTS_SUFFIX, WEIGHTS_SUFFIX)]
    models += app.glob(f"model*{WEIGHTS_SUFFIX}")
    models.sort(key=lambda path: (path.name != POINTER, path))  # what is served is chosen before its weights are copied
    paths = [path for path in (*tops, *models) if folder.entry(path) is not None]
    return [StudyFile(path.relative_to(folder.path).as_posix(), path) for path in paths]


def version_file(folder: StudiesFolder, row: LabelRow) -> StudyFile:
    """The file of a label version."""
    path = folder.version(row.image, row.tag, row.version)
    return StudyFile(version_path(row.image, row.tag, row.version), path, row.digest)


def version_path(image: str, tag: str, number: int) -> str:
    """Path of the file of a label version, below the studies folder."""
    return f"{FOLDER}/{VERSIONS}/{relative_version(image, tag, number).as_posix()}"


def image_files(folder: StudiesFolder, images: Iterable[ImageRow]) -> list[StudyFile]:
    """The files of images."""
    return [StudyFile(image.file, folder.path / image.file) for image in images]


def label_files(folder: StudiesFolder) -> list[StudyFile]:
    """All current label files."""
    paths = (folder.label_folder(tag) / entry.name for tag in folder.tags() for entry in folder.labels(tag))
    return [StudyFile(path.relative_to(folder.path).as_posix(), path) for path in paths]


def edited_labels(folder: StudiesFolder, rows: Iterable[LabelRow]) -> Iterator[StudyFile]:
    """Current label files with a content that is no version: changed from outside, and not taken over yet.

    Args:
        folder: the studies folder; labels may be saved meanwhile.
        rows: of its current labels.
    """
    placed = {(row.image, row.tag): (row.size, row.mtime_ns) for row in rows if row.is_current and row.is_placed}
    for tag in folder.tags():
        for entry in folder.labels(tag):
            image = entry.name.removesuffix(SUFFIX)
            if placed.get((image, tag)) == (entry.size, entry.mtime_ns):
                continue
            path = folder.label_folder(tag) / entry.name
            try:
                content = path.read_bytes()
            except FileNotFoundError:  # removed meanwhile
                continue
            if is_whole(content) and digest_of(content) not in _version_digests(folder, image, tag):
                yield StudyFile(f"{LABELS}/{tag}/{entry.name}", path)


def _version_digests(folder: StudiesFolder, image: str, tag: str) -> set[str]:
    versions = (path for path in folder.versions_of(image) if path.parent.parent.name == tag)
    return {digest_of(path.read_bytes()) for path in versions}


def check_relative(path: str) -> str:
    """A path below a folder, unchanged.

    Raises:
        ValueError: it is absolute, or leads out of the folder.
    """
    parts = PurePosixPath(path).parts
    if not parts or path.startswith(("/", "\\")) or ".." in parts or ":" in parts[0]:
        raise ValueError(f"{path!r:.200} is no path below a folder")
    return path


def digest_file(path: Path) -> str:
    """SHA-256 of a file in hexadecimal digits.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def copy_file(source: Path, target: Path, digest: str | None, mtime_ns: int | None = None) -> str:
    """Copy a file as a whole, durably, and return its SHA-256.

    Args:
        source: file to copy.
        target: where to; its folder is created.
        digest: SHA-256 that it must have; ``None`` for any.
        mtime_ns: time of the copy; ``None`` for that of the source.

    Raises:
        DamagedFileError: the content is another one; nothing is left behind.
        OSError: it cannot be copied.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(target) as temporary:
        found = hashlib.sha256()
        with source.open("rb") as stream, temporary.open("wb") as copy:
            time = os.fstat(stream.fileno()).st_mtime_ns if mtime_ns is None else mtime_ns
            while chunk := stream.read(_CHUNK):
                found.update(chunk)
                copy.write(chunk)
        if digest is not None and found.hexdigest() != digest:
            raise DamagedFileError(f"{source.name} is damaged: its SHA-256 is another one than when it was written")
        os.utime(temporary, ns=(time, time))
        sync(temporary)
    return found.hexdigest()


@contextmanager
def telling_full_disk(consequence: str) -> Iterator[None]:
    """Errors of a full disk say what that means."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT) and error.filename is not None:
            raise OSError(error.errno, f"the disk is full; {consequence}") from error
        raise


def check_space(folder: Path, needed: int) -> None:
    """Make sure that a disk has room.

    Args:
        folder: on the disk; it exists.
        needed: bytes.

    Raises:
        OSError: it has not; ``ENOSPC``, with a sentence.
    """
    free = shutil.disk_usage(folder).free
    if free < needed + _SPARE_BYTES:
        raise OSError(
            errno.ENOSPC,
            f"the disk of {folder} is too full: {needed / 1e6:.0f} MB are needed and {free / 1e6:.0f} MB are free",
        )
