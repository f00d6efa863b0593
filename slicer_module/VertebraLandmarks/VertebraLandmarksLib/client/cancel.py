"""A signal, set by one thread, that ends what another one waits for."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Callable

from .errors import CANCELLED, ServerError


class Cancel:
    """Set once; whoever works looks at it, or has something closed by it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_set = False
        self._closers: list[Callable[[], object]] = []

    def cancel(self) -> None:
        """Set the signal and run what ``closes`` was given, on this thread."""
        with self._lock:
            self._is_set = True
            closers, self._closers = self._closers, []
        for close in closers:
            close()

    def is_set(self) -> bool:
        """Whether it was cancelled."""
        return self._is_set

    def check(self) -> None:
        """Go on only if nobody cancelled.

        Raises:
            ServerError: CANCELLED.
        """
        if self._is_set:
            raise ServerError(CANCELLED, "Cancelled.")

    @contextlib.contextmanager
    def closes(self, close: Callable[[], object]) -> Iterator[None]:
        """Have ``close`` called, from the thread that cancels, if that happens within the block.

        Raises:
            ServerError: CANCELLED, it happened before.
        """
        with self._lock:
            if not self._is_set:
                self._closers.append(close)
        self.check()
        try:
            yield
        finally:
            with self._lock, contextlib.suppress(ValueError):
                self._closers.remove(close)
