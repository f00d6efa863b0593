"""When the work on one film goes to the disk, and which of two writings is the newer one."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import replace
from typing import Callable, Optional

from .drafts import Draft, Drafts

QUIET_S, LONGEST_S = 0.4, 1.0
"""Work is written when nothing happened for so long, and at the latest so long after the first change."""
RETRY_S = 5.0


class Keeper:
    """The draft of one film. Revisions count changes; all but ``write`` and ``forget`` belong to one thread.

    Args:
        drafts: where it is written.
        key: of the draft.
        clock: seconds from any moment on.
        taken_up: key of the draft that this one goes on with and replaces, "" where there is none; another Slicer may
            have been offered that too, so this one has a name of its own.

    Attributes:
        revision: changes so far.
        kept: the newest one on the disk.
        submitted: the newest one at the server.
    """

    def __init__(
        self, drafts: Drafts, key: str, clock: Callable[[], float] = time.monotonic, taken_up: str = ""
    ) -> None:
        self.key, self._taken_up = key, taken_up
        self.revision = self.kept = 1 if taken_up else 0
        self.submitted = 0
        self._drafts, self._clock = drafts, clock
        self._first: Optional[float] = None
        self._due: Optional[float] = None
        self._lock = threading.Lock()
        self._written = self._forgotten = 0
        self._is_released = False

    @property
    def is_kept(self) -> bool:
        """Whether nothing would be lost now."""
        return max(self.kept, self.submitted) >= self.revision

    @property
    def is_unsaved(self) -> bool:
        """Whether there is anything that the server does not have."""
        return self.submitted < self.revision

    def changed(self) -> None:
        """The person changed something."""
        now = self._clock()
        self.revision += 1
        if self._due is None:
            self._first = now
        self._due = min(now + QUIET_S, (self._first or now) + LONGEST_S)

    def is_due(self) -> bool:
        """Whether it is time to write; then it is so once."""
        if self._due is None or self._clock() < self._due:
            return False
        self._due = None
        return not self.is_kept

    def later(self) -> None:
        """Writing failed; try again in a while."""
        self._due = self._clock() + RETRY_S

    def write(self, draft: Draft, revision: int) -> int:
        """Write the draft unless a newer one is written, or submitted, already; on any thread.

        Returns:
            The revision.

        Raises:
            OSError: it cannot be written.
        """
        with self._lock:
            if revision >= self._written and revision > self._forgotten:
                if not self._is_released:
                    self._drafts.hold(self.key)
                self._drafts.save(replace(draft, key=self.key))
                self._written = revision
                self._replace_taken_up()
        return revision

    def forget(self, revision: int) -> None:
        """Remove the draft unless it is newer than what the server has now; on any thread.

        Raises:
            OSError: it cannot be removed.
        """
        with self._lock:
            self._forgotten = max(self._forgotten, revision)
            if self._written <= revision:
                self._drafts.remove(self.key)
                self._replace_taken_up()

    def release(self) -> None:
        """The film is no longer open here: the draft may be offered to all again; on any thread."""
        with self._lock:
            self._is_released = True
            self._drafts.release(self.key)

    def _replace_taken_up(self) -> None:
        if self._taken_up:
            with contextlib.suppress(OSError):  # what matters is written; tried again with the next writing
                self._drafts.remove(self._taken_up)
                self._taken_up = ""
