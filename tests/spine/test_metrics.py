"""Distances between predicted and labelled points."""

from __future__ import annotations

import numpy as np
import pytest

from lib.spine.metrics import distances, has_right_names, is_name_shifted, localisation


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
