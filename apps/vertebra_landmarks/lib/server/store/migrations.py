"""The version of the tables: made where there are none, brought up to date where they are older.

A migration that only adds tables or columns, which older releases of the app do not look at, leaves the version as it
is: these releases still open the database. Any other one raises it, and they refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Column, Connection, inspect, select
from sqlalchemy.schema import CreateColumn

from .schema import (
    assignments,
    images,
    metadata,
    outbox,
    pacs_instances,
    pacs_reports,
    presence,
    readings,
    schema_version,
    scored_versions,
    scores,
    sessions,
    study_plans,
    tasks,
)


class Migration(NamedTuple):
    """A change of the tables.

    Attributes:
        change: makes it, in the transaction of the connection.
        is_additive: whether releases that do not know of it can go on working on the tables.
    """

    change: Callable[[Connection], object]
    is_additive: bool = False


def _add_tables_of_servers(connection: Connection) -> None:
    """Assignments, scored versions, tasks and sessions were files, and ``migrations`` was no column."""
    for table in (assignments, scored_versions, tasks, sessions):
        table.create(connection)
    connection.exec_driver_sql("ALTER TABLE vl_schema_version ADD COLUMN migrations INTEGER")


def _add_presence(connection: Connection) -> None:
    """Who has an image open was not known."""
    presence.create(connection)


_OVERVIEW_COLUMNS = (
    images.c.is_predicted,
    images.c.added_at,
    images.c.labelled_at,
    images.c.patient,
    images.c.taken_on,
)


def _add_image_columns(connection: Connection, columns: Iterable[Column[Any]]) -> None:
    present = {column["name"] for column in inspect(connection).get_columns(images.name)}
    for column in columns:
        if column.name not in present:
            definition = CreateColumn(column).compile(dialect=connection.dialect)
            connection.exec_driver_sql(f"ALTER TABLE {images.name} ADD COLUMN {definition}")


def _add_columns_of_overview(connection: Connection) -> None:
    """Lists of images read metadata; ``folder_adoption`` fills the columns of existing rows at the next opening."""
    _add_image_columns(connection, _OVERVIEW_COLUMNS)
    for table in (images, scores):
        known = {index["name"] for index in inspect(connection).get_indexes(table.name)}
        for index in table.indexes:
            if index.name not in known:
                index.create(connection)


def _add_pacs_instances(connection: Connection) -> None:
    """Images lay in the studies folder only."""
    pacs_instances.create(connection, checkfirst=True)


def _add_outbox(connection: Connection) -> None:
    """Nothing was sent to a PACS, and no reports were read from it."""
    for table in (outbox, pacs_reports):
        table.create(connection, checkfirst=True)


def _add_header(connection: Connection) -> None:
    """Whoever saved a label read the whole image, to know its size and geometry."""
    _add_image_columns(connection, (images.c.header,))


def _add_readings(connection: Connection) -> None:
    """An image had one label of a person, and no plan said who reads it."""
    readings.create(connection, checkfirst=True)


def _add_study_plans(connection: Connection) -> None:
    """Nobody could tell later by which plan an image had been shown."""
    study_plans.create(connection, checkfirst=True)


MIGRATIONS = (
    Migration(_add_tables_of_servers, is_additive=True),
    Migration(_add_presence, is_additive=True),
    Migration(_add_columns_of_overview, is_additive=True),
    Migration(_add_pacs_instances, is_additive=True),
    Migration(_add_outbox, is_additive=True),
    Migration(_add_header, is_additive=True),
    Migration(_add_readings, is_additive=True),
    Migration(_add_study_plans, is_additive=True),
)
"""All changes since version 1, in their order."""


def bring_up_to_date(connection: Connection, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Make the tables, or change older ones, in the transaction of the connection.

    Args:
        connection: in a transaction that no other process can be in at the same time.
        migrations: what changed since version 1.

    Raises:
        ValueError: a newer version of the app has changed the tables.
    """
    needed = 1 + max((number for number, one in enumerate(migrations, 1) if not one.is_additive), default=0)
    if not inspect(connection).has_table(schema_version.name):
        metadata.create_all(connection)
        connection.execute(schema_version.insert().values(version=needed, migrations=len(migrations)))
        return
    present = connection.execute(select(schema_version.c.version)).scalar_one()
    if present > 1 + len(migrations):
        raise ValueError(
            f"the database has tables of version {present}, and this app knows them up to {1 + len(migrations)}: "
            "update the app"
        )
    made = _made(connection, present)
    for migration in migrations[made:]:
        migration.change(connection)
    if made < len(migrations):
        connection.execute(schema_version.update().values(version=max(present, needed), migrations=len(migrations)))


def is_of_newer_release(connection: Connection) -> bool:
    """Whether a newer release has added tables or columns to those that this one knows."""
    present = connection.execute(select(schema_version.c.version)).scalar_one()
    return _made(connection, present) > len(MIGRATIONS)


def _made(connection: Connection, version: int) -> int:
    """How many migrations were made."""
    columns = {column["name"] for column in inspect(connection).get_columns(schema_version.name)}
    if schema_version.c.migrations.name not in columns:
        return version - 1
    made = connection.execute(select(schema_version.c.migrations)).scalar_one()
    return int(made or version - 1)
