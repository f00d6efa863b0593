"""How two readings differ, and their mean."""

from __future__ import annotations

import numpy as np
import pytest

from lib.spine.schema import VERTEBRAE, Spine
from lib.study.consensus import mean_spine
from lib.study.differences import differences, names_shift, size_of


def changed(xy: np.ndarray, name: str, by: tuple[float, float], points: object = slice(None)) -> Spine:
    moved = xy.copy()
    moved[VERTEBRAE.index(name), points] += by
    return Spine.from_arrays(moved)


def test_differences_are_by_vertebra_the_largest_first(ladder: np.ndarray) -> None:
    other = changed(changed(ladder, "T7", (3, 4)).xy, "L2", (6, 8))
    found = differences(Spine.from_arrays(ladder), other)
    assert [one.vertebra for one in found[:3]] == ["L2", "T7", "T1"]
    assert found[0] == ("L2", 10.0, 10.0, 0.0, False)
    assert (found[1].corners_px, found[2].corners_px) == (5.0, 0.0)


def test_a_turned_vertebra_has_its_tilt(ladder: np.ndarray) -> None:
    turned = ladder.copy()
    turned[4, [2, 4], 1] += 20 * np.tan(np.radians(5))  # the right corners
    found = differences(Spine.from_arrays(ladder), Spine.from_arrays(turned))[0]
    assert (found.vertebra, found.tilt_deg) == ("T5", pytest.approx(5, abs=1e-3))


def test_what_only_one_reading_has_comes_first(ladder: np.ndarray) -> None:
    without = ladder.copy()
    without[16] = np.nan
    found = differences(Spine.from_arrays(without), changed(ladder, "T7", (30, 40)))
    assert found[0] == ("L5", None, None, None, True)
    assert found[1].vertebra == "T7"
    assert len(differences(Spine.from_arrays(without), Spine.from_arrays(without))) == 16


@pytest.mark.parametrize("shift", [-1, 0, 1])
def test_names_that_are_off_by_one_level_are_found(ladder: np.ndarray, shift: int) -> None:
    moved = np.full_like(ladder, np.nan)
    rows = np.arange(17)
    kept = (rows + shift >= 0) & (rows + shift < 17)
    moved[rows[kept] + shift] = ladder[rows[kept]]  # what the first calls T7 is T7 + shift here
    assert names_shift(Spine.from_arrays(ladder), Spine.from_arrays(moved + 1.5)) == shift


def test_readings_far_apart_are_not_taken_for_shifted(ladder: np.ndarray) -> None:
    assert names_shift(Spine.from_arrays(ladder), Spine.from_arrays(ladder + np.array([40, 0]))) == 0


def test_the_order_of_work_puts_names_before_angles_before_corners(ladder: np.ndarray) -> None:
    none, far = (differences(Spine.from_arrays(ladder), Spine.from_arrays(ladder + np.array([by, 0]))) for by in (0, 9))
    sizes = [size_of(none, 1, 0.0), size_of(none, 0, 9.0), size_of(far, 0, 1.0), size_of(none, 0, 1.0)]
    assert sizes == sorted(sizes)


def test_the_mean_is_that_of_the_corners_with_centers_from_them(ladder: np.ndarray) -> None:
    other = changed(ladder, "T7", (2, 4), [1, 2, 3, 4])  # its center stays where it was
    mean = mean_spine(Spine.from_arrays(ladder), other)
    assert mean.xy[6] == pytest.approx(ladder[6] + np.array([1, 2]))
    assert mean.xy[5] == pytest.approx(ladder[5])
    assert mean.visible.all()


def test_the_mean_shows_what_both_show(ladder: np.ndarray) -> None:
    hidden = np.ones((17, 5), bool)
    hidden[3, 1] = False
    without = ladder.copy()
    without[16] = np.nan
    without[8, 4] = np.nan
    mean = mean_spine(Spine.from_arrays(ladder, visible=hidden), Spine.from_arrays(without))
    assert not mean.visible[3, 1]
    assert mean.visible[3, [0, 2, 3, 4]].all()
    assert np.isfinite(mean.xy[3, 1]).all()
    assert mean["L5"].is_absent
    assert np.isfinite(mean.xy[8]).all(-1).tolist() == [True, True, True, True, False]


def test_there_is_no_mean_of_different_names(ladder: np.ndarray) -> None:
    shifted = np.full_like(ladder, np.nan)
    shifted[1:] = ladder[:-1]
    with pytest.raises(ValueError, match="name the vertebrae differently, by 1 level"):
        mean_spine(Spine.from_arrays(ladder), Spine.from_arrays(shifted))
    upper, lower = ladder.copy(), ladder.copy()
    upper[8:], lower[:8] = np.nan, np.nan
    with pytest.raises(ValueError, match="no vertebra in common"):
        mean_spine(Spine.from_arrays(upper), Spine.from_arrays(lower))
