"""The eight orientations of a raster: pixels and points turned alike, and what points say about it."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageOps

from lib.spine.geometry import transform_points
from lib.spine.imaging.orientation import EXIF_ORIENTATIONS, UPRIGHT, Orientation, orientation_of

ALL = [Orientation(turns, is_mirrored) for is_mirrored in (False, True) for turns in range(4)]
STORED = np.arange(35).reshape(5, 7)


@pytest.mark.parametrize("value", EXIF_ORIENTATIONS)
def test_exif_values_mean_what_pillow_shows(value: int) -> None:
    image = Image.fromarray(STORED.astype(np.uint8))
    image.getexif()[274] = value
    shown = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(EXIF_ORIENTATIONS[value].upright_pixels(STORED), shown)


@pytest.mark.parametrize("orientation", ALL, ids=repr)
def test_pixels_and_points_move_alike(orientation: Orientation) -> None:
    height, width = STORED.shape
    upright = orientation.upright_pixels(STORED)
    assert orientation.size(width, height) == upright.shape[::-1]
    matrix = orientation.matrix(width, height)
    for y, x in np.ndindex(height, width):
        column, row = np.rint(transform_points(matrix, np.array([[x, y]], float))[0]).astype(int)
        assert upright[row, column] == STORED[y, x]


@pytest.mark.parametrize("first", ALL, ids=repr)
@pytest.mark.parametrize("second", ALL, ids=repr)
def test_followed_by_does_one_after_the_other(first: Orientation, second: Orientation) -> None:
    expected = second.upright_pixels(first.upright_pixels(STORED))
    np.testing.assert_array_equal(first.followed_by(second).upright_pixels(STORED), expected)


def test_the_eight_are_all_there_are() -> None:
    assert set(EXIF_ORIENTATIONS.values()) == set(ALL)
    assert [orientation for orientation in ALL if orientation.is_upright] == [UPRIGHT]
    assert Orientation(3, True).as_dict() == {"turn_deg": 270, "mirrored": True}
    with pytest.raises(ValueError, match="quarter_turns must be 0, 1, 2 or 3, got 4"):
        Orientation(4)


def stored_points(upright: np.ndarray, orientation: Orientation, width: int, height: int) -> np.ndarray:
    """Where the points of an upright image of that size lie in the stored raster."""
    stored_size = (height, width) if orientation.quarter_turns % 2 else (width, height)
    return transform_points(np.linalg.inv(orientation.matrix(*stored_size)), upright)


@pytest.mark.parametrize("orientation", ALL, ids=repr)
def test_a_stated_orientation_in_which_the_points_stand_upright_counts(
    ladder: np.ndarray, orientation: Orientation
) -> None:
    points = stored_points(ladder, orientation, 100, 300)
    size = (300, 100) if orientation.quarter_turns % 2 else (100, 300)
    assert orientation_of(points, *size, orientation) == orientation


@pytest.mark.parametrize("turns", range(4))
def test_points_tell_the_quarter_turn_where_nothing_is_stated(ladder: np.ndarray, turns: int) -> None:
    orientation = Orientation(turns)
    points = stored_points(ladder, orientation, 100, 300)
    size = (300, 100) if turns % 2 else (100, 300)
    assert orientation_of(points, *size) == orientation


def test_without_points_the_statement_counts() -> None:
    nothing = np.full((17, 5, 2), np.nan)
    assert orientation_of(nothing, 100, 300) == UPRIGHT
    assert orientation_of(nothing, 100, 300, Orientation(2)) == Orientation(2)


def test_a_part_of_the_points_is_enough(ladder: np.ndarray) -> None:
    points = stored_points(ladder, Orientation(2), 100, 300)
    points[3:] = np.nan
    points[:, 0] = np.nan
    assert orientation_of(points, 100, 300) == Orientation(2)
