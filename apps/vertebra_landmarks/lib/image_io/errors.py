"""Why a file is refused: the error, limits checked before decoding, and messages of libraries made readable."""

from __future__ import annotations

import re

MAX_PIXELS = 100_000_000
_MAX_MESSAGE_CHARACTERS = 200
_PATH = re.compile(r"[\"']?(/[^\s\"']+)+[\"']?")
_ITK_PREFIX = re.compile(r"^(sitk::|ITK )?ERROR: (\w+\(\w+\): )?")


class UnreadableImageError(ValueError):
    """A file that holds no readable image; the message names the file and the reason."""


def check_size(width: int, height: int) -> None:
    """Check that an image is neither empty nor too large.

    Raises:
        UnreadableImageError: it is.
    """
    if width < 1 or height < 1:
        raise UnreadableImageError(f"{width} x {height} pixels: the image is empty")
    if width * height > MAX_PIXELS:
        raise UnreadableImageError(f"{width} x {height} pixels, at most {MAX_PIXELS:,} are read")


def cut_short(what: str, got: int, expected: int) -> UnreadableImageError:
    """The error for truncated pixel data.

    Args:
        what: the tag or part of the file that is too short.
        got: its size in bytes.
        expected: size in bytes by the header.
    """
    return UnreadableImageError(f"the file is cut short: {what} has {got:,} bytes, expected {expected:,}")


def error_text(error: Exception) -> str:
    """The message of a library error in one line, without local paths."""
    text = _PATH.sub("the file", " ".join(str(error).split()))
    return text[:_MAX_MESSAGE_CHARACTERS] or type(error).__name__


def itk_error_text(error: RuntimeError) -> str:
    """The reason in the last line of an ITK error, without its source location."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return _PATH.sub("the file", _ITK_PREFIX.sub("", lines[-1] if lines else ""))[:_MAX_MESSAGE_CHARACTERS]
