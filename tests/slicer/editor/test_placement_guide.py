"""Placing by hand: the order, and four corners that come in any order."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from VertebraLandmarksLib.editor.placement_guide import GUIDED, PlacementGuide, sort_corners, spine_direction

pytestmark = pytest.mark.slicer

TL, TR, BL, BR = 1, 2, 3, 4
NOTHING = np.full((17, 5, 2), np.nan)


def body(width: float = 1.8, height: float = 1.0, degrees: float = 0.0) -> np.ndarray:
    """``(4, 2)`` corners of a body that is turned clockwise, with sides that are not quite parallel."""
    x, y = width / 2, height / 2
    corners = np.array([(-x, -y), (x * 0.95, -y * 1.02), (-x * 1.04, y), (x, y * 1.03)])
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return 20 * corners @ np.array([[c, s], [-s, c]]) + (100, 50)


def test_the_guided_order_goes_down_the_spine() -> None:
    assert GUIDED[:5] == ((0, TL), (0, TR), (0, BL), (0, BR), (1, TL))
    assert GUIDED[-1] == (16, BR)
    assert len(set(GUIDED)) == 68


def test_a_guide_leads_through_all_places() -> None:
    xy, guide = NOTHING.copy(), PlacementGuide(NOTHING)
    seen = []
    while guide.current is not None:
        seen.append(guide.current)
        xy[guide.current] = 1
        guide.advance(xy)
    assert tuple(seen) == GUIDED
    guide.advance(xy)
    assert guide.current is None


def test_a_guide_begins_at_the_first_place_without_a_point() -> None:
    xy = NOTHING.copy()
    xy[:2] = 1
    xy[2, TL] = 1
    assert PlacementGuide(xy).current == (2, TR)


def test_a_guide_over_a_whole_spine_has_nothing_to_place() -> None:
    assert PlacementGuide(np.zeros((17, 5, 2))).current is None


def test_skipping_leaves_a_place_out() -> None:
    guide = PlacementGuide(NOTHING)
    guide.advance(NOTHING)
    assert guide.current == (0, TR)


def test_skipping_a_vertebra_goes_to_the_next_one() -> None:
    guide = PlacementGuide(NOTHING)
    guide.advance(NOTHING)
    guide.skip_vertebra(NOTHING)
    assert guide.current == (1, TL)
    guide.go_to(16)
    guide.skip_vertebra(NOTHING)
    assert guide.current is None
    guide.skip_vertebra(NOTHING)
    assert guide.current is None


def test_going_back_offers_the_place_before_though_it_has_a_point() -> None:
    xy, guide = NOTHING.copy(), PlacementGuide(NOTHING)
    xy[0, TL] = 1
    guide.advance(xy)
    guide.back()
    assert guide.current == (0, TL)
    guide.back()
    assert guide.current == (0, TL)
    guide.advance(xy)
    assert guide.current == (0, TR)


def test_going_back_after_the_end_offers_the_last_place() -> None:
    guide = PlacementGuide(np.zeros((17, 5, 2)))
    guide.back()
    assert guide.current == (16, BR)


def test_a_guide_goes_to_a_vertebra() -> None:
    guide = PlacementGuide(NOTHING)
    guide.go_to(6)
    assert guide.current == (6, TL)
    with pytest.raises(ValueError, match="no point of vertebra 17"):
        guide.go_to(17)


def test_a_guide_goes_to_the_first_free_place_from_a_vertebra_on() -> None:
    xy = NOTHING.copy()
    xy[6:8] = 1
    xy[8, TL] = 1
    guide = PlacementGuide(xy)
    guide.go_to(6, xy)
    assert guide.current == (8, TR)
    xy[8:] = 1
    guide.go_to(6, xy)
    assert guide.current == (6, TL)


@pytest.mark.parametrize("degrees", [-45, -30, 0, 15, 30, 45])
@pytest.mark.parametrize("width", [1.17, 1.8, 3.45])
def test_four_corners_are_sorted_whatever_their_order_and_tilt(width: float, degrees: float) -> None:
    corners = body(width, 1.0, degrees)
    for order in permutations(range(4)):
        assert np.array_equal(sort_corners(corners[list(order)]), corners)


@pytest.mark.parametrize("degrees", [-80, -60, 60, 80])
def test_the_direction_of_the_spine_settles_steep_vertebrae(degrees: float) -> None:
    corners = body(1.2, 1.0, degrees)
    down = np.array([-np.sin(np.radians(degrees)), np.cos(np.radians(degrees))])
    assert np.array_equal(sort_corners(corners[[2, 0, 3, 1]], down), corners)


def test_a_body_higher_than_wide_is_sorted_by_the_image_while_it_is_upright() -> None:
    corners = body(0.7, 1.0, 5)
    assert np.array_equal(sort_corners(corners[[3, 1, 0, 2]]), corners)


@pytest.mark.parametrize("wrong", [np.zeros((4, 2)), np.zeros((3, 2)), np.full((4, 2), np.nan)])
def test_corners_that_are_not_four_points_are_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="corners must be four different points"):
        sort_corners(wrong)


def test_a_direction_without_length_is_refused() -> None:
    with pytest.raises(ValueError, match="down must be a direction"):
        sort_corners(body(), np.zeros(2))


def test_the_direction_leads_from_the_neighbour_above_to_the_one_below(ladder: np.ndarray) -> None:
    xy = NOTHING.copy()
    xy[3], xy[5] = ladder[3] + (10, 0), ladder[5]
    assert np.allclose(spine_direction(xy, 4, (0, 0)), (-10, 32))


def test_the_direction_uses_the_place_where_a_neighbour_is_missing(ladder: np.ndarray) -> None:
    xy = NOTHING.copy()
    xy[3, 1:] = ladder[3, 1:]
    center = ladder[3, 0]
    assert np.allclose(spine_direction(xy, 4, center + np.array((4, 16))), (4, 16))
    assert np.allclose(spine_direction(xy, 2, center - np.array((4, 16))), (4, 16))


def test_there_is_no_direction_beside_nothing(ladder: np.ndarray) -> None:
    xy = NOTHING.copy()
    xy[4] = ladder[4]
    xy[5, TL] = ladder[5, TL]
    assert spine_direction(xy, 4, (0, 0)) is None
    assert spine_direction(xy, 5, ladder[4, 0]) is None
