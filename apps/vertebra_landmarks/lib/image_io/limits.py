"""Limits on the size of an image, checked before its pixels are decoded."""

from __future__ import annotations

from .radiograph import UnreadableImageError

MAX_PIXELS = 100_000_000


def check_size(width: int, height: int) -> None:
    """See that an image is neither empty nor too large.

    Raises:
        UnreadableImageError: it is.
    """
    if width < 1 or height < 1:
        raise UnreadableImageError(f"{width} x {height} pixels: the image is empty")
    if width * height > MAX_PIXELS:
        raise UnreadableImageError(f"{width} x {height} pixels, at most {MAX_PIXELS:,} are read")


def cut_short(what: str, got: int, expected: int) -> UnreadableImageError:
    """The error for pixel data that is shorter than the header says.

    Args:
        what: the tag or the part of the file that is too short.
        got: its bytes.
        expected: bytes that the header asks for.
    """
    return UnreadableImageError(f"the file is cut short: {what} has {got:,} bytes, expected {expected:,}")
