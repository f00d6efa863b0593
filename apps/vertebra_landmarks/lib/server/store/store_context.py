"""Shared store context: the studies folder, its database, and the key of the folder's rows there.

The folder notes its identity, by which databases know it, and the kind of database that holds its rows.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection, select

from ...spine.atomic_write import atomic_write
from ..models import FOLDER, without_nan
from .database import IN_FOLDER, OTHER_FILE, POSTGRESQL, Database
from .schema import stores
from .studies_folder import IDENTITY, FileEntry, StudiesFolder, sync

logger = logging.getLogger(__name__)

Clock = Callable[[Connection], float]
"""Seconds since 1970, as the database of the connection has them."""
MAX_METADATA_CHARACTERS = 100_000
"""Of JSON, per image or label."""
NAME, DESCRIPTION = "studies", "Spine radiographs"
DATABASE = "database"
CLOSED = "closed"
"""In the app's folder: a sentence that says why the folder must not be served, such as that it was moved."""
MAX_CLOSED_CHARACTERS = 1_000
START_OVER = (
    f"to start over instead, with the labels and versions that are found as files, remove {FOLDER}/{DATABASE} there"
)
_NAME_IT = "name it, with --conf database of the server and --database of scripts"
_ADVICE = {
    IN_FOLDER: "in SQLite in the folder itself: leave out --conf database of the server and --database of scripts",
    OTHER_FILE: f"in {{noted}}: {_NAME_IT}, or, if that file was moved, write its URL into {{note}} there",
    POSTGRESQL: f"in PostgreSQL: {_NAME_IT}",
}


class ImageUnavailableError(ConnectionError):
    """An image that exists cannot be had now: its message is a sentence that says why."""


class SourceUnavailableError(ImageUnavailableError):
    """No image can be had now, whichever it is, but those that are at hand."""


class ImageSource(Protocol):
    """Where image files come from: the studies folder itself, or an archive that they are fetched from.

    A file is known by its name, an image id and a suffix. Sizes and times of a ``FileEntry`` change when the content
    does, and never otherwise.
    """

    @property
    def why_fixed(self) -> str:
        """Why images can be neither added nor removed, as a sentence; "" where they can."""

    def images(self, sniffed: Iterable[FileEntry] = ()) -> list[FileEntry]:
        """All images, by name; ``sniffed`` are image files that need not be opened again."""

    def skipped(self) -> dict[str, str]:
        """What is not served as an image, as last listed, with the reason."""

    def image_entry(self, name: str) -> FileEntry | None:
        """The file of an image as it is now; ``None`` where there is none."""

    def location(self, name: str) -> Path:
        """Where the file of an image lies, or would lie if it were fetched."""

    def readable_path(self, name: str) -> Path | None:
        """Path of the file of an image, fetched where necessary; ``None`` where there is no such image.

        Raises:
            ImageUnavailableError: it cannot be fetched now.
        """

    @property
    def failure(self) -> str | None:
        """Why only files that are ``at_hand`` can be read now, as a sentence; ``None`` while all can."""

    def at_hand(self) -> Collection[str]:
        """Names of files that can be read without fetching them; asked for while there is a ``failure``."""

    def prefetch(self, upcoming: Callable[[], Iterable[str]], fetch: Callable[[str], object]) -> None:
        """Fetch images that will be asked for soon, in the background; a later request replaces an earlier one.

        Args:
            upcoming: returns their ids.
            fetch: fetches one.
        """

    def close(self) -> None:
        """Release what it holds."""


@dataclass(frozen=True)
class StoreContext:
    """A studies folder and its rows.

    Attributes:
        folder: its files.
        database: its rows, perhaps beside those of other folders.
        key: of the folder in ``vl_stores``.
        source: of the images.
    """

    folder: StudiesFolder
    database: Database
    key: int
    source: ImageSource


def open_context(folder: StudiesFolder, database: Database, is_noted: bool) -> StoreContext:
    """Find or create the row of a folder.

    Args:
        folder: the studies folder.
        database: of the rows.
        is_noted: the folder notes that its rows are in a database of this kind.

    Raises:
        ValueError: the folder's identity is damaged, the folder is a copy of one that the database knows, or it notes
            rows in another database that is not its own.
    """
    is_noted = is_noted and (folder.app_folder / IDENTITY).exists()  # else it was removed to start over
    identity = _identity_of(folder)
    location = {
        "host": socket.gethostname(),
        "path": os.fsencode(folder.path.resolve()).decode(errors="backslashreplace"),
    }
    new = {"identity": identity, "name": NAME, "description": DESCRIPTION, "is_adopted": False, **location}
    with database.writing() as connection:
        ours = select(stores).where(stores.c.identity == identity)
        if is_noted and connection.execute(ours).one_or_none() is None:
            _report_missing_rows(database)
        connection.execute(database.insert(stores).values(new).on_conflict_do_nothing())
        row = connection.execute(ours).one()
        is_same_host = row.host == location["host"]
        if not database.is_in_folder and is_same_host and _is_copy(folder, Path(row.path), identity):
            raise ValueError(
                f"this studies folder is a copy of {row.path}, whose labels the database holds: open that one; or move "
                f"it away, and this one takes its place; or remove {FOLDER}/{IDENTITY} here, and this one starts over"
            )
        if (row.host, row.path) != (location["host"], location["path"]):
            connection.execute(stores.update().where(stores.c.key == row.key).values(location))
    folder.remember()
    return StoreContext(folder, database, row.key, folder)


def _report_missing_rows(database: Database) -> None:
    """Warn that the folder's own database was lost; refuse another database that lacks the folder's rows."""
    if not database.is_in_folder:
        raise ValueError(
            "the database does not know this studies folder, whose labels another one holds: name that one, with "
            f"--conf database of the server and --database of scripts; {START_OVER}"
        )
    logger.warning("The database of the studies folder is missing: it is created anew from the files")


def _is_copy(folder: StudiesFolder, original: Path, identity: str) -> bool:
    """Whether the folder that the database knows by this identity still exists, and is another one."""
    try:
        return read_identity(original / FOLDER) == identity and not folder.path.samefile(original)
    except (OSError, ValueError):
        return False


def _identity_of(folder: StudiesFolder) -> str:
    """The UUID by which databases know the folder; noted in the folder, so that it moves along.

    Raises:
        ValueError: the note is damaged.
    """
    with folder.lock(IDENTITY):
        note = folder.app_folder / IDENTITY
        if not note.exists():
            write_note(note, str(uuid.uuid4()))
        identity = read_identity(folder.app_folder)
    if identity is None:
        raise ValueError(
            f"{_relative(folder, IDENTITY)} in the studies folder, by which the database knows the folder, is damaged: "
            "restore it from a backup, or remove it to start with new rows; files of labels stay as they are"
        )
    return identity


def read_identity(app_folder: Path) -> str | None:
    """The noted identity; ``None`` if there is none."""
    try:
        return str(uuid.UUID((app_folder / IDENTITY).read_text(encoding="ascii").strip()))
    except (OSError, ValueError):
        return None


def check_not_closed(folder: StudiesFolder) -> None:
    """Make sure that the folder may be served.

    Raises:
        ValueError: it is an incomplete copy, or was moved; a sentence says which.
    """
    note = folder.app_folder / CLOSED
    if note.exists():
        raise ValueError(note.read_text(encoding="utf-8", errors="replace")[:MAX_CLOSED_CHARACTERS].strip())


def check_database(folder: StudiesFolder, kind: str) -> bool:
    """Make sure that the rows of a folder are in this kind of database, before a new one is created.

    Returns:
        Whether the folder notes this kind: it was opened before.

    Raises:
        ValueError: it notes another kind, the note is damaged, or the folder is closed.
    """
    check_not_closed(folder)
    note = folder.app_folder / DATABASE
    if not note.exists():
        return False
    noted = note.read_text(encoding="utf-8", errors="replace").strip()
    noted_kind = OTHER_FILE if noted.startswith(OTHER_FILE) else noted
    if noted_kind not in _ADVICE:
        raise ValueError(f"{_relative(folder, DATABASE)} must say {' or '.join(_ADVICE)}, got {noted!r:.40}")
    if noted != kind:
        advice = _ADVICE[noted_kind].format(noted=noted, note=_relative(folder, DATABASE))
        raise ValueError(f"the versions of the labels in this studies folder are known {advice}; {START_OVER}")
    return True


def note_database(folder: StudiesFolder, kind: str) -> None:
    """Note the kind of database that holds the rows of a folder, unless it is noted already.

    Raises:
        ValueError: another process has just noted another kind.
    """
    with folder.lock(DATABASE):
        if not check_database(folder, kind):
            write_note(folder.app_folder / DATABASE, kind)


def write_note(note: Path, text: str) -> None:
    """Write or replace a file of the app's folder, durably.

    Raises:
        OSError: it cannot be written.
    """
    with atomic_write(note) as temporary:
        temporary.write_text(text, encoding="utf-8")
        sync(temporary)
    sync(note.parent)


def _relative(folder: StudiesFolder, name: str) -> str:
    return (folder.app_folder / name).relative_to(folder.path).as_posix()


def metadata_json(metadata: Mapping[str, Any]) -> str:
    """Metadata as stored in the database.

    Raises:
        ValueError: it is too long.
    """
    text = json.dumps(without_nan(metadata), default=str)
    if len(text) > MAX_METADATA_CHARACTERS:
        raise ValueError(f"the metadata of one image or label may have at most {MAX_METADATA_CHARACTERS:,} characters")
    return text


def merge_metadata(connection: Connection, column: Any, where: Any, metadata: Mapping[str, Any]) -> None:
    """Merge metadata into the one row that matches, if there is one.

    Args:
        connection: in a writing transaction.
        column: that holds the metadata.
        where: selects the row.
        metadata: replaces values of the same name.

    Raises:
        ValueError: the result is too long.
    """
    present = connection.execute(select(column).where(where).with_for_update()).scalar_one_or_none()
    if present is not None:
        text = metadata_json({**json.loads(present), **metadata})
        connection.execute(column.table.update().where(where).values({column.name: text}))
