"""What the errors of fixed points say about those of free ones, and how that is measured."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from lib.learning.decoders import FixedLandmarks
from lib.learning.uncertainty.error_correlation import (
    REACHES,
    VALUES,
    ErrorCorrelations,
    SpineErrors,
    fit_correlations,
    kernels,
)
from lib.spine.geometry import corners_of, rotation, transform_points, with_centers
from lib.spine.measurement.anatomy import violations

TOGETHER = np.kron(np.ones((4, 4)), np.eye(2)) * 0.8 + 0.2 * np.eye(VALUES)
"""All corners of a vertebra are off in the same way, but for a fifth of the variance."""


def correlations(reach: float, table: np.ndarray = TOGETHER) -> ErrorCorrelations:
    """Of one part."""
    return ErrorCorrelations.from_dict({"reaches": [reach], "covariances": [table.tolist()]})


def fixed_at(v: int, p: int, place: np.ndarray) -> FixedLandmarks:
    """One point is fixed."""
    fixed = FixedLandmarks.none()
    fixed.xy[v, p] = place
    return fixed


def moved(model: ErrorCorrelations, points: np.ndarray, fixed: FixedLandmarks, error: float = 1.6) -> Any:
    """Points and what is left of their errors, all expected to be off as far."""
    placed = fixed.applied_to(with_centers(corners_of(fixed.applied_to(points))))
    return model.propagate(placed, points, np.full((17, 5), error), fixed)


def test_by_hand(ladder: np.ndarray) -> None:
    """The step is 16 px, the error 0.1 of it. A corner 3.2 px to the right is 0.2 off; what is said of it has variance
    0.01 (1 + 0.5^2) + 0.01^2 = 0.0126, and 0.008 of that is shared with the other corners.
    """
    fixed = fixed_at(5, 1, ladder[5, 1] + (3.2, 0))
    after, left = moved(correlations(0.0), ladder, fixed)
    gain = 0.008 / 0.0126
    assert (after[5, 1] == fixed.xy[5, 1]).all()
    np.testing.assert_allclose(after[5, 2:], ladder[5, 2:] + (3.2 * gain, 0), atol=1e-3)
    np.testing.assert_allclose(after[5, 0], after[5, 1:].mean(0))
    np.testing.assert_array_equal(np.delete(after, 5, 0), np.delete(ladder, 5, 0))
    np.testing.assert_allclose(left[5, 2:], np.sqrt(1 - 0.008 * gain / 0.01), rtol=1e-4)
    np.testing.assert_allclose(np.delete(left, 5, 0), 1.0)


def test_a_center_speaks_of_all_its_corners_and_stays(ladder: np.ndarray) -> None:
    """Off by 0.1 steps; the mean of four corners has variance 0.01 (0.8 + 0.2 / 4), and 0.5^2 of 0.01 / 4 besides."""
    fixed = fixed_at(5, 0, ladder[5, 0] + (0, 1.6))
    after, _ = moved(correlations(0.0), ladder, fixed)
    gain = 0.0085 / (0.0085 + 0.01 * 0.25 / 4 + 0.0001)
    assert (after[5, 0] == fixed.xy[5, 0]).all()
    np.testing.assert_allclose(after[5, 1:], ladder[5, 1:] + (0, 1.6 * gain), atol=1e-3)


def test_neighbours_follow_less_the_further_they_are(ladder: np.ndarray) -> None:
    after, left = moved(correlations(2.0), ladder, fixed_at(5, 1, ladder[5, 1] + (3.2, 0)))
    right = (after - ladder)[:, 1:, 0].mean(1)
    assert (np.diff(right[5:]) < 0).all()
    assert (np.diff(right[:6]) > 0).all()
    np.testing.assert_allclose(right[9] / right[8], np.exp(-0.5), rtol=1e-2)
    np.testing.assert_allclose((after - ladder)[7:, :, 1], 0, atol=1e-3)
    assert ((left > 0) & (left < 1)).all()


def test_directions_are_those_of_the_spine(ladder: np.ndarray) -> None:
    """On an image turned by 40 degrees everything moves as upright, but turned."""
    turn, fixed = rotation(40), fixed_at(5, 1, ladder[5, 1] + (3.2, 1))
    upright, _ = moved(correlations(2.0), ladder, fixed)
    turned, _ = moved(correlations(2.0), transform_points(turn, ladder), fixed.moved(turn))
    np.testing.assert_allclose(turned, transform_points(turn, upright))
    assert np.abs(upright[6, 1:] - ladder[6, 1:]).min() > 0.1


def test_a_vertebra_that_does_not_take_part_neither_speaks_nor_moves(ladder: np.ndarray) -> None:
    shown = ladder.copy()
    shown[5] = np.nan
    fixed = fixed_at(5, 1, ladder[5, 1] + 3)
    after, left = correlations(2.0).propagate(fixed.applied_to(ladder), shown, np.full((17, 5), 1.6), fixed)
    np.testing.assert_array_equal(after, fixed.applied_to(ladder))
    assert (left == 1).all()
    fixed.xy[6, 1] = ladder[6, 1] + 3
    after, _ = correlations(2.0).propagate(fixed.applied_to(ladder), shown, np.full((17, 5), 1.6), fixed)
    np.testing.assert_array_equal(after[5, 2:], ladder[5, 2:])
    assert (after[7, 1:] != ladder[7, 1:]).any()


def test_fixed_points_stay_and_outlines_stay_whole_wherever_points_are_put(ladder: np.ndarray) -> None:
    """Corners drawn far apart would drag the free ones across the outline, and vertebrae onto each other."""
    random = np.random.default_rng(0)
    model = correlations(2.0, np.full((VALUES, VALUES), 3.0) + np.eye(VALUES))
    for _ in range(40):
        fixed = FixedLandmarks.none()
        for v in random.choice(17, 4, replace=False):
            p = random.integers(0, 5)
            fixed.xy[v, p] = ladder[v, p] + random.uniform(-4, 4, 2)
        before = fixed.applied_to(ladder)
        after, _ = model.propagate(before, ladder, random.uniform(0.2, 8, (17, 5)), fixed)
        assert (after[fixed.mask] == fixed.xy[fixed.mask]).all()
        worse = {(v.kind, v.vertebrae) for v in violations(after) if v.kind in ("corners", "step", "order")}
        assert worse <= {(v.kind, v.vertebrae) for v in violations(before)}


def test_plain_values_and_back() -> None:
    model = correlations(1.5)
    assert ErrorCorrelations.from_dict(json.loads(json.dumps(model.to_dict()))) == model


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"reaches": None}, "not those of this project"),
        ({"more": 1}, "8 x 8 finite numbers for every reach"),
        ({"reaches": [1.0, 2.0]}, "8 x 8 finite numbers for every reach"),
        ({"covariances": [np.full((8, 8), np.nan).tolist()]}, "8 x 8 finite numbers for every reach"),
        ({"reaches": [-1.0]}, "reaches that are not negative"),
        ({"covariances": [np.triu(np.ones((8, 8))).tolist()]}, "a table that is no covariance"),
        ({"covariances": [(-np.eye(8)).tolist()]}, "a table that is no covariance"),
    ],
)
def test_bad_values_are_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ErrorCorrelations.from_dict({**correlations(1.0).to_dict(), **change})


def test_covariances_are_found_again() -> None:
    """Of 60 drawn spines: errors that whole spines share across, and those of single vertebrae along."""
    across, along = np.diag([1.0, 0] * 4), np.diag([0.0, 0.5] * 4)
    truth = [along + 0.01 * np.eye(VALUES), 0.01 * np.eye(VALUES), np.kron(np.ones((4, 4)), [[1, 0], [0, 0]]) + across]
    value = np.tile(np.arange(VALUES), 17)
    covariance = sum(t[np.ix_(value, value)] * k for t, k in zip(truth, kernels(REACHES), strict=True))
    drawn = np.random.default_rng(0).multivariate_normal(np.zeros(17 * VALUES), covariance, 60, method="cholesky")
    spines = [SpineErrors(off.reshape(17, 4, 2), np.ones(17, dtype=bool)) for off in drawn]
    spines[0].counts[3], spines[0].off[3] = False, 1e3  # which must not count
    found = fit_correlations(spines)
    tables = np.array(found.covariances)
    total, expected = tables.sum(0), np.sum(truth, 0)
    np.testing.assert_allclose(total, expected, atol=0.45)
    assert tables[2][0, 2] > 0.6  # across, shared by both sides along the whole spine
    assert abs(tables[1:, 1, 1].sum()) < 0.15  # along, of single vertebrae alone


def test_nothing_to_measure_is_refused() -> None:
    nothing = SpineErrors(np.zeros((17, 4, 2)), np.zeros(17, dtype=bool))
    with pytest.raises(ValueError, match="images on which some vertebra was found"):
        fit_correlations([nothing])


def test_errors_are_label_less_prediction_in_shares_of_what_is_expected(ladder: np.ndarray) -> None:
    labelled = ladder.copy()
    labelled[4, 2] += (3.0, -1.0)
    labelled[9, 1] += (0.0, 7.0)  # 0.44 of a step: not the same body
    found = SpineErrors.of(ladder, labelled, np.full((17, 5), 2.0))
    np.testing.assert_allclose(found.off[4, 1], [1.5, -0.5])
    assert np.flatnonzero(~found.counts).tolist() == [9]
    assert np.count_nonzero(found.off) == 3
