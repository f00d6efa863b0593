"""JPEG, JPEG-LS and JPEG 2000 codestreams: size before decoding, completeness after it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..errors import UnreadableImageError, check_size

_JPEG_2000 = b"\xff\x4f\xff\x51"
JPEG_START, _END = b"\xff\xd8", b"\xff\xd9"
_FILLER = bytes(np.random.default_rng(0).integers(1, 255, 4096, np.uint8))
_JPEG_2000_FILE = b"\0\0\0\x0cjP  "


def size_of_codestream(data: bytes) -> tuple[int, int] | None:
    """(width, height) by the header of a codestream; ``None`` for another kind or without a header."""
    if data.startswith(_JPEG_2000_FILE):
        data = data[max(0, data.find(_JPEG_2000)) :]
    if data.startswith(_JPEG_2000):
        right, bottom, left, top = (int.from_bytes(data[at : at + 4], "big") for at in (8, 12, 16, 20))
        return right - left, bottom - top
    at = 2 if data.startswith(JPEG_START) else len(data)
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
    """Check that the image of a codestream is not too large.

    Raises:
        UnreadableImageError: it is.
    """
    size = size_of_codestream(data)
    if size is not None:
        check_size(*size)


def check_end(data: bytes) -> None:
    """Check that a codestream has its end marker.

    Raises:
        UnreadableImageError: it has none.
    """
    if _END not in data[-16:]:  # a byte of padding may follow
        raise UnreadableImageError("the file is cut short: the compressed image has no end marker 0xFFD9")


def check_all_decoded(data: bytes, pixels: np.ndarray, decode: Callable[[bytes], np.ndarray]) -> None:
    """Check that a JPEG decoder has not filled in the lower part of a truncated image.

    JPEG decoders silently fill rows that are missing before the end marker with the last value. Bytes inserted before
    the marker do not change a complete image, but they change a truncated one.

    Args:
        data: a JPEG file or frame with an end marker.
        pixels: ``(H, W)`` or ``(H, W, C)`` as decoded.
        decode: the decoder.

    Raises:
        UnreadableImageError: data are missing.
    """
    last = pixels[-1].reshape(-1)
    end = data.rfind(_END)
    if end < 0 or not (last == last[0]).all():
        return
    longer = decode(data[:end] + _FILLER + data[end:])
    if longer.shape != pixels.shape or (longer != pixels).any():
        raise UnreadableImageError("the file is cut short: the compressed image ends before its last row")
