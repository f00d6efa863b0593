"""Compares every row of a study with its files, and every file of a backup with its SHA-256."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import DBAPIError

from ..learning.weights.weight_files import file_digest
from ..server.models import WEIGHTS_SUFFIX, read_version, version_numbers
from ..server.store.datastore import DATABASE_FILE
from ..server.store.schema import stores
from ..server.store.studies_folder import LABELS, StudiesFolder
from ..spine.labels.markups import SUFFIX
from ..study.plan import PLAN_FILE, parse_plan
from .manifest import INCOMPLETE_FILE, Manifest, object_path, read_manifest
from .study_files import digest_file, version_path
from .study_rows import ImageRow, LabelRow, image_rows, label_rows
from .study_source import StudySource


class Findings(NamedTuple):
    """What was compared.

    Attributes:
        counts: how many of each kind, by name.
        problems: a sentence for each that is not as it should be.
    """

    counts: dict[str, int]
    problems: list[str]


def verify_backup(backup: Path) -> Findings:
    """Read the whole backup.

    Raises:
        ValueError: there is none that could be read; see ``read_manifest``.
    """
    manifest = read_manifest(backup)
    problems = [f"{path} was missing or damaged in the studies folder already" for path in manifest.damaged]
    states: dict[str, str] = {}
    for path, entry in [("the database", manifest.database), *manifest.files.items()]:
        if entry.digest not in states:
            states[entry.digest] = _state(object_path(backup, entry.digest), entry.digest)
        if states[entry.digest]:
            at = object_path(backup, entry.digest).relative_to(backup).as_posix()
            problems.append(f"{path} {states[entry.digest]} ({at}: remove that file, and make the backup again)")
    counts = {"files": len(manifest.files), "images": 0, "label versions": 0}
    if not states[manifest.database.digest]:
        counts = _verify_rows(backup, manifest, counts, problems)
    if (backup / INCOMPLETE_FILE).exists():
        problems.append("a later backup in this folder was interrupted: what is listed is the backup before it")
    return Findings(counts, problems)


def _verify_rows(backup: Path, manifest: Manifest, counts: dict[str, int], problems: list[str]) -> dict[str, int]:
    """Compare the rows of a backup with its list of files; returns the counts with theirs."""
    file = object_path(backup, manifest.database.digest).resolve()
    problems += _sqlite_problems(file, "?mode=ro&immutable=1")
    engine = create_engine(f"sqlite:///{file.as_uri()}?mode=ro&immutable=1&uri=true")
    known = {*manifest.files, *manifest.damaged}
    try:
        with engine.connect() as connection:
            key = int(connection.execute(stores.select()).one().key)
            labels, images = list(label_rows(connection, key)), image_rows(connection, key)
    except DBAPIError as error:
        problems.append(f"the database cannot be read: {str(error.orig).partition(chr(10))[0]}")
        return counts
    finally:
        engine.dispose()
    for row in labels:
        path = version_path(row.image, row.tag, row.version)
        if path not in known:
            problems.append(f"{path}, which the database names, is not in the backup")
        elif path in manifest.files and manifest.files[path].digest != row.digest:
            problems.append(f"{path} has another content than the database says")
    if manifest.has_images:
        problems += [f"image {image.image!r:.80} is not in the backup" for image in images if image.file not in known]
    return counts | {"images": len(images), "label versions": len(labels)}


def verify_folder(source: StudySource) -> Findings:
    """Compare a studies folder with its rows, while servers may work on it.

    Raises:
        ConnectionError: the database cannot be used.
    """
    problems: list[str] = []
    if source.database.is_sqlite and source.database.is_in_folder:
        problems += _sqlite_problems(source.folder.app_folder / DATABASE_FILE, "?mode=ro")
    with source.database.reading(snapshot=True) as connection:
        labels, images = list(label_rows(connection, source.key)), image_rows(connection, source.key)
    for row in labels:
        sentence = _version_problem(source.folder, row) or _current_problem(source.folder, row)
        if sentence:
            sentence = _again(source, row)
        if sentence:
            problems.append(sentence)
    problems += _unknown_labels(source, labels)
    if not source.is_pacs:
        problems += _image_problems(source, images)
    versions = list(_model_problems(source.folder, problems))
    problems += _plan_problems(source.folder)
    return Findings({"images": len(images), "label versions": len(labels), "model versions": len(versions)}, problems)


def _image_problems(source: StudySource, images: list[ImageRow]) -> list[str]:
    """Images whose files are not as they were when they were scanned, twice."""
    differing = {image.image for image in images if _entry_problem(source.folder, image)}
    if not differing:
        return []
    with source.database.reading() as connection:  # an image may have been added or removed in between
        again = [image for image in image_rows(connection, source.key) if image.image in differing]
    found = ((image.image, _entry_problem(source.folder, image)) for image in again)
    return [f"image {name!r:.80}: its file {problem} since it was scanned" for name, problem in found if problem]


def _entry_problem(folder: StudiesFolder, image: ImageRow) -> str:
    entry = folder.entry(folder.path / image.file)
    if entry is None:
        return "is missing"
    return "" if (entry.size, entry.mtime_ns) == (image.size, image.mtime_ns) else "was changed"


def _version_problem(folder: StudiesFolder, row: LabelRow) -> str:
    state = _state(folder.version(row.image, row.tag, row.version), row.digest)
    return f"image {row.image!r:.80}: version {row.version} of its label {row.tag!r} {state}" if state else ""


def _current_problem(folder: StudiesFolder, row: LabelRow) -> str:
    if not row.is_current:
        return ""
    state = _state(folder.label(row.image, row.tag), row.digest)
    if not state:
        return ""
    return (
        f"image {row.image!r:.80}: the file of its label {row.tag!r} {state}, and is not version "
        f"{row.version}: a server that opens the folder puts it right, or takes it for an edit from outside"
    )


def _again(source: StudySource, row: LabelRow) -> str:
    """The problem of a label, if there still is one when nobody saves it; "" if none, or its image was removed."""
    with source.folder.lock(row.image):
        with source.database.reading() as connection:
            now = _row_now(connection, source.key, row)
        return "" if now is None else _version_problem(source.folder, now) or _current_problem(source.folder, now)


def _row_now(connection: Connection, key: int, row: LabelRow) -> LabelRow | None:
    return next(label_rows(connection, key, row.key), None)


def _unknown_labels(source: StudySource, labels: list[LabelRow]) -> Iterator[str]:
    """Label files without a row."""
    known = {(row.image, row.tag) for row in labels if row.is_current}
    for tag in source.folder.tags():
        for entry in source.folder.labels(tag):
            image = entry.name.removesuffix(SUFFIX)
            if (image, tag) in known:
                continue
            with source.folder.lock(image), source.database.reading() as connection:
                rows = [row for row in label_rows(connection, source.key, image=image) if row.is_current]
            if not any(row.tag == tag for row in rows):
                yield f"{LABELS}/{tag}/{entry.name} is no label that the database knows: its image may be missing"


def _model_problems(folder: StudiesFolder, problems: list[str]) -> Iterator[int]:
    """The numbers of all model versions; what is wrong with them is added to the problems."""
    for models in sorted(folder.app_folder.glob("models*")):
        for number in version_numbers(models):
            version, path = read_version(number, models), models / f"{number}{WEIGHTS_SUFFIX}"
            if version.digest and file_digest(path, len(version.digest)) != version.digest:
                problems.append(f"version {number} of the model is damaged: its SHA-256 is another one")
            yield number


def _plan_problems(folder: StudiesFolder) -> list[str]:
    plan = folder.path / PLAN_FILE
    try:
        if plan.is_file():
            parse_plan(plan.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return [f"{PLAN_FILE} is no study plan: {error}"]
    return []


def _state(path: Path, digest: str) -> str:
    """What is wrong with a file: "is missing", "is damaged"; "" if nothing."""
    try:
        return "" if digest_file(path) == digest else "is damaged or was changed"
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def _sqlite_problems(file: Path, options: str) -> list[str]:
    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}{options}", uri=True)) as connection:
            rows = connection.execute("PRAGMA integrity_check(10)").fetchall()
            orphans = connection.execute("PRAGMA foreign_key_check").fetchall()
    except sqlite3.Error as error:
        return [f"the database cannot be read: {error}"]
    sentences = [f"the database is damaged: {row[0]}" for row in rows if row[0] != "ok"]
    return sentences + ([f"{len(orphans)} rows of the database name others that are missing"] if orphans else [])
