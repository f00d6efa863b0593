"""All figures of a set of predicted spines."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from lib.evaluation.box_matching import BoxFigures
from lib.evaluation.evaluate import (
    ImageFigures,
    anatomy_figures,
    anatomy_of_boxes,
    calibrations,
    evaluate,
    evaluate_boxes,
    evaluate_each,
    interval_figures,
)
from lib.evaluation.metrics import CornerAccuracy, Localisation
from lib.evaluation.tilts import TiltFigures
from lib.spine.geometry import mirror_points, with_centers
from lib.spine.measurement.aasce_angles import AngleAgreement, challenge_angles
from lib.spine.measurement.anatomy import AnatomyCounts, spans_of

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
    kinds = (Localisation, CornerAccuracy, AngleAgreement, TiltFigures)
    names = [f.name for kind in kinds for f in dataclasses.fields(kind)]
    own = {"names_shifted_images", "center_image_median", "curve_mae_deg"}
    expected = {*names, *own, *ANATOMY, *(f"corner_means_{name}" for name in ANATOMY)}
    figures = evaluate(labelled + 1.5, labelled, sizes)
    assert set(figures) == expected
    assert len(names) - 2 + 3 + 2 * len(ANATOMY) == len(figures)  # "images" stands in three
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
    assert figures["names_shifted_images"] == 1
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
    alone = evaluate(labelled, labelled, sizes)
    same = evaluate(labelled, labelled, sizes, own)
    against_labels = {f"labels_{f.name}" for f in dataclasses.fields(AngleAgreement) if f.name != "images"}
    assert set(same) - set(alone) == against_labels
    assert {name: same[name] for name in alone} == alone
    figures = evaluate(labelled, labelled, sizes, own + np.array([[6.0, 0, 0], [3, 0, 0], [0, 0, 0]]))
    assert figures["mae_largest_deg"] == pytest.approx(3)
    assert figures["within_5_deg"] == pytest.approx(2 / 3)
    assert figures["smape"] > 0
    assert (figures["labels_smape"], figures["labels_mae_largest_deg"], figures["labels_within_5_deg"]) == (0, 0, 1)
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
    in_pixels.add("center_image_median")
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


def test_the_median_over_images_of_the_center_error(labelled: np.ndarray, sizes: np.ndarray) -> None:
    """Centers off by 1, 2 and 9 px in the mean of their image; in the second one center alone."""
    predicted = labelled.copy()
    predicted[0, :, 0, 0] += 1
    predicted[1, 3, 0, 0] += 34
    predicted[2, :, 0, 0] -= 9
    assert evaluate(predicted, labelled, sizes)["center_image_median"] == pytest.approx(2)


def test_each_image_by_hand(labelled: np.ndarray, sizes: np.ndarray) -> None:
    """Curves of 20, 40 and 60 degrees; the second is predicted as 44, moved by 4 px; the third one level too low."""
    predicted = labelled.copy()
    predicted[0, 2, 1] += (0, 68)
    predicted[1] = bent(22) + np.array([4.0, 0])
    predicted[2, :-1] = labelled[2, 1:]
    predicted[2, -1] += (0, 45)
    first, second, third = evaluate_each(predicted, labelled, sizes)
    assert (first.corner_mean_px, first.corner_median_px, first.center_mean_px) == pytest.approx((1, 0, 0))
    assert [one.levels_off for one in (first, second, third)] == [0, 0, 1]
    assert [one.names_right for one in (first, second, third)] == [True, True, False]
    assert (second.angle1_deg, second.reference1_deg, second.angle1_error_deg) == pytest.approx((44, 40, 4), abs=1e-4)
    assert second.expected_corner_px is None
    assert second.expected_center_px is None


def test_too_small_an_angle_has_a_negative_error(labelled: np.ndarray, sizes: np.ndarray) -> None:
    (only,) = evaluate_each(bent(24)[None], labelled[2:], sizes[2:])
    assert only.angle1_error_deg == pytest.approx(48 - 60, abs=1e-4)


def test_official_angles_are_the_reference_of_each_image(labelled: np.ndarray, sizes: np.ndarray) -> None:
    official = np.array([[25.0, 3, 2], [50, 1, 4], [60, 5, 6]])
    found = evaluate_each(labelled, labelled, sizes, official)
    assert [[one.reference1_deg, one.reference2_deg, one.reference3_deg] for one in found] == official.tolist()
    assert [one.angle1_error_deg for one in found] == pytest.approx([-5, -10, 0], abs=1e-4)


def test_expected_errors_are_averaged_over_the_points_that_have_one(labelled: np.ndarray, sizes: np.ndarray) -> None:
    errors = np.full((3, 17, 5), np.nan)
    errors[0, :, 0], errors[0, :, 1:] = 2, 6
    errors[1, 4, 2:4] = 1, 5
    found = evaluate_each(labelled, labelled, sizes, errors=errors)
    assert [one.expected_center_px for one in found] == [2, None, None]
    assert [one.expected_corner_px for one in found] == [6, 3, None]


def test_the_interval_of_each_image_by_hand(labelled: np.ndarray, sizes: np.ndarray) -> None:
    """Curves of 20, 40 and 60 degrees from T1 to L5, predicted as 26, 40 and 50; only the widths of the ends count."""
    predicted = np.stack([bent(13), bent(20), bent(25)])
    widths = np.full((3, 17), 99.0)
    widths[:, 0], widths[:, -1] = (3, 3, 6), (4, 4, 8)
    widths[1] = np.nan
    found = evaluate_each(predicted, labelled, sizes, tilt_half_widths=widths)
    assert [one.curve_angle_deg for one in found] == pytest.approx([26, 40, 50], abs=1e-4)
    assert [one.curve_error_deg for one in found] == pytest.approx([6, 0, -10], abs=1e-4)
    assert [one.curve_half_width_deg for one in found] == [5, None, 10]
    assert [one.angle_inside_interval for one in found] == [False, None, abs(found[2].curve_error_deg) <= 10]
    assert interval_figures(found[:2]) == pytest.approx(
        {"angle_inside_interval": 0, "angle_half_width_deg": 5}
        | {"right_names_angle_inside_interval": 0, "right_names_angle_half_width_deg": 5}
    )
    assert {one.curve_half_width_deg for one in evaluate_each(predicted, labelled, sizes)} == {None}


def test_intervals_are_counted_over_all_images_and_over_those_with_right_names(
    labelled: np.ndarray, sizes: np.ndarray
) -> None:
    """The third is one level too low, and one angle of three is off by more than its half width."""
    predicted = np.stack([bent(10.5), bent(26), bent(30)])
    predicted[2, :-1], predicted[2, -1] = labelled[2, 1:], labelled[2, -1] + (0, 45)
    widths = np.tile(np.array([[3.0], [6.0], [30.0]]) / 2**0.5, (1, 17))
    found = evaluate_each(predicted, labelled, sizes, tilt_half_widths=widths)
    assert [one.levels_off for one in found] == [0, 0, 1]
    assert interval_figures(found) == pytest.approx(
        {"angle_inside_interval": 2 / 3, "angle_half_width_deg": 13}
        | {"right_names_angle_inside_interval": 1 / 2, "right_names_angle_half_width_deg": 4.5}
    )
    assert set(interval_figures(found[2:])) == {"angle_inside_interval", "angle_half_width_deg"}


def test_without_intervals_there_is_no_figure_of_them(labelled: np.ndarray, sizes: np.ndarray) -> None:
    assert interval_figures(evaluate_each(labelled, labelled, sizes)) == interval_figures([]) == {}


def test_each_image_agrees_with_the_set(labelled: np.ndarray, sizes: np.ndarray) -> None:
    predicted = labelled + np.random.default_rng(2).normal(0, 5, labelled.shape)
    figures, found = evaluate(predicted, labelled, sizes), evaluate_each(predicted, labelled, sizes)
    table = {f.name: np.array([getattr(one, f.name) for one in found]) for f in dataclasses.fields(ImageFigures)}
    assert table["corner_mean_px"].mean() == pytest.approx(figures["corner_mean"])
    assert np.median(table["center_mean_px"]) == pytest.approx(figures["center_image_median"])
    assert np.abs(table["angle1_error_deg"]).mean() == pytest.approx(figures["mae_largest_deg"])
    assert table["names_right"].mean() == figures["names_right"]
    assert np.abs(table["curve_error_deg"]).mean() == pytest.approx(figures["curve_mae_deg"])


def test_each_image_refuses_other_shapes_and_absent_points(labelled: np.ndarray, sizes: np.ndarray) -> None:
    with pytest.raises(ValueError, match="must have the same shape"):
        evaluate_each(labelled[:2], labelled, sizes)
    with pytest.raises(ValueError, match="predicted must have shape"):
        evaluate_each(labelled[0], labelled[0], sizes)
    with pytest.raises(ValueError, match=r"sizes must have shape \(3, 2\), got \(2, 2\)"):
        evaluate_each(labelled, labelled, sizes[:2])
    with pytest.raises(ValueError, match=r"official must have shape \(3, 3\), got \(1, 3\)"):
        evaluate_each(labelled, labelled, sizes, np.ones((1, 3)))
    with pytest.raises(ValueError, match=r"errors must have shape \(3, 17, 5\), got \(3, 17\)"):
        evaluate_each(labelled, labelled, sizes, errors=np.ones((3, 17)))
    with pytest.raises(ValueError, match=r"tilt_half_widths must have shape \(3, 17\), got \(17,\)"):
        evaluate_each(labelled, labelled, sizes, tilt_half_widths=np.ones(17))
    with pytest.raises(ValueError, match="no image to compare"):
        evaluate_each(labelled[:0], labelled[:0], sizes[:0])
    absent = labelled.copy()
    absent[1, 4, 2] = np.nan
    with pytest.raises(ValueError, match="image 1 has a predicted point that is not finite"):
        evaluate_each(absent, labelled, sizes)
    with pytest.raises(ValueError, match="image 1 has a labelled point that is not finite"):
        evaluate_each(labelled, absent, sizes)


def test_calibration_of_centers_and_corners_apart(labelled: np.ndarray) -> None:
    """Centers are off by 2 px and expected to be by 4; corners by 10 px and by 5."""
    predicted, errors = labelled.copy(), np.full((3, 17, 5), 5.0)
    predicted[:, :, 0, 0] += 2
    predicted[:, :, 1:, 1] -= 10
    errors[:, :, 0] = 4
    found = calibrations(predicted, labelled, errors)
    assert list(found) == ["all", "centers", "corners"]
    assert [sum(decile.count for decile in found[name]) for name in found] == [255, 51, 204]
    assert [decile.ratio for decile in found["centers"]] == pytest.approx([2] * 10)
    assert [decile.ratio for decile in found["corners"]] == pytest.approx([0.5] * 10)
    assert [decile.ratio for decile in found["all"]][::9] == pytest.approx([2, 0.5])


def test_calibration_of_few_points_is_left_out(labelled: np.ndarray) -> None:
    errors = np.full((3, 17, 5), np.nan)
    assert calibrations(labelled, labelled, errors) == {}
    errors[0, :9, 0] = 3
    errors[1, :3, 3] = 2
    assert list(calibrations(labelled, labelled, errors)) == ["all"]
    errors[0, 9, 0] = 3
    assert list(calibrations(labelled, labelled, errors)) == ["all", "centers"]
    unlabelled = labelled.copy()
    unlabelled[0, 0, 0] = np.nan
    assert list(calibrations(labelled, unlabelled, errors)) == ["all"]


def test_calibration_refuses_other_shapes_and_impossible_errors(labelled: np.ndarray) -> None:
    with pytest.raises(ValueError, match="errors must have shape"):
        calibrations(labelled, labelled, np.ones((3, 17)))
    with pytest.raises(ValueError, match="must have the same shape"):
        calibrations(labelled, labelled[:1], np.ones((3, 17, 5)))
    for wrong in (-1.0, np.inf):
        with pytest.raises(ValueError, match="expected error 0 must be a number of pixels from 0 up"):
            calibrations(labelled, labelled, np.full((3, 17, 5), wrong))


def test_boxes_by_hand(labelled: np.ndarray) -> None:
    """One image with all boxes, one with 15 of them, one with two centers exchanged."""
    predicted = labelled.copy()
    predicted[2, [4, 5], 0] = labelled[2, [5, 4], 0]
    centers = labelled[:, :, 0]
    figures = evaluate_boxes(predicted, [centers[0], centers[1, 1:-1], centers[2]])
    boxes = [field.name for field in dataclasses.fields(BoxFigures)]
    assert list(figures) == [*boxes, *ANATOMY, *(f"corner_means_{name}" for name in ANATOMY)]
    assert (figures["images"], figures["boxes"]) == (3, 49)
    assert figures["boxes_matched"] == pytest.approx(48 / 49)
    assert figures["images_in_order"] == figures["images_complete"] == pytest.approx(2 / 3)
    assert (figures["unmatched_beyond"], figures["unmatched_between"], figures["unmatched_astray"]) == (2, 1, 0)
    assert (figures["gaps"], figures["n_neg"], figures["corner_means_n_neg"]) == (48, 1, 0)
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures


def test_anatomy_of_boxes_judges_images_with_17_and_more(ladder: np.ndarray) -> None:
    """Where there are more, the lowest 17: the gap below the uppermost of 18 is twice too long, and is not seen."""
    boxes = ladder[:, 0]
    more = np.concatenate([[[50.0, -40]], boxes])
    figures = anatomy_of_boxes([boxes, boxes[1:], more])
    assert list(figures) == ANATOMY
    assert (figures["gaps"], figures["n_fmax"], figures["n_fmin"]) == (32, 0, 0)
    uneven = boxes.copy()
    uneven[8, 1] += 12
    assert anatomy_of_boxes([uneven])["n_fmax"] == anatomy_of_boxes([uneven])["n_fmin"] == 1
    with pytest.raises(ValueError, match="no image to count in"):
        anatomy_of_boxes([])


def test_boxes_refuse_other_shapes_and_absent_points(labelled: np.ndarray) -> None:
    boxes = list(labelled[:, :, 0])
    with pytest.raises(ValueError, match=r"predicted must have shape \(2, V, P, 2\)"):
        evaluate_boxes(labelled, boxes[:2])
    with pytest.raises(ValueError, match="predicted must have shape"):
        evaluate_boxes(labelled[:, :, :4], boxes)
    with pytest.raises(ValueError, match="there is no image to compare"):
        evaluate_boxes(labelled[:0], [])
    with pytest.raises(ValueError, match="at least two of them"):
        evaluate_boxes(labelled, [*boxes[:2], boxes[2][:1]])
    labelled[2, 0, 3] = np.nan
    with pytest.raises(ValueError, match="image 2 has a predicted point that is not finite"):
        evaluate_boxes(labelled, boxes)
