"""What an archive consists of: entries, each of which names an image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Entry:
    """One image of an archive.

    Attributes:
        index: its number in the archive, from 0; with ``source`` the identity of its row in the results.
        source: path below the root, absolute path, URL, or path of an instance in a PACS, as the archive names it.
        values: texts of the other columns of a manifest; ``None`` where a cell is null.
        defect: why it names no image; ``None`` where it does.
    """

    index: int
    source: str
    values: tuple[str | None, ...] = ()
    defect: str | None = None


class Source(Protocol):
    """An archive.

    Attributes:
        root: folder or URL that relative sources start from, or the address of a PACS after ``dicomweb:``.
        columns: names of the columns that ``Entry.values`` belong to.
    """

    @property
    def root(self) -> str:
        """See above."""

    @property
    def columns(self) -> tuple[str, ...]:
        """See above."""

    def entries(self) -> Iterator[Entry]:
        """All entries in their order, read as they are asked for.

        Raises:
            ValueError: the archive cannot be read; the message names it.
            OSError: the same.
        """


def is_url(text: str) -> bool:
    """Whether a source is a URL, not a path of this system."""
    return "://" in text


def location(root: str, source: str) -> str:
    """The path or URL of an image.

    Args:
        root: of the archive.
        source: of the entry.
    """
    if is_url(source) or Path(source).is_absolute():
        return source
    return f"{root.rstrip('/')}/{source}" if is_url(root) else str(Path(root) / source)
