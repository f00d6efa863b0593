"""How long somebody worked on a film, without the time in which nobody did."""

from __future__ import annotations

import time
from typing import Callable, Optional

IDLE_S = 60.0
"""A longer pause is no work."""


class Effort:
    """A clock that runs while somebody works.

    Args:
        seconds: worked before, where work is taken up again.
        clock: seconds from any moment on.
    """

    def __init__(self, seconds: float = 0.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds, self._clock = seconds, clock
        self._last: Optional[float] = None

    def active(self) -> None:
        """Somebody did something; the time since the last such moment counts unless it was a long pause."""
        now = self._clock()
        pause = 0.0 if self._last is None else now - self._last
        self._seconds += pause if pause <= IDLE_S else 0.0
        self._last = now

    @property
    def seconds(self) -> float:
        """Worked so far."""
        return self._seconds
