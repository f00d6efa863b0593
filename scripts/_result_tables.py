"""CSV tables over many images, written image by image, so that an interrupted run can be resumed.

``RUN_FILE`` in the same folder has JSON lines: the options of the run, then an entry per image with the size of every
table when its rows were complete. Resuming truncates the tables to the last of these sizes.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lib.learning.data.input_files import InputImage
from lib.spine.atomic_write import atomic_write

RUN_FILE = "predict_run.jsonl"
Row = Sequence[str]


@dataclass(frozen=True)
class DoneImage:
    """An image whose rows are in the tables.

    Attributes:
        name: of the image in the tables.
        stem: begin of the names of its result files.
        path: of its file.
        size: of its file in bytes.
        mtime_ns: when its file was changed last.
        refused: reason why it has no results; ``None`` where it has.
        is_final: whether the reason is the image itself, so that it is not tried again.
        sizes: bytes of every table including its rows.
    """

    name: str
    stem: str
    path: str
    size: int
    mtime_ns: int
    refused: str | None
    is_final: bool
    sizes: Mapping[str, int]


class ResultTables:
    """The tables of one run; none stays open between two images.

    Args:
        folder: existing folder of the tables.
        columns: names of the columns of each table; the first one is the image.
        options: all that the results depend on besides the images, as JSON values.
    """

    def __init__(self, folder: Path, columns: Mapping[str, Row], options: Mapping[str, Any]) -> None:
        self._folder, self._columns, self._options = folder, columns, dict(options)
        self._run = folder / RUN_FILE
        self._sizes = {name: len(_encoded([header])) for name, header in columns.items()}

    def begin(self, overwrite: bool) -> None:
        """Create empty tables.

        Raises:
            FileExistsError: there are tables, and they are not to be overwritten.
            OSError: they cannot be written.
        """
        present = [name for name in (*self._columns, RUN_FILE) if (self._folder / name).exists()]
        if present and not overwrite:
            raise FileExistsError(
                f"{self._folder} has results of another run ({present[0]}): name another folder, or use --resume to go "
                "on with that run, or --overwrite to replace its tables"
            )
        self._run.unlink(missing_ok=True)
        self._clear()

    def _clear(self) -> None:
        for name, header in self._columns.items():
            (self._folder / name).write_bytes(_encoded([header]))
        self._write_run([])

    def resume(self, images: Collection[InputImage]) -> dict[str, DoneImage]:
        """Resume the tables of an interrupted run; without any, create empty ones.

        Incomplete rows are removed, and so are those of images whose files have changed.

        Args:
            images: of this run.

        Returns:
            The images that are done, by name.

        Raises:
            ValueError: the tables are those of a run with other options or other images, or were changed.
            OSError: they cannot be read or written.
        """
        if not self._run.exists():
            self.begin(overwrite=False)
            return {}
        done = self._complete_entries(self._read_run())
        self._truncate(done[-1].sizes if done else self._sizes)
        stale = {entry.name for entry in done if not entry.is_final} | _changed(images, done)
        kept = [entry for entry in done if entry.name not in stale]
        _check_stems(images, kept)
        if stale:
            self._remove_rows(stale)
        self._write_run(kept)
        return {entry.name: entry for entry in kept}

    def _read_run(self) -> list[DoneImage]:
        """The entries up to the first incomplete line."""
        lines = self._run.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
        options = _parsed(lines[0]) if lines else None
        if options is None:
            if any((self._folder / name).exists() and self._size(name) > size for name, size in self._sizes.items()):
                raise ValueError(f"--resume: {self._run} is damaged, but the tables have rows; use --overwrite")
            return []
        for name in sorted({*options, *self._options}):
            if options.get(name) != self._options.get(name):
                raise ValueError(
                    f"--resume: the run in {self._folder} has {name} {options.get(name)!r}, this one "
                    f"{self._options.get(name)!r}; use the same, or --overwrite"
                )
        entries = []
        for line in lines[1:]:
            content = _parsed(line)
            if content is None:
                break
            entries.append(DoneImage(**content))
        return entries

    def _size(self, name: str) -> int:
        return (self._folder / name).stat().st_size

    def _complete_entries(self, entries: list[DoneImage]) -> list[DoneImage]:
        """The entries up to the last whose rows are in all tables.

        Raises:
            ValueError: a table was changed by another program.
        """
        sizes = {}
        for name, header in self._columns.items():
            path = self._folder / name
            content = path.read_bytes() if path.exists() else b""
            if entries and not content.startswith(_encoded([header])):
                raise ValueError(f"--resume: {path} is not as this command wrote it; use --overwrite or another folder")
            sizes[name] = len(content)
        count = len(entries)
        while count and any(size > sizes[name] for name, size in entries[count - 1].sizes.items()):
            count -= 1
        return entries[:count]

    def _truncate(self, sizes: Mapping[str, int]) -> None:
        """Remove rows behind those of the last complete image."""
        self._sizes = dict(sizes)
        for name, header in self._columns.items():
            path, head = self._folder / name, _encoded([header])
            if not path.exists() or path.stat().st_size < len(head) or path.read_bytes()[: len(head)] != head:
                path.write_bytes(head)
            with path.open("r+b") as stream:
                stream.truncate(sizes[name])

    def _remove_rows(self, names: Collection[str]) -> None:
        """Remove the rows of some images."""
        for name in self._columns:
            path = self._folder / name
            with path.open(encoding="utf-8", newline="") as stream:
                rows = [row for row in csv.reader(stream) if row[0] not in names]
            content = _encoded(rows)
            with atomic_write(path) as temporary:
                temporary.write_bytes(content)
            self._sizes[name] = len(content)

    def _write_run(self, entries: Iterable[DoneImage]) -> None:
        """Write the options, and entries with the sizes that the tables have now."""
        now = [{**asdict(entry), "sizes": self._sizes} for entry in entries]
        with atomic_write(self._run) as temporary:
            temporary.write_text("".join(_line(content) for content in (self._options, *now)), encoding="utf-8")

    def add(
        self, image: InputImage, rows: Mapping[str, Iterable[Row]], refused: str | None = None, is_final: bool = True
    ) -> None:
        """Append the rows of an image to the tables, then its entry to the run file.

        Args:
            image: the image.
            rows: by table.
            refused: reason why it has no results, if so.
            is_final: see ``DoneImage``.

        Raises:
            OSError: they cannot be written.
        """
        for name, some in rows.items():
            content = _encoded(some)
            with (self._folder / name).open("ab") as stream:
                stream.write(content)
            self._sizes[name] += len(content)
        size, mtime_ns = _state(image.path)
        path = str(image.path.absolute())
        done = DoneImage(image.name, image.stem, path, size, mtime_ns, refused, is_final, self._sizes)
        with self._run.open("ab") as stream:
            stream.write(_line(asdict(done)).encode())


def _encoded(rows: Iterable[Row]) -> bytes:
    stream = io.StringIO(newline="")
    csv.writer(stream).writerows(rows)
    return stream.getvalue().encode("utf-8", errors="backslashreplace")


def _line(content: Mapping[str, Any]) -> str:
    return json.dumps(dict(content)) + "\n"


def _parsed(line: str) -> dict[str, Any] | None:
    """The JSON object of a complete line; ``None`` of others."""
    try:
        content = json.loads(line) if line.endswith("\n") else None
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def _state(path: Path) -> tuple[int, int]:
    try:
        state = path.stat()
    except OSError:
        return 0, 0
    return state.st_size, state.st_mtime_ns


def _changed(images: Iterable[InputImage], done: Iterable[DoneImage]) -> set[str]:
    """Names of images whose file has changed."""
    present = {image.name: (str(image.path.absolute()), *_state(image.path)) for image in images}
    before = ((entry.name, (entry.path, entry.size, entry.mtime_ns)) for entry in done)
    return {name for name, file in before if present.get(name, file) != file}


def _check_stems(images: Iterable[InputImage], done: Iterable[DoneImage]) -> None:
    """Check that the result files of no image would replace those of another.

    Raises:
        ValueError: they would.
    """
    owners = {entry.stem.lower(): entry.name for entry in done}
    for image in images:
        owner = owners.get(image.stem.lower(), image.name)
        if owner != image.name:
            raise ValueError(
                f"--resume: the results of {image.name} would replace those of {owner}, since the images are not "
                "those of the interrupted run; name another folder"
            )
