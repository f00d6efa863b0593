"""Observers of VTK objects that are all taken back together."""

from __future__ import annotations

from typing import Any, Callable


class Observers:
    """Callbacks on events of VTK objects."""

    def __init__(self) -> None:
        self._tags: list[tuple[Any, int]] = []

    def __len__(self) -> int:
        return len(self._tags)

    def add(self, thing: Any, event: Any, callback: Callable[[Any, str], None]) -> None:
        """Call back with the object and the event's name, whenever the event happens to the object."""
        self._tags.append((thing, thing.AddObserver(event, callback)))

    def remove(self) -> None:
        """End all of them."""
        for thing, tag in self._tags:
            thing.RemoveObserver(tag)
        self._tags = []
