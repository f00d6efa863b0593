"""Rows of one study, copied between databases of any kind, in the order of their foreign keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import Column, Connection, Table, func, select, text

from ..server.store.database import Database
from ..server.store.schema import (
    GONE,
    images,
    labels,
    metadata,
    presence,
    readings,
    schema_version,
    sessions,
    stores,
    tasks,
)

TRANSIENT = frozenset({tasks.name, sessions.name, presence.name})
"""Tables of what running servers do now; their rows are of no use elsewhere."""
REPLACEABLE = "-"
"""In place of a host: rows of a copy that no server has opened yet, or that were moved away; they may be replaced."""
_KEYED = tuple(table for table in (stores, images, labels, readings))
_BATCH = 1000


class LabelRow(NamedTuple):
    """A label version as its row describes it.

    Attributes:
        key: of the row.
        image: id of the image.
        tag: of the label.
        version: its number.
        digest: SHA-256 of its file.
        is_current: it is the label now.
        is_placed: the current file had its content, and then ``size`` bytes and the time ``mtime_ns``.
        size: in bytes.
        mtime_ns: in ns since 1970.
    """

    key: int
    image: str
    tag: str
    version: int
    digest: str
    is_current: bool
    is_placed: bool
    size: int
    mtime_ns: int


class ImageRow(NamedTuple):
    """An image as its row describes it: id, file name, size in bytes and mtime in ns."""

    image: str
    file: str
    size: int
    mtime_ns: int


def study_tables() -> list[Table]:
    """Tables with rows of studies that last, referenced ones first."""
    return [table for table in metadata.sorted_tables if table is not schema_version and table.name not in TRANSIENT]


def _of_store(table: Table, key: int) -> Any:
    return (table.c.key if table is stores else table.c.store) == key


def copy_rows(source: Connection, key: int, target: Database, connection: Connection) -> int:
    """Copy the rows of a study, as replaceable ones; keys are kept where the target holds no other study.

    Args:
        source: in a transaction whose statements all see the same state.
        key: of the study's row there.
        target: database that gets the rows.
        connection: to it, in a writing transaction.

    Returns:
        Key of the study's row in the target.

    Raises:
        ValueError: the target has rows of the study already.
    """
    if not target.is_sqlite:
        names = ", ".join(table.name for table in _KEYED)
        connection.execute(text(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE"))
    identity = source.execute(select(stores.c.identity).where(stores.c.key == key)).scalar_one()
    _remove_replaceable(connection, identity)
    offsets = {table.name: _last_key(connection, table) for table in _KEYED}
    for table in study_tables():
        shifts = {column.name: shift for column in table.columns if (shift := _shift(column, offsets))}
        query = select(table).where(_of_store(table, key))
        result = source.execute(query, execution_options={"yield_per": _BATCH})
        for rows in result.mappings().partitions():
            values = [{**row, **{name: row[name] + shift for name, shift in shifts.items()}} for row in rows]
            if table is stores:
                values = [{**row, "host": REPLACEABLE} for row in values]
            connection.execute(table.insert(), values)
    if not target.is_sqlite:
        for table in _KEYED:
            sequence = f"pg_get_serial_sequence('{table.name}', 'key')"
            connection.execute(text(f"SELECT setval({sequence}, GREATEST(MAX(key), 1)) FROM {table.name}"))
    return key + offsets[stores.name]


def _last_key(connection: Connection, table: Table) -> int:
    return int(connection.execute(select(func.coalesce(func.max(table.c.key), 0))).scalar_one())


def _shift(column: Column[Any], offsets: dict[str, int]) -> int:
    """What is added to a column that holds keys; 0 for others."""
    if column.foreign_keys:
        return offsets[next(iter(column.foreign_keys)).column.table.name]
    return offsets[column.table.name] if column.primary_key and column.name == "key" else 0


def _remove_replaceable(connection: Connection, identity: str) -> None:
    row = connection.execute(select(stores).where(stores.c.identity == identity)).one_or_none()
    if row is None:
        return
    if row.host != REPLACEABLE:
        raise ValueError(
            f"the database that is to get the study has its rows already, of the folder {row.path}: name an empty one"
        )
    for table in reversed(metadata.sorted_tables):
        if table is not schema_version:
            connection.execute(table.delete().where(_of_store(table, row.key)))


def make_replaceable(connection: Connection, key: int) -> None:
    """Let another copy of the study replace its rows, until a server opens the folder and notes its host."""
    connection.execute(stores.update().where(stores.c.key == key).values(host=REPLACEABLE))


def label_rows(
    connection: Connection, key: int, version_key: int | None = None, image: str | None = None
) -> Iterator[LabelRow]:
    """Label versions of a study, in the order of images, tags and versions.

    Args:
        connection: to the database.
        key: of the study.
        version_key: only this version.
        image: only those of this image.
    """
    columns = (getattr(labels.c, name) for name in LabelRow._fields if name != "image")
    query = select(images.c.id.label("image"), *columns).join(images, images.c.key == labels.c.image)
    query = query.where(labels.c.store == key).order_by(images.c.id, labels.c.tag, labels.c.version)
    if version_key is not None:
        query = query.where(labels.c.key == version_key)
    if image is not None:
        query = query.where(images.c.id == image)
    for row in connection.execute(query, execution_options={"yield_per": _BATCH}):
        yield LabelRow(**row._mapping)


def image_rows(connection: Connection, key: int) -> list[ImageRow]:
    """The images of a study whose files are there, by id."""
    query = select(images.c.id, images.c.file, images.c.size, images.c.mtime_ns)
    query = query.where(images.c.store == key, images.c.state != GONE).order_by(images.c.id)
    return [ImageRow(*row) for row in connection.execute(query)]


def count_rows(connection: Connection, key: int) -> dict[str, int]:
    """Number of rows of a study by table, without transient ones."""
    counts = {}
    for table in study_tables():
        query = select(func.count()).select_from(table).where(_of_store(table, key))
        counts[table.name] = int(connection.execute(query).scalar_one())
    return counts


def last_label(connection: Connection, key: int) -> tuple[int, int]:
    """Highest key and number of label versions: another pair means that labels were saved."""
    query = select(func.coalesce(func.max(labels.c.key), 0), func.count()).where(labels.c.store == key)
    row = connection.execute(query).one()
    return int(row[0]), int(row[1])


def keys_of(connection: Connection, key: int, ids: set[str]) -> set[str]:
    """Those of some image ids that a study knows."""
    known = set(connection.execute(select(images.c.id).where(images.c.store == key)).scalars())
    return ids & known


def remove_images(connection: Connection, key: int, ids: set[str]) -> None:
    """Remove images of a study with all that belongs to them."""
    for image in sorted(ids):
        connection.execute(images.delete().where(images.c.store == key, images.c.id == image))


def place(connection: Connection, key: int, size: int, mtime_ns: int) -> None:
    """Note that the content of a label version stands in the current file.

    Args:
        connection: in a writing transaction.
        key: of the version.
        size: of the file in bytes.
        mtime_ns: of the file.
    """
    values = {"is_placed": True, "size": size, "mtime_ns": mtime_ns}
    connection.execute(labels.update().where(labels.c.key == key).values(values))
