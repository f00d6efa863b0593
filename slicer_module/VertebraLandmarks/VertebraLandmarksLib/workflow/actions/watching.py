"""When to ask how a training is getting on, and which answers are about the one before it."""

from __future__ import annotations

import time
from typing import Callable, Optional

from ...client.responses import STARTING, Training

EVERY_S = 1.5
LATEST_START_S = 60.0
"""Time in which a training that was asked for must show up."""


class TrainingWatch:
    """Looks after a training.

    Args:
        clock: seconds from any moment on.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next = 0.0
        self._before: Optional[Training] = None
        self._until: Optional[float] = None

    def started(self, before: Optional[Training]) -> Training:
        """A training was asked for; ``before`` is what the server said until then."""
        self._before, self._until = before, self._clock() + LATEST_START_S
        return Training(STARTING)

    def stopped(self) -> None:
        """The training was told to end; whatever the server says now is about it."""
        self._until = None

    def is_due(self, shown: Optional[Training]) -> bool:
        """Whether it is time to ask; then it is so once."""
        now = self._clock()
        if shown is None or not shown.is_going_on or now < self._next:
            return False
        self._next = now + EVERY_S
        return True

    def seen(self, said: Optional[Training]) -> Optional[Training]:
        """What to show for an answer: a new training takes a moment to replace what was said about the last one."""
        if self._until is not None and said == self._before and self._clock() < self._until:
            return Training(STARTING)
        self._until = None
        return said
