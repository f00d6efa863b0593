"""Which names may become names of files: plain ones, on every system, that stay inside their folder."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

LONGEST_NAME_BYTES = 200
"""In UTF-8; file systems take 255, suffixes and temporary names need the rest."""
LONGEST_TAG = 64
_LONGEST_TAG_BYTES = 200  # letters of some scripts have four, and a name on a disk has room for 255

_FORBIDDEN = frozenset('/\\:*?"<>|')  # separators anywhere, and what Windows forbids
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\..*)?", re.IGNORECASE)
_TAG = re.compile(rf"[\w-]{{1,{LONGEST_TAG}}}")


def check_image_id(text: str) -> str:
    """An image id that may become the begin of a file name, unchanged.

    Raises:
        ValueError: it is empty, too long, hidden, names a place, or holds what some file system forbids.
    """
    shown = f"image id {text!r:.80}"
    if not text or len(text.encode(errors="replace")) > LONGEST_NAME_BYTES:
        raise ValueError(f"{shown} must have 1 to {LONGEST_NAME_BYTES} bytes")
    if not text.isprintable():
        raise ValueError(f"{shown} must consist of printable characters")
    if _FORBIDDEN & set(text):
        raise ValueError(f"{shown} must be a plain name, without any of {' '.join(sorted(_FORBIDDEN))}")
    if text.startswith((".", " ")) or text.endswith((".", " ")):
        raise ValueError(f"{shown} must neither begin nor end with a dot or a space")
    if _RESERVED.fullmatch(text):
        raise ValueError(f"{shown} is a name that Windows keeps for itself")
    return text


def check_tag(text: str) -> str:
    """A label tag that may become the name of a folder, unchanged.

    Raises:
        ValueError: it is no plain name.
    """
    if not _TAG.fullmatch(text) or _RESERVED.fullmatch(text) or len(text.encode()) > _LONGEST_TAG_BYTES:
        raise ValueError(f"label tag {text!r:.80} must be 1 to {LONGEST_TAG} letters, digits, '_' and '-'")
    return text


def folded(text: str) -> str:
    """The same text for all names that are one on disks which ignore case, or how letters are composed."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def is_inside(path: Path, folder: Path) -> bool:
    """Whether a path leads, through whatever links, to somewhere below a folder."""
    try:
        return folder.resolve() in path.resolve().parents
    except (OSError, RuntimeError, ValueError):  # a loop of links, or no name of this system
        return False
