"""Expected against observed errors."""

from __future__ import annotations

import numpy as np
import pytest

from lib.evaluation.calibration import DECILES, Decile, calibrate, ratio_range, share_inside


def test_deciles_by_hand() -> None:
    """Twenty points expected to be off by 1 to 20 px, given backwards, each really off by half of that."""
    expected = np.arange(20.0, 0, -1)
    deciles = calibrate(expected, expected / 2)
    assert [decile.count for decile in deciles] == [2] * 10
    assert [decile.expected for decile in deciles] == [1.5, 3.5, 5.5, 7.5, 9.5, 11.5, 13.5, 15.5, 17.5, 19.5]
    assert [decile.ratio for decile in deciles] == [2] * 10


def test_points_are_sorted_by_what_is_expected_not_by_what_is_observed() -> None:
    expected, observed = np.arange(1.0, 11), np.arange(10.0, 0, -1)
    deciles = calibrate(expected, observed)
    assert [(decile.expected, decile.observed) for decile in deciles] == [(i, 11 - i) for i in range(1, 11)]


def test_a_ratio_is_that_of_means() -> None:
    """Not the mean of ratios: (1 + 3) / (4 + 4) in the first decile of two."""
    expected = np.concatenate([[1.0, 3], np.full(18, 5.0)])
    observed = np.concatenate([[4.0, 4], np.full(18, 5.0)])
    assert calibrate(expected, observed)[0] == Decile(2, 2.0, 4.0)
    assert calibrate(expected, observed)[0].ratio == 0.5


def test_counts_differ_by_at_most_one_and_no_point_is_lost() -> None:
    counts = [decile.count for decile in calibrate(np.arange(37.0), np.ones(37))]
    assert sum(counts) == 37
    assert max(counts) - min(counts) == 1


def test_points_without_an_error_do_not_count() -> None:
    expected = np.concatenate([np.arange(1.0, 11), [np.nan, 100, np.nan]])
    observed = np.concatenate([np.arange(1.0, 11), [50, np.nan, np.nan]])
    assert calibrate(expected, observed) == calibrate(expected[:10], observed[:10])


def test_errors_drawn_as_expected_are_calibrated_whatever_the_order() -> None:
    """Rayleigh distances around their mean: ratios near 1 (400 points a decile, so 2.6 % is the standard error)."""
    random = np.random.default_rng(0)
    expected = random.uniform(1, 20, 4000)
    observed = random.rayleigh(expected / np.sqrt(np.pi / 2))
    found = ratio_range(calibrate(expected, observed))
    assert found is not None
    assert 0.9 < found[0] < found[1] < 1.1
    mixed = random.permutation(4000)
    assert ratio_range(calibrate(expected[mixed], observed[mixed])) == pytest.approx(found)
    scaled = ratio_range(calibrate(2 * expected, observed))
    assert scaled == pytest.approx((2 * found[0], 2 * found[1]))


def test_a_decile_that_is_nowhere_off_has_no_ratio() -> None:
    assert Decile(3, 1.0, 0.0).ratio is None
    assert ratio_range([Decile(3, 1.0, 2.0), Decile(3, 1.0, 0.0)]) is None
    assert ratio_range([Decile(3, 1.0, 2.0), Decile(3, 3.0, 2.0), Decile(3, 2.0, 2.0)]) == (0.5, 1.5)
    with pytest.raises(ValueError, match="there is no decile"):
        ratio_range([])


@pytest.mark.parametrize(
    ("expected", "observed", "words"),
    [
        (np.ones(9), np.ones(9), f"at least {DECILES} points with both errors are needed, got 9"),
        (np.ones(12), np.concatenate([np.ones(9), np.full(3, np.nan)]), "got 9"),
        (np.ones(12), np.ones(11), r"one shape \(M,\), got \(12,\) and \(11,\)"),
        (np.ones((2, 6)), np.ones((2, 6)), r"one shape \(M,\)"),
        (np.array([1.0] * 11 + [-1]), np.ones(12), "expected error 11 must be a number of pixels from 0 up, got -1"),
        (np.ones(12), np.array([1.0, np.inf] + [1] * 10), "observed error 1 .* got inf"),
    ],
    ids=["few", "few with labels", "lengths", "two axes", "negative", "infinite"],
)
def test_wrong_errors_are_refused(expected: np.ndarray, observed: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        calibrate(expected, observed)


def test_share_inside_by_hand() -> None:
    """Inside, on the end, outside below, without a truth, without an interval."""
    error = np.array([1.0, -2, -4, np.nan, 0])
    half_width = np.array([2.0, 2, 3, 5, np.nan])
    assert share_inside(error, half_width) == pytest.approx(2 / 3)
    assert share_inside(-error, half_width) == pytest.approx(2 / 3)
    assert share_inside(np.zeros(3), np.zeros(3)) == 1


def test_wrong_intervals_are_refused() -> None:
    with pytest.raises(ValueError, match=r"one shape \(M,\), got \(2,\) and \(3,\)"):
        share_inside(np.zeros(2), np.zeros(3))
    with pytest.raises(ValueError, match=r"a half width must not be negative, got -0\.5"):
        share_inside(np.zeros(2), np.array([1, -0.5]))
    with pytest.raises(ValueError, match="no error with an interval"):
        share_inside(np.array([np.nan, 1]), np.array([1, np.nan]))
    with pytest.raises(ValueError, match="no error with an interval"):
        share_inside(np.zeros(0), np.zeros(0))
