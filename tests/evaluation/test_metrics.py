"""Distances between predicted and labelled points."""

from __future__ import annotations

import numpy as np
import pytest

from lib.evaluation.metrics import (
    corner_accuracy,
    distances,
    has_right_names,
    image_median,
    is_name_shifted,
    localisation,
    mean_body_height,
    name_shift,
    nmse,
    outlier_rate,
    success_rate,
)


def test_distances_by_hand() -> None:
    labelled = np.array([[0.0, 0], [1, 1], [np.nan, np.nan]])
    np.testing.assert_array_equal(distances(np.array([[3.0, 4], [1, 1], [0, 0]]), labelled), [5, 0, np.nan])


def test_distances_do_not_depend_on_a_common_shift(ladder: np.ndarray) -> None:
    moved = ladder + np.random.default_rng(0).normal(size=ladder.shape)
    np.testing.assert_allclose(distances(moved + 7, ladder + 7), distances(moved, ladder))


def test_distances_refuse_different_shapes() -> None:
    with pytest.raises(ValueError, match="must have the same shape"):
        distances(np.zeros((3, 2)), np.zeros((1, 2)))


@pytest.mark.parametrize(("by", "expected"), [(0, False), (7, False), (9, True), (16, True), (-16, True)])
def test_names_are_shifted_when_another_name_fits_better(ladder: np.ndarray, by: float, expected: bool) -> None:
    """Of the 16 px between neighbours, 7 px leave the own name the nearest and 9 px do not."""
    centers = ladder[:, 0]
    moved = np.add(centers, (0, by))
    assert is_name_shifted(moved, centers) is expected


def test_names_can_be_judged_with_labels_missing(ladder: np.ndarray) -> None:
    centers = ladder[:, 0].copy()
    predicted = np.add(centers, (0, 16))
    centers[3:6] = np.nan
    assert is_name_shifted(predicted, centers)
    assert not is_name_shifted(np.subtract(predicted, (0, 16)), centers)


@pytest.mark.parametrize("levels", [-2, -1, 0, 1, 2])
def test_the_levels_that_names_are_off_are_counted(ladder: np.ndarray, levels: int) -> None:
    """Positive where predicted T1 lies at the label of a lower vertebra; some labels are missing."""
    centers = ladder[:, 0].copy()
    predicted = np.add(centers, (0, 16 * levels + 3))
    centers[3:6] = np.nan
    assert name_shift(predicted, centers) == levels


def test_of_names_that_are_farther_off_than_is_tried_the_most_counts(ladder: np.ndarray) -> None:
    predicted = np.add(ladder[:, 0], (0, 64))
    assert name_shift(predicted, ladder[:, 0]) == 2
    assert name_shift(predicted, ladder[:, 0], max_shift=5) == 4
    assert name_shift(predicted, ladder[:, 0], max_shift=0) == 0


def test_of_equal_shifts_the_smaller_counts(ladder: np.ndarray) -> None:
    assert name_shift(np.add(ladder[:, 0], (0, 8)), ladder[:, 0]) == 0


def test_name_shift_refuses_what_cannot_be_compared(ladder: np.ndarray) -> None:
    centers = ladder[:, 0]
    with pytest.raises(ValueError, match="same shape"):
        name_shift(centers, centers[1:])
    with pytest.raises(ValueError, match=r"max_shift must lie in 0\.\.\.16, got 17"):
        name_shift(centers, centers, max_shift=17)
    with pytest.raises(ValueError, match="max_shift must lie in"):
        name_shift(centers, centers, max_shift=-1)
    with pytest.raises(ValueError, match="there is no labelled center"):
        name_shift(centers, np.full_like(centers, np.nan))


def test_localisation_of_a_perfect_prediction_is_zero(ladder: np.ndarray) -> None:
    result = localisation(ladder[None], ladder[None])
    assert (result.images, result.names_shifted) == (1, 0)
    assert result.corner_median == result.corner_mean == result.center_median == result.center_mean == 0
    assert result.center_mean_steps == 0


def test_localisation_by_hand(ladder: np.ndarray) -> None:
    """Image 1: all corners off by 5, centers by 8. Image 2, twice as large: corners exact, centers off by 1 and 4."""
    predicted = np.stack([ladder, 2 * ladder])
    labelled = predicted.copy()
    predicted[0, :, 1:] += (3, 4)
    predicted[0, :, 0] += (8, 0)
    predicted[1, :, 0] += (1, 0)
    predicted[1, 0, 0] += (3, 0)
    result = localisation(predicted, labelled)
    assert result.images == 2
    assert result.corner_mean == pytest.approx(2.5)
    assert result.corner_median == pytest.approx(2.5)
    assert result.center_mean == pytest.approx((17 * 8 + 16 * 1 + 4) / 34)
    assert result.center_median == pytest.approx(6)  # 16 ones, one 4, 17 eights
    assert result.center_mean_steps == pytest.approx((8 / 16 + (20 / 17) / 32) / 2)
    assert result.names_shifted == 0


def test_localisation_ignores_points_without_label(ladder: np.ndarray) -> None:
    predicted = ladder[None].copy()
    predicted[0, :, 1] += (0, 6)  # every TL is wrong
    labelled = ladder[None].copy()
    labelled[0, :, 1] = np.nan
    assert localisation(predicted, labelled).corner_mean == 0


def test_localisation_does_not_depend_on_scale_in_steps(ladder: np.ndarray) -> None:
    predicted = ladder + np.random.default_rng(1).normal(size=ladder.shape)
    small, large = (localisation(s * predicted[None], s * ladder[None]) for s in (1.0, 3.0))
    assert large.center_mean_steps == pytest.approx(small.center_mean_steps)
    assert large.corner_mean == pytest.approx(3 * small.corner_mean)


def test_localisation_counts_images_with_shifted_names(ladder: np.ndarray) -> None:
    predicted = np.stack([ladder, np.add(ladder, (0, 16)), ladder, np.subtract(ladder, (0, 16))])
    assert localisation(predicted, np.stack([ladder] * 4)).names_shifted == 0.5


def test_localisation_refuses_wrong_shapes_and_no_images(ladder: np.ndarray) -> None:
    with pytest.raises(ValueError, match="no image to compare"):
        localisation(np.zeros((0, 17, 5, 2)), np.zeros((0, 17, 5, 2)))
    with pytest.raises(ValueError, match="predicted must have shape"):
        localisation(np.zeros((1, 17, 4, 2)), np.zeros((1, 17, 4, 2)))
    with pytest.raises(ValueError, match="must have the same shape"):
        localisation(ladder[None], np.stack([ladder] * 2))


def test_localisation_refuses_one_image_without_its_axis(ladder: np.ndarray) -> None:
    with pytest.raises(ValueError, match="shape"):
        localisation(ladder, ladder)


def test_one_center_on_its_neighbour_makes_the_names_wrong(ladder: np.ndarray) -> None:
    centers = ladder[:, 0]
    assert has_right_names(centers + np.array([0.0, 7.9]), centers)  # steps are 16 px
    moved = centers.copy()
    moved[4, 1] += 8.1
    assert not has_right_names(moved, centers)
    absent = centers.copy()
    absent[4:6] = np.nan
    assert has_right_names(moved, absent)
    with pytest.raises(ValueError, match="same shape"):
        has_right_names(centers[1:], centers)


def test_mean_body_height_by_hand(ladder: np.ndarray) -> None:
    """Bodies are 12 px high; one of them 12 px left and 46 px right adds (29 - 12) / 17."""
    corners = np.stack([ladder[:, 1:]] * 3)
    corners[1, 4, 3] += (0, 34)
    corners[2, :16, 2] = np.nan
    assert mean_body_height(corners).tolist() == [12, 13, 12]
    assert np.isnan(mean_body_height(np.full((17, 4, 2), np.nan)))
    with pytest.raises(ValueError, match="corners must have shape"):
        mean_body_height(np.zeros((17, 5, 2)))


def test_nmse_by_hand() -> None:
    """Image 1: (10 / 100)^2 + (30 / 300)^2 = 0.02; image 2: (20 / 400)^2 = 0.0025; the third point has no label."""
    labelled = np.array([[[5.0, 6]], [[7, 8]], [[np.nan, np.nan]]])
    predicted = np.array([[[15.0, 36]], [[27, 8]], [[1, 1]]])
    sizes = np.array([[100, 300], [400, 100], [9, 9]])
    assert nmse(predicted, labelled, sizes) == pytest.approx((0.02 + 0.0025) / 2)
    assert nmse(3 * predicted, 3 * labelled, 3 * sizes) == pytest.approx((0.02 + 0.0025) / 2)


def test_nmse_refuses_wrong_sizes() -> None:
    points = np.zeros((2, 4, 2))
    with pytest.raises(ValueError, match=r"sizes must have shape \(2, 2\), got \(2,\)"):
        nmse(points, points, np.ones(2))
    with pytest.raises(ValueError, match="sizes must be positive"):
        nmse(points, points, np.array([[1, 0], [1, 1]]))
    with pytest.raises(ValueError, match="must have the same shape"):
        nmse(points, points[:1], np.ones((2, 2)))
    with pytest.raises(ValueError, match="no labelled point"):
        nmse(points, np.full_like(points, np.nan), np.ones((2, 2)))


def test_rates_by_hand() -> None:
    """A point that is off by just the limit is a success and no outlier; points without label are neither."""
    distance = np.array([[1.0, 20, 20.5], [np.nan, 41, 3]])
    assert outlier_rate(distance, 20) == 0.4
    assert success_rate(distance, 20) == 0.6
    assert outlier_rate(distance, 40) == 0.2
    for rate in (outlier_rate, success_rate):
        with pytest.raises(ValueError, match="no labelled point"):
            rate(np.array([np.nan]), 20)


def test_image_median_by_hand() -> None:
    """Means of images 2, 9 and 4; the last has no label."""
    distance = np.array([[1.0, 3], [9, 9], [np.nan, 4], [np.nan, np.nan]])
    assert image_median(distance) == 4
    with pytest.raises(ValueError, match="no labelled point"):
        image_median(distance[3:])


def test_corner_accuracy_of_a_perfect_prediction(ladder: np.ndarray) -> None:
    result = corner_accuracy(ladder[None, :, 1:], ladder[None, :, 1:], np.array([[100, 300]]))
    assert (result.images, result.nmse, result.or20, result.or40, result.image_median) == (1, 0, 0, 0, 0)
    assert result.within_2 == result.within_2_5 == result.within_3 == result.within_4 == 1
    assert result.within_10 == result.within_20 == result.within_30 == result.within_40 == 1


def test_corner_accuracy_by_hand(ladder: np.ndarray) -> None:
    """Corners of a kind are off by 0.3, 1.19, 4.79 and 41 px of bodies of 12 px; image 2 is exact."""
    labelled = np.stack([ladder[:, 1:]] * 2)
    predicted = labelled.copy()
    predicted[0, ..., 0] += np.array([0.3, 1.19, -4.79, 41])
    result = corner_accuracy(predicted, labelled, np.array([[100, 300], [1, 1]]))
    assert result.images == 2
    assert result.nmse == pytest.approx((0.3**2 + 1.19**2 + 4.79**2 + 41**2) / 100**2 / 8)
    assert (result.or20, result.or40) == (1 / 8, 1 / 8)
    assert result.image_median == pytest.approx((0.3 + 1.19 + 4.79 + 41) / 4 / 2)
    assert (result.within_2, result.within_3, result.within_4) == (4 / 8, 5 / 8, 5 / 8)
    assert (result.within_10, result.within_20, result.within_30, result.within_40) == (6 / 8, 6 / 8, 6 / 8, 7 / 8)


def test_corner_accuracy_grows_with_the_limit_and_keeps_shares_at_any_scale(ladder: np.ndarray) -> None:
    labelled = np.stack([ladder[:, 1:]] * 4)
    predicted = labelled + np.random.default_rng(2).normal(size=labelled.shape)
    sizes = np.full((4, 2), 200)
    one, two = (corner_accuracy(s * predicted, s * labelled, s * sizes) for s in (1, 2))
    shares = [one.within_2, one.within_2_5, one.within_3, one.within_4, one.within_10, one.within_20, one.within_40]
    assert shares == sorted(shares)
    assert 0 < one.within_10 < one.within_40 <= 1
    assert two.within_10 == one.within_10
    assert two.nmse == pytest.approx(one.nmse)


def test_corner_accuracy_leaves_points_without_label_out(ladder: np.ndarray) -> None:
    labelled = np.stack([ladder[:, 1:]] * 2)
    predicted = labelled.copy()
    predicted[0, 3, 2] += 99
    labelled[0, 3] = np.nan
    labelled[1] = np.nan
    assert corner_accuracy(predicted, labelled, np.ones((2, 2))).within_2 == 1


def test_corner_accuracy_refuses_what_it_cannot_compare(ladder: np.ndarray) -> None:
    labelled = ladder[None, :, 1:]
    predicted = labelled.copy()
    predicted[0, 2, 1, 0] = np.nan
    with pytest.raises(ValueError, match="image 0 has a labelled corner that is not predicted"):
        corner_accuracy(predicted, labelled, np.ones((1, 2)))
    one_side = labelled.copy()
    one_side[:, :, 3] = np.nan
    with pytest.raises(ValueError, match="image 0 has labelled corners but no body with all four"):
        corner_accuracy(labelled, one_side, np.ones((1, 2)))
    with pytest.raises(ValueError, match=r"predicted must have shape \(N, V, 4, 2\)"):
        corner_accuracy(labelled[0], labelled[0], np.ones((17, 2)))
    with pytest.raises(ValueError, match="predicted must have shape"):
        corner_accuracy(ladder[None], ladder[None], np.ones((1, 2)))
    with pytest.raises(ValueError, match="no labelled point"):
        corner_accuracy(np.zeros((0, 17, 4, 2)), np.zeros((0, 17, 4, 2)), np.ones((0, 2)))
