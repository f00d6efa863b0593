"""What all parts of the store work on: one folder, its database, and the number of the folder there."""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from ..json_values import without_nan
from ..models import FOLDER
from .database import Database
from .folder_note import BEGIN_ANEW, IDENTITY, identity_of, read_identity
from .schema import stores
from .studies_folder import StudiesFolder

logger = logging.getLogger(__name__)

MOST_FACTS = 100_000
"""Characters of JSON that may be noted about one image or label."""
NAME, DESCRIPTION = "studies", "Spine radiographs"


@dataclass(frozen=True)
class Holding:
    """A studies folder and where its rows are.

    Attributes:
        folder: its files.
        database: its rows, perhaps among those of other folders.
        key: which of the rows are its own.
    """

    folder: StudiesFolder
    database: Database
    key: int


def open_holding(folder: StudiesFolder, database: Database, is_known: bool) -> Holding:
    """Find the rows of a folder, or begin them.

    Args:
        folder: the studies folder.
        database: where the rows are or will be.
        is_known: it notes that its rows are in a database of this kind.

    Raises:
        ValueError: the identity of the folder is damaged, or the database knows the folder that it was copied from, or
            does not know one that notes so, and is not its own.
    """
    is_known = is_known and (folder.own / IDENTITY).exists()  # else somebody removed that to begin anew
    identity = identity_of(folder)
    place = {"host": socket.gethostname(), "path": os.fsencode(folder.path.resolve()).decode(errors="backslashreplace")}
    begun = {"identity": identity, "name": NAME, "description": DESCRIPTION, "is_adopted": False, **place}
    with database.writing() as connection:
        ours = select(stores).where(stores.c.identity == identity)
        if is_known and connection.execute(ours).one_or_none() is None:
            _miss(database)
        connection.execute(database.insert(stores).values(begun).on_conflict_do_nothing())
        row = connection.execute(ours).one()
        if not database.is_folders_own and row.host == place["host"] and _is_copy(folder, Path(row.path), identity):
            raise ValueError(
                f"this studies folder is a copy of {row.path}, whose labels the database holds: open that one; or move "
                f"it away, and this one takes its place; or remove {FOLDER}/{IDENTITY} here, and this one begins anew"
            )
        if (row.host, row.path) != (place["host"], place["path"]):
            connection.execute(stores.update().where(stores.c.key == row.key).values(place))
    return Holding(folder, database, row.key)


def _miss(database: Database) -> None:
    """A folder that was opened before is not known any more: its own database is lost, or another one is named."""
    if not database.is_folders_own:
        raise ValueError(
            "the database does not know this studies folder, whose labels another one holds: name that one, with "
            f"--conf database of the server and --database of scripts; {BEGIN_ANEW}"
        )
    logger.warning("The database of the studies folder is not there any more: it is made anew from the files")


def _is_copy(folder: StudiesFolder, noted: Path, identity: str) -> bool:
    """Whether the folder that the database knows by the identity is still where it was, and another one."""
    try:
        return read_identity(noted / FOLDER) == identity and not folder.path.samefile(noted)
    except (OSError, ValueError):
        return False


def to_text(facts: Mapping[str, Any]) -> str:
    """Facts as the database keeps them.

    Raises:
        ValueError: they are too many.
    """
    text = json.dumps(without_nan(facts), default=str)
    if len(text) > MOST_FACTS:
        raise ValueError(f"at most {MOST_FACTS:,} characters are noted about one image or label")
    return text


def add_facts(connection: Connection, column: Any, where: Any, facts: Mapping[str, Any]) -> bool:
    """Note facts in the one row that fits, and say whether there is one.

    Args:
        connection: in a writing transaction.
        column: that holds the facts.
        where: which row.
        facts: take the place of those of the same name.

    Raises:
        ValueError: they are too many.
    """
    present = connection.execute(select(column).where(where).with_for_update()).scalar_one_or_none()
    if present is not None:
        text = to_text({**json.loads(present), **facts})
        connection.execute(column.table.update().where(where).values({column.name: text}))
    return present is not None
