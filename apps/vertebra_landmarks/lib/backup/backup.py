"""Makes a backup of a study on which servers may work: the rows in one snapshot, then the files that they name.

Files of label versions never change, so that those which the rows of the snapshot name are the same whenever they are
copied. Contents are kept by their SHA-256: what an earlier backup in the same folder has is not copied again, and that
one stays whole until the new manifest replaces its own.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from filelock import FileLock, Timeout

from .. import __version__
from ..server.store.database import Database
from ..server.store.migrations import MIGRATIONS
from ..server.store.studies_folder import remove_files, sync
from .manifest import (
    INCOMPLETE_FILE,
    MANIFEST_FILE,
    OBJECTS,
    Entry,
    Manifest,
    object_path,
    read_manifest,
    stored_objects,
    write_manifest,
)
from .study_files import (
    DamagedFileError,
    StudyFile,
    check_space,
    copy_file,
    digest_file,
    edited_labels,
    image_files,
    own_files,
    telling_full_disk,
    version_file,
)
from .study_rows import copy_rows, count_rows, image_rows, keys_of, label_rows, remove_images
from .study_source import StudySource, open_database

_LOCK, _WORK = ".lock", "work"
_EXPECTED = frozenset({MANIFEST_FILE, INCOMPLETE_FILE, OBJECTS, _LOCK, _WORK})


def back_up(source: StudySource, target: Path, has_images: bool = False) -> Manifest:
    """Make a backup, or bring one up to date.

    Args:
        source: the study.
        target: folder of the backup: a new or empty one, or that of an earlier backup of the study.
        has_images: with the images; never with those of a PACS.

    Raises:
        ValueError: the target is another folder, another study's backup, or in use.
        OSError: a file cannot be written; the target stays marked as incomplete, and an earlier backup in it whole.
    """
    if source.folder.path.resolve() in (target.resolve(), *target.resolve().parents):
        raise ValueError(f"{target} lies in the studies folder: name a folder outside of it, best on another disk")
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    unknown = sorted(path.name for path in target.iterdir() if path.name not in _EXPECTED)
    if unknown:
        raise ValueError(f"{target} holds {unknown[0]!r:.80}, which is of no backup: name an empty folder")
    try:
        with FileLock(target / _LOCK, timeout=0):
            earlier = read_manifest(target) if (target / MANIFEST_FILE).exists() else None
            if earlier is not None and earlier.identity != source.identity:
                raise ValueError(f"{target} is the backup of another study: name another folder")
            with telling_full_disk(f"{target} stays marked as incomplete, and an earlier backup in it whole"):
                return _Writer(source, target, earlier).write(has_images and not source.is_pacs)
    except Timeout:
        raise ValueError(f"another backup is being written to {target}: wait for its end") from None


class _Writer:
    def __init__(self, source: StudySource, target: Path, earlier: Manifest | None) -> None:
        self._source, self._target, self._earlier = source, target, earlier
        self._stored = stored_objects(target)
        self._files: dict[str, Entry] = {}
        self._damaged: list[str] = []

    def write(self, has_images: bool) -> Manifest:
        source = self._source
        (self._target / INCOMPLETE_FILE).touch()
        sync(self._target)
        work = self._target / _WORK
        shutil.rmtree(work, ignore_errors=True)  # of a backup that was killed
        work.mkdir()
        file = work / "rows.sqlite3"
        snapshot_at = source.database.now()
        with open_database(None, file) as rows:
            with source.database.reading(snapshot=True) as snapshot, rows.writing(durable=False) as connection:
                key = copy_rows(snapshot, source.key, rows, connection)
            self._copy_files(rows, key, has_images)
            with rows.reading() as connection:
                counts = count_rows(connection, key)
        _finish(file)
        database = self._add(StudyFile("", file))
        facts = {"has_images": has_images, "is_pacs": source.is_pacs, "counts": counts, "database": database}
        manifest = Manifest(
            __version__,
            snapshot_at,
            source.identity,
            len(MIGRATIONS),
            **facts,  # type: ignore[arg-type]
            damaged=sorted(self._damaged),
            files=self._files,
        )
        write_manifest(self._target, manifest)
        needed = manifest.objects()
        remove_files(path for path in (self._target / OBJECTS).glob("??/*") if path.name not in needed)
        shutil.rmtree(work)
        (self._target / INCOMPLETE_FILE).unlink()
        return manifest

    def _copy_files(self, rows: Database, key: int, has_images: bool) -> None:
        folder = self._source.folder
        with rows.reading(snapshot=True) as connection:
            labels, images = list(label_rows(connection, key)), image_rows(connection, key)
        wanted = image_files(folder, images) if has_images else []
        check_space(self._target, sum(_size(file.source) for file in wanted if not self._has(file)))
        for file in own_files(folder):
            if file.source.exists():  # a version of a model may be pruned meanwhile
                self._keep(file)
        failed: dict[str, set[str]] = {}
        names = ((row.image, version_file(folder, row)) for row in labels)
        pairs = zip((image.image for image in images), wanted, strict=True) if has_images else ()
        for image, file in (*names, *pairs):
            if not self._keep(file):
                failed.setdefault(image, set()).add(file.path)
        for file in edited_labels(folder, labels):
            self._keep(file)
        self._judge(rows, key, failed)

    def _judge(self, rows: Database, key: int, failed: dict[str, set[str]]) -> None:
        """Leave out images that were removed since the snapshot; note what else is missing or damaged."""
        if not failed:
            return
        with self._source.database.reading() as connection:
            known = keys_of(connection, self._source.key, {*failed})
        removed = {*failed} - known
        with rows.writing(durable=False) as connection:
            names = {image.file for image in image_rows(connection, key) if image.image in removed}
            versions = [
                version_file(self._source.folder, row) for row in label_rows(connection, key) if row.image in removed
            ]
            remove_images(connection, key, removed)
        for path in (*names, *(file.path for file in versions)):
            self._files.pop(path, None)
        self._damaged += [path for image in sorted(known) for path in sorted(failed[image])]

    def _keep(self, file: StudyFile) -> bool:
        """Add a file; returns whether it was there and intact."""
        try:
            self._files[file.path] = self._add(file)
        except (FileNotFoundError, DamagedFileError):
            return False
        return True

    def _add(self, file: StudyFile) -> Entry:
        state = file.source.stat()
        digest = self._known_digest(file)
        if digest is None or digest not in self._stored:
            digest = digest or digest_file(file.source)
            if digest not in self._stored:
                digest = self._store(file, digest)
        return Entry(digest, object_path(self._target, digest).stat().st_size, state.st_mtime_ns)

    def _store(self, file: StudyFile, digest: str) -> str:
        try:
            copy_file(file.source, object_path(self._target, digest), digest)
        except DamagedFileError:
            if file.digest is not None:
                raise
            digest = digest_file(file.source)  # it was replaced in between
            copy_file(file.source, object_path(self._target, digest), digest)
        self._stored.add(digest)
        return digest

    def _known_digest(self, file: StudyFile) -> str | None:
        """The digest of a file that need not be read, or not again since the earlier backup."""
        if file.digest is not None:
            return file.digest
        entry = self._earlier.files.get(file.path) if self._earlier is not None else None
        state = file.source.stat()
        return entry.digest if entry is not None and entry[1:] == (state.st_size, state.st_mtime_ns) else None

    def _has(self, file: StudyFile) -> bool:
        try:
            return self._known_digest(file) in self._stored
        except FileNotFoundError:
            return True


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _finish(file: Path) -> None:
    """One file without a write-ahead log, which can be read where nothing can be written."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE").close()
