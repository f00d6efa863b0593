"""Bounded thread pools for requests; excess requests get 503."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import HTTPException

Result = TypeVar("Result")


class WorkerPool:
    """Threads for one kind of work; requests beyond the capacity are rejected at once.

    Args:
        work: what the threads do, for the error sentence.
        workers: number of threads.
        capacity: how many requests may run or wait.
    """

    def __init__(self, work: str, workers: int, capacity: int) -> None:
        self._work, self._capacity, self._pending = work, capacity, 0
        self._workers = CapacityLimiter(workers)

    async def run(self, function: Callable[..., Result], *args: Any, **kwargs: Any) -> Result:
        """Run a function in one of the threads.

        Raises:
            HTTPException: 503, the capacity is exhausted.
        """
        if self._pending >= self._capacity:
            raise HTTPException(
                503,
                f"{self._capacity} requests wait for {self._work} already; try again later",
                headers={"Retry-After": "10"},
            )
        self._pending += 1
        try:
            return await to_thread.run_sync(partial(function, *args, **kwargs), limiter=self._workers)
        finally:
            self._pending -= 1
