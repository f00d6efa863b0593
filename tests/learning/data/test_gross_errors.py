"""Points that cannot be those of a spine are told from those that may be."""

from __future__ import annotations

import numpy as np
import pytest

from lib.learning.data.gross_errors import gross_error
from lib.phantoms import random_spec, render_phantom
from lib.spine.schema import POINTS, VERTEBRAE

T3, T4 = VERTEBRAE.index("T3"), VERTEBRAE.index("T4")
TL, TR, BL, BR = (POINTS.index(name) for name in ("TL", "TR", "BL", "BR"))


@pytest.mark.parametrize("seed", range(8))
def test_a_spine_may_be_one_turned_or_incomplete_too(seed: int) -> None:
    xy = render_phantom(random_spec(seed, 480, 220)).spine.xy
    assert gross_error(xy) == ""
    assert gross_error(xy @ np.array([[0.82, 0.57], [-0.57, 0.82]])) == ""
    rng = np.random.default_rng(seed)
    assert gross_error(np.where(rng.random((17, 5, 1)) < 0.5, xy, np.nan)) == ""
    assert gross_error(np.full_like(xy, np.nan)) == ""


def test_slips_are_named(ladder: np.ndarray) -> None:
    def after(*places: object, to: object) -> str:
        xy = ladder.copy()
        xy[places] = to
        return gross_error(xy)

    assert gross_error(ladder * 0 + 50.0) == "the centers lie in one place"
    assert gross_error(ladder[::-1]).startswith("the spine runs upwards")
    assert after(T4, 0, to=ladder[T3, 0] + 0.1) == "T3 and T4 lie in one place"
    assert after([T3, T4], 0, to=ladder[[T4, T3], 0]) == "T3 and T4 stand in the wrong order"
    assert after(T3, TL, to=ladder[T3, 0] - (0.0, 160.0)) == "T3 TL is 10 steps away from the center of T3"
    exchanged = ladder[:, [0, TR, TL, BR, BL]]
    assert gross_error(exchanged).startswith("left and right corners are exchanged")
    few = ladder.copy()
    few[T3] = exchanged[T3]
    assert gross_error(few) == ""


def test_the_shape_is_checked() -> None:
    with pytest.raises(ValueError, match="xy"):
        gross_error(np.zeros((16, 5, 2)))
