"""How long the stages of a prediction take."""

from __future__ import annotations

import time


class Timer:
    """Adds up the time of each stage by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.perf_counter()

    def lap(self, stage: str) -> None:
        """Book the time since the last lap on this stage."""
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._since
        self._since = now
