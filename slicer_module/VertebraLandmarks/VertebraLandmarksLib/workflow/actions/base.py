"""Base of the user actions, with what they share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

from ..autosave import Autosave
from ..requests import ServerRequests
from ..state import LogicProtocol, StateStore


@dataclass(frozen=True)
class ActionContext:
    """What all actions work on.

    Attributes:
        store: the state.
        requests: to the server.
        autosave: saves the work on the open image.
        logic: shows images and holds the points.
        clock: monotonic time in seconds.
    """

    store: StateStore
    requests: ServerRequests
    autosave: Autosave
    logic: LogicProtocol
    clock: Callable[[], float]


class Action:
    """One kind of user action.

    Args:
        context: what it works on.
    """

    def __init__(self, context: ActionContext) -> None:
        self._store, self._requests, self._autosave = context.store, context.requests, context.autosave
        self._logic, self._clock = context.logic, context.clock
