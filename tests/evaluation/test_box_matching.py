"""Predicted centers and boxes without names."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from lib.evaluation.box_matching import BoxMatch, box_figures, local_steps, match_boxes


def column(count: int, first: int = 0, step: float = 20.0) -> np.ndarray:
    """``(count, 2)`` points one below the other on x = 100; the first is number ``first`` of a column from y = 50."""
    return np.stack([np.full(count, 100.0), 50 + step * (first + np.arange(count))], -1)


def test_local_steps_by_hand() -> None:
    boxes = np.array([[0.0, 0], [0, 10], [0, 30], [40, 60]])
    np.testing.assert_allclose(local_steps(boxes), [10, 15, 35, 50])
    np.testing.assert_allclose(local_steps(boxes[:2]), [10, 10])
    np.testing.assert_allclose(local_steps(3 * boxes[::-1] + 7), [150, 105, 45, 30])


def test_centers_on_their_boxes_match_all() -> None:
    match = match_boxes(column(17), column(17))
    assert match == BoxMatch(17, 0, tuple((i, i) for i in range(17)), (0.0,) * 17, 17, (), (), ())
    assert match.is_complete
    assert match.is_in_order


@pytest.mark.parametrize(("off", "matched"), [(7.9, 17), (8.1, 0)], ids=["0.395 of a step", "0.405 of a step"])
@pytest.mark.parametrize("along", [(1.0, 0.0), (0.0, 1.0), (0.6, -0.8)], ids=["aside", "below", "aslant"])
def test_a_box_is_found_within_0_4_steps(off: float, matched: int, along: tuple[float, float]) -> None:
    assert len(match_boxes(column(17) + off * np.array(along), column(17)).pairs) == matched


def test_the_step_is_that_at_the_box() -> None:
    """Steps of 10 px above and 40 px below: 7 px off is too far for the upper boxes only."""
    boxes = np.stack([np.zeros(9), np.cumsum([0, 10, 10, 10, 10, 40, 40, 40, 40])], -1).astype(float)
    match = match_boxes(boxes + np.array([7.0, 0]), boxes)
    assert [box for _, box in match.pairs] == [4, 5, 6, 7, 8]  # at the fourth the mean step is 25
    assert match.distances_steps == pytest.approx((7 / 25, 7 / 40, 7 / 40, 7 / 40, 7 / 40))


def test_swapped_centers_break_the_order() -> None:
    centers = column(17)
    centers[[5, 6]] = centers[[6, 5]]
    match = match_boxes(centers, column(17))
    assert (len(match.pairs), match.reachable) == (16, 17)
    assert not match.is_in_order
    assert not match.is_complete
    assert len(match.between) == 1
    assert match.between[0] in (5, 6)
    assert match.beyond == match.astray == ()


def test_centers_upside_down_match_one_box() -> None:
    match = match_boxes(column(17)[::-1], column(17))
    assert (len(match.pairs), match.reachable) == (1, 17)


def test_two_centers_at_one_box_match_it_once_by_the_nearer() -> None:
    """The fifth center lies at the box of the fourth, whose own center is nearer."""
    centers = column(17)
    centers[4] = centers[3] + (3, 0)
    match = match_boxes(centers, column(17))
    assert match.pairs == tuple((i, i) for i in range(17) if i != 4)
    assert match.between == (4,)
    assert match.is_in_order  # no order could have matched the fifth box
    centers[3] += (0, 5)
    assert dict(match_boxes(centers, column(17)).pairs).get(4) == 3


def test_most_boxes_count_before_least_distance() -> None:
    """Center 0 is nearest to box 1, but then box 0 would stay alone: wide boxes overlap where steps are uneven."""
    boxes = np.array([[0.0, 0], [0, 60], [0, 70], [0, 130]])  # steps 60, 35, 35, 60: reach 24, 14, 14, 24
    centers = np.array([[0.0, 0], [0, 67], [0, 74], [0, 130]])
    match = match_boxes(centers, boxes)
    assert match.pairs == ((0, 0), (1, 1), (2, 2), (3, 3))  # 67 is nearer to 70 than to 60
    assert len(match_boxes(centers[[0, 1, 3]], boxes).pairs) == 3
    assert dict(match_boxes(centers[[0, 1, 3]], boxes).pairs)[1] == 2  # alone, it takes the nearer


def test_missing_boxes_at_the_ends_leave_centers_beyond() -> None:
    """15 boxes from the second on: T1 and L5 lie one step beyond, on the line."""
    match = match_boxes(column(17), column(15, first=1))
    assert match.is_complete
    assert match.pairs == tuple((i + 1, i) for i in range(15))
    assert (match.beyond, match.between, match.astray) == ((0, 16), (), ())


def test_names_off_by_a_level_match_all_but_one() -> None:
    """A spine named one level too low: its lowest center lies beyond, the uppermost box has none."""
    match = match_boxes(column(17, first=1), column(17))
    assert match.pairs == tuple((i, i + 1) for i in range(16))
    assert (match.boxes, match.reachable, match.is_in_order) == (17, 16, True)
    assert (match.beyond, match.between) == ((16,), ())


def test_of_more_than_17_boxes_the_uppermost_are_left_out() -> None:
    boxes = column(19)
    match = match_boxes(boxes[2:], boxes)
    assert (match.boxes, match.left_out, match.is_complete) == (17, 2, True)
    assert match.pairs == tuple((i, i + 2) for i in range(17))
    upper = match_boxes(boxes[:17], boxes)
    assert len(upper.pairs) == 15
    assert upper.beyond == (0, 1)  # on the line, at boxes that do not count


def test_a_box_left_out_in_the_middle_leaves_a_center_between() -> None:
    match = match_boxes(column(17), np.delete(column(17), 8, axis=0))
    assert (match.boxes, match.is_complete, match.between) == (16, True, (8,))


def test_a_center_beside_an_unmatched_end_box_is_not_beyond_it() -> None:
    """0.425 steps above the lowest box: not within reach of it, and not on its far side either."""
    centers = column(17)
    centers[16] -= (0, 8.5)
    match = match_boxes(centers, column(17))
    assert (len(match.pairs), match.between, match.beyond) == (16, (16,), ())
    centers[16] += (0, 17)
    assert match_boxes(centers, column(17)).beyond == (16,)


@pytest.mark.parametrize(
    ("aside", "is_astray"), [(9.9, False), (-9.9, False), (10.1, True), (-10.1, True)], ids=lambda value: str(value)
)
@pytest.mark.parametrize("end", [0, 16])
def test_beyond_the_ends_half_a_step_aside_is_too_far(aside: float, is_astray: bool, end: int) -> None:
    centers = column(17)
    centers[end, 0] += aside
    match = match_boxes(centers, column(15, first=1))
    assert (match.astray, match.beyond) == (((end,), (16 - end,)) if is_astray else ((), (0, 16)))


def test_the_step_beyond_an_end_is_that_at_its_box() -> None:
    """Steps of 10 px at the upper end and of 40 px at the lower: 15 px aside are too far above only."""
    boxes = np.stack([np.zeros(9), np.cumsum([0, 10, 10, 10, 10, 40, 40, 40, 40])], -1).astype(float)
    centers = np.array([[15.0, -10], [15, 240]])
    match = match_boxes(centers, boxes)
    assert (match.astray, match.beyond) == ((0,), (1,))


def test_centers_that_can_find_two_boxes_make_room_for_others() -> None:
    """The first center reaches boxes 1 and 2, the second, above it, only box 1: two could match without the order."""
    boxes = np.array([[0.0, 0], [0, 60], [0, 70], [0, 130]])  # steps 60, 35, 35, 60: reach 24, 14, 14, 24
    match = match_boxes(np.array([[0.0, 65], [0, 50]]), boxes)
    assert (len(match.pairs), match.reachable, match.is_in_order) == (1, 2, False)
    assert len(match_boxes(np.array([[0.0, 50], [0, 65]]), boxes).pairs) == 2


def test_the_line_follows_the_slant_of_the_boxes() -> None:
    """The whole image turned by 30 degrees, and a bend at the upper end only."""
    c, s = np.cos(np.pi / 6), np.sin(np.pi / 6)
    turn = np.array([[c, s], [-s, c]])
    assert match_boxes(column(17) @ turn, column(15, first=1) @ turn).beyond == (0, 16)
    boxes = column(15, first=1)
    boxes[:2] += [(20, 0), (10, 0)]  # leans by 10 px a step, so that the line passes (130, 50)
    centers = np.concatenate([[[130.0, 50]], boxes])
    assert match_boxes(centers, boxes).beyond == (0,)
    centers[0] = 100, 50
    assert match_boxes(centers, boxes).astray == (0,)


def test_the_line_is_that_of_two_steps() -> None:
    """One end box aside by 8 px turns the line of two steps by 8 in 40: at the next step it is 12 px aside."""
    boxes = column(10)
    boxes[0] += (8, 0)
    for x, place in ((112.0, "beyond"), (123.5, "astray"), (100.5, "astray")):
        match = match_boxes(np.array([[x, 30.0]]), boxes)
        assert getattr(match, place) == (0,), x


def test_absent_centers_are_neither_matched_nor_at_fault() -> None:
    centers = column(17)
    centers[[0, 8]] = np.nan
    match = match_boxes(centers, column(17))
    assert (len(match.pairs), match.reachable) == (15, 15)
    assert match.between == match.beyond == match.astray == ()


def test_no_center_matches_nothing() -> None:
    match = match_boxes(np.zeros((0, 2)), column(5))
    assert (match.boxes, match.pairs, match.reachable) == (5, (), 0)


def test_the_matching_is_the_best_of_all() -> None:
    """Against every matching in order of five centers and four uneven boxes, 200 random layouts."""
    random = np.random.default_rng(5)
    for _ in range(200):
        boxes = np.stack([random.normal(0, 3, 4), np.cumsum(random.uniform(4, 16, 4))], -1)
        centers = np.stack([random.normal(0, 3, 5), np.sort(random.uniform(0, 45, 5))], -1)
        random.shuffle(centers[:3])
        apart = np.linalg.norm(centers[:, None] - boxes[None], axis=-1) / local_steps(boxes)
        in_order, in_any = [(0, 0.0)], [0]
        for size in range(1, 5):
            for chosen in itertools.combinations(range(4), size):
                for order in itertools.permutations(range(5), size):
                    if (apart[order, chosen] <= 0.4).all():
                        in_any.append(size)
                        if list(order) == sorted(order):
                            in_order.append((size, -float(apart[order, chosen].sum())))
        match = match_boxes(centers, boxes)
        assert (len(match.pairs), -sum(match.distances_steps)) == pytest.approx(max(in_order))
        assert match.reachable == max(in_any)


def test_nothing_depends_on_place_scale_and_side() -> None:
    random = np.random.default_rng(3)
    boxes = column(16) + random.normal(0, 3, (16, 2))
    centers = column(17) + random.normal(0, 6, (17, 2))
    plain = match_boxes(centers, boxes)
    assert 0 < len(plain.pairs) < 16
    for factor in (np.array([3.0, 3]), np.array([-1.0, 1])):
        other = match_boxes(centers * factor + 9, boxes * factor + 9)
        assert other.distances_steps == pytest.approx(plain.distances_steps)
        for name in ("pairs", "reachable", "between", "beyond", "astray"):
            assert getattr(other, name) == getattr(plain, name)


@pytest.mark.parametrize(
    ("centers", "boxes", "words"),
    [
        (column(17), column(1), r"boxes must have shape \(N, 2\) with at least two of them, got \(1, 2\)"),
        (column(17), np.zeros((0, 2)), "at least two of them"),
        (column(17), np.zeros((3, 4)), r"boxes must have shape \(..., any, 2\)"),
        (np.zeros((17, 3)), column(3), r"centers must have shape \(..., any, 2\)"),
        (np.zeros((1, 17, 2)), column(3), r"centers must have shape \(M, 2\), got \(1, 17, 2\)"),
        (column(17), np.array([[0.0, 0], [0, np.nan]]), "box 1 is not finite"),
        (column(17), np.array([[0.0, 0], [0, 9], [0, 9]]), "boxes 1 and 2 share their middle"),
    ],
    ids=["one box", "none", "corners of boxes", "three numbers", "an axis more", "not finite", "one place"],
)
def test_wrong_input_is_refused(centers: np.ndarray, boxes: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        match_boxes(centers, boxes)


def test_figures_of_a_set_by_hand() -> None:
    """All found, two swapped, one box less and a center astray: 17 + 16 + 14 of 17 + 17 + 14 boxes."""
    swapped, stray = column(17), column(15)
    swapped[[5, 6]] = swapped[[6, 5]]
    stray[14, 0] += 30
    images = [(column(17), column(18, first=-1)), (swapped, column(17)), (stray, column(14))]
    figures = box_figures([match_boxes(centers, boxes) for centers, boxes in images])
    assert (figures.images, figures.boxes, figures.boxes_left_out) == (3, 48, 1)
    assert figures.boxes_matched == pytest.approx(47 / 48)
    assert figures.images_complete == pytest.approx(2 / 3)
    assert figures.images_in_order == pytest.approx(2 / 3)
    assert (figures.unmatched_between, figures.unmatched_astray, figures.unmatched_beyond) == (1, 1, 0)
    with pytest.raises(ValueError, match="there is no image to compare"):
        box_figures([])
