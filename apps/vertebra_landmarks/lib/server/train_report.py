"""How a training is getting on, as a file: written by the process that trains, read by the one that serves."""

from __future__ import annotations

import json
import math
import os
import time
from pathlib import Path
from typing import Any

from ..spine.files import replacing

RUNNING, DONE, FAILED, STOPPED, STARTING = "running", "done", "failed", "stopped", "starting"
"""States of a training; a process that is killed has no last word, so that ``STOPPED`` is never in the file."""

PROCESSES = "processes"
"""Key of the process that trains and of its parent; with some Pythons on Windows it is the latter that was started."""


class TrainReport:
    """Facts about the newest training of a folder.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.content: dict[str, Any] = {}
        self._begin = time.time()

    def begin(self, **facts: Any) -> None:
        """Forget the training before this one.

        Raises:
            OSError: the file cannot be written.
        """
        self._begin = time.time()
        self.content = {"state": RUNNING, PROCESSES: [os.getpid(), os.getppid()], "start_ts": int(self._begin)}
        self.update(**facts)

    def update(self, **facts: Any) -> None:
        """Add facts or replace them.

        Raises:
            OSError: the file cannot be written.
        """
        self.content.update(facts)
        self.content["elapsed_s"] = round(time.time() - self._begin, 1)
        text = json.dumps(_without_nan(self.content), indent=1, allow_nan=False)
        with replacing(self.path) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def end(self, state: str, **facts: Any) -> None:
        """Say how it ended.

        Raises:
            OSError: the file cannot be written.
        """
        seconds = round(time.time() - self._begin)
        self.update(state=state, total_time=time.strftime("%H:%M:%S", time.gmtime(seconds)), **facts)


def read_report(path: Path) -> dict[str, Any]:
    """The facts; none where there was no training, or where the file is not as this project writes it."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _without_nan(value: Any) -> Any:
    """The same with ``None`` for numbers that JSON lacks."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
