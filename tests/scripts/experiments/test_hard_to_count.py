"""``scripts/hard_to_count.py``: what its table counts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from experiments import hard_to_count
from lib.learning.prediction.request import PredictionRequest

CENTERS = np.stack([np.full(17, 50.0), 20.0 + 16 * np.arange(17)], 1)


class Predictor:
    """Finds every center, with a score of its own."""

    def __init__(self, score: float) -> None:
        self.score = score

    def predict(self, radiograph: object, request: PredictionRequest) -> SimpleNamespace:
        """All points of a vertebra at its center."""
        xy = np.repeat(CENTERS[:, None], 5, 1)
        return SimpleNamespace(spine=SimpleNamespace(xy=xy), spine_score=self.score, naming_lead=1.0)


def test_images_below_the_served_score_are_counted_as_refused(capsys: pytest.CaptureFixture[str]) -> None:
    radiograph: Any = SimpleNamespace(width=100, height=300)
    view: Any = SimpleNamespace(scores_at=lambda xy: np.full((17, len(xy)), 0.5))
    points = np.repeat(CENTERS[:, None], 5, 1)
    outcomes = []
    for kind, score in (("whole", 0.6), ("faint", 0.6), ("faint", 0.2)):
        start = hard_to_count.Start(kind, "a.png", 0, radiograph, None, view, points)  # type: ignore[arg-type]
        outcomes.append(hard_to_count.outcome(start, Predictor(score), 0.25))  # type: ignore[arg-type]
    hard_to_count.show(outcomes)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("| images | n | refused | names right |")
    assert lines[2].startswith("| whole | 1 | 0 | 100% |")
    assert lines[3].startswith("| faint | 2 | 1 | 100% |")
