"""What is measured while points are corrected."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from VertebraLandmarksLib.measuring import DOUBT_BELOW, ERROR_LIMIT, Measurements, doubts, measure, uncertainties
from VertebraLandmarksLib.spine.anatomy import violations
from VertebraLandmarksLib.spine.curves import measure_curves
from VertebraLandmarksLib.spine.image_frame import ImageFrame
from VertebraLandmarksLib.spine.schema import Spine

pytestmark = pytest.mark.slicer

FRAME = ImageFrame(200, 400)
SCORES, NO_ERRORS, UNTOUCHED = np.ones((17, 5)), np.full((17, 5), np.nan), np.zeros((17, 5), dtype=bool)
T7 = 6


@pytest.fixture
def bent(ladder: np.ndarray) -> np.ndarray:
    """A ladder whose vertebrae tilt from 20 degrees at T1 to -20 at L5."""
    tilts = np.radians(np.linspace(20, -20, 17))
    c, s = np.cos(tilts), np.sin(tilts)
    turn = np.stack([np.stack([c, -s], -1), np.stack([s, c], -1)], -2)
    centers = ladder[:, :1]
    return centers + (ladder - centers) @ turn.transpose(0, 2, 1)


def test_curves_and_violations_are_those_of_the_numpy_tier(bent: np.ndarray) -> None:
    found = measure(Spine.from_arrays(bent), UNTOUCHED, FRAME)
    assert found.curves == measure_curves(bent)
    assert found.curves[0].angle_deg == pytest.approx(40)
    assert found.violations == violations(bent)
    assert found.doubtful == ()


def test_nothing_is_measured_without_points() -> None:
    nothing = np.full((17, 5, 2), np.nan)
    assert measure(Spine.from_arrays(nothing), UNTOUCHED, FRAME) == Measurements()


@pytest.mark.parametrize(("known", "side"), [(None, "left"), ("left", "left"), ("right", "right")])
def test_sides_are_the_patients_where_they_are_known(bent: np.ndarray, known: str | None, side: str) -> None:
    (curve,) = measure(Spine.from_arrays(bent), UNTOUCHED, replace(FRAME, image_left_is=known)).curves
    assert curve.side == side


def test_an_angle_has_its_interval_until_a_corner_of_its_ends_is_touched(bent: np.ndarray) -> None:
    widths, touched, spine = np.full(17, 3.0), UNTOUCHED.copy(), Spine.from_arrays(bent)
    (curve,) = measure(spine, touched, FRAME, widths).curves
    assert curve.half_width_deg == pytest.approx(np.hypot(3, 3))
    touched[T7] = True
    touched[0, 0] = True  # a center says nothing about tilt
    assert measure(spine, touched, FRAME, widths).curves[0].half_width_deg == pytest.approx(np.hypot(3, 3))
    touched[0, 1] = True
    assert measure(spine, touched, FRAME, widths).curves[0].half_width_deg is None


def test_an_interval_that_the_model_does_not_tell_is_none(bent: np.ndarray) -> None:
    widths = np.full(17, 3.0)
    widths[0] = np.nan
    assert measure(Spine.from_arrays(bent), UNTOUCHED, FRAME, widths).curves[0].half_width_deg is None


def test_a_low_score_is_a_doubt(ladder: np.ndarray) -> None:
    scores = SCORES.copy()
    scores[T7, 0] = 0.3
    assert doubts(ladder, scores, NO_ERRORS) == (("T7", "The model is not sure where T7 is (score 0.30)."),)


def test_a_large_expected_error_is_a_doubt(ladder: np.ndarray) -> None:
    errors = np.full((17, 5), 3.0)
    assert doubts(ladder, SCORES, errors) == ()
    errors[T7, 2] = 4.0  # bodies are 12 px high
    assert doubts(ladder, SCORES, errors) == (("T7", "T7 may be off by 4 px, 0.33 of its height."),)


def test_what_is_not_visible_is_no_doubt(ladder: np.ndarray) -> None:
    scores, errors = np.zeros((17, 5)), np.full((17, 5), 50.0)
    assert len(doubts(ladder, scores, errors)) == 17
    assert doubts(np.full_like(ladder, np.nan), scores, errors) == ()


def test_a_vertebra_without_all_corners_is_compared_with_the_others(ladder: np.ndarray) -> None:
    errors = np.full((17, 5), 3.0)
    ladder[T7, 1] = np.nan
    errors[T7] = 5.0
    assert [name for name, _ in doubts(ladder, SCORES, errors)] == ["T7"]


def test_uncertainty_rises_to_where_the_doubt_begins(ladder: np.ndarray) -> None:
    scores, errors = SCORES.copy(), NO_ERRORS.copy()
    scores[T7, 0], scores[T7 + 1, 0], errors[0, 3] = (1 + DOUBT_BELOW) / 2, 0.0, ERROR_LIMIT * 12 / 4
    found = uncertainties(ladder, scores, errors)
    assert (found[T7], found[T7 + 1], found[0]) == pytest.approx((0.5, 1.0, 0.25))
    assert np.count_nonzero(found) == 3
    assert measure(Spine.from_arrays(ladder, scores, errors), UNTOUCHED, FRAME).uncertainty == tuple(found)
    assert (uncertainties(np.full_like(ladder, np.nan), scores * 0, errors) == 0).all()
