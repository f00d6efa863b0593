"""The Parquet files of a run: columns, version, and conversion from and to records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from io import BytesIO
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from ..source.entries import Entry
from .record import ImageRecord

SCHEMA_VERSION = 1
"""Of the columns of a part; stands in the metadata of each file under ``VERSION_KEY``."""
VERSION_KEY = b"vertebra_landmarks.schema"
INDEX, SOURCE, DIGEST = "index", "source", "model_digest"
_COMPRESSION = "zstd"

_LANDMARK = pa.struct(
    [
        pa.field("vertebra", pa.string(), nullable=False),
        pa.field("point", pa.string(), nullable=False),
        pa.field("x_px", pa.float64(), nullable=False),
        pa.field("y_px", pa.float64(), nullable=False),
        pa.field("score", pa.float64(), nullable=False),
        pa.field("is_visible", pa.bool_(), nullable=False),
        pa.field("error_px", pa.float64()),
    ]
)
_CURVE = pa.struct(
    [
        pa.field("curve", pa.int32(), nullable=False),
        pa.field("upper_end", pa.string(), nullable=False),
        pa.field("lower_end", pa.string(), nullable=False),
        pa.field("apex", pa.string(), nullable=False),
        pa.field("side", pa.string(), nullable=False),
        pa.field("angle_deg", pa.float64(), nullable=False),
        pa.field("half_width_deg", pa.float64()),
        pa.field("region", pa.string(), nullable=False),
        pa.field("sides_of", pa.string(), nullable=False),
    ]
)
_RECORD = [
    pa.field("refused", pa.string()),
    pa.field("is_final", pa.bool_(), nullable=False),
    pa.field("seconds", pa.float64(), nullable=False),
    pa.field("spine_score", pa.float64()),
    pa.field("names_right", pa.float64()),
    pa.field("orientation", pa.string()),
    pa.field("angles_deg", pa.list_(pa.float64())),
    pa.field("warnings", pa.list_(pa.string()), nullable=False),
    pa.field("landmarks", pa.list_(_LANDMARK), nullable=False),
    pa.field("curves", pa.list_(_CURVE), nullable=False),
    pa.field(DIGEST, pa.string(), nullable=False),
]
RESULT_COLUMNS = (INDEX, SOURCE, *(field.name for field in _RECORD))
"""Columns of every part; a manifest may have none of these names."""


class ResultRow(NamedTuple):
    """A row of a part.

    Attributes:
        entry: which image.
        record: what was found in it.
        digest: of the weight file.
    """

    entry: Entry
    record: ImageRecord
    digest: str


def entry_schema(columns: Sequence[str]) -> pa.Schema:
    """Columns of the plan: index, source, defect, and those of a manifest.

    Raises:
        ValueError: a column of the manifest has the name of a column of the results.
    """
    taken = [name for name in columns if name in RESULT_COLUMNS]
    if taken:
        raise ValueError(f"the manifest's column {taken[0]!r} has the name of a column of the results: rename it")
    texts = [pa.field(name, pa.string()) for name in columns]
    return pa.schema(
        [pa.field(INDEX, pa.int64(), nullable=False), pa.field(SOURCE, pa.string(), nullable=False), *texts]
    )


def part_schema(columns: Sequence[str]) -> pa.Schema:
    """Columns of a part, with the version of the schema in the metadata."""
    return pa.schema([*entry_schema(columns), *_RECORD], metadata={VERSION_KEY: str(SCHEMA_VERSION)})


def entry_values(entry: Entry, columns: Sequence[str]) -> dict[str, object]:
    """An entry as a row."""
    return {INDEX: entry.index, SOURCE: entry.source, **dict(zip(columns, entry.values, strict=True))}


def encode_part(rows: Iterable[ResultRow], columns: Sequence[str]) -> bytes:
    """The content of a part file.

    Args:
        rows: in the order of their indices.
        columns: of the manifest.
    """
    values = [{**entry_values(row.entry, columns), **asdict(row.record), DIGEST: row.digest} for row in rows]
    sink = BytesIO()
    pq.write_table(pa.Table.from_pylist(values, part_schema(columns)), sink, compression=_COMPRESSION)
    return sink.getvalue()


def decode_part(content: bytes, columns: Sequence[str], name: str) -> Iterator[ResultRow]:
    """The rows of a part file.

    Args:
        content: of the file.
        columns: of the manifest.
        name: of the file, for messages.

    Raises:
        ValueError: it is no part, or of another version.
    """
    for values in _read_part(content, columns, name).to_pylist():
        entry = Entry(values[INDEX], values[SOURCE], tuple(values[column] for column in columns))
        yield ResultRow(entry, ImageRecord.from_dict(values), values[DIGEST])


def _read_part(content: bytes, columns: Sequence[str], name: str) -> pa.Table:
    try:
        table = pq.read_table(pa.BufferReader(content))
    except pa.ArrowInvalid as error:
        raise ValueError(_broken(name)) from error
    metadata: Mapping[bytes, bytes] = table.schema.metadata or {}
    version = metadata.get(VERSION_KEY, b"none").decode(errors="replace")
    if version != str(SCHEMA_VERSION):
        raise ValueError(f"{name} has version {version} of the columns, this program reads {SCHEMA_VERSION}")
    if not table.schema.equals(part_schema(columns)):
        raise ValueError(f"{name} has other columns than the plan says: it is a part of another run")
    return table


def _broken(name: str) -> str:
    return f"{name} is damaged: remove it and run predict_archive.py again"
