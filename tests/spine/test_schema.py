"""Names, order and containers of the landmarks."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from lib.spine.schema import CORNERS, POINTS, VERTEBRAE, Landmark, Spine, Vertebra


def test_there_are_17_vertebrae_from_t1_to_l5() -> None:
    assert " ".join(VERTEBRAE) == "T1 T2 T3 T4 T5 T6 T7 T8 T9 T10 T11 T12 L1 L2 L3 L4 L5"
    assert CORNERS == ("TL", "TR", "BL", "BR")
    assert POINTS == ("center", "TL", "TR", "BL", "BR")


@pytest.mark.parametrize("x", [math.nan, math.inf, -math.inf])
def test_landmark_refuses_a_coordinate_that_is_not_finite(x: float) -> None:
    with pytest.raises(ValueError, match="must be finite"):
        Landmark(x, 0.0)
    with pytest.raises(ValueError, match="must be finite"):
        Landmark(0.0, x)


@pytest.mark.parametrize("score", [-0.01, 1.01, math.nan])
def test_landmark_refuses_a_score_outside_0_to_1(score: float) -> None:
    with pytest.raises(ValueError, match=r"must lie in 0\.\.\.1"):
        Landmark(0.0, 0.0, score)


def test_landmark_is_placed_by_a_person_unless_told_otherwise() -> None:
    assert Landmark(1.0, -2.0).score == 1.0
    assert Landmark(1.0, -2.0, 0.0).score == 0.0


@pytest.mark.parametrize("error", [-0.01, math.nan, math.inf, -math.inf])
def test_landmark_refuses_an_error_that_is_no_distance(error: float) -> None:
    with pytest.raises(ValueError, match="landmark error must be zero or more pixels, got"):
        Landmark(0.0, 0.0, 1.0, error)


def test_the_error_of_a_landmark_is_not_estimated_unless_told() -> None:
    assert Landmark(1.0, -2.0).error is None
    assert Landmark(1.0, -2.0, 0.5, 0.0).error == 0.0
    assert Landmark(1.0, -2.0, 0.5, 12.5) != Landmark(1.0, -2.0, 0.5)


def test_domain_values_cannot_be_changed(ladder: np.ndarray) -> None:
    spine = Spine.from_arrays(ladder)
    for value, name in ((Landmark(0, 0), "x"), (spine["T1"], "center"), (spine, "vertebrae")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, name, None)


@pytest.mark.parametrize("name", ["Th1", "L6", "T0", "T13", "t1", ""])
def test_vertebra_refuses_an_unknown_name(name: str) -> None:
    with pytest.raises(ValueError, match="is not one of T1, T2"):
        Vertebra(name)


def test_point_is_found_by_name() -> None:
    vertebra = Vertebra("T4", center=Landmark(1, 2), BR=Landmark(3, 4))
    assert vertebra.point("center") == Landmark(1, 2)
    assert vertebra.point("BR") == Landmark(3, 4)
    assert vertebra.point("TL") is None


@pytest.mark.parametrize("name", ["name", "middle", "tl"])
def test_point_refuses_an_unknown_name(name: str) -> None:
    with pytest.raises(KeyError, match="is not one of center, TL"):
        Vertebra("T4").point(name)


def test_presence_is_about_points_not_names() -> None:
    at = Landmark(0, 0)
    assert Vertebra("T1").is_absent
    assert not Vertebra("T1", BL=at).is_absent
    assert not Vertebra("T1", center=at).is_absent


def test_spine_needs_every_vertebra_in_order() -> None:
    vertebrae = tuple(Vertebra(name) for name in VERTEBRAE)
    assert Spine(vertebrae)["L5"].name == "L5"
    with pytest.raises(ValueError, match="in this order, got nothing"):
        Spine(())
    with pytest.raises(ValueError, match="in this order"):
        Spine(vertebrae[::-1])
    with pytest.raises(ValueError, match="in this order"):
        Spine(vertebrae[:-1])


def test_arrays_survive_a_round_trip(ladder: np.ndarray) -> None:
    scores = np.linspace(0, 1, 85).reshape(17, 5)
    spine = Spine.from_arrays(ladder, scores)
    np.testing.assert_array_equal(spine.xy, ladder)
    np.testing.assert_array_equal(spine.scores, scores)
    point = spine["T2"].TR
    assert point == Landmark(60.0, 30.0, float(scores[1, 2]))


def test_errors_survive_a_round_trip(ladder: np.ndarray) -> None:
    errors = np.linspace(0, 40, 85).reshape(17, 5)
    errors[5, 2] = np.nan
    spine = Spine.from_arrays(ladder, errors=errors)
    np.testing.assert_array_equal(spine.errors, errors)
    estimated, not_estimated = spine["T2"].TR, spine["T6"].TR
    assert estimated == Landmark(60.0, 30.0, 1.0, float(errors[1, 2]))
    assert not_estimated == Landmark(60.0, 94.0)
    np.testing.assert_array_equal(spine.scores, np.ones((17, 5)))
    np.testing.assert_array_equal(Spine.from_arrays(spine.xy, spine.scores, spine.errors).errors, errors)


def test_nothing_is_estimated_unless_told(ladder: np.ndarray) -> None:
    errors = Spine.from_arrays(ladder, np.full((17, 5), 0.5)).errors
    assert errors.shape == (17, 5)
    assert np.isnan(errors).all()


def test_an_absent_point_has_no_error(ladder: np.ndarray) -> None:
    ladder[3, 2, 1] = np.nan
    errors = np.full((17, 5), 2.5)
    errors[3, 2] = -7.0  # of an absent point: ignored
    spine = Spine.from_arrays(ladder, errors=errors)
    assert np.isnan(spine.errors[3, 2])
    assert np.nansum(spine.errors) == 84 * 2.5


def test_points_come_in_schema_order(ladder: np.ndarray) -> None:
    places = list(Spine.from_arrays(ladder).points())
    assert [place[:2] for place in places] == [(v, p) for v in VERTEBRAE for p in POINTS]
    assert places[7][2] == Landmark(60.0, 30.0)  # T2 TR


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_point_with_one_coordinate_that_is_not_finite_is_absent(ladder: np.ndarray, value: float) -> None:
    ladder[3, 2, 1] = value
    scores = np.full((17, 5), 0.5)
    scores[3, 2] = 7.0  # of an absent point: ignored
    spine = Spine.from_arrays(ladder, scores)
    assert spine["T4"].TR is None
    assert np.isnan(spine.xy[3, 2]).all()
    assert spine.scores[3, 2] == 0.0
    assert np.isfinite(spine.xy).sum() == 2 * 84


def test_a_spine_may_be_empty() -> None:
    spine = Spine.from_arrays(np.full((17, 5, 2), np.nan))
    assert all(vertebra.is_absent for vertebra in spine.vertebrae)
    assert spine.scores.sum() == 0


def test_from_arrays_does_not_keep_the_callers_array(ladder: np.ndarray) -> None:
    spine = Spine.from_arrays(ladder)
    ladder[:] = 0
    assert spine["T1"].center == Landmark(50.0, 20.0)


def test_from_arrays_refuses_wrong_shapes_and_scores(ladder: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"xy must have shape \(17, 5, 2\), got \(16, 5, 2\)"):
        Spine.from_arrays(ladder[1:])
    with pytest.raises(ValueError, match=r"scores must have shape \(17, 5\), got \(17,\)"):
        Spine.from_arrays(ladder, np.ones(17))
    with pytest.raises(ValueError, match="score must lie"):
        Spine.from_arrays(ladder, np.full((17, 5), 1.5))
    with pytest.raises(ValueError, match=r"errors must have shape \(17, 5\), got \(5, 17\)"):
        Spine.from_arrays(ladder, errors=np.ones((5, 17)))
    for error in (-1.0, np.inf):
        with pytest.raises(ValueError, match="error must be zero or more pixels"):
            Spine.from_arrays(ladder, errors=np.full((17, 5), error))


def test_an_unknown_vertebra_is_a_key_error(ladder: np.ndarray) -> None:
    with pytest.raises(KeyError, match="'L6' is not one of"):
        Spine.from_arrays(ladder)["L6"]
