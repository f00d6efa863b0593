"""Makes a studies folder of a backup: files first, then the rows in one transaction, then it may be served."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection

from ..server.models import FOLDER
from ..server.store.database import kind_of
from ..server.store.datastore import DATABASE_FILE
from ..server.store.schema import stores
from ..server.store.store_context import CLOSED, DATABASE, write_note
from ..server.store.studies_folder import StudiesFolder
from .manifest import Entry, Manifest, object_path, read_manifest
from .study_files import DamagedFileError, check_space, copy_file, telling_full_disk
from .study_rows import copy_rows, label_rows, place
from .study_source import open_database

INCOMPLETE = (
    "this studies folder is an incomplete copy, which was interrupted: remove it, and restore or move the study again"
)
_ROWS = "rows.sqlite3"


def restore(backup: Path, target: Path, database: str | None) -> Manifest:
    """Make a studies folder of a backup.

    Args:
        backup: folder of it.
        target: the studies folder, new or empty.
        database: URL of the database that gets the rows; ``None`` for a SQLite file in the folder.

    Raises:
        ValueError: the backup is unusable or damaged, the target is not empty, or the database has the study already.
        ConnectionError: the database cannot be used.
        OSError: a file cannot be written. The target stays marked as incomplete, and no server opens it.
    """
    manifest = read_manifest(backup)
    size = sum(entry.size for entry in manifest.files.values())
    with new_study(target, size, is_private=manifest.is_pacs), open_database(database, _own(target)) as written:
        for path, entry in manifest.files.items():
            _take(backup, path, entry, target / path)
        rows_file = target / FOLDER / _ROWS
        _take(backup, "the database", manifest.database, rows_file)
        with open_database(None, rows_file) as rows, rows.reading(snapshot=True) as connection:  # in today's tables
            key = int(connection.execute(stores.select()).one().key)
            with written.writing() as writing:
                key = copy_rows(connection, key, written, writing)
                _place_labels(StudiesFolder(target), writing, key, {*manifest.files})
        for file in (target / FOLDER).glob(f"{_ROWS}*"):
            file.unlink()
        note_rows(target, database)
    return manifest


def _own(target: Path) -> Path:
    return target / FOLDER / DATABASE_FILE


def _take(backup: Path, name: str, entry: Entry, path: Path) -> None:
    try:
        copy_file(object_path(backup, entry.digest), path, entry.digest, entry.mtime_ns)
    except (FileNotFoundError, DamagedFileError) as error:
        raise ValueError(f"the backup {backup} is damaged: {name} is not as it was written") from error


def _place_labels(folder: StudiesFolder, connection: Connection, key: int, present: set[str]) -> None:
    """Write the current label files from their versions, but those that were changed from outside before the backup."""
    for row in [row for row in label_rows(connection, key) if row.is_current]:
        version, path = folder.version(row.image, row.tag, row.version), folder.label(row.image, row.tag)
        if not version.exists():  # it was missing when the backup was made, and is told of by it
            continue
        if path.relative_to(folder.path).as_posix() in present:  # becomes a version when a server opens the folder
            continue
        copy_file(version, path, row.digest)
        entry = folder.entry(path)
        if entry is not None:
            place(connection, row.key, entry.size, entry.mtime_ns)


@contextmanager
def new_study(target: Path, size: int, is_private: bool) -> Iterator[None]:
    """Until the block ends without an error, a new studies folder is marked as incomplete.

    Args:
        target: the folder; it is created.
        size: of all that will be written into it, in bytes.
        is_private: nobody else may look into it.

    Raises:
        ValueError: it is not empty.
        OSError: its disk is too full, or it cannot be written.
    """
    note = target / FOLDER / CLOSED
    if note.exists():
        raise ValueError(f"{target}: {note.read_text(encoding='utf-8', errors='replace')[:500].strip()}")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ValueError(f"{target} is not empty: name a new or an empty folder")
    target.mkdir(parents=True, exist_ok=True, mode=0o700 if is_private else 0o777)
    check_space(target, size)
    note.parent.mkdir()
    write_note(note, INCOMPLETE)
    with telling_full_disk(f"{target} is incomplete: remove it, and try again with more room"):
        yield
    note.unlink()


def note_rows(target: Path, database: str | None) -> None:
    """Note in a studies folder where its rows are: URL of the database, ``None`` for the folder's own."""
    write_note(target / FOLDER / DATABASE, kind_of(database, _own(target)))
