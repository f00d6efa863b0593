"""Intraclass correlations and limits of agreement of published worked examples, to the printed digits."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lib.agreement.bland_altman import limits_of_agreement
from lib.agreement.reliability import Estimate, reliability_of_groups, reliability_of_table
from lib.agreement.resampling import mean_with_interval, share_with_interval

from .published import MINI, SHROUT_FLEISS, WRIGHT


def rounded(found: Estimate, digits: int) -> tuple[float, ...]:
    return tuple(round(value, digits) for value in found)


def test_shrout_and_fleiss_table_4() -> None:
    found = reliability_of_table(SHROUT_FLEISS)
    assert (found.images, found.readings) == (6, 4.0)
    assert rounded(found.icc_1_1, 2) == (0.17, -0.13, 0.72)
    assert rounded(found.icc_2_1, 2) == (0.29, 0.02, 0.76)
    assert rounded(found.icc_3_1, 2) == (0.71, 0.34, 0.95)
    assert round(found.sem.value**2, 2) == 6.26  # the mean square within targets of their table 3


@pytest.mark.parametrize(
    ("table", "one_way", "agreement", "consistency"),
    [
        pytest.param(SHROUT_FLEISS, 0.16574, 0.28976, 0.71484, id="judges"),
        pytest.param(np.column_stack([WRIGHT[:, 0], MINI[:, 0]]), 0.94601, 0.94593, 0.94291, id="two meters"),
        pytest.param(WRIGHT, 0.98317, 0.98316, 0.98305, id="one meter twice"),
    ],
)
def test_coefficients_are_those_of_pingouin_0_7(table, one_way: float, agreement: float, consistency: float) -> None:
    found = reliability_of_table(table)
    values = [round(one.value, 5) for one in (found.icc_1_1, found.icc_2_1, found.icc_3_1)]
    assert values == [one_way, agreement, consistency]


def test_bland_and_altman_1986_between_meters() -> None:
    found = limits_of_agreement(WRIGHT[:, 0], MINI[:, 0], factor=2)
    bias, deviation = round(found.bias.value, 1), round(found.deviation, 1)
    assert (found.count, bias, deviation) == (17, -2.1, 38.8)
    assert rounded(found.bias, 1) == (-2.1, -22.0, 17.8)
    # the paper goes on from rounded numbers: -2.1 - 2 * 38.8 = -79.7, and so on
    assert round(bias - 2 * deviation, 1) == -79.7
    assert round(bias + 2 * deviation, 1) == 75.5
    assert found.lower == pytest.approx((-79.7, -114.3, -45.1), abs=0.2)
    assert found.upper == pytest.approx((75.5, 40.9, 110.1), abs=0.2)


@pytest.mark.parametrize(("meter", "printed"), [(WRIGHT, 43.2), (MINI, 56.4)])
def test_bland_and_altman_1986_repeatability(meter: np.ndarray, printed: float) -> None:
    of_differences = round(math.sqrt(2) * reliability_of_table(meter).sem.value, 1)
    assert round(2 * of_differences, 1) == pytest.approx(printed, abs=0.11)  # 21.6 and 28.2 in the paper


def test_groups_of_equal_size_are_a_table() -> None:
    table, groups = reliability_of_table(WRIGHT), reliability_of_groups(WRIGHT.tolist())
    assert groups.icc_1_1 == pytest.approx(table.icc_1_1)
    assert groups.sem == pytest.approx(table.sem)
    assert math.isnan(groups.icc_2_1.value)


def test_groups_may_have_different_sizes() -> None:
    found = reliability_of_groups([[1.0, 2.0], [5.0], [7.0, 8.0, 9.0]])
    assert found.images == 2
    # one-way analysis of variance by hand: within 2.5 / 3, between 50.7, mean number 5 - 13 / 5
    assert found.sem.value == pytest.approx(math.sqrt(2.5 / 3))
    assert found.readings == pytest.approx(2.4)
    assert found.icc_1_1.value == pytest.approx((50.7 - 2.5 / 3) / (50.7 + 1.4 * 2.5 / 3))


def test_minimal_detectable_change_follows_from_the_error() -> None:
    found = reliability_of_table(WRIGHT)
    assert found.mdc.value == pytest.approx(1.96 * math.sqrt(2) * found.sem.value, rel=1e-4)


def test_what_is_not_defined_is_nan_and_what_is_perfect_is_one() -> None:
    constant = reliability_of_table(np.full((5, 2), 0.1))
    assert math.isnan(constant.icc_2_1.value)
    assert math.isnan(constant.icc_1_1.value)
    assert constant.sem.value == 0
    same = reliability_of_table(np.repeat([[0.1], [0.7], [0.9]], 2, axis=1))
    assert same.icc_2_1 == same.icc_1_1 == (1.0, 1.0, 1.0)
    shifted = reliability_of_table(np.array([[1.0, 2.0], [3.0, 4.0], [7.0, 8.0]]))
    assert shifted.icc_3_1.value == 1.0
    assert 0 < shifted.icc_2_1.value < 1


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ([[1.0, 2.0]], "two images and two readers"),
        ([[1.0], [2.0]], "two images and two readers"),
        ([[1.0, math.nan], [2.0, 3.0]], "1 of 4 values are not finite numbers"),
    ],
)
def test_a_table_that_says_nothing_is_refused(table: list[list[float]], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        reliability_of_table(np.array(table))


def test_other_bad_values_are_refused() -> None:
    with pytest.raises(ValueError, match="two images that were read twice, got 1"):
        reliability_of_groups([[1.0, 2.0], [3.0]])
    with pytest.raises(ValueError, match="not finite"):
        reliability_of_groups([[1.0, 2.0], [3.0, math.inf]])
    with pytest.raises(ValueError, match="two pairs"):
        limits_of_agreement(np.array([1.0]), np.array([2.0]))
    with pytest.raises(ValueError, match="finite"):
        limits_of_agreement(np.array([1.0, math.nan]), np.array([2.0, 3.0]))
    with pytest.raises(ValueError, match="finite"):
        mean_with_interval(np.array([math.nan]))
    with pytest.raises(ValueError, match="as many clusters"):
        mean_with_interval(np.array([1.0, 2.0]), ["a"])
    with pytest.raises(ValueError, match=r"0\.\.\.3, got 4"):
        share_with_interval(4, 3)


def test_exact_intervals_of_shares() -> None:
    # Clopper and Pearson's intervals as R's binom.test prints them
    assert rounded(share_with_interval(2, 40), 4) == (0.05, 0.0061, 0.1692)
    assert rounded(share_with_interval(0, 10), 4) == (0.0, 0.0, 0.3085)
    assert rounded(share_with_interval(10, 10), 4) == (1.0, 0.6915, 1.0)
    assert math.isnan(share_with_interval(0, 0).value)


def test_intervals_of_few_clusters_are_those_of_the_t_distribution() -> None:
    """Of two and of four values as R's t.test prints them; of many the bootstrap is as wide."""
    assert rounded(mean_with_interval(np.array([1.0, 3.0])), 4) == (2.0, -10.7062, 14.7062)
    assert rounded(mean_with_interval(np.array([1.0, 2.0, 3.0, 6.0])), 4) == (3.0, -0.4374, 6.4374)
    values = np.random.default_rng(0).normal(size=21)
    few, counts = mean_with_interval(np.repeat(values, 3), np.repeat(np.arange(21), 3).tolist()), 21
    half = 2.0860 * values.std(ddof=1) / math.sqrt(counts)
    assert few.high >= values.mean() + half - 1e-4
    assert few.low <= values.mean() - half + 1e-4
    assert few.high - few.low < 2.3 * half


def test_images_of_one_patient_are_drawn_together() -> None:
    values = np.repeat([0.0, 1.0, 4.0, 9.0, 2.0], 8)
    alone = mean_with_interval(values)
    together = mean_with_interval(values, np.repeat(list("abcde"), 8).tolist())
    assert alone.value == together.value == 3.2
    assert together.high - together.low > 2 * (alone.high - alone.low)
    assert mean_with_interval(values) == alone
    assert math.isnan(mean_with_interval(values[:8], ["a"] * 8).low)
    assert math.isnan(mean_with_interval(np.array([])).value)


def test_intervals_hold_the_true_value_where_images_have_two_or_three_readings() -> None:
    rng = np.random.default_rng(1)
    inside = []
    for _ in range(200):
        counts, means = rng.choice([2, 3], 40), rng.normal(0, 10, 40)
        groups = [(mean + rng.normal(0, 4, count)).tolist() for count, mean in zip(counts, means, strict=True)]
        found = reliability_of_groups(groups)
        inside.append((found.icc_1_1.low <= 100 / 116 <= found.icc_1_1.high, found.sem.low <= 4 <= found.sem.high))
    assert (np.mean(inside, axis=0) >= 0.9).all()


def test_intervals_hold_the_true_value_where_readers_are_biased() -> None:
    rng = np.random.default_rng(1)
    tables = rng.normal(0, 10, (200, 40, 1)) + rng.normal(0, 2, (200, 1, 3)) + rng.normal(0, 3, (200, 40, 3))
    found = [reliability_of_table(table).icc_2_1 for table in tables]
    assert np.mean([one.low <= 100 / 113 <= one.high for one in found]) >= 0.9
