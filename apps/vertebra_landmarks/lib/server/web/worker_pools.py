"""Lanes for slow work, so that it neither holds up quick requests nor piles up without end."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import HTTPException

Result = TypeVar("Result")


class Lane:
    """Worker threads for one kind of work, and a waiting line of limited length before them.

    Args:
        work: what is done in it, for the sentence that turns a request away.
        workers: how many run at once.
        places: how many may run or wait; one more is turned away at once.
    """

    def __init__(self, work: str, workers: int, places: int) -> None:
        self._work, self._places, self._taken = work, places, 0
        self._workers = CapacityLimiter(workers)

    async def run(self, function: Callable[..., Result], *args: Any, **kwargs: Any) -> Result:
        """Run a function in a worker thread, when its turn comes.

        Raises:
            HTTPException: 503, all places are taken.
        """
        if self._taken >= self._places:
            raise HTTPException(
                503,
                f"{self._places} requests wait for {self._work} already; try again later",
                headers={"Retry-After": "10"},
            )
        self._taken += 1
        try:
            return await to_thread.run_sync(partial(function, *args, **kwargs), limiter=self._workers)
        finally:
            self._taken -= 1
