"""Affine maps, mirror images and lengths."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from lib.spine.geometry import (
    body_heights,
    body_tilts,
    center_distances,
    centers_of,
    check_shape,
    corners_of,
    directions_deg,
    drag_along,
    endplate_lines,
    midlines,
    mirror_points,
    mirrored_order,
    rotation,
    scaling,
    transform_points,
    translation,
    with_centers,
)


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [((4, 2), (4, 2)), ((3, 4, 2), (4, 2)), ((7, 2), (None, 2)), ((9,), (None,)), ((1, 5, 3), (5, None))],
)
def test_check_shape_compares_the_last_axes(shape: tuple, wanted: tuple) -> None:
    check_shape("points", np.zeros(shape), wanted)


@pytest.mark.parametrize(
    ("shape", "wanted", "text"),
    [
        ((3, 2), (4, 2), r"points must have shape \(..., 4, 2\), got \(3, 2\)"),
        ((2,), (4, 2), r"got \(2,\)"),
        ((), (2,), r"got \(\)"),
        ((5, 3), (None, 2), r"\(..., any, 2\), got \(5, 3\)"),
    ],
)
def test_check_shape_says_what_it_got(shape: tuple, wanted: tuple, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        check_shape("points", np.zeros(shape), wanted)


def test_transform_points_by_hand() -> None:
    matrix = np.array([[2.0, 0, 1], [0, 3, -1], [0, 0, 1]])
    np.testing.assert_array_equal(transform_points(matrix, np.array([[1.0, 1], [0, 0]])), [[3, 2], [1, -1]])
    np.testing.assert_array_equal(transform_points(matrix, np.array([1.0, 1])), [3, 2])
    shear = np.array([[1.0, 2, 0], [0, 1, 0], [0, 0, 1]])
    np.testing.assert_array_equal(transform_points(shear, np.array([1.0, 1])), [3, 1])


def test_transform_points_follows_the_matrix_product() -> None:
    random = np.random.default_rng(0)
    a, b = rotation(33) @ translation(1, 2), scaling(0.4, 3) @ translation(-5, 8)
    xy = random.normal(size=(2, 3, 4, 2))
    np.testing.assert_allclose(transform_points(a @ b, xy), transform_points(a, transform_points(b, xy)), atol=1e-12)
    back = transform_points(np.linalg.inv(a), transform_points(a, xy))
    np.testing.assert_allclose(back, xy, atol=1e-12)


def test_transform_points_keeps_nan() -> None:
    mapped = transform_points(translation(1, 1), np.array([[np.nan, np.nan], [0, 0]]))
    assert np.isnan(mapped[0]).all()
    np.testing.assert_array_equal(mapped[1], [1, 1])


def test_transform_points_refuses_wrong_shapes() -> None:
    with pytest.raises(ValueError, match="matrix must have shape"):
        transform_points(np.eye(2), np.zeros((1, 2)))
    with pytest.raises(ValueError, match="xy must have shape"):
        transform_points(np.eye(3), np.zeros((1, 3)))


def test_scaling_keeps_the_outer_edges_aligned() -> None:
    """An image 10 px wide has its edges at -0.5 and 9.5; at twice the size they are at -0.5 and 19.5."""
    edges = np.array([[-0.5, -0.5], [9.5, 9.5]])
    np.testing.assert_allclose(transform_points(scaling(2, 0.5), edges), [[-0.5, -0.5], [19.5, 4.5]])
    np.testing.assert_allclose(transform_points(scaling(2, 2), np.zeros(2)), [0.5, 0.5])


def test_translation_shifts() -> None:
    np.testing.assert_array_equal(transform_points(translation(3, -4), np.array([1.0, 1])), [4, -3])


def test_rotation_is_clockwise_on_the_screen() -> None:
    """With y pointing down, a quarter turn clockwise takes the x axis to the y axis."""
    np.testing.assert_allclose(
        transform_points(rotation(90), np.array([[1.0, 0], [0, 1]])), [[0, 1], [-1, 0]], atol=1e-12
    )
    np.testing.assert_allclose(rotation(30) @ rotation(60), rotation(90), atol=1e-12)


def test_mirroring_swaps_left_and_right_corners(ladder: np.ndarray) -> None:
    mirrored = mirror_points(ladder, 101)  # the ladder stands on the middle column, 50
    np.testing.assert_array_equal(mirrored, ladder)
    off_center = np.add(ladder, (7.0, 0.0))
    mirrored = mirror_points(off_center, 101)
    np.testing.assert_array_equal(mirrored[0, 0], [43, 20])
    np.testing.assert_array_equal(mirrored[0, 1], [33, 14])  # TL comes from TR at 67
    np.testing.assert_array_equal(mirrored[0, 4], [53, 26])  # BR comes from BL at 47
    assert (mirrored[:, 1, 0] < mirrored[:, 2, 0]).all()


def test_mirroring_twice_changes_nothing_and_takes_further_columns_along(ladder: np.ndarray) -> None:
    state = np.arange(85.0).reshape(17, 5, 1)
    points = np.concatenate([ladder + 3.25, state], -1)
    before = points.copy()
    mirrored = mirror_points(points, 77)
    np.testing.assert_array_equal(points, before)
    np.testing.assert_array_equal(mirrored[0, :, 2], [0, 2, 1, 4, 3])
    np.testing.assert_array_equal(mirror_points(mirrored, 77), points)


def test_centers_are_the_means_of_the_corners(ladder: np.ndarray) -> None:
    np.testing.assert_array_equal(centers_of(np.array([[0.0, 0], [4, 0], [0, 2], [4, 6]])), [2, 2])
    np.testing.assert_allclose(centers_of(ladder[:, 1:]), ladder[:, 0])


def test_an_unknown_corner_makes_an_unknown_center(ladder: np.ndarray) -> None:
    ladder[5, 2] = np.nan
    centers = centers_of(ladder[:, 1:])
    assert np.isnan(centers[5]).all()
    assert np.isfinite(np.delete(centers, 5, 0)).all()


def test_with_centers_and_corners_of_are_inverse(ladder: np.ndarray) -> None:
    corners = np.add(ladder[:, 1:], (0.5, 2.0))
    points = with_centers(corners)
    assert points.shape == (17, 5, 2)
    np.testing.assert_array_equal(points[:, 0], centers_of(corners))
    np.testing.assert_array_equal(corners_of(points), corners)


def test_center_distances_by_hand() -> None:
    np.testing.assert_array_equal(center_distances(np.array([[0.0, 0], [3, 4], [3, 10]])), [5, 6])
    assert center_distances(np.zeros((1, 2))).shape == (0,)
    assert center_distances(np.zeros((6, 17, 2))).shape == (6, 16)


def test_distances_beside_an_absent_center_are_nan() -> None:
    centers = np.array([[0.0, 0], [np.nan, np.nan], [0, 2], [0, 3]])
    np.testing.assert_array_equal(center_distances(centers), [np.nan, np.nan, 1])


def test_body_heights_by_hand() -> None:
    """The left side is 5 px long, the right one 7 px."""
    assert body_heights(np.array([[0.0, 0], [20, 0], [3, 4], [20, 7]])) == 6


def test_body_heights_do_not_depend_on_place_and_turn(ladder: np.ndarray) -> None:
    corners = np.stack([ladder[:, 1:], transform_points(rotation(33), ladder[:, 1:]), 2 * ladder[:, 1:] - 7])
    np.testing.assert_allclose(body_heights(corners), np.repeat([[12.0], [12], [24]], 17, 1))
    corners[1, 4, 3, 0] = np.nan
    heights = body_heights(corners)
    assert np.argwhere(np.isnan(heights)).tolist() == [[1, 4]]


@pytest.mark.parametrize(
    ("function", "shape", "text"),
    [
        (lambda a: mirror_points(a, 10), (4, 2), "points must have shape"),
        (centers_of, (5, 2), "corners must have shape"),
        (with_centers, (4, 3), "corners must have shape"),
        (corners_of, (4, 2), "points must have shape"),
        (center_distances, (17, 3), "centers must have shape"),
        (body_heights, (17, 5, 2), "corners must have shape"),
    ],
    ids=["mirror_points", "centers_of", "with_centers", "corners_of", "center_distances", "body_heights"],
)
def test_wrong_shapes_are_refused(function: Callable[[np.ndarray], np.ndarray], shape: tuple, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        function(np.zeros(shape))


def test_mirrored_order_swaps_left_and_right_and_keeps_the_center() -> None:
    assert mirrored_order(("center", "TL", "TR", "BL", "BR")) == (0, 2, 1, 4, 3)
    with pytest.raises(ValueError, match="not in tuple"):
        mirrored_order(("TL", "BL"))


SQUARE = np.array([[0.0, 0], [4, 0], [0, 2], [4, 2]])


def placed(targets: dict[int, tuple[float, float]]) -> np.ndarray:
    """``(4, 2)`` targets of some points, NaN for the others."""
    return np.array([targets.get(number, (np.nan, np.nan)) for number in range(4)], dtype=float)


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ({1: (5, 3)}, [[1, 3], [5, 3], [1, 5], [5, 5]]),
        ({0: (1, 1), 1: (9, 1)}, [[1, 1], [9, 1], [1, 3], [9, 3]]),
        ({0: (0, 0), 1: (4, 2)}, [[0, 0], [4, 2], [0, 2], [4, 4]]),
        ({0: (0, 0), 3: (8, 4)}, [[0, 0], [7.2, 1.6], [0.8, 2.4], [8, 4]]),
        ({0: (0, 0), 1: (2, 2), 2: (-1, 1)}, [[0, 0], [2, 2], [-1, 1], [1, 3]]),
        ({0: (0, 0), 1: (4, 0), 2: (0, 2), 3: (4, 6)}, [[0, -1], [4, 1], [0, 3], [4, 5]]),
    ],
    ids=["a shift", "stretched along a side", "sheared", "stretched along a diagonal", "affine", "least squares"],
)
def test_points_follow_those_that_are_dragged(targets: dict[int, tuple[float, float]], expected: list) -> None:
    """Worked out by hand; the diagonal (4, 2) becomes twice as long, and what lies across it does not."""
    np.testing.assert_allclose(drag_along(SQUARE, placed(targets)), expected, atol=1e-12)


def test_three_points_in_a_line_do_not_shear_what_lies_beside_it() -> None:
    """A thousandth off the line is no measure of how much to shear."""
    points = np.array([[0.0, 0], [1, 0.001], [2, 0], [1, 1]])
    carried = drag_along(points, np.array([[0.0, 0], [1, 0.3], [2, 0], [np.nan, np.nan]]))
    np.testing.assert_allclose(carried[3], [1, 1.1], atol=0.01)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_dragged_points_reach_their_targets(count: int) -> None:
    random = np.random.default_rng(count)
    points, targets = random.normal(size=(5, 2)), random.normal(size=(5, 2))
    targets[count:] = np.nan
    np.testing.assert_allclose(drag_along(points, targets)[:count], targets[:count], atol=1e-9)
    np.testing.assert_allclose(drag_along(points, np.where(np.isnan(targets), np.nan, points)), points, atol=1e-9)


def test_points_without_a_place_to_go_are_refused() -> None:
    with pytest.raises(ValueError, match=r"targets must hold the position of at least one point, got none"):
        drag_along(SQUARE, np.full((4, 2), np.nan))
    with pytest.raises(ValueError, match=r"targets must have shape \(..., 4, 2\), got \(3, 2\)"):
        drag_along(SQUARE, SQUARE[:3])
    with pytest.raises(ValueError, match=r"points must have shape \(..., any, 2\), got \(4,\)"):
        drag_along(SQUARE[:, 0], SQUARE)


def test_lines_and_tilts_of_bodies_by_hand() -> None:
    """The superior endplate falls by 45 degrees to the right, the inferior one is level; the last body is unknown."""
    corners = np.array([[[0.0, 0], [10, 10], [0, 20], [10, 20]], [[0, 0], [10, -10], [0, 20], [np.nan, 20]]])
    np.testing.assert_array_equal(endplate_lines(corners)[0], [[10, 10], [10, 0]])
    np.testing.assert_array_equal(midlines(corners), [[10, 5], [np.nan, -5]])
    np.testing.assert_allclose(directions_deg(endplate_lines(corners)), [[45, 0], [-45, np.nan]])
    np.testing.assert_allclose(body_tilts(corners), [np.degrees(np.arctan(0.5)), np.nan])
    with pytest.raises(ValueError, match="corners must have shape"):
        midlines(np.zeros((2, 5, 2)))
