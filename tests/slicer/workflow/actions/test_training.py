"""When a training is asked about, and which answers are about it."""

from __future__ import annotations

import pytest
from VertebraLandmarksLib.client.responses import DONE, RUNNING, STARTING, STOPPED, Training
from VertebraLandmarksLib.workflow.actions.training import POLL_INTERVAL_S, START_TIMEOUT_S, TrainingWatch

pytestmark = pytest.mark.slicer

OLD = Training(DONE, epoch=3, total_epochs=3, percent=100, seconds=50.0)


class Clock:
    """Time that a test makes pass."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_it_asks_now_and_then_while_something_goes_on() -> None:
    clock = Clock()
    watch = TrainingWatch(clock)
    assert not watch.is_due(None)
    assert not watch.is_due(OLD)
    assert watch.is_due(Training(RUNNING))
    assert not watch.is_due(Training(RUNNING))
    clock.now += POLL_INTERVAL_S
    assert watch.is_due(Training(STARTING))


@pytest.mark.parametrize("before", [None, OLD])
def test_what_is_said_about_the_training_before_is_not_taken_for_the_new_one(before: Training | None) -> None:
    clock = Clock()
    watch = TrainingWatch(clock)
    assert watch.on_started(before) == Training(STARTING)
    assert watch.filter_report(before) == Training(STARTING)
    running = Training(RUNNING, epoch=1, total_epochs=3)
    assert watch.filter_report(running) == running
    assert watch.filter_report(OLD) == OLD  # from now on whatever is said is about this one


def test_a_training_that_never_shows_up_is_given_up() -> None:
    clock = Clock()
    watch = TrainingWatch(clock)
    watch.on_started(OLD)
    clock.now += START_TIMEOUT_S
    assert watch.filter_report(OLD) == OLD


def test_a_training_that_was_stopped_before_it_said_anything() -> None:
    watch = TrainingWatch(Clock())
    stopped = Training(STOPPED)
    watch.on_started(stopped)
    watch.on_stopped()
    assert watch.filter_report(stopped) == stopped
