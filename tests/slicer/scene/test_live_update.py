"""How long our part of a mouse move takes: points, other list, lines, angles, plausibility, listeners.

Measured in time of this thread, so that other work on the machine does not count; nothing is rendered between moves.
"""

from __future__ import annotations

import time

import numpy as np
import pytest

pytestmark = pytest.mark.slicer

MOVES = 60
LIMIT_S = 0.008
T7 = 6


@pytest.mark.parametrize(("mode", "p"), [("point", 1), ("point", 0), ("vertebra", 1), ("rotate", 1)])
def test_a_move_event_takes_at_most_8_ms_in_the_median(labelled, mode: str, p: int, record_property) -> None:
    labelled.logic.drag_mode = mode
    read = []
    labelled.logic.subscribe(lambda change: read.append(labelled.logic.measurements))
    start = labelled.point(T7, p)
    labelled.stage.move(start)
    labelled.stage.press()
    seconds = []
    for step in range(MOVES):
        place = (start[0] - 1 - step % 20, start[1] + step % 13)
        begin = time.thread_time()
        labelled.stage.move(place)
        seconds.append(time.thread_time() - begin)
    labelled.stage.release()
    assert len(read) == MOVES + 1
    assert labelled.logic.editor.edits == 1
    record_property("median_ms", 1000 * float(np.median(seconds)))
    assert np.median(seconds) < LIMIT_S


def test_showing_another_image_does_not_block(labelled, radiograph) -> None:
    pixels = np.random.default_rng(0).integers(0, 65535, (4000, 2500), dtype=np.uint16)
    large = type(radiograph)(**{**vars(radiograph), "pixels": pixels})
    begin = time.thread_time()
    labelled.logic.show_image(large)
    assert time.thread_time() - begin < 0.05
