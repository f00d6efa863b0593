"""Files of labels: the versions, which are written once, and the newest, which is replaced as a whole."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from pathlib import Path

from ...spine.atomic_write import atomic_write
from ..filenames import is_inside
from .studies_folder import StudiesFolder, sync


def is_whole(content: bytes) -> bool:
    """Whether content is a JSON object from its begin to its end."""
    try:
        return isinstance(json.loads(content), dict)
    except (ValueError, RecursionError):
        return False


def digest_of(content: bytes) -> str:
    """SHA-256 of a label."""
    return hashlib.sha256(content).hexdigest()


def next_version(folder: StudiesFolder, image: str, tag: str, last: int) -> int:
    """The first number after ``last`` that no file has, which a killed writer or a lost database may have left."""
    number = last + 1
    while os.path.lexists(folder.version(image, tag, number)):
        number += 1
    return number


def write_version(folder: StudiesFolder, image: str, tag: str, number: int, content: bytes, durable: bool) -> None:
    """Write the file of a new version.

    Args:
        folder: the studies folder.
        image: id.
        tag: of the label.
        number: of the version, see ``next_version``.
        content: of the label.
        durable: the file outlives a power cut.

    Raises:
        OSError: it cannot be written.
        ValueError: it would lie outside the studies folder.
    """
    path = _version(folder, image, tag, number)
    is_new = not path.parent.is_dir()
    write_whole(path, content)
    if durable:
        sync(path, path.parent, *([path.parent.parent, path.parent.parent.parent] if is_new else []))


def read_version(folder: StudiesFolder, image: str, tag: str, number: int, digest: str) -> bytes:
    """What a version says.

    Raises:
        OSError: its file is not there.
        ValueError: it is damaged, or lies outside the studies folder.
    """
    content = _version(folder, image, tag, number).read_bytes()
    if digest_of(content) != digest:
        raise ValueError(f"version {number} of label {tag!r} is damaged on the disk")
    return content


def _version(folder: StudiesFolder, image: str, tag: str, number: int) -> Path:
    path = folder.version(image, tag, number)
    if not is_inside(path, folder.path):
        raise ValueError(f"versions of the labels {tag!r:.80} lie outside the studies folder")
    return path


def write_whole(path: Path, content: bytes) -> None:
    """Write or replace a file, whose folder is made.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


def aside_of(path: Path) -> Path:
    """A new name beside a label that is not whole, under which it is no label."""
    return path.with_name(f".{path.name[:60]}.{uuid.uuid4().hex[:12]}.damaged")
