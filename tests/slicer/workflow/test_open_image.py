"""Time of work without pauses."""

from __future__ import annotations

import pytest
from VertebraLandmarksLib.workflow.open_image import MAX_PAUSE_S, WorkTimer

pytestmark = pytest.mark.slicer


def test_pauses_are_no_work() -> None:
    now = [1000.0]
    effort = WorkTimer(clock=lambda: now[0])
    assert effort.seconds == 0
    for step in (5.0, 10.0, MAX_PAUSE_S, MAX_PAUSE_S + 1, 3600.0, 2.0):
        effort.active()
        now[0] += step
    effort.active()
    assert effort.seconds == 5 + 10 + MAX_PAUSE_S + 2


def test_work_that_is_taken_up_goes_on() -> None:
    now = [0.0]
    effort = WorkTimer(40.0, lambda: now[0])
    now[0] = 20.0  # nobody did anything yet
    effort.active()
    now[0] = 21.5
    effort.active()
    assert effort.seconds == 41.5
