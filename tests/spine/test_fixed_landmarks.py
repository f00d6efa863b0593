"""Landmarks that a person has fixed."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest

from lib.learning.decoders import FixedLandmarks
from lib.spine.geometry import rotation, scaling, translation
from lib.spine.schema import CORNERS, POINTS, VERTEBRAE

ODD = (0.1 + 0.2, 1 / 3, 123.45678901234567, -0.0, 5e-324, 999_999.9999999999, 2**0.5)
"""Numbers that lose a bit in every careless sum or cast."""


def bits(values: np.ndarray) -> bytes:
    """What equality of floats does not tell apart: the sign of zero."""
    return np.ascontiguousarray(values).tobytes()


def random_points(seed: int = 0) -> np.ndarray:
    """``(17, 5, 2)`` places in an image."""
    return np.random.default_rng(seed).uniform(0, 1000, (17, 5, 2))


def corners_at(places: list[list[float]]) -> dict[str, list[float]]:
    """A table of four corners."""
    return dict(zip(CORNERS, places, strict=True))


def test_places_stand_where_their_names_say() -> None:
    fixed = FixedLandmarks.parse({"T12": {"center": [3, 4.5]}, "T7": {"TL": [1.25, -2], "BR": (7, 8)}})
    assert fixed.xy.shape == (17, 5, 2)
    assert fixed.xy.dtype == float
    assert {(VERTEBRAE[v], POINTS[p]) for v, p in np.argwhere(fixed.mask)} == {
        ("T12", "center"),
        ("T7", "TL"),
        ("T7", "BR"),
    }
    assert fixed.xy[11, 0].tolist() == [3, 4.5]
    assert fixed.xy[6, 1].tolist() == [1.25, -2]
    assert fixed.xy[6, 4].tolist() == [7, 8]


@pytest.mark.parametrize("values", [{}, {"T1": {}}, {"T1": {}, "L5": {}}])
def test_nothing_fixed(values: dict[str, Any]) -> None:
    for fixed in (FixedLandmarks.parse(values), FixedLandmarks.none()):
        assert not fixed.mask.any()
        assert np.isnan(fixed.xy).all()
        assert np.isnan(fixed.centers).all()
        points = random_points()
        assert bits(fixed.applied_to(points)) == bits(points)


def test_all_points_can_be_fixed() -> None:
    points = random_points()
    table = {v: {p: points[i, j].tolist() for j, p in enumerate(POINTS)} for i, v in enumerate(VERTEBRAE)}
    fixed = FixedLandmarks.parse(json.loads(json.dumps(table)))
    assert fixed.mask.all()
    assert bits(fixed.xy) == bits(fixed.applied_to(random_points(1))) == bits(points)


@pytest.mark.parametrize("x", ODD)
@pytest.mark.parametrize("y", ODD)
def test_numbers_stay_bit_for_bit(x: float, y: float) -> None:
    fixed = FixedLandmarks.parse(json.loads(json.dumps({"T3": {"center": [x, y]}, "T4": {"BL": [y, x]}})))
    placed = fixed.applied_to(random_points())
    assert bits(placed[2, 0]) == bits(np.array([x, y]))
    assert bits(placed[3, 3]) == bits(np.array([y, x]))


def test_free_points_stay_bit_for_bit_and_nothing_is_written_into_the_arguments() -> None:
    points = random_points()
    before = points.copy()
    fixed = FixedLandmarks.parse({"T3": {"TL": [1, 2]}})
    placed = fixed.applied_to(points)
    assert bits(points) == bits(before)
    placed[2, 1] = before[2, 1]
    assert bits(placed) == bits(before)
    assert fixed.xy[2, 1].tolist() == [1, 2]


@pytest.mark.parametrize("value", [1e6, -1e6, 10**6, 0, -0.0])
def test_places_up_to_a_million_pixels_are_taken(value: float) -> None:
    assert FixedLandmarks.parse({"T1": {"TL": [value, 0]}}).xy[0, 1].tolist() == [value, 0]


NO_PLACES = [
    None, True, 5, 5.5, "1,2", "12", b"12", {}, {"x": 1, "y": 2}, {1, 2}, [], [1], [1, 2, 3], [[1, 2], [3, 4]],
    [[1], 2], [1, [2]], [1, None], [None, None], ["1", "2"], [True, 1], [1, False], [1, 2j], [1, float("nan")],
    [float("inf"), 1], [1, -float("inf")], [10**400, 1], [1, -(10**400)], [1e6 + 1, 0], [0, -1e300],
    np.array([1.0, 2.0]), [np.array([1]), 2],
]  # fmt: skip


@pytest.mark.parametrize("value", NO_PLACES, ids=lambda value: repr(value)[:30])
def test_what_is_no_place_is_refused_by_name(value: object) -> None:
    with pytest.raises(
        ValueError, match=r"^fixed: T7 BL must be \[x, y\], two numbers of pixels up to 1,000,000, got "
    ):
        FixedLandmarks.parse({"T12": {"center": [1, 2]}, "T7": {"BL": value}})


@pytest.mark.parametrize(
    "text", ["[NaN, 1]", "[Infinity, 1]", "[1, -Infinity]", "[1e999, 1]", "[1, 1" + 400 * "0" + "]"]
)
def test_what_json_lets_through_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^fixed: L5 TR must be \[x, y\]"):
        FixedLandmarks.parse(json.loads(f'{{"L5": {{"TR": {text}}}}}'))


@pytest.mark.parametrize(
    "name", ["T0", "T13", "L6", "Th1", "t1", "", " T1", "center", "T1\n", 1, None, True, 1.5, ("T1",)]
)
def test_an_unknown_vertebra_is_named(name: Any) -> None:
    with pytest.raises(ValueError, match=rf"^fixed: {re.escape(repr(name))} is not one of T1, T2, .*, L5$"):
        FixedLandmarks.parse({name: {"center": [1, 2]}})


@pytest.mark.parametrize("name", ["Center", "tl", "TOP", "", "T1", 0, None])
def test_an_unknown_point_is_named(name: Any) -> None:
    with pytest.raises(ValueError, match=rf"^fixed: L2 {re.escape(repr(name))} is not one of center, TL, TR, BL, BR$"):
        FixedLandmarks.parse({"L2": {name: [1, 2]}})


@pytest.mark.parametrize("values", [None, [], "T1", 7, [["T1", {}]], True])
def test_what_is_no_table_is_refused(values: object) -> None:
    with pytest.raises(ValueError, match=re.escape(f"[x, y]}}}}, got {values!r}")):
        FixedLandmarks.parse(values)
    with pytest.raises(ValueError, match=r"^fixed: T9 must be a table such as .*, got "):
        FixedLandmarks.parse({"T9": values})


def test_messages_stay_short_whatever_was_sent() -> None:
    nested: Any = []
    for _ in range(200):
        nested = [nested]
    long = "x" * 100_000
    for values in (long, [long] * 99, nested, {long: {}}, {"T1": long}, {"T1": {long: 1}}, {"T1": {"TL": nested}},
                   {"T1": {"TL": [10**4000, 1]}}):  # fmt: skip
        with pytest.raises(ValueError, match="fixed") as caught:
            FixedLandmarks.parse(values)
        assert len(str(caught.value)) < 400


def test_the_center_of_four_fixed_corners_is_their_mean() -> None:
    fixed = FixedLandmarks.parse({"T5": corners_at([[0, 0], [4, 1], [0, 2], [4, 6]])})
    assert fixed.centers[4].tolist() == [2, 2.25]
    assert np.isfinite(fixed.centers).all(-1).tolist() == [v == 4 for v in range(17)]
    assert fixed.mask[4].tolist() == [False, True, True, True, True]
    points = random_points()
    placed = fixed.applied_to(points)
    assert placed[4].tolist() == [[2, 2.25], [0, 0], [4, 1], [0, 2], [4, 6]]
    points[4] = placed[4]
    assert bits(placed) == bits(points)


def test_a_center_is_known_where_it_is_fixed_or_all_its_corners_are() -> None:
    corners = corners_at([[0, 0], [4, 1], [0, 2], [4, 6]])
    three = {name: place for name, place in corners.items() if name != "BL"}
    fixed = FixedLandmarks.parse({"T5": corners, "T6": three, "T7": {"center": [1, 2]}})
    expected = fixed.mask
    assert not expected[4, 0]
    expected[4, 0] = True
    np.testing.assert_array_equal(fixed.determined, expected)
    assert not fixed.mask[4, 0]


@pytest.mark.parametrize("missing", CORNERS)
def test_three_fixed_corners_leave_the_center_free(missing: str) -> None:
    corners = corners_at([[0, 0], [4, 1], [0, 2], [4, 6]])
    del corners[missing]
    fixed = FixedLandmarks.parse({"T5": corners})
    assert np.isnan(fixed.centers).all()
    points = random_points()
    assert bits(fixed.applied_to(points)[4, 0]) == bits(points[4, 0])


def test_a_fixed_center_stands_even_if_its_corners_say_otherwise() -> None:
    fixed = FixedLandmarks.parse({"T5": {"center": [9, 9], **corners_at([[0, 0], [4, 1], [0, 2], [4, 6]])}})
    assert fixed.centers[4].tolist() == [9, 9]
    assert fixed.applied_to(random_points())[4, 0].tolist() == [9, 9]


def test_moving_moves_what_is_fixed_and_leaves_the_rest_free() -> None:
    fixed = FixedLandmarks.parse({"T12": {"center": [3, 4]}, "T7": {"TL": [1, 2]}})
    moved = fixed.moved(translation(10, -1) @ scaling(2, 2))
    np.testing.assert_array_equal(moved.mask, fixed.mask)
    assert moved.xy[11, 0].tolist() == [16.5, 7.5]  # 2 x + 1/2, then 10 to the right and 1 up
    assert moved.xy[6, 1].tolist() == [12.5, 3.5]
    assert fixed.xy[11, 0].tolist() == [3, 4]


def test_moving_there_and_back() -> None:
    matrix = translation(5, 6) @ rotation(40) @ scaling(0.3, 0.7)
    fixed = FixedLandmarks(random_points())
    np.testing.assert_allclose(fixed.moved(matrix).moved(np.linalg.inv(matrix)).xy, fixed.xy, atol=1e-9)
    np.testing.assert_allclose(
        FixedLandmarks.parse({"T5": corners_at([[0, 0], [4, 1], [0, 2], [4, 6]])}).moved(matrix).centers[4],
        FixedLandmarks.parse({"T5": {"center": [2, 2.25]}}).moved(matrix).centers[4],
    )


@pytest.mark.parametrize("half", [(np.nan, 5.0), (5.0, np.nan), (np.inf, 5.0), (5.0, -np.inf)])
@pytest.mark.parametrize("point", [0, 3])
def test_a_point_with_half_a_position_is_free(point: int, half: tuple[float, float]) -> None:
    """Its vertebra has all other corners fixed, so that the center would follow from a fourth."""
    fixed, points = FixedLandmarks.none(), random_points()
    fixed.xy[8, [1, 2, 4]] = points[8, [1, 2, 4]]
    fixed.xy[8, point] = half
    assert not fixed.mask[8, point]
    assert np.isnan(fixed.centers).all()
    assert not fixed.determined[8, 0]
    assert bits(fixed.applied_to(points)) == bits(points)
    assert np.isnan(fixed.moved(rotation(30) @ translation(3, 4)).centers).all()
