"""Repetition of what fails for a moment, such as a request to a store or a web server."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from typing import TypeVar

MAX_TRIES, FIRST_PAUSE_S = 4, 0.5
"""Tries, and the pause after the first one; each later pause is twice as long."""
PERMANENT = (FileNotFoundError, FileExistsError, PermissionError, IsADirectoryError, NotADirectoryError)
"""What does not change by waiting."""
_FULL = (errno.ENOSPC, errno.EDQUOT)

ResultT = TypeVar("ResultT")


def with_retries(action: Callable[[], ResultT]) -> ResultT:
    """The result of an action that is repeated, with longer and longer pauses, where it fails.

    Raises:
        Exception: what the last try raised, or the first one that waiting does not change.
    """
    pause = FIRST_PAUSE_S
    for _ in range(MAX_TRIES - 1):
        try:
            return action()
        except Exception as error:  # stores and web clients have error types of their own
            if isinstance(error, PERMANENT) or is_disk_full(error) or _is_refusal(error):
                raise
        time.sleep(pause)
        pause *= 2
    return action()


def is_disk_full(error: BaseException) -> bool:
    """Whether a local disk or quota is exhausted."""
    return isinstance(error, OSError) and error.errno in _FULL


def _is_refusal(error: Exception) -> bool:
    """Whether a web server refuses the request itself: statuses 400 to 499 but "timeout" and "too many"."""
    status = getattr(error, "status", None)
    return isinstance(status, int) and 400 <= status < 500 and status not in (408, 429)
