"""Sends what is due in the outbox, one object after the other, and waits longer and longer while that fails."""

from __future__ import annotations

import time
from collections.abc import Callable

from ...store.store_context import ImageUnavailableError
from ..client import PacsClient, PacsError
from .objects import CannotBeSentError, ReportObjects
from .outbox import Outbox, OutboxItem
from .stow import NotAllowedError, Outcome, store

FIRST_DELAY_S, MAX_DELAY_S = 2.0, 600.0
"""Before another attempt; each failure doubles it."""
IDLE, SENDING, RETRYING, PAUSED = "idle", "sending", "retrying", "paused"
"""What is going on: nothing to do; objects are sent; sending has failed and is tried again; the PACS does not let this
login store anything."""


def delay_s(failures: int) -> float:
    """Seconds until the next attempt after some failures in a row."""
    return min(MAX_DELAY_S, FIRST_DELAY_S * 2.0 ** min(failures - 1, 20))


class Delivery:
    """Sends from an outbox.

    An object that the PACS refuses is set aside. One that fails is tried again after a delay of its own; the others
    follow after a short pause, so that one that always fails holds up none. While the PACS cannot be used at all, the
    pauses grow. All of this holds until it succeeds once, or the process ends.

    Attributes:
        state: one of ``IDLE``, ``SENDING``, ``RETRYING`` and ``PAUSED``.

    Args:
        outbox: of the store.
        objects: builds them.
        client: of the PACS, for this use alone.
        host: of the PACS, as named in sentences.
    """

    def __init__(self, outbox: Outbox, objects: ReportObjects, client: PacsClient, host: str) -> None:
        self._outbox, self._objects, self._client, self._host = outbox, objects, client, host
        self._failures, self._resume_at = 0, 0.0
        self.state = IDLE

    @property
    def is_pausing(self) -> bool:
        """Whether the last attempt has failed, and the next one is not due."""
        return time.monotonic() < self._resume_at

    def run(self, is_stopping: Callable[[], bool]) -> None:
        """Send all that is due, until something fails.

        Args:
            is_stopping: asked between two objects.
        """
        while not is_stopping():
            item = self._outbox.next_due(time.time())
            if item is None:
                self.state = IDLE if self._failures == 0 else self.state
                return
            if self._failures == 0:
                self.state = SENDING
            if not self._deliver(item):
                return

    def _pause(self, state: str = RETRYING) -> None:
        """Wait before the next attempt, longer than the last time."""
        self._failures += 1
        self._resume_at, self.state = time.monotonic() + delay_s(self._failures), state

    def _deliver(self, item: OutboxItem) -> bool:
        """Send an object; returns whether the next one may follow at once."""
        try:
            content = self._objects.build(item, self._outbox.predecessor(item))
        except CannotBeSentError as error:
            self._outbox.note_refused(item, str(error))
            return True
        except ImageUnavailableError as error:  # perhaps this one alone
            return self._fail(item, str(error))
        if content is None:
            self._outbox.note_omitted(item)
            return True
        try:
            outcome, sentence = store(self._client, content, item.uids, self._host)
        except PacsError as error:
            self._outbox.note_unreachable(item, str(error))
            self._pause(PAUSED if isinstance(error, NotAllowedError) else RETRYING)
            return False
        if outcome is Outcome.FAILED:
            return self._fail(item, sentence)
        if outcome is Outcome.STORED:
            self._outbox.note_sent(item)
        else:
            self._outbox.note_refused(item, sentence)
        self._failures, self._resume_at, self.state = 0, 0.0, SENDING
        return True

    def _fail(self, item: OutboxItem, sentence: str) -> bool:
        self._outbox.note_failed(item, sentence, delay_s(item.attempts + 1))
        self._pause()
        return False
