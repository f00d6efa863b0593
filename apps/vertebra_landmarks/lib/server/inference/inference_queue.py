"""One inference at a time, in the order of the requests; a single one uses all cores already."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from pathlib import Path
from typing import Any, TypeVar

from fastapi import HTTPException

REQUEST_TIMEOUT_S = 120.0
"""For waiting and inference together."""

T = TypeVar("T")
Result = tuple[str, dict[str, Any]]
"""A temporary Markups file and the response."""


class InferenceQueue:
    """A first-in-first-out queue with one worker thread."""

    def __init__(self) -> None:
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="infer")

    def run_background(self, task: Callable[[], T]) -> T:
        """Run a background task in the queue, without a timeout."""
        return self._worker.submit(task).result()

    def run(self, task: Callable[[dict[str, Any]], Result], request: dict[str, Any]) -> Result:
        """Run an inference in the queue.

        Raises:
            HTTPException: 503, it was not done in time; a late result is discarded.
        """
        future = self._worker.submit(task, request)
        try:
            return future.result(REQUEST_TIMEOUT_S)
        except FutureTimeoutError as error:
            if not future.cancel():
                future.add_done_callback(_discard)
            raise HTTPException(503, "the inference did not finish in time", headers={"Retry-After": "60"}) from error


def _discard(future: Future[Result]) -> None:
    if future.exception() is None:
        Path(future.result()[0]).unlink(missing_ok=True)
