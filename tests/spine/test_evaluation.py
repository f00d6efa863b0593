"""All figures of a set of predicted spines."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from lib.spine.anatomy import AnatomyCounts, spans_of
from lib.spine.challenge import AngleAgreement, challenge_angles
from lib.spine.evaluation import anatomy_figures, evaluate
from lib.spine.geometry import mirror_points, with_centers
from lib.spine.metrics import CornerAccuracy, Localisation

SIZE = (400, 900)
ANATOMY = [field.name for field in dataclasses.fields(AnatomyCounts) if field.name != "images"]


def spine(tilts: np.ndarray) -> np.ndarray:
    """``(17, 5, 2)`` points: bodies of 60 x 30 px, one every 45 px."""
    angle = np.radians(tilts)
    across = np.stack([np.cos(angle), np.sin(angle)], -1)
    down = np.stack([-np.sin(angle), np.cos(angle)], -1)
    center = np.array([150.0, 50]) + np.concatenate([np.zeros((1, 2)), np.cumsum((down[1:] + down[:-1]) * 22.5, 0)])
    corners = [center + 30 * sx * across + 15 * sy * down for sy in (-1, 1) for sx in (-1, 1)]
    return with_centers(np.stack(corners, 1))


def bent(degrees: float) -> np.ndarray:
    """A single curve: tilts from -degrees at T1 to +degrees at L5."""
    return spine(np.linspace(-degrees, degrees, 17))


@pytest.fixture
def labelled() -> np.ndarray:
    """``(3, 17, 5, 2)`` spines with single curves of 20, 40 and 60 degrees."""
    return np.stack([bent(degrees) for degrees in (10, 20, 30)])


@pytest.fixture
def sizes() -> np.ndarray:
    """Width and height of their images."""
    return np.array([SIZE] * 3)


def test_a_perfect_prediction_has_no_errors(labelled: np.ndarray, sizes: np.ndarray) -> None:
    figures = evaluate(labelled, labelled, sizes)
    assert figures["images"] == 3
    zero = ["corner_median", "corner_mean", "center_median", "center_mean", "center_mean_steps", "names_shifted"]
    zero += ["nmse", "or20", "or40", "image_median", "smape", "cmae_deg", "mae_largest_deg", "curve_mae_deg"]
    assert {name: figures[name] for name in zero} == dict.fromkeys(zero, 0)
    one = ["names_right", "within_5_deg", "within_2", "within_2_5", "within_3", "within_4"]
    one += [f"within_{share}" for share in (10, 20, 30, 40)]
    assert {name: figures[name] for name in one} == dict.fromkeys(one, 1)
    assert figures["gaps"] == figures["corner_means_gaps"] == 3 * 16
    for name in ("n_fmin", "n_fmax", "n_eq", "n_neg", "neg_per_1000", "min_negative_y"):
        assert figures[name] == figures[f"corner_means_{name}"] == 0


def test_the_table_is_flat_and_holds_every_field_once(labelled: np.ndarray, sizes: np.ndarray) -> None:
    names = [f.name for kind in (Localisation, CornerAccuracy, AngleAgreement) for f in dataclasses.fields(kind)]
    expected = {*names, "curve_mae_deg", *ANATOMY, *(f"corner_means_{name}" for name in ANATOMY)}
    figures = evaluate(labelled + 1.5, labelled, sizes)
    assert set(figures) == expected
    assert len(names) - 2 + 1 + 2 * len(ANATOMY) == len(figures)  # "images" stands in all three
    assert {type(value) for value in figures.values()} == {int, float}
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures


def test_a_shifted_spine(labelled: np.ndarray, sizes: np.ndarray) -> None:
    """By (4.5, 0): 4.5 of 400 px of the width, 15 % of the bodies of 30 px, a tenth of the steps of 45 px."""
    figures = evaluate(labelled + np.array([4.5, 0]), labelled, sizes)
    assert [figures[name] for name in ("corner_mean", "center_median", "image_median")] == pytest.approx([4.5] * 3)
    assert figures["center_mean_steps"] == pytest.approx(0.1, rel=0.001)  # a step is a chord: 45 cos(half a bend)
    assert figures["nmse"] == pytest.approx((4.5 / 400) ** 2)
    assert (figures["within_10"], figures["within_20"], figures["or20"]) == (0, 1, 0)
    assert (figures["names_shifted"], figures["names_right"]) == (0, 1)
    for name in ("smape", "cmae_deg", "mae_largest_deg", "curve_mae_deg"):
        assert figures[name] == pytest.approx(0, abs=1e-4)
    assert figures["n_neg"] == figures["n_fmin"] == figures["n_fmax"] == 0


def test_names_that_are_one_off(labelled: np.ndarray, sizes: np.ndarray) -> None:
    predicted = labelled.copy()
    predicted[0, :-1] = labelled[0, 1:]
    predicted[0, -1] += (0, 45)
    figures = evaluate(predicted, labelled, sizes)
    assert figures["names_shifted"] == pytest.approx(1 / 3)
    assert figures["names_right"] == pytest.approx(2 / 3)


def test_angles_by_hand(labelled: np.ndarray, sizes: np.ndarray) -> None:
    """Curves of 20, 40 and 60 degrees, predicted as 20, 44 and 48."""
    predicted = np.stack([bent(degrees) for degrees in (10, 22, 24)])
    figures = evaluate(predicted, labelled, sizes)
    assert figures["mae_largest_deg"] == pytest.approx(16 / 3, abs=1e-4)
    assert figures["curve_mae_deg"] == pytest.approx(16 / 3, abs=1e-4)
    assert figures["within_5_deg"] == pytest.approx(2 / 3)


def test_official_angles_take_the_place_of_the_labels(labelled: np.ndarray, sizes: np.ndarray) -> None:
    own = np.stack([challenge_angles(points[:, 1:], SIZE[1]) for points in labelled])
    assert evaluate(labelled, labelled, sizes, own) == evaluate(labelled, labelled, sizes)
    figures = evaluate(labelled, labelled, sizes, own + np.array([[6.0, 0, 0], [3, 0, 0], [0, 0, 0]]))
    assert figures["mae_largest_deg"] == pytest.approx(3)
    assert figures["within_5_deg"] == pytest.approx(2 / 3)
    assert figures["smape"] > 0
    assert figures["curve_mae_deg"] == figures["corner_mean"] == 0


def test_the_challenge_rule_gets_the_height_of_every_image() -> None:
    """In a high image the third angle of this S-shaped spine is 32 degrees, in a low one 0."""
    both = np.stack([spine(np.interp(range(17), [0, 4, 10, 16], [0, -20, 22, -10]))] * 2)
    angles = np.array([[42.0, 20, 32], [42, 20, 0]])
    sizes = np.array([(400, 900), (400, 600)])
    assert evaluate(both, both, sizes, angles)["smape"] == pytest.approx(0, abs=1e-5)
    assert evaluate(both, both, sizes[::-1], angles)["smape"] == pytest.approx(100 * 32 / (94 + 62))


def test_centers_and_means_of_corners_are_counted_apart(labelled: np.ndarray, sizes: np.ndarray) -> None:
    """One center lies 10 px above the one before it and one exactly at its height; the corners are right."""
    predicted = labelled.copy()
    predicted[0, 5, 0] = predicted[0, 4, 0] - (0, 10)
    predicted[1, 9, 0] = predicted[1, 8, 0] + (20, 0)
    figures = evaluate(predicted, labelled, sizes)
    assert (figures["n_neg"], figures["n_eq"], figures["min_negative_y"]) == (1, 1, -10)
    assert figures["neg_per_1000"] == pytest.approx(1000 / 48)
    assert (figures["n_fmin"], figures["n_fmax"]) == (2, 2)  # 10 px and 20 px, and those that follow
    for name in ("n_neg", "n_eq", "n_fmin", "n_fmax"):
        assert figures[f"corner_means_{name}"] == 0
    assert figures["corner_mean"] == 0
    swapped = labelled.copy()
    swapped[2, [7, 8], 1:] = swapped[2, [8, 7], 1:]
    figures = evaluate(swapped, labelled, sizes)
    assert (figures["n_neg"], figures["corner_means_n_neg"]) == (0, 1)


def test_steps_are_compared_with_the_labelled_span(labelled: np.ndarray, sizes: np.ndarray) -> None:
    """Half as long a spine has steps of 0.033 of the labelled span, a third of the length 0.022: below 0.030."""
    for share, short in ((0.5, 0), (1 / 3, 3 * 16)):
        figures = evaluate(share * labelled, labelled, sizes)
        assert figures["n_fmin"] == figures["corner_means_n_fmin"] == short
    assert evaluate(2 * labelled, labelled, sizes)["n_fmax"] == 3 * 16


def test_figures_do_not_depend_on_the_order_of_the_images(labelled: np.ndarray, sizes: np.ndarray) -> None:
    predicted = labelled + np.random.default_rng(0).normal(0, 3, labelled.shape)
    forward, backward = evaluate(predicted, labelled, sizes), evaluate(predicted[::-1], labelled[::-1], sizes)
    assert forward == pytest.approx(backward)


def test_shares_and_angles_do_not_depend_on_scale_and_side(labelled: np.ndarray, sizes: np.ndarray) -> None:
    predicted = labelled + np.random.default_rng(1).normal(0, 3, labelled.shape)
    plain, large = evaluate(predicted, labelled, sizes), evaluate(2 * predicted, 2 * labelled, 2 * sizes)
    mirrored = evaluate(mirror_points(predicted, SIZE[0]), mirror_points(labelled, SIZE[0]), sizes)
    in_pixels = {"corner_median", "corner_mean", "center_median", "center_mean", "image_median", "or20", "or40"}
    for name, value in plain.items():
        assert mirrored[name] == pytest.approx(value, abs=1e-4), name
        if name not in in_pixels and "negative_y" not in name:
            assert large[name] == pytest.approx(value, abs=1e-4), name
    assert large["corner_mean"] == pytest.approx(2 * plain["corner_mean"])


def test_the_input_is_not_changed(labelled: np.ndarray, sizes: np.ndarray) -> None:
    predicted, before = labelled + 1, labelled.copy()
    evaluate(predicted, labelled, sizes)
    np.testing.assert_array_equal(predicted, before + 1)
    np.testing.assert_array_equal(labelled, before)


def test_no_image_is_refused() -> None:
    with pytest.raises(ValueError, match="no image to compare"):
        evaluate(np.zeros((0, 17, 5, 2)), np.zeros((0, 17, 5, 2)), np.zeros((0, 2)))


def test_other_shapes_are_refused(labelled: np.ndarray, sizes: np.ndarray) -> None:
    with pytest.raises(ValueError, match="must have the same shape"):
        evaluate(labelled[:2], labelled, sizes)
    with pytest.raises(ValueError, match="predicted must have shape"):
        evaluate(labelled[0], labelled[0], sizes)
    with pytest.raises(ValueError, match="points must have shape"):
        evaluate(labelled[:, :, 1:], labelled[:, :, 1:], sizes)
    for wrong in (sizes[0], sizes[:2], np.ones((3, 3)), np.ones(3)):
        with pytest.raises(ValueError, match=r"sizes must have shape \(3, 2\)"):
            evaluate(labelled, labelled, wrong)
    with pytest.raises(ValueError, match="must have the same shape"):
        evaluate(labelled, labelled, sizes, np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"official must have shape \(N, 3\)"):
        evaluate(labelled, labelled, sizes, np.ones((3, 4)))


def test_an_absent_point_is_refused(labelled: np.ndarray, sizes: np.ndarray) -> None:
    predicted = labelled.copy()
    predicted[1, 4, 2] = np.nan
    with pytest.raises(ValueError, match="image 1 has a labelled corner that is not predicted"):
        evaluate(predicted, labelled, sizes)


def test_anatomy_figures_by_hand(ladder: np.ndarray) -> None:
    centers = np.stack([ladder[:, 0]] * 2)
    centers[1, 3, 1] = centers[1, 2, 1] - 4
    figures = anatomy_figures(centers, spans_of(np.stack([ladder[:, 0]] * 2)))
    assert list(figures) == ANATOMY
    assert (figures["gaps"], figures["n_neg"], figures["n_fmin"], figures["n_fmax"]) == (32, 1, 1, 1)
    assert figures["mean_negative_y"] == figures["min_negative_y"] == -4
    assert figures["neg_per_1000"] == 1000 / 32


def test_anatomy_figures_refuse_other_shapes_and_no_image(ladder: np.ndarray) -> None:
    with pytest.raises(ValueError, match="no image to count in"):
        anatomy_figures(np.zeros((0, 17, 2)), np.zeros(0))
    with pytest.raises(ValueError, match="centers must have shape"):
        anatomy_figures(ladder[:, 0], np.ones(1))
    with pytest.raises(ValueError, match=r"spans must have shape \(1,\), got \(2,\)"):
        anatomy_figures(ladder[None, :, 0], np.ones(2))
