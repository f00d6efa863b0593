"""A studies folder and its rows as they are, whether or not servers work on them; nothing is scanned or changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from ..server.models import FOLDER
from ..server.store.database import IN_FOLDER, OTHER_FILE, Database, kind_of
from ..server.store.datastore import DATABASE_FILE, PACS_FOLDER
from ..server.store.migrations import is_of_newer_release
from ..server.store.schema import stores
from ..server.store.store_context import check_database, check_not_closed, read_identity
from ..server.store.studies_folder import IDENTITY, StudiesFolder


class StudySource(NamedTuple):
    """A study.

    Attributes:
        folder: its files.
        database: its rows.
        key: of its row in ``vl_stores``.
        identity: by which databases know the folder.
        kind: of the database, as ``kind_of`` tells.
    """

    folder: StudiesFolder
    database: Database
    key: int
    identity: str
    kind: str

    @property
    def is_pacs(self) -> bool:
        """Whether the images are in a PACS."""
        return (self.folder.app_folder / PACS_FOLDER).is_dir()


@contextmanager
def open_source(path: Path, database: str | None) -> Iterator[StudySource]:
    """Open a studies folder, or the working folder of a PACS, until the block ends.

    Args:
        path: the folder.
        database: URL, as of the server's ``--conf database``; ``None`` for the folder's own.

    Raises:
        ValueError: no server has served the folder, it is closed, or its rows are elsewhere or of a newer release.
        ConnectionError: the database cannot be used.
    """
    if not path.is_dir():
        raise ValueError(f"there is no folder {path}")
    folder = StudiesFolder(path) if (path / FOLDER).is_dir() else None
    identity = None if folder is None else read_identity(folder.app_folder)
    if folder is not None:
        check_not_closed(folder)
    if folder is None or identity is None:
        raise ValueError(f"{path} is no studies folder that a server has served: it has no {FOLDER}/{IDENTITY}")
    file = folder.app_folder / DATABASE_FILE
    kind = kind_of(database, file)
    check_database(folder, kind)
    if kind == IN_FOLDER and not file.is_file():
        raise ValueError(f"the database {file} is missing: start a server, which makes it anew from the files")
    if kind.startswith(OTHER_FILE) and not Path(kind.removeprefix(OTHER_FILE)).is_file():
        raise ValueError(
            f"there is no database {kind.removeprefix(OTHER_FILE)}: name that of the server, by --database"
        )
    with open_database(database, file) as opened:
        yield StudySource(folder, opened, _key_of(opened, identity, path), identity, kind)


@contextmanager
def open_database(url: str | None, file: Path) -> Iterator[Database]:
    """Open a database until the block ends; see ``Database``.

    Raises:
        ValueError: the URL is not accepted, or the tables are of a newer release.
        ConnectionError: it cannot be used, or no longer.
    """
    opened = Database(url, file)
    try:
        yield opened
    except DBAPIError as error:
        raise opened.failure(error) from error
    finally:
        opened.close()


def _key_of(database: Database, identity: str, path: Path) -> int:
    with database.reading() as connection:
        if is_of_newer_release(connection):
            raise ValueError(
                "a newer release of the app has added to the tables of the database what this one would leave out: use "
                "scripts/study.py of that release"
            )
        key = connection.execute(select(stores.c.key).where(stores.c.identity == identity)).scalar_one_or_none()
    if key is None:
        raise ValueError(
            f"the database does not know the studies folder {path}: name that of the server, by --database"
        )
    return int(key)
