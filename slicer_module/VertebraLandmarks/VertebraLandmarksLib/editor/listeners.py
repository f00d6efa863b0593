"""Listeners that are called with every change, in the order of their subscription."""

from __future__ import annotations

from typing import Callable, Generic, TypeVar

T = TypeVar("T")


class Listeners(Generic[T]):
    """Callbacks of one event."""

    def __init__(self) -> None:
        self._callbacks: list[Callable[[T], object]] = []

    def subscribe(self, callback: Callable[[T], object]) -> Callable[[], None]:
        """Add a callback; returns a function that removes it."""
        self._callbacks.append(callback)

        def unsubscribe() -> None:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

        return unsubscribe

    def notify(self, value: T) -> None:
        """Call all callbacks."""
        for callback in tuple(self._callbacks):
            callback(value)

    def clear(self) -> None:
        """Remove all callbacks."""
        self._callbacks.clear()
