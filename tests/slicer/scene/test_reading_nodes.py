"""The readings that an adjudicator compares, as the slice view shows them."""

from __future__ import annotations

import numpy as np
import pytest
from VertebraLandmarksLib.spine.display import READINGS
from VertebraLandmarksLib.spine.schema import Spine

from lib.phantoms import Phantom

pytestmark = pytest.mark.slicer


def test_names_stand_beside_both_outlines_and_their_mean_has_none(bench, radiograph, phantom: Phantom) -> None:
    first = phantom.spine.visible_xy
    second = first + np.array((6.0, 0.0))
    bench.logic.show_image(radiograph)
    bench.logic.show_readings([Spine.from_arrays(xy) for xy in (second, first, (first + second) / 2)])
    bench.stage.render()
    left, right = bench.markups_xy("names 1")[:, 0], bench.markups_xy("names 2")[:, 0]
    assert np.all(left < first[..., 0].min(axis=1))
    assert np.all(right > second[..., 0].max(axis=1))
    assert bench.nodes("names 3") == []
    colors = [bench.nodes(f"reading {number}")[0].GetDisplayNode().GetColor() for number in (1, 2, 3)]
    assert [tuple(round(255 * part) for part in color) for color in colors] == list(READINGS)
    bench.logic.show_readings([])
    bench.stage.render()
    assert bench.nodes("reading 1") == []
