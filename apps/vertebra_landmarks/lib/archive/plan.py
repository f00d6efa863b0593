"""The plan of a run: which entry is in which part, written once into the output and compared by every later start.

``plan.json`` has the options of the run and the digest of the entries, which lie in a Parquet file beside it. Entry
``i`` is in part ``i // part_size``. A part is done when its file exists.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from .output import Output
from .results.schema import INDEX, SOURCE, entry_schema, entry_values
from .source.entries import Entry, Source

PLAN_FILE, PARTS = "plan.json", "parts"
FORMAT = 1
"""Of the plan."""
PARTS_PER_GROUP = 100
"""Parts whose entries are read at once."""
_DEFECT = "_defect"
_PART_NAME = re.compile(r"part-(\d{7,})\.parquet")


@dataclass(frozen=True)
class Part:
    """What one process does in one go.

    Attributes:
        number: of the part.
        entries: in their order.
    """

    number: int
    entries: tuple[Entry, ...]

    @property
    def file(self) -> str:
        """Name of its file in the output."""
        return part_file(self.number)


@dataclass(frozen=True)
class Plan:
    """Everything that the results depend on besides the images.

    Attributes:
        source: the archive as the user named it.
        entries: how many there are.
        digest: SHA-256 of all entries.
        part_size: entries in a part; the last one may have fewer.
        columns: of the manifest, which are kept.
        options: decoder, digest of the weights, version of the program.
        format: version of the plan.
    """

    source: str
    entries: int
    digest: str
    part_size: int
    columns: tuple[str, ...]
    options: Mapping[str, str]
    format: int = FORMAT

    @property
    def parts(self) -> int:
        """How many parts there are."""
        return -(-self.entries // self.part_size)

    @property
    def entries_file(self) -> str:
        """Name of the file with the entries."""
        return f"entries-{self.digest[:16]}.parquet"

    def size_of(self, number: int) -> int:
        """How many entries a part has."""
        return min(self.part_size, self.entries - number * self.part_size)

    def done(self, output: Output) -> set[int]:
        """Numbers of the parts whose files exist."""
        matches = (_PART_NAME.fullmatch(name) for name in output.names(PARTS))
        return {number for number in (int(match[1]) for match in matches if match) if number < self.parts}

    def read_parts(self, output: Output, wanted: Set[int] | None = None) -> Iterator[Part]:
        """Parts with their entries, in their order.

        Args:
            output: that has the plan.
            wanted: numbers; ``None`` for all.

        Raises:
            ValueError: the file with the entries is damaged.
            OSError: it cannot be read.
        """
        with tempfile.TemporaryDirectory(prefix="archive-plan-") as folder:
            path = Path(folder) / "entries.parquet"
            output.get(self.entries_file, path)
            try:
                with pq.ParquetFile(path) as file:
                    yield from self._parts_in(file, wanted)
            except pa.ArrowInvalid as error:
                raise ValueError(
                    f"{self.entries_file} in {output.place} is damaged: begin in another output"
                ) from error

    def _parts_in(self, file: pq.ParquetFile, wanted: Set[int] | None) -> Iterator[Part]:
        for group in range(file.num_row_groups):
            first = group * PARTS_PER_GROUP
            numbers = range(first, min(first + PARTS_PER_GROUP, self.parts))
            if wanted is not None and wanted.isdisjoint(numbers):
                continue
            table = file.read_row_group(group)
            for number in numbers:
                if wanted is None or number in wanted:
                    rows = table.slice((number - first) * self.part_size, self.part_size).to_pylist()
                    yield Part(number, tuple(self._entry(row) for row in rows))

    def _entry(self, row: Mapping[str, object]) -> Entry:
        values = tuple(row[column] for column in self.columns)
        return Entry(row[INDEX], row[SOURCE], values, row[_DEFECT])  # type: ignore[arg-type]  # as the schema says


def part_file(number: int) -> str:
    """Name of the file of a part in the output."""
    return f"{PARTS}/part-{number:07d}.parquet"


def make_plan(source: Source, name: str, output: Output, part_size: int, options: Mapping[str, str]) -> Plan:
    """List an archive and write the plan of its prediction; where another process was quicker, its plan is taken.

    Args:
        source: the archive.
        name: of it as the user said.
        output: without a plan.
        part_size: entries in a part.
        options: of the run.

    Raises:
        ValueError: the archive is empty or cannot be used, or the plan that is there is another one.
        OSError: something cannot be read or written.
    """
    stale = output.names(PARTS)
    if stale:
        raise ValueError(f"{output.place} has parts of a run ({min(stale)}) but no {PLAN_FILE}: name another output")
    with tempfile.TemporaryDirectory(prefix="archive-plan-") as folder:
        path = Path(folder) / "entries.parquet"
        count, digest = _write_entries(path, source, part_size)
        if not count:
            raise ValueError(f"{name} holds no image")
        plan = Plan(name, count, digest, part_size, tuple(source.columns), dict(options))
        output.put(plan.entries_file, path)
    content = json.dumps(asdict(plan), indent=1) + "\n"
    try:
        output.create(PLAN_FILE, content.encode())
    except FileExistsError:
        found = read_plan(output)
        if found is None:
            raise
        check_options(found, options, part_size, output.place)
        check_entries(found, count, digest, output.place)
        return found
    return plan


def read_plan(output: Output) -> Plan | None:
    """The plan in an output; ``None`` where there is none.

    Raises:
        ValueError: it is damaged, or of another version of the program.
        OSError: it cannot be read.
    """
    try:
        content = output.read(PLAN_FILE)
    except FileNotFoundError:
        return None
    try:
        values = json.loads(content)
        plan = Plan(**{**values, "columns": tuple(values["columns"])})
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{PLAN_FILE} in {output.place} is damaged: begin in another output") from error
    if plan.format != FORMAT:
        raise ValueError(f"{PLAN_FILE} in {output.place} has format {plan.format}, this program reads {FORMAT}")
    return plan


def check_options(plan: Plan, options: Mapping[str, str], part_size: int | None, place: str) -> None:
    """Make sure that a run is the one of the plan.

    Args:
        plan: in the output.
        options: of this run.
        part_size: of this run; ``None``: any.
        place: the output.

    Raises:
        ValueError: it is another one; the message says what differs.
    """
    mine = dict(options) | ({} if part_size is None else {"part size": part_size})
    planned = dict(plan.options) | ({} if part_size is None else {"part size": plan.part_size})
    for name in sorted({*mine, *planned}):
        if planned.get(name) != mine.get(name):
            raise ValueError(
                f"the run in {place} has {name} {planned.get(name)!r}, this one {mine.get(name)!r}: use the same, or "
                "name another output"
            )


def check_source(plan: Plan, source: Source, place: str) -> None:
    """Make sure that the archive has the entries that were planned.

    Raises:
        ValueError: it has others now; the message says so.
        OSError: it cannot be read.
    """
    count, digest = 0, _EntryDigest(source.columns)
    for entry in source.entries():
        digest.add(entry)
        count += 1
    check_entries(plan, count, digest.text, place)


def check_entries(plan: Plan, count: int, digest: str, place: str) -> None:
    """See ``check_source``; by the number of entries and their digest."""
    if digest == plan.digest:
        return
    change = (
        f"{plan.entries:,} entries then, {count:,} now" if count != plan.entries else "entries or their order differ"
    )
    raise ValueError(
        f"the archive is not what was planned in {place} ({change}): name another output, or use --keep-plan to go on "
        "with the entries of the plan"
    )


class _EntryDigest:
    """SHA-256 of the columns and all entries."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._hash = hashlib.sha256(json.dumps(list(columns)).encode())

    def add(self, entry: Entry) -> None:
        self._hash.update(json.dumps([entry.source, *entry.values]).encode() + b"\n")

    @property
    def text(self) -> str:
        return self._hash.hexdigest()


def _write_entries(path: Path, source: Source, part_size: int) -> tuple[int, str]:
    """Write all entries; returns their number and digest."""
    columns = tuple(source.columns)
    schema = entry_schema(columns).append(pa.field(_DEFECT, pa.string()))
    count, digest = 0, _EntryDigest(columns)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for entries in _groups(source.entries(), part_size * PARTS_PER_GROUP):
            for entry in entries:
                digest.add(entry)
            count += len(entries)
            rows = [{**entry_values(entry, columns), _DEFECT: entry.defect} for entry in entries]
            writer.write_table(pa.Table.from_pylist(rows, schema), row_group_size=len(rows))
    return count, digest.text


def _groups(entries: Iterable[Entry], size: int) -> Iterator[list[Entry]]:
    iterator = iter(entries)
    while group := list(itertools.islice(iterator, size)):
        yield group
