"""What all parts of the store work on: one folder, its database, and the number of the folder there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from .database import Database
from .folder import StudiesFolder
from .tables import stores

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


def open_holding(folder: StudiesFolder, database: Database) -> Holding:
    """Find the rows of a folder, or begin them."""
    identity = folder.identity()
    with database.writing() as connection:
        begun = {"identity": identity, "name": NAME, "description": DESCRIPTION, "is_adopted": False}
        connection.execute(database.insert(stores).values(begun).on_conflict_do_nothing())
        key = connection.execute(select(stores.c.key).where(stores.c.identity == identity)).scalar_one()
    return Holding(folder, database, key)


def to_text(facts: Mapping[str, Any]) -> str:
    """Facts as the database keeps them.

    Raises:
        ValueError: they are too many.
    """
    text = json.dumps(facts, default=str)
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
