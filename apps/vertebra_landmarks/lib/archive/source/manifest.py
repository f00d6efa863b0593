"""Manifests: tables with a row per image, as CSV or Parquet, on a disk or at a URL; read row by row."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from .entries import Entry, is_url

CSV_SUFFIXES, PARQUET_SUFFIX = (".csv", ".tsv"), ".parquet"
SUFFIXES = (*CSV_SUFFIXES, PARQUET_SUFFIX)
"""How the name of a manifest ends."""
IMAGE_COLUMNS = ("image", "path", "file", "filename", "url", "source")
"""Names of the column with the images, the first that there is; a column may also be named by the user."""
_DELIMITERS = ",;\t"
_BATCH_ROWS = 4_096


class Manifest:
    """A table of images. Relative paths start from the folder of the manifest.

    Args:
        place: path or URL of the table.
        column: with the images; ``None``: the first one of ``IMAGE_COLUMNS``.

    Raises:
        ValueError: it is no table, or has no such column.
        OSError: it cannot be read.
    """

    def __init__(self, place: str, column: str | None = None) -> None:
        self._place = place
        self.root = place.rpartition("/")[0] if is_url(place) else str(Path(place).absolute().parent)
        self._names = self._header()
        self._image = self._column(column)
        self.columns = tuple(name for number, name in enumerate(self._names) if number != self._image)

    @property
    def _is_parquet(self) -> bool:
        return self._place.lower().endswith(PARQUET_SUFFIX)

    def entries(self) -> Iterator[Entry]:
        """An entry per row, with the row's other cells.

        Raises:
            ValueError: a row cannot be read.
            OSError: the manifest cannot be read.
        """
        rows = self._parquet_rows() if self._is_parquet else self._csv_rows()
        for index, row in enumerate(rows):
            yield self._entry(index, row)

    def _entry(self, index: int, row: Sequence[str | None]) -> Entry:
        count = len(self._names)
        defect = f"row {index + 1} has {len(row)} cells, expected {count}" if len(row) != count else None
        cells = (*row, *[None] * count)[:count]
        source = (cells[self._image] or "").strip()
        if not source and defect is None:
            defect = f"row {index + 1} names no image"
        values = tuple(cell for number, cell in enumerate(cells) if number != self._image)
        return Entry(index, source, values, defect)

    def _header(self) -> list[str]:
        if self._is_parquet:
            with self._parquet() as table:
                names = list(table.schema_arrow.names)
        else:
            with self._text() as stream:
                names = next(csv.reader(stream, delimiter=self._delimiter(stream)), [])
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"{self._place}: the column {repeated[0]!r:.80} occurs twice")
        return names

    def _column(self, column: str | None) -> int:
        if column is not None:
            wanted: Sequence[str] = (column,)
        else:
            folded = {name.strip().lower(): name for name in self._names}
            wanted = [folded[name] for name in IMAGE_COLUMNS if name in folded]
        for name in wanted:
            if name in self._names:
                return self._names.index(name)
        expected = repr(column) if column is not None else f"called {', '.join(IMAGE_COLUMNS[:-1])} or source"
        raise ValueError(
            f"{self._place}: there is no column {expected}; its columns are {', '.join(self._names)[:200] or 'none'}. "
            "Name the one that has the images with --column"
        )

    @contextlib.contextmanager
    def _text(self) -> Iterator[IO[str]]:
        with fsspec.open(self._place, "rt", encoding="utf-8-sig", errors="backslashreplace", newline="") as stream:
            yield stream

    @staticmethod
    def _delimiter(stream: IO[str]) -> str:
        """The delimiter that is most frequent in the first line."""
        line = stream.readline()
        stream.seek(0)
        return max(_DELIMITERS, key=line.count)

    def _csv_rows(self) -> Iterator[list[str]]:
        with self._text() as stream:
            rows = csv.reader(stream, delimiter=self._delimiter(stream))
            try:
                next(rows, None)
                yield from (row for row in rows if row)
            except csv.Error as error:
                raise ValueError(f"{self._place}, line {rows.line_num}: {error}") from error

    @contextlib.contextmanager
    def _parquet(self) -> Iterator[pq.ParquetFile]:
        with fsspec.open(self._place, "rb") as stream:
            try:
                yield pq.ParquetFile(stream)
            except pa.ArrowInvalid as error:
                raise ValueError(f"{self._place} is no Parquet file: {error}") from error

    def _parquet_rows(self) -> Iterator[tuple[str | None, ...]]:
        with self._parquet() as table:
            for batch in table.iter_batches(_BATCH_ROWS):
                columns = [self._texts(name, batch.column(number)) for number, name in enumerate(self._names)]
                yield from zip(*columns, strict=True)

    def _texts(self, name: str, column: Any) -> list[str | None]:
        try:
            texts: list[str | None] = column.cast(pa.string()).to_pylist()
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
            raise ValueError(f"{self._place}: the column {name!r:.80} cannot be read as text: {error}") from error
        return texts
