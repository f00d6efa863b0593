"""Moves a study to another folder or another database; until the end everything stays where it was."""

from __future__ import annotations

from pathlib import Path

from ..server.models import FOLDER
from ..server.store.database import IN_FOLDER, Database, kind_of
from ..server.store.datastore import DATABASE_FILE
from ..server.store.store_context import CLOSED, write_note
from ..server.store.studies_folder import IDENTITY, sync
from ..server.worker_registry import is_served
from .restore import new_study, note_rows
from .study_files import (
    DamagedFileError,
    StudyFile,
    copy_file,
    image_files,
    label_files,
    own_files,
    version_file,
)
from .study_rows import copy_rows, image_rows, label_rows, last_label, make_replaceable
from .study_source import StudySource, open_database

MOVED = "moved"
"""Ending of a file that a move has put out of use."""
_WAIT = "stop its servers first, and let nobody save labels until the move has ended"


def move(source: StudySource, target: Path, database: str | None) -> None:
    """Move a study, with images, labels, versions and models; the source is closed at the end and can be removed.

    Args:
        source: the study; no server may work on it.
        target: new or empty folder, or the folder of the source itself, where only the rows move.
        database: URL of the database that then has the rows; ``None`` for a SQLite file in the target.

    Raises:
        ValueError: a server works on the source, the target is not empty, or the database has the study already.
        ConnectionError: a database cannot be used.
        OSError: a file cannot be written. The target stays marked as incomplete.
    """
    if is_served(source.folder.path):
        raise ValueError(f"{source.folder.path} is being served: {_WAIT}")
    if target.exists() and target.samefile(source.folder.path):
        _move_rows(source, database)
        return
    inner, outer = target.resolve(), source.folder.path.resolve()
    if outer in inner.parents or inner in outer.parents:
        raise ValueError(f"one of {target} and {source.folder.path} lies in the other: name a folder beside it")
    files = _files_of(source)
    with new_study(target, sum(file.source.stat().st_size for file in files), source.is_pacs):
        stays = _stays(source, target, database)
        before = _last_label(source)
        for file in files:
            try:
                copy_file(file.source, target / file.path, file.digest)
            except DamagedFileError as error:
                raise ValueError(f"{file.path}: {error}; nothing was moved") from error
        if stays:
            note_rows(target, database)
            _check_unchanged(source, before)
        else:
            with open_database(database, target / FOLDER / DATABASE_FILE) as written:
                _copy(source, written, before)
            note_rows(target, database)
        _retire(source, target)
    if not stays:
        with source.database.writing() as connection:
            make_replaceable(connection, source.key)


def _files_of(source: StudySource) -> list[StudyFile]:
    folder = source.folder
    with source.database.reading(snapshot=True) as connection:
        versions = [version_file(folder, row) for row in label_rows(connection, source.key)]
        images = [] if source.is_pacs else image_files(folder, image_rows(connection, source.key))
    files = [*own_files(folder), *images, *versions, *label_files(folder)]
    missing = next((file.path for file in files if not file.source.is_file()), None)
    if missing is not None:
        raise ValueError(f"{missing} is missing in {folder.path}: verify it first; nothing was moved")
    return files


def _stays(source: StudySource, target: Path, database: str | None) -> bool:
    """Whether the rows stay in the database where they are."""
    kind = kind_of(database, target / FOLDER / DATABASE_FILE)
    if IN_FOLDER in (kind, source.kind) or kind != source.kind:
        return False
    return source.database.is_same_as(database)


def _last_label(source: StudySource) -> tuple[int, int]:
    with source.database.reading() as connection:
        return last_label(connection, source.key)


def _check_unchanged(source: StudySource, before: tuple[int, int]) -> None:
    if _last_label(source) != before:
        raise ValueError(f"labels of {source.folder.path} were saved meanwhile, and nothing was moved: {_WAIT}")


def _copy(source: StudySource, written: Database, before: tuple[int, int]) -> None:
    with source.database.reading(snapshot=True) as snapshot, written.writing() as connection:
        if last_label(snapshot, source.key) != before:
            _check_unchanged(source, (-1, -1))
        copy_rows(snapshot, source.key, written, connection)


def _move_rows(source: StudySource, database: str | None) -> None:
    """Move the rows of a folder that stays where it is."""
    folder, file = source.folder, source.folder.app_folder / DATABASE_FILE
    kind = kind_of(database, file)
    if kind == source.kind and (kind == IN_FOLDER or source.database.is_same_as(database)):
        raise ValueError(f"the rows of {folder.path} are in that database already: name another folder or database")
    with open_database(database, file) as written:
        _copy(source, written, _last_label(source))
    note_rows(folder.path, database)  # from here on they are there
    with source.database.writing() as connection:
        make_replaceable(connection, source.key)
    if source.kind == IN_FOLDER:
        source.database.close()
        file.replace(file.with_name(f"{file.name}.{MOVED}"))


def _retire(source: StudySource, target: Path) -> None:
    """Close the folder that was left, for servers that start and for those that run."""
    app = source.folder.app_folder
    write_note(app / CLOSED, f"this study was moved to {target.resolve()}: serve that folder; this one may be removed")
    (app / IDENTITY).replace(app / f"{IDENTITY}.{MOVED}")
    sync(app)
