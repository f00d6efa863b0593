"""Files of labels: the versions, which are written once, and the newest, which is replaced as a whole."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from ...spine.files import replacing
from .folder import StudiesFolder, sync


def is_whole(content: bytes) -> bool:
    """Whether content is a JSON object from its begin to its end."""
    try:
        return isinstance(json.loads(content), dict)
    except (ValueError, RecursionError):
        return False


def digest_of(content: bytes) -> str:
    """SHA-256 of a label."""
    return hashlib.sha256(content).hexdigest()


def write_version(folder: StudiesFolder, image: str, tag: str, number: int, content: bytes, durable: bool) -> None:
    """Write the file of a version that no row speaks of yet.

    Args:
        folder: the studies folder.
        image: id.
        tag: of the label.
        number: of the version.
        content: of the label.
        durable: the file outlives a power cut.

    Raises:
        OSError: it cannot be written.
    """
    path = folder.version(image, tag, number)
    is_new = not path.parent.is_dir()
    write_whole(path, content)
    if durable:
        sync(path, path.parent, *([path.parent.parent, path.parent.parent.parent] if is_new else []))


def read_version(folder: StudiesFolder, image: str, tag: str, number: int, digest: str) -> bytes:
    """What a version says.

    Raises:
        OSError: its file is not there.
        ValueError: it is damaged.
    """
    content = folder.version(image, tag, number).read_bytes()
    if digest_of(content) != digest:
        raise ValueError(f"version {number} of label {tag!r} is damaged on the disk")
    return content


def write_whole(path: Path, content: bytes) -> None:
    """Write or replace a file, whose folder is made.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_bytes(content)
