"""The list of what a backup holds, with the SHA-256 of each file and of the list itself."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ..server.store.migrations import MIGRATIONS
from ..server.store.studies_folder import sync
from ..spine.atomic_write import atomic_write
from .study_files import check_relative

MANIFEST_FILE = "manifest.json"
INCOMPLETE_FILE = "incomplete"
"""In a backup while it is being written: what the manifest lists, if there is one, is the backup before."""
FORMAT = 1
OBJECTS = "objects"
_DIGITS = frozenset("0123456789abcdef")


class Entry(NamedTuple):
    """A file of a backup: SHA-256, size in bytes, and mtime of the original in ns."""

    digest: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Manifest:
    """What a backup holds.

    Attributes:
        app: release that has written it.
        snapshot_at: what was acknowledged until then is in it; seconds since 1970, by the clock of the database.
        identity: of the studies folder.
        migrations: how many changes of the tables its release knew.
        has_images: images are in it.
        is_pacs: the images are in a PACS.
        counts: rows by table.
        database: digest of the rows, a SQLite database.
        damaged: paths of files that were missing or damaged in the studies folder.
        files: by path below the studies folder, in order.
    """

    app: str
    snapshot_at: float
    identity: str
    migrations: int
    has_images: bool
    is_pacs: bool
    counts: dict[str, int]
    database: Entry
    damaged: list[str] = field(default_factory=list)
    files: dict[str, Entry] = field(default_factory=dict)

    def objects(self) -> dict[str, int]:
        """Sizes of all objects that it needs, by digest."""
        return {entry.digest: entry.size for entry in (self.database, *self.files.values())}


def object_path(backup: Path, digest: str) -> Path:
    """Where a backup keeps the content of this SHA-256."""
    return backup / OBJECTS / digest[:2] / digest


def stored_objects(backup: Path) -> set[str]:
    """Digests of all contents that a backup keeps, whether or not they are intact."""
    return {path.name for path in (backup / OBJECTS).glob("??/*") if _is_digest(path.name)}


def write_manifest(backup: Path, manifest: Manifest) -> None:
    """Make it what the backup holds, durably.

    Raises:
        OSError: it cannot be written.
    """
    content = asdict(manifest) | {"files": dict(sorted(manifest.files.items())), "format": FORMAT}
    with atomic_write(backup / MANIFEST_FILE) as temporary:
        text = json.dumps({"sha256": _digest(content), "content": content}, separators=(",", ":"))
        temporary.write_text(text, encoding="ascii")
        sync(temporary)
    sync(backup)


def read_manifest(backup: Path) -> Manifest:
    """What a backup holds.

    Raises:
        ValueError: it is no backup, an incomplete one, a damaged one, or one of a newer release.
    """
    file = backup / MANIFEST_FILE
    if not file.is_file():
        if (backup / INCOMPLETE_FILE).exists():
            raise ValueError(f"{backup} is an incomplete backup, which was interrupted: make it again")
        raise ValueError(f"{backup} is no backup: it has no {MANIFEST_FILE}")
    try:
        whole = json.loads(file.read_text(encoding="ascii"))
        content, digest = whole["content"], whole["sha256"]
        number, migrations, app = int(content.pop("format")), int(content["migrations"]), str(content["app"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{file} is damaged: it is no list of the files of a backup") from error
    if _digest(content | {"format": number}) != digest:
        raise ValueError(f"{file} is damaged: its SHA-256 is another one than when it was written")
    if number > FORMAT or migrations > len(MIGRATIONS):
        raise ValueError(f"the backup {backup} was made by the newer release {app} of the app: update the app")
    return _parsed(content, file)


def _parsed(content: dict[str, Any], file: Path) -> Manifest:
    try:
        files = {check_relative(path): _entry(entry) for path, entry in content["files"].items()}
        return Manifest(**{**content, "files": files, "database": _entry(content["database"])})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{file} is damaged: {error}") from error


def _entry(values: Any) -> Entry:
    digest, size, mtime_ns = values
    if not _is_digest(digest):
        raise ValueError(f"{digest!r:.80} is no SHA-256")
    return Entry(digest, int(size), int(mtime_ns))


def _is_digest(text: str) -> bool:
    return len(text) == 64 and set(text) <= _DIGITS


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode("ascii")).hexdigest()
