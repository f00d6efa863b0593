"""Time of work without pauses."""

from __future__ import annotations

import pytest
from VertebraLandmarksLib.workflow.open_image import MAX_PAUSE_S, WorkTimer

pytestmark = pytest.mark.slicer


def test_pauses_are_no_work() -> None:
    now = [1000.0]
    timer = WorkTimer(clock=lambda: now[0])
    assert timer.seconds == 0
    for step in (5.0, 10.0, MAX_PAUSE_S, MAX_PAUSE_S + 1, 3600.0, 2.0):
        timer.touch()
        now[0] += step
    timer.touch()
    assert timer.seconds == 5 + 10 + MAX_PAUSE_S + 2


def test_work_that_is_taken_up_goes_on() -> None:
    now = [0.0]
    timer = WorkTimer(40.0, lambda: now[0])
    now[0] = 20.0  # nobody did anything yet
    timer.touch()
    now[0] = 21.5
    timer.touch()
    assert timer.seconds == 41.5
