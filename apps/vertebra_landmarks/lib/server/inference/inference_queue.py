"""One inference at a time, in the order of the requests: one uses all cores already."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotInTime
from pathlib import Path
from typing import Any, TypeVar

from fastapi import HTTPException

PATIENCE_S = 120.0
"""Time within which a request must have been done."""

T = TypeVar("T")
Result = tuple[str, dict[str, Any]]
"""A temporary Markups file and the answer."""


class Turns:
    """A line of inferences."""

    def __init__(self) -> None:
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="infer")

    def run(self, task: Callable[[], T]) -> T:
        """Run something that nobody waits for when its turn comes, however late."""
        return self._worker.submit(task).result()

    def take(self, task: Callable[[dict[str, Any]], Result], request: dict[str, Any]) -> Result:
        """Run a task when its turn comes.

        Raises:
            HTTPException: 503, that took too long; the result, if there will be one, is thrown away.
        """
        turn = self._worker.submit(task, request)
        try:
            return turn.result(PATIENCE_S)
        except NotInTime as error:
            if not turn.cancel():
                turn.add_done_callback(_discard)
            raise HTTPException(503, "the image did not get its turn in time", headers={"Retry-After": "60"}) from error


def _discard(turn: Future[Result]) -> None:
    if turn.exception() is None:
        Path(turn.result()[0]).unlink(missing_ok=True)
