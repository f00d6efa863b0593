"""Sizes of JPEG, JPEG-LS and JPEG 2000 codestreams, read before they are decoded."""

from __future__ import annotations

from .limits import check_size
from .radiograph import UnreadableImageError

_JPEG_2000 = b"\xff\x4f\xff\x51"
_START, _END = b"\xff\xd8", b"\xff\xd9"
_JPEG_2000_FILE = b"\0\0\0\x0cjP  "


def size_of_codestream(data: bytes) -> tuple[int, int] | None:
    """(width, height) that the header of a codestream states; ``None`` where it is of another kind or has no header."""
    if data.startswith(_JPEG_2000_FILE):
        data = data[max(0, data.find(_JPEG_2000)) :]
    if data.startswith(_JPEG_2000):
        right, bottom, left, top = (int.from_bytes(data[at : at + 4], "big") for at in (8, 12, 16, 20))
        return right - left, bottom - top
    at = 2 if data.startswith(_START) else len(data)
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)) or marker == 0xF7:
            return int.from_bytes(data[at + 7 : at + 9], "big"), int.from_bytes(data[at + 5 : at + 7], "big")
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def check_codestream(data: bytes) -> None:
    """See that a codestream's image is not too large.

    Raises:
        UnreadableImageError: it is.
    """
    size = size_of_codestream(data)
    if size is not None:
        check_size(*size)


def check_end(data: bytes) -> None:
    """See that a codestream has its end marker.

    Raises:
        UnreadableImageError: it has not.
    """
    if _END not in data[-16:]:  # a byte of padding may follow
        raise UnreadableImageError("the file is cut short: the compressed image has no end marker 0xFFD9")
