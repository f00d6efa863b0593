"""Which body a person's points mean, and what follows them."""

from __future__ import annotations

import numpy as np
import pytest

from lib.learning.decoders import FixedLandmarks
from lib.learning.prediction.corrections import apply_constraints, match_bodies, snap_to_bodies


def fixed_at(*points: tuple[int, int, np.ndarray]) -> FixedLandmarks:
    """Points that are fixed: vertebra, point, place."""
    fixed = FixedLandmarks.none()
    for v, p, place in points:
        fixed.xy[v, p] = place
    return fixed


@pytest.mark.parametrize(("off", "follows"), [(2.3, False), (2.5, True)])
def test_a_center_near_that_of_a_body_only_says_which_one_is_meant(
    ladder: np.ndarray, off: float, follows: bool
) -> None:
    """Steps are 16 px, 0.15 of them 2.4."""
    place = ladder[5, 0] + (off, 0)
    placed = apply_constraints(ladder, fixed_at((5, 0, place)), ladder[:, 0])
    assert (placed.xy[5, 0] == place).all()
    np.testing.assert_allclose(placed.xy[5, 1:], ladder[5, 1:] + (off * follows, 0))
    np.testing.assert_array_equal(np.delete(placed.xy, 5, 0), np.delete(ladder, 5, 0))
    assert placed.is_shown.all()


def test_a_center_names_the_body_that_it_is_put_on(ladder: np.ndarray) -> None:
    """T6 is put on the body that was found as T5, T9 between two bodies."""
    decoded = ladder[:, 0] + (0.7, 0.2)
    between = (ladder[8, 0] + ladder[9, 0]) / 2
    named = snap_to_bodies(
        fixed_at((5, 0, ladder[4, 0] + (1, -1)), (8, 0, between), (2, 3, ladder[2, 3])), ladder[:, 0], decoded
    )
    np.testing.assert_array_equal(named.xy[5, 0], decoded[4])
    np.testing.assert_array_equal(named.xy[8, 0], between)
    np.testing.assert_array_equal(named.xy[2, 3], ladder[2, 3])
    assert named.mask.sum() == 3


def test_bodies_are_kept_under_other_names(ladder: np.ndarray) -> None:
    before = ladder[:, 0]
    after = before + np.array([0.1, 16.1])
    kept = match_bodies(after, before, FixedLandmarks.none(), np.full(17, 5.6))
    np.testing.assert_array_equal(kept, [*range(1, 17), -1])


def test_a_center_that_has_moved_is_another_body_unless_a_corner_has_moved_it(ladder: np.ndarray) -> None:
    before, after = ladder[:, 0], ladder[:, 0].copy()
    after[[3, 7, 11]] += (4.0, 0)
    fixed = fixed_at((7, 2, ladder[7, 2] + 4), (11, 2, ladder[11, 2] + 4), (11, 0, ladder[11, 0] + 4))
    kept = match_bodies(after, before, fixed, np.full(17, 5.6))
    assert np.flatnonzero(kept < 0).tolist() == [3, 11]
    np.testing.assert_array_equal(np.delete(kept, [3, 11]), np.delete(np.arange(17), [3, 11]))


def test_no_body_is_kept_twice(ladder: np.ndarray) -> None:
    """A corner brings T8 near the body that T7 is."""
    before, after = ladder[:, 0], ladder[:, 0].copy()
    after[7] = before[6] + (1.0, 0)
    kept = match_bodies(after, before, fixed_at((7, 1, ladder[6, 1])), np.full(17, 5.6))
    assert (kept[6], kept[7]) == (6, -1)
