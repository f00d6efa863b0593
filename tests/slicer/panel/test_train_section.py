"""What the section Train says about a training."""

from __future__ import annotations

import pytest
from VertebraLandmarksLib.client.responses import DONE, INTERRUPTED, RUNNING, Training, parse_training
from VertebraLandmarksLib.panel.sections.train import format_errors, format_state, format_versions
from VertebraLandmarksLib.workflow.state import State

pytestmark = pytest.mark.slicer


def test_a_training_that_published_says_that_its_model_is_in_use() -> None:
    training = Training(DONE, version_before="0", version_after="1 (now)")
    assert format_state(training, State()) == "done; the new model is in use"
    assert format_versions(training) == "version 0 → 1 (now)"


def test_a_training_that_published_nothing_says_so_and_why() -> None:
    training = Training(DONE, version_before="0", message="Both networks had become worse.")
    assert format_state(training, State()) == "done; the model is unchanged: Both networks had become worse."
    assert format_versions(training) == "version 0"


def test_a_training_that_is_going_on_says_how_far_it_is() -> None:
    training = Training(RUNNING, "corners", 3, 8, 37.5, 0.5, 11.25, 12.5)
    assert format_state(training, State()) == "running, epoch 3 of 8 (corners)"
    assert format_errors(training) == "loss 0.500, corners 12.5 → 11.2 px off on held-out images"


def test_a_training_that_was_interrupted_is_none_that_failed() -> None:
    """As a server tells it whose training process was killed."""
    stats = {"state": "interrupted", "epoch": 3, "total_epochs": 8}
    report = parse_training({"train_stats": {"vertebra_landmarks": stats}})
    assert report is not None
    assert (report.state, report.is_ongoing) == (INTERRUPTED, False)
    assert format_state(report, State()) == "interrupted; the model is unchanged"
