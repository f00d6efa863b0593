"""The present state, and who hears when it is another."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable

from ..client.responses import NOBODY
from .state import State


class Board:
    """What is going on, as the panel shows it.

    Attributes:
        state: replaced, never changed.
        person: who works, where the server has no login.
    """

    def __init__(self) -> None:
        self.state = State()
        self.person = ""
        self._listeners: list[Callable[[State], object]] = []
        self._is_told = True

    @property
    def user(self) -> str:
        """Who works: the name of the login, else what the person said."""
        info = self.state.info
        return info.user if info is not None and info.user not in ("", NOBODY) else self.person

    def set(self, **changes: Any) -> None:
        """Replace attributes of the state."""
        new = replace(self.state, **changes)
        if new != self.state:
            self.state, self._is_told = new, False

    def set_current(self, **changes: Any) -> None:
        """Replace attributes of what is said about the open film, if there is one."""
        if self.state.current is not None:
            self.set(current=replace(self.state.current, **changes))

    def on_change(self, listener: Callable[[State], object]) -> Callable[[], None]:
        """Call the listener from ``tell`` with the new state; returns what ends that."""
        self._listeners.append(listener)

        def end() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return end

    def tell(self) -> None:
        """Tell the listeners if the state is another than they know."""
        if self._is_told:
            return
        self._is_told = True
        for listener in tuple(self._listeners):
            listener(self.state)

    def clear(self) -> None:
        """Forget the listeners."""
        self._listeners.clear()
