"""Expected errors: what an error model says, and that it is found again in simulated images."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import numpy as np
import pytest
from scipy.optimize import isotonic_regression

from lib.evaluation.calibration import calibrate, share_inside
from lib.learning.uncertainty.error_model import (
    MIN_SPINES,
    CalibrationCase,
    ErrorModel,
    expected_tilts,
    fit_error_model,
)

CENTER = ((0.01, 0.02), (0.1, 0.05))
CORNER = ((0.02, 0.02), (0.08, 0.08), (0.32, 0.16))
MODEL = ErrorModel(CENTER, CORNER, 0.02, 3.0, 0.5, 2.0)
SHAPE = (17, 5)


def local(center: float, corner: float, step: float = 1.0, model: ErrorModel = MODEL) -> tuple[float, float]:
    """What becomes of one error said for centers and one for corners; the same for every vertebra."""
    said = np.full(SHAPE, float(corner))
    said[:, 0] = center
    found = model.local(said, step)
    assert found.shape == SHAPE
    assert np.ptp(found[:, 0]) == np.ptp(found[:, 1:]) == 0
    return float(found[0, 0]), float(found[0, 1])


@pytest.mark.parametrize(("said", "measured"), CORNER)
def test_a_knot_is_what_was_measured(said: float, measured: float) -> None:
    assert local(1, said)[1] == pytest.approx(measured)


def test_centers_and_corners_have_their_own_knots() -> None:
    assert local(0.1, 0.08) == pytest.approx((0.05, 0.08))


def test_between_knots_logarithms_are_in_proportion() -> None:
    """0.16 is half way from 0.08 to 0.32 on a logarithmic scale."""
    assert local(1, 0.16)[1] == pytest.approx(0.08 * math.sqrt(2))
    assert local(math.sqrt(0.01 * 0.1), 1)[0] == pytest.approx(math.sqrt(0.02 * 0.05))


@pytest.mark.parametrize(("said", "measured"), [(0.01, 0.01), (0.002, 0.002), (0.64, 0.32), (3.2, 1.6)])
def test_beyond_the_knots_the_ratio_of_the_last_one_holds(said: float, measured: float) -> None:
    assert local(1, said)[1] == pytest.approx(measured)


def test_more_said_is_never_less_expected() -> None:
    said = np.repeat(np.geomspace(1e-4, 10, 17)[:, None], 5, 1)
    assert (np.diff(MODEL.local(said, 1.0), axis=0) > 0).all()


def test_knots_may_be_level() -> None:
    flat = dataclasses.replace(MODEL, corner=((0.02, 0.05), (0.2, 0.05)))
    assert local(1, 0.02, model=flat)[1] == pytest.approx(0.05)
    assert local(1, 0.1, model=flat)[1] == pytest.approx(0.05)


def test_knots_are_in_steps_and_answers_in_pixels() -> None:
    assert local(3, 7, step=100.0) == pytest.approx([100 * value for value in local(0.03, 0.07)])


def test_nothing_said_is_a_small_number() -> None:
    assert all(0 < value < 1e-5 for value in local(0.0, 0.0))


def test_the_chance_of_wrong_names_by_hand() -> None:
    """Half of what the floor leaves where slope times lead is the bias, one in 1 + e where it is 1 more."""
    assert MODEL.misnamed(6) == pytest.approx(0.02 + 0.98 / 2)
    assert MODEL.misnamed(8) == pytest.approx(0.02 + 0.98 / (1 + math.e))


def test_the_chance_of_wrong_names_falls_from_one_to_the_floor() -> None:
    leads = [-math.inf, -1e9, -100, -10, 0, 10, 50, 1e9, math.inf]
    risks = [MODEL.misnamed(lead) for lead in leads]
    assert risks[0] == pytest.approx(1)
    assert risks[-1] == pytest.approx(0.02)
    assert risks == sorted(risks, reverse=True)
    assert all(0.02 <= risk <= 1 for risk in risks)
    assert dataclasses.replace(MODEL, naming_floor=1.0).misnamed(50) == 1


def test_tilts_by_hand(ladder: np.ndarray) -> None:
    """Bodies 20 px wide; corners off by 1, 2, 3 and 4 px, 2.5 in the mean. The center's error does not matter."""
    errors = np.tile([99.0, 1, 2, 3, 4], (17, 1))
    np.testing.assert_allclose(expected_tilts(ladder, errors), math.degrees(math.atan2(2.5, 20)))


def test_tilts_do_not_depend_on_place_and_size(ladder: np.ndarray) -> None:
    errors = np.random.default_rng(0).uniform(0, 3, SHAPE)
    np.testing.assert_allclose(expected_tilts(ladder * 7 + 33, errors * 7), expected_tilts(ladder, errors))
    swapped = ladder[..., ::-1]  # a spine that lies on its side
    np.testing.assert_allclose(expected_tilts(swapped, errors), expected_tilts(ladder, errors))


def test_a_body_without_width_has_a_tilt_error_nevertheless(ladder: np.ndarray) -> None:
    flat = np.repeat(ladder[:, :1], 5, 1)
    np.testing.assert_allclose(expected_tilts(flat, np.ones(SHAPE)), 45)


def test_half_widths_are_tilts_times_the_factor(ladder: np.ndarray) -> None:
    errors = np.full(SHAPE, 2.0)
    expected = 2 * expected_tilts(ladder, errors)
    np.testing.assert_allclose(MODEL.tilt_half_widths(ladder, errors), expected)


def test_an_error_model_survives_json() -> None:
    assert ErrorModel.from_dict(json.loads(json.dumps(MODEL.to_dict()))) == MODEL
    assert ErrorModel.from_dict(MODEL.to_dict()) == MODEL


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no number": ({"tilt_factor": "wide"}, "is not one of this project: could not convert"),
    "nothing": ({"naming_floor": None}, "is not one of this project"),
    "unknown value": ({"colour": 1.0}, "is not one of this project: .*'colour'"),
    "knots of three": ({"corner": [[1, 2, 3], [4, 5, 6]]}, "is not one of this project: too many values"),
    "no knots": ({"center": 3}, "is not one of this project"),
    "one knot": ({"center": [[1, 1]]}, "error model's center needs two pairs of positive, rising numbers"),
    "empty": ({"center": []}, "center needs two pairs"),
    "said falls": ({"corner": [[2, 1], [1, 2]]}, "error model's corner needs two pairs of positive, rising numbers"),
    "measured falls": ({"corner": [[1, 2], [2, 1]]}, "corner needs"),
    "a knot of 0": ({"corner": [[0, 1], [1, 2]]}, "corner needs"),
    "an infinite knot": ({"corner": [[1, 1], [2, math.inf]]}, "corner needs"),
    "a knot that is none": ({"center": [[1, 1], [math.nan, 2]]}, "center needs"),
    "infinite": ({"naming_bias": math.inf}, "numbers that are not finite"),
    "floor above 1": ({"naming_floor": 1.1}, r"a floor outside 0\.\.\.1"),
    "floor below 0": ({"naming_floor": -0.1}, r"a floor outside 0\.\.\.1"),
    "negative slope": ({"naming_slope": -0.1}, "slope and tilt factor must not be negative"),
    "negative factor": ({"tilt_factor": -1}, "slope and tilt factor must not be negative"),
}


@pytest.mark.parametrize(("changes", "words"), BAD.values(), ids=BAD.keys())
def test_other_values_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=f"error model.*{words}|{words}"):
        ErrorModel.from_dict({**MODEL.to_dict(), **changes})


@pytest.mark.parametrize("name", sorted(MODEL.to_dict().keys() - {"correlations"}))
def test_a_missing_value_is_refused(name: str) -> None:
    values = MODEL.to_dict()
    del values[name]
    with pytest.raises(ValueError, match=f"the error model is not one of this project: .*'{name}'"):
        ErrorModel.from_dict(values)


def case_of(ladder: np.ndarray, said: float, observed: float, **changes: Any) -> CalibrationCase:
    """An image of which the same was said and measured everywhere, in steps of 16 px."""
    case = CalibrationCase(
        np.full(SHAPE, 16 * said), np.full(SHAPE, 16 * observed), 16.0, 10.0, False, ladder, (4, 10), 1.0
    )
    return dataclasses.replace(case, **changes)


def test_knots_are_the_means_of_twelve_bins(ladder: np.ndarray) -> None:
    model = fit_error_model([case_of(ladder, n / 100, n / 50) for n in range(1, 13) for _ in range(2)])
    expected = [(n / 100, n / 50) for n in range(1, 13)]
    np.testing.assert_allclose(model.center, expected)
    np.testing.assert_allclose(model.corner, expected)


def test_measured_errors_that_fall_are_pooled(ladder: np.ndarray) -> None:
    """The nearest rising sequence; of two that change places both get the mean."""
    measured = np.random.default_rng(1).permutation(np.arange(1.0, 13)) / 50
    measured[[0, 1]] = 0.06, 0.02
    model = fit_error_model([case_of(ladder, (n + 1) / 100, measured[n]) for n in range(12) for _ in range(2)])
    found = np.array(model.corner)[:, 1]
    assert (np.diff(found) >= 0).all()
    np.testing.assert_allclose(found, isotonic_regression(measured).x)
    np.testing.assert_allclose(found.mean(), measured.mean())


def test_no_error_at_all_has_a_logarithm(ladder: np.ndarray) -> None:
    model = fit_error_model([case_of(ladder, 0.0, 0.0)] * MIN_SPINES)
    assert ErrorModel.from_dict(model.to_dict()) == model
    assert all(0 < value < 1e-5 for value in local(0.0, 0.0, model=model))


def test_images_with_wrong_names_teach_no_knots_and_no_interval(ladder: np.ndarray) -> None:
    right = [case_of(ladder, n / 100, n / 100) for n in range(1, 25)]
    wrong = [case_of(ladder, 0.1, 1.0, is_shifted=True, lead=-5.0, angle_error=60.0)] * 5
    alone, both = fit_error_model(right), fit_error_model(right + wrong)
    assert (both.center, both.corner, both.tilt_factor) == (alone.center, alone.corner, alone.tilt_factor)
    assert both.misnamed(-5) > 0.5 > 0.1 > both.misnamed(10)


def test_the_tilt_factor_by_hand(ladder: np.ndarray) -> None:
    """Of 29 images that expect the same and are off by 1 to 29 degrees, 27 = 0.9 * 30 is the unbiased quantile."""
    cases = [case_of(ladder, 0.1, 0.1, angle_error=float(n)) for n in range(1, 30)]
    one = math.degrees(math.atan2(1.6, 20))
    assert fit_error_model(cases).tilt_factor == pytest.approx(27 / math.hypot(one, one))


def test_the_interval_is_measured_at_the_end_vertebrae(ladder: np.ndarray) -> None:
    """Only T5 and T11 are said to be ten times worse than the others."""
    said = np.full(SHAPE, 1.6)
    said[[4, 10]] = 16
    cases = [dataclasses.replace(case_of(ladder, 0.1, 0.1), raw=said, observed=said) for _ in range(MIN_SPINES)]
    one = math.degrees(math.atan2(16, 20))
    assert fit_error_model(cases).tilt_factor == pytest.approx(1 / math.hypot(one, one))
    elsewhere = fit_error_model([dataclasses.replace(f, ends=(0, 16)) for f in cases])
    one = math.degrees(math.atan2(1.6, 20))
    assert elsewhere.tilt_factor == pytest.approx(1 / math.hypot(one, one))


def test_where_no_names_were_wrong_some_doubt_remains(ladder: np.ndarray) -> None:
    cases = [case_of(ladder, 0.1, 0.1, lead=float(lead)) for lead in range(5, 45)]
    model = fit_error_model(cases)
    assert 0 < model.misnamed(45) < model.misnamed(5) <= 0.6
    assert model.misnamed(20) < 0.05


def test_leads_that_are_all_alike_give_the_share_of_wrong_names(ladder: np.ndarray) -> None:
    """As of a network without names, whose lead is always 0: 2 of 40, and one of two made-up images."""
    cases = [case_of(ladder, 0.1, 0.1, lead=0.0, is_shifted=n < 2) for n in range(40)]
    assert fit_error_model(cases).misnamed(0.0) == pytest.approx(3 / 42, abs=0.01)


@pytest.mark.parametrize("right", [0, 1, MIN_SPINES - 1])
def test_too_few_images_are_refused(ladder: np.ndarray, right: int) -> None:
    cases = [case_of(ladder, 0.1, 0.1)] * right + [case_of(ladder, 0.1, 0.1, is_shifted=True)] * 30
    words = f"an error model needs at least 20 images with right names, and {right} are left: on 30 of {right + 30} "
    with pytest.raises(ValueError, match=words):
        fit_error_model(cases)


CENTER_LAW, CORNER_LAW, TILT_SPREAD = (0.6, 0.9), (1.4, 0.8), 0.7
FLOOR, MIDDLE, SLOPE = 0.04, 5.0, 0.4


def simulated(ladder: np.ndarray, count: int, seed: int) -> list[CalibrationCase]:
    """Images of which all is known: measured errors follow power laws of said ones, names a logistic curve of leads."""
    random = np.random.default_rng(seed)
    cases = []
    for _ in range(count):
        scale = random.uniform(2, 8)
        points, step = ladder * scale, 16 * scale
        said = np.exp(random.normal(-3, 0.5, SHAPE) + random.normal(0, 0.3))
        mean = np.concatenate(
            [CENTER_LAW[0] * said[:, :1] ** CENTER_LAW[1], CORNER_LAW[0] * said[:, 1:] ** CORNER_LAW[1]], 1
        )
        lead = random.normal(15, 12)
        is_shifted = random.random() < true_risk(lead)
        observed = random.rayleigh(mean / math.sqrt(math.pi / 2))
        if is_shifted:
            observed = np.maximum(observed, 1.0)
        ends = tuple(sorted(random.choice(17, 2, replace=False).tolist()))
        spread = TILT_SPREAD * np.hypot(*expected_tilts(points, mean * step)[list(ends)])
        angle_error = abs(random.normal(0, spread))
        cases.append(CalibrationCase(said * step, observed * step, step, lead, is_shifted, points, ends, angle_error))
    return cases


def true_risk(lead: float) -> float:
    """Of the simulation."""
    return FLOOR + (1 - FLOOR) / (1 + math.exp(SLOPE * (lead - MIDDLE)))


@pytest.fixture(scope="module")
def fitted() -> ErrorModel:
    """What is measured on simulated images."""
    return fit_error_model(simulated(spine(), 1500, 0))


@pytest.fixture(scope="module")
def fresh() -> list[CalibrationCase]:
    """Images of the same kind that it was not measured on."""
    return simulated(spine(), 800, 1)


def spine() -> np.ndarray:
    """``(17, 5, 2)`` points as of ``ladder``, for fixtures that live longer."""
    x, y = np.array([0.0, -10, 10, -10, 10]), np.array([0.0, -6, -6, 6, 6])
    points: np.ndarray = np.stack([50 + x + np.zeros((17, 1)), 20 + y + 16 * np.arange(17.0)[:, None]], -1)
    return points


@pytest.mark.parametrize("said", [0.02, 0.05, 0.1])
def test_the_laws_of_simulated_images_are_found(fitted: ErrorModel, said: float) -> None:
    center, corner = local(said, said, model=fitted)
    assert center == pytest.approx(CENTER_LAW[0] * said ** CENTER_LAW[1], rel=0.05)
    assert corner == pytest.approx(CORNER_LAW[0] * said ** CORNER_LAW[1], rel=0.05)


@pytest.mark.parametrize("lead", [-20, 0, 5, 10, 20, 40])
def test_the_risk_of_simulated_images_is_found(fitted: ErrorModel, lead: float) -> None:
    """1500 images, about 60 of them within 2 of a lead near the middle: a share of a half is known to 0.06."""
    assert fitted.misnamed(lead) == pytest.approx(true_risk(lead), abs=0.1)


def test_the_interval_of_simulated_images_is_found(fitted: ErrorModel) -> None:
    """Nine tenths of normal deviations are at most 1.645 standard ones."""
    assert fitted.tilt_factor == pytest.approx(1.645 * TILT_SPREAD, rel=0.1)


def test_every_tenth_of_fresh_images_with_right_names_is_off_as_expected(
    fitted: ErrorModel, fresh: list[CalibrationCase]
) -> None:
    right = [case for case in fresh if not case.is_shifted]
    for part in (slice(0, 1), slice(1, None)):
        expected = np.concatenate([fitted.local(case.raw, case.step)[:, part].ravel() for case in right])
        observed = np.concatenate([case.observed[:, part].ravel() for case in right])
        assert [decile.ratio for decile in calibrate(expected, observed)] == pytest.approx([1] * 10, rel=0.06)


def test_as_many_of_fresh_images_are_misnamed_as_expected(fitted: ErrorModel, fresh: list[CalibrationCase]) -> None:
    """In all, and in thirds by the chance: about 40 of 267 misnamed ones are known to 0.02."""
    risks = np.array([fitted.misnamed(case.lead) for case in fresh])
    is_shifted = np.array([case.is_shifted for case in fresh])
    for part in (np.arange(len(fresh)), *np.array_split(np.argsort(risks), 3)):
        assert risks[part].mean() == pytest.approx(is_shifted[part].mean(), abs=0.06)


def test_nine_of_ten_angles_of_fresh_images_lie_in_their_intervals(
    fitted: ErrorModel, fresh: list[CalibrationCase]
) -> None:
    widths = [
        np.hypot(*fitted.tilt_half_widths(case.points, fitted.local(case.raw, case.step))[list(case.ends)])
        for case in fresh
    ]
    errors = np.array([case.angle_error for case in fresh])
    assert 0.85 <= share_inside(errors, np.array(widths)) <= 0.95


def test_few_images_give_a_fair_interval_in_the_mean(fresh: list[CalibrationCase]) -> None:
    """Twenty measurements on 30 images each, checked on 200 others."""
    shares = []
    for seed in range(20):
        small = fit_error_model([case for case in simulated(spine(), 45, 100 + seed) if not case.is_shifted][:30])
        widths = [
            np.hypot(*small.tilt_half_widths(case.points, small.local(case.raw, case.step))[list(case.ends)])
            for case in fresh[:200]
        ]
        shares.append(share_inside(np.array([case.angle_error for case in fresh[:200]]), np.array(widths)))
    assert 0.86 <= float(np.mean(shares)) <= 0.94
