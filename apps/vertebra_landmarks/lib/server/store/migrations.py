"""The version of the tables: made where there are none, brought up to date where they are older."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, inspect, select

from .schema import metadata, schema_version

Migration = Callable[[Connection], None]

MIGRATIONS: tuple[Migration, ...] = ()
"""The first brings tables of version 1 to version 2, and so on."""


def bring_up_to_date(connection: Connection, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Make the tables, or change older ones, in the transaction of the connection.

    Args:
        connection: in a transaction that no other process can be in at the same time.
        migrations: what changed since version 1.

    Raises:
        ValueError: a newer version of the app has changed the tables.
    """
    newest = 1 + len(migrations)
    if not inspect(connection).has_table(schema_version.name):
        metadata.create_all(connection)
        connection.execute(schema_version.insert().values(version=newest))
        return
    present = connection.execute(select(schema_version.c.version)).scalar_one()
    if present > newest:
        raise ValueError(
            f"the database has tables of version {present}, and this app knows them up to {newest}: update the app"
        )
    for migrate in migrations[present - 1 :]:
        migrate(connection)
    connection.execute(schema_version.update().values(version=newest))
