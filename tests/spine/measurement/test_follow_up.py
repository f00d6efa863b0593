"""Curves of a reference image at the same end vertebrae in others, and their changes."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from lib.spine.geometry import with_centers
from lib.spine.measurement.cobb import measure_curves, turn_deg
from lib.spine.measurement.follow_up import FollowedSpine, changes_of, measure_at_same_ends
from lib.spine.schema import VERTEBRAE


def bent(upper: float, lower: float) -> np.ndarray:
    """``(17, 5, 2)`` points: tilts go from 0 at T1 to ``upper`` at T5, ``lower`` at L1 and 0 at L5, in degrees."""
    angle = np.radians(np.interp(range(17), [0, 4, 12, 16], [0, upper, lower, 0]))
    across = np.stack([np.cos(angle), np.sin(angle)], -1)
    down = np.stack([-np.sin(angle), np.cos(angle)], -1)
    center = np.array([200.0, 50]) + np.concatenate([np.zeros((1, 2)), np.cumsum((down[1:] + down[:-1]) * 22.5, 0)])
    corners = [center + 30 * sx * across + 15 * sy * down for sy in (-1, 1) for sx in (-1, 1)]
    return with_centers(np.stack(corners, 1))


def spine(image: str, upper: float, lower: float, width: float | None = None, left: str | None = None) -> FollowedSpine:
    widths = None if width is None else np.full(len(VERTEBRAE), width)
    return FollowedSpine(image, bent(upper, lower), widths, left)


def test_the_reference_is_measured_as_ever() -> None:
    reference = spine("a", -20, 22, 2.0)
    curves = measure_curves(reference.xy)
    same = measure_at_same_ends(reference, reference)
    assert [(one.upper_end, one.lower_end) for one in same] == [(c.upper_end, c.lower_end) for c in curves]
    assert [one.angle_deg for one in same] == pytest.approx([c.angle_deg for c in curves])
    assert all(one.half_width_deg == pytest.approx(math.hypot(2, 2)) for one in same)


def test_other_images_are_measured_at_the_ends_of_the_reference() -> None:
    reference, later = spine("a", -20, 22), spine("b", -10, 11)
    main = next(one for one in measure_at_same_ends(reference, later) if (one.upper_end, one.lower_end) == ("T5", "L1"))
    assert main.angle_deg == pytest.approx(21)
    assert main.half_width_deg is None
    moved = replace(later, xy=np.roll(later.xy, 2, axis=0))  # the same spine with other end vertebrae
    moved.xy[:2] = np.nan
    main = next(one for one in measure_at_same_ends(reference, moved) if one.upper_end == "T5")
    assert main.angle_deg == pytest.approx(turn_deg(moved.xy, (4, 12)))
    assert main.angle_deg < max(curve.angle_deg for curve in measure_curves(moved.xy))


def test_a_curve_to_the_other_side_is_negative() -> None:
    reference, opposite = spine("a", -20, 22), spine("b", 10, -5)
    main = next(one for one in measure_at_same_ends(reference, opposite) if one.upper_end == "T5")
    assert main.angle_deg == pytest.approx(-15)


@pytest.mark.parametrize(
    ("sides", "sign"), [(("left", "left"), 1), (("left", "right"), -1), (("right", None), 1), ((None, None), 1)]
)
def test_sides_are_compared_as_the_patients_where_both_images_state_them(
    sides: tuple[str | None, str | None], sign: int
) -> None:
    reference, later = spine("a", -20, 22, left=sides[0]), spine("b", -20, 22, left=sides[1])
    main = next(one for one in measure_at_same_ends(reference, later) if one.upper_end == "T5")
    assert main.angle_deg == pytest.approx(42 * sign)


def test_changes_go_from_the_first_image_to_every_other_and_from_each_to_the_next() -> None:
    spines = [spine("a", -20, 22), spine("b", -10, 11), spine("c", -15, 15)]
    main = [one for one in changes_of(spines) if (one.upper_end, one.lower_end) == ("T5", "L1")]
    assert [(one.start, one.stop) for one in main] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert [one.change_deg for one in main] == pytest.approx([-21, -12, 9])
    assert {one.within_error for one in main} == {None}
    assert changes_of([]) == changes_of(spines[:1]) == ()


@pytest.mark.parametrize(
    ("widths", "within"), [((2.0, 2.0), False), ((2.3, 2.3), True), ((None, 9.0), None), ((9.0, math.nan), None)]
)
def test_a_change_is_compared_with_the_half_widths_of_both_angles(
    widths: tuple[float | None, float | None], within: bool | None
) -> None:
    """Of 4.5 degrees: with half widths of 2 hypot 2 = 2.83 each it must exceed 4, with 3.25 it must exceed 4.6."""
    before, after = spine("a", -20, 22, widths[0]), spine("b", -20, 26.5, widths[1])
    (main,) = [one for one in changes_of([before, after]) if (one.upper_end, one.lower_end) == ("T5", "L1")]
    assert main.change_deg == pytest.approx(4.5)
    assert main.within_error is within


def test_an_end_that_is_not_visible_has_no_angle_and_no_change() -> None:
    before, after = spine("a", -20, 22, 2.0), spine("b", -10, 11, 2.0)
    after.xy[VERTEBRAE.index("L1"), 3] = np.nan
    main = next(one for one in measure_at_same_ends(before, after) if one.upper_end == "T5")
    assert (main.angle_deg, main.half_width_deg) == (None, None)
    assert not [one for one in changes_of([before, after]) if one.lower_end == "L1"]


def test_images_without_a_curve_have_nothing_to_follow() -> None:
    empty = FollowedSpine("a", np.full((17, 5, 2), np.nan))
    assert measure_at_same_ends(empty, spine("b", -20, 22)) == ()
    assert changes_of([empty, spine("b", -20, 22)]) == ()


def test_a_turn_has_the_sign_of_the_convexity() -> None:
    for points in (bent(-20, 22), bent(20, -22)):
        curve = next(one for one in measure_curves(points) if one.upper_end == "T5")
        turn = turn_deg(points, curve.ends)
        assert turn == pytest.approx(curve.angle_deg * (1 if curve.side == "right" else -1))
