"""Portable file names for image ids and label tags, and the check that the studies are a folder or a PACS.

Standard library only, since ``scripts/start.py`` imports it before anything is installed.
"""

from __future__ import annotations

import contextlib
import re
import unicodedata
from pathlib import Path

MAX_NAME_BYTES = 200
"""In UTF-8; file systems allow 255, suffixes and temporary names need the rest."""
MAX_TAG_LENGTH = 64
_MAX_TAG_BYTES = 200  # characters of some scripts take four bytes

_FORBIDDEN = frozenset('/\\:*?"<>|')  # path separators, and what Windows forbids
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\..*)?", re.IGNORECASE)
_TAG = re.compile(rf"[\w-]{{1,{MAX_TAG_LENGTH}}}")

_DICOMWEB = re.compile(r"https?://", re.ASCII)
"""As MONAI Label tells an address from a folder."""
_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_URL_AS_FOLDER = re.compile(r"(https?|dicom|dicom[-+]?webs?|wado|dicom\+https?|s3|gs|ftp|file):", re.IGNORECASE)
"""Folder name that MONAI Label makes of other addresses before it loads the app."""
_CREDENTIALS = re.compile(r"(?<=//)[^/@]*@")


def check_image_id(text: str) -> str:
    """An image id that can be the stem of a file name on every system, unchanged.

    Raises:
        ValueError: it is empty, too long, hidden, contains a path, or has characters that some file system forbids.
    """
    shown = f"image id {text!r:.80}"
    if not text or len(text.encode(errors="replace")) > MAX_NAME_BYTES:
        raise ValueError(f"{shown} must have 1 to {MAX_NAME_BYTES} bytes")
    if not text.isprintable():
        raise ValueError(f"{shown} must consist of printable characters")
    if _FORBIDDEN & set(text):
        raise ValueError(f"{shown} must be a plain name, without any of {' '.join(sorted(_FORBIDDEN))}")
    if text.startswith((".", " ")) or text.endswith((".", " ")):
        raise ValueError(f"{shown} must neither begin nor end with a dot or a space")
    if _RESERVED.fullmatch(text):
        raise ValueError(f"{shown} is a reserved name on Windows")
    return text


def check_tag(text: str) -> str:
    """A label tag that can be a folder name on every system, unchanged.

    Raises:
        ValueError: it is no plain name.
    """
    if not _TAG.fullmatch(text) or _RESERVED.fullmatch(text) or len(text.encode()) > _MAX_TAG_BYTES:
        raise ValueError(f"label tag {text!r:.80} must be 1 to {MAX_TAG_LENGTH} letters, digits, '_' and '-'")
    return text


def casefold_key(text: str) -> str:
    """The same key for all names that collide on disks which ignore case or Unicode composition."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def is_inside(path: Path, folder: Path) -> bool:
    """Whether a path, links resolved, lies below a folder."""
    try:
        return folder.resolve() in path.resolve().parents
    except (OSError, RuntimeError, ValueError):  # a loop of links, or no valid name on this system
        return False


def is_dicomweb(studies: str) -> bool:
    """Whether studies are the address of a PACS instead of a folder."""
    return _DICOMWEB.match(studies) is not None


def check_studies(studies: str) -> None:
    """Make sure that the studies are a folder or the address of a DICOMweb service.

    Args:
        studies: as given on the command line, or the path that MONAI Label made of it; empty folders which it has just
            created for an address are removed.

    Raises:
        ValueError: they are another address, or one with a user or a password in it.
    """
    if is_dicomweb(studies):
        if _CREDENTIALS.search(studies):
            raise ValueError(
                f"studies {_CREDENTIALS.sub('', studies)!r:.200} must be an address without user and password, which "
                "logs would show: put these into VERTEBRA_DICOMWEB_USER and VERTEBRA_DICOMWEB_PASSWORD"
            )
        return
    if _URL.match(studies):
        raise ValueError(_unknown_address(studies))
    path = Path(studies)
    for index, part in enumerate(path.parts):
        if _URL_AS_FOLDER.fullmatch(part):
            with contextlib.suppress(OSError):  # missing, or not empty
                for folder in (path, *path.parents)[: len(path.parts) - index]:
                    folder.rmdir()
            raise ValueError(_unknown_address(f"{part}//{'/'.join(path.parts[index + 1 :])}"))


def _unknown_address(url: str) -> str:
    return (
        f"studies {_CREDENTIALS.sub('', url)!r:.200} must be a folder of radiographs, or the address of a DICOMweb "
        "service like https://pacs.example/dicom-web"
    )
