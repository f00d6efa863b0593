"""What is measured while points are corrected."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lib.spine.display import MAX_SURE_ERROR, MIN_SURE_SCORE
from lib.spine.geometry import transform_points
from lib.spine.imaging.image_frame import ImageFrame
from lib.spine.imaging.orientation import EXIF_ORIENTATIONS, UPRIGHT, Orientation
from lib.spine.measurement.anatomy import Violation, violations
from lib.spine.measurement.angle_interval import READER_TILT_HALF_WIDTH_DEG, interval_sentence
from lib.spine.measurement.cobb import measure_curves
from lib.spine.measurement.measured_spine import (
    Check,
    Measurements,
    doubtful_vertebrae,
    measure,
    uncertainties,
    vertebrae_to_check,
)
from lib.spine.measurement.origin import Origin
from lib.spine.schema import Spine

FRAME = ImageFrame(200, 400)
SCORES, NO_ERRORS = np.ones((17, 5)), np.full((17, 5), np.nan)
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
    found = measure(Spine.from_arrays(bent), FRAME)
    assert [replace(curve, half_width_deg=None) for curve in found.curves] == list(measure_curves(bent))
    assert found.curves[0].angle_deg == pytest.approx(40)
    assert found.violations == violations(bent)
    assert found.doubtful == ()


def test_nothing_is_measured_without_points() -> None:
    nothing = np.full((17, 5, 2), np.nan)
    assert measure(Spine.from_arrays(nothing), FRAME) == Measurements()


@pytest.mark.parametrize(("known", "side"), [(None, "left"), ("left", "left"), ("right", "right")])
def test_sides_are_the_patients_where_they_are_known(bent: np.ndarray, known: str | None, side: str) -> None:
    (curve,) = measure(Spine.from_arrays(bent), replace(FRAME, image_left_is=known)).curves
    assert curve.side == side


@pytest.mark.parametrize("orientation", EXIF_ORIENTATIONS.values())
def test_a_stored_spine_is_measured_upright(bent: np.ndarray, orientation: Orientation) -> None:
    """Frame and points as they would lie in a file that must be turned by ``orientation``."""
    back = next(one for one in EXIF_ORIENTATIONS.values() if one.followed_by(orientation) == UPRIGHT)
    xy = transform_points(back.matrix(FRAME.width, FRAME.height), bent)
    width, height = back.size(FRAME.width, FRAME.height)
    found = measure(Spine.from_arrays(xy), ImageFrame(width, height, orientation))
    assert found == measure(Spine.from_arrays(bent), FRAME)


def by_model(xy: np.ndarray) -> Spine:
    return Spine.from_arrays(xy, np.full((17, 5), 0.9), np.full((17, 5), 1.0))


def placed(spine: Spine, vertebra: int, corners: tuple[int, ...] = (1, 2, 3, 4)) -> Spine:
    """The spine with some corners of a vertebra placed by a person."""
    scores, errors = spine.scores, spine.errors
    scores[vertebra, corners], errors[vertebra, corners] = 1.0, np.nan
    return Spine.from_arrays(spine.xy, scores, errors)


def test_an_interval_becomes_a_readers_with_the_corners_of_its_ends(bent: np.ndarray) -> None:
    origin, spine = Origin("v1", 0.97, (6.0,) * 17), by_model(bent)

    def width(spine: Spine) -> float | None:
        return measure(spine, FRAME, origin).curves[0].half_width_deg

    assert width(spine) == pytest.approx(np.hypot(6, 6))
    assert measure(spine, FRAME, origin).interval == interval_sentence(0.97)
    elsewhere = placed(placed(spine, T7), 0, (0,))  # a center says nothing about tilt
    assert width(elsewhere) == pytest.approx(np.hypot(6, 6))
    assert width(placed(spine, 0, (1, 2))) == pytest.approx(np.hypot((6 + READER_TILT_HALF_WIDTH_DEG) / 2, 6))
    corrected = placed(placed(spine, 0), 16)
    assert width(corrected) == pytest.approx(np.hypot(READER_TILT_HALF_WIDTH_DEG, READER_TILT_HALF_WIDTH_DEG))
    assert measure(corrected, FRAME, origin).interval == interval_sentence(0.97, is_corrected=True)


def test_points_placed_without_a_model_have_a_readers_interval(bent: np.ndarray) -> None:
    found = measure(Spine.from_arrays(bent), FRAME)
    assert found.curves[0].half_width_deg == pytest.approx(np.hypot(*(READER_TILT_HALF_WIDTH_DEG,) * 2))
    assert found.interval == interval_sentence(is_corrected=True)


def test_an_interval_that_the_model_does_not_tell_is_none(bent: np.ndarray) -> None:
    found = measure(by_model(bent), FRAME, Origin("v1", 0.97, (None, *(3.0,) * 16)))
    assert found.curves[0].half_width_deg is None
    assert found.interval == ""


def test_no_interval_is_promised_where_the_names_are_doubtful(bent: np.ndarray) -> None:
    widths = (3.0,) * 17
    assert measure(by_model(bent), FRAME, Origin("v1", 0.79, widths)).curves[0].half_width_deg is None
    assert measure(by_model(bent), FRAME, Origin("v1", 0.8, widths)).curves[0].half_width_deg is not None


def test_a_low_score_is_a_doubt(ladder: np.ndarray) -> None:
    scores = SCORES.copy()
    scores[T7, 0] = 0.3
    assert doubtful_vertebrae(ladder, scores, NO_ERRORS) == (("T7", "The model is not sure where T7 is (score 0.30)."),)


def test_a_large_expected_error_is_a_doubt(ladder: np.ndarray) -> None:
    errors = np.full((17, 5), 3.0)
    assert doubtful_vertebrae(ladder, SCORES, errors) == ()
    errors[T7, 2] = 4.0  # bodies are 12 px high
    assert doubtful_vertebrae(ladder, SCORES, errors) == (("T7", "T7 may be off by 4 px, 0.33 of its height."),)


def test_what_is_not_visible_is_no_doubt(ladder: np.ndarray) -> None:
    scores, errors = np.zeros((17, 5)), np.full((17, 5), 50.0)
    assert len(doubtful_vertebrae(ladder, scores, errors)) == 17
    assert doubtful_vertebrae(np.full_like(ladder, np.nan), scores, errors) == ()


def test_a_vertebra_without_all_corners_is_compared_with_the_others(ladder: np.ndarray) -> None:
    errors = np.full((17, 5), 3.0)
    ladder[T7, 1] = np.nan
    errors[T7] = 5.0
    assert [name for name, _ in doubtful_vertebrae(ladder, SCORES, errors)] == ["T7"]


def test_uncertainty_rises_to_where_the_doubt_begins(ladder: np.ndarray) -> None:
    scores, errors = SCORES.copy(), NO_ERRORS.copy()
    scores[T7, 0], scores[T7 + 1, 0], errors[0, 3] = (1 + MIN_SURE_SCORE) / 2, 0.0, MAX_SURE_ERROR * 12 / 4
    found = uncertainties(ladder, scores, errors)
    assert (found[T7], found[T7 + 1], found[0]) == pytest.approx((0.5, 1.0, 0.25))
    assert np.count_nonzero(found) == 3
    assert measure(Spine.from_arrays(ladder, scores, errors), FRAME).uncertainty == tuple(found)
    assert (uncertainties(np.full_like(ladder, np.nan), scores * 0, errors) == 0).all()


def test_checks_run_from_top_to_bottom_and_name_the_vertebra_to_look_at(ladder: np.ndarray) -> None:
    odds = (
        Violation("turn", ("T6", "T7", "T8"), 40.0, None, 36.0, "turns"),
        Violation("aspect", ("T3",), 9.0, None, 5, "flat"),
    )
    found = Measurements((), odds, (("T7", "unsure"), ("T1", "far")))
    assert vertebrae_to_check(found) == (
        Check("T1", "doubtful", "far"),
        Check("T3", "implausible", "flat"),
        Check("T7", "doubtful", "unsure"),
        Check("T7", "implausible", "turns"),
    )
    assert vertebrae_to_check(Measurements()) == ()
