"""Images that stand otherwise than they are stored, are cut, or show something else, with the shipped weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from lib.image_io import Radiograph
from lib.learning.config import DEFAULT_WEIGHTS_FILE
from lib.learning.decoders import FixedLandmarks
from lib.learning.prediction.predictor import LandmarkPredictor, NoSpineError
from lib.learning.prediction.request import PredictionCache, PredictionRequest
from lib.learning.prediction.result import Prediction
from lib.learning.prediction.upright import (
    AS_STORED,
    FOUND,
    MIN_LEAD,
    MIN_SURE_SCORE,
    MIN_TURNED_SCORE,
    NOT_STATED,
    UprightImage,
    UprightTurn,
    chosen_turn,
    stated_turn,
    turns_to_test,
)
from lib.phantoms import Phantom, PhantomSpec, other_view, random_spineless, render_phantom
from lib.spine.geometry import center_distances, transform_points
from lib.spine.imaging.orientation import EXIF_ORIENTATIONS, UPRIGHT, Orientation
from lib.spine.measurement.angle_interval import READER_TILT_HALF_WIDTH_DEG
from lib.spine.measurement.cobb import measure_curves
from lib.spine.measurement.image_warnings import (
    CONTRADICTION,
    LARGER,
    NOT_FRONTAL,
    OFF_IMAGE,
    ORIENTATION,
    POLARITY,
    SECOND_SPINE,
    ImageWarning,
)
from lib.spine.measurement.report import curves_of, sides_of

SPEC = PhantomSpec(height=640, width=300, seed=3, curves=((7.0, 40.0),), field_above=0.2, field_below=0.2)
EXIF_6 = "EXIF Orientation 6"


@pytest.fixture(scope="module")
def predictor() -> LandmarkPredictor:
    """As it is shipped."""
    return LandmarkPredictor(DEFAULT_WEIGHTS_FILE, torch.device("cpu"))


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    """One upright spine."""
    return render_phantom(SPEC)


@pytest.fixture(scope="module")
def upright(predictor: LandmarkPredictor, phantom: Phantom) -> Prediction:
    """What is found in it."""
    return predictor.predict(Radiograph(phantom.pixels))


def stored_as(phantom: Phantom, turn: Orientation, **stated: object) -> Radiograph:
    """The phantom as a raster that the turn brings upright."""
    height, width = phantom.pixels.shape
    size = turn.size(width, height)
    rows, columns = np.mgrid[: size[1], : size[0]]
    at = transform_points(turn.matrix(*size), np.stack([columns, rows], -1).astype(float)).round().astype(int)
    return replace(Radiograph(phantom.pixels[at[..., 1], at[..., 0]]), **stated)  # type: ignore[arg-type]


def to_upright(prediction: Prediction) -> np.ndarray:
    """Its points in upright pixels."""
    frame = prediction.frame
    return transform_points(prediction.orientation.matrix(frame.width, frame.height), prediction.spine.xy)


def codes(prediction: Prediction) -> set[str]:
    """What it warns of."""
    return {warning.code for warning in prediction.warnings}


def test_an_upright_image_is_taken_as_it_is(upright: Prediction, phantom: Phantom) -> None:
    assert upright.orientation == UPRIGHT
    assert upright.orientation_source == NOT_STATED
    assert upright.warnings == ()
    step = float(center_distances(phantom.spine.xy[:, 0]).mean())
    assert np.median(np.linalg.norm(upright.spine.xy - phantom.spine.xy, axis=-1)) < 0.15 * step


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_an_image_on_its_side_or_head_is_found_upright(
    predictor: LandmarkPredictor, phantom: Phantom, upright: Prediction, turns: int
) -> None:
    found = predictor.predict(stored_as(phantom, Orientation(turns), image_left_is="right"))
    assert found.orientation == Orientation(turns)
    assert found.orientation_source == FOUND
    np.testing.assert_allclose(to_upright(found), upright.spine.xy, atol=1e-6)
    (warning,) = found.warnings
    assert warning.code == ORIENTATION
    assert f"turned {90 * turns}° clockwise" in warning.message
    assert (
        sides_of(found.frame) == "image"
    )  # which side the file means is not known of an image that it did not mean so
    for a, b in zip(curves_of(found.spine, found.frame), curves_of(upright.spine, upright.frame), strict=True):
        assert (a.upper_end, a.lower_end, a.side) == (b.upper_end, b.lower_end, b.side)
        assert a.angle_deg == pytest.approx(b.angle_deg, abs=1e-3)


@pytest.mark.parametrize("value", [2, 5, 6])
def test_the_orientation_that_the_file_states_is_obeyed(
    predictor: LandmarkPredictor, phantom: Phantom, upright: Prediction, value: int
) -> None:
    orientation, source = EXIF_ORIENTATIONS[value], f"EXIF Orientation {value}"
    stated = {"orientation": orientation, "orientation_source": source, "image_left_is": "right"}
    found = predictor.predict(stored_as(phantom, orientation, **stated))
    assert (found.orientation, found.orientation_source, found.warnings) == (orientation, source, ())
    np.testing.assert_allclose(to_upright(found), upright.spine.xy, atol=1e-6)
    assert sides_of(found.frame) == "patient"


def test_an_image_that_contradicts_its_file_is_measured_as_it_shows_the_spine(
    predictor: LandmarkPredictor, phantom: Phantom, upright: Prediction
) -> None:
    radiograph = Radiograph(phantom.pixels, orientation=EXIF_ORIENTATIONS[6], orientation_source=EXIF_6)
    found = predictor.predict(radiograph)
    assert (found.orientation, found.orientation_source) == (UPRIGHT, FOUND)
    np.testing.assert_allclose(found.spine.xy, upright.spine.xy, atol=1e-6)
    assert codes(found) == {CONTRADICTION}
    assert EXIF_6 in found.warnings[0].message


def test_fixed_points_come_back_bit_for_bit_from_an_image_on_its_head(
    predictor: LandmarkPredictor, phantom: Phantom
) -> None:
    radiograph = stored_as(phantom, Orientation(2))
    cache = PredictionCache()
    before = predictor.predict(radiograph, PredictionRequest(cache=cache))
    fixed = FixedLandmarks.none()
    fixed.xy[4, 0] = before.spine.xy[4, 0] + np.array([1 / 3, np.pi / 10])
    fixed.xy[9, 1:] = before.spine.xy[9, 1:] + np.sqrt(2) / 7
    corrected = predictor.predict(radiograph, PredictionRequest(fixed=fixed, cache=cache))
    np.testing.assert_array_equal(corrected.spine.xy[fixed.mask], fixed.xy[fixed.mask])
    np.testing.assert_array_equal(corrected.spine.xy[9, 0], fixed.xy[9, 1:].mean(0))
    assert corrected.orientation == Orientation(2)
    np.testing.assert_array_equal(
        corrected.spine.xy, predictor.predict(radiograph, PredictionRequest(fixed=fixed)).spine.xy
    )
    assert corrected.tilt_half_widths is not None
    assert corrected.tilt_half_widths[9] == READER_TILT_HALF_WIDTH_DEG


@pytest.mark.parametrize("end", ["top", "bottom"])
def test_nothing_is_measured_from_bodies_off_the_image(
    predictor: LandmarkPredictor, phantom: Phantom, upright: Prediction, end: str
) -> None:
    if end == "top":  # through T5
        cut = round(float(phantom.spine.xy[4, 0, 1])) + 4
        pixels, shift, gone = phantom.pixels[cut:], np.array([0.0, cut]), range(4)
    else:  # through L2
        cut = round(float(phantom.spine.xy[13, 0, 1])) - 4
        pixels, shift, gone = phantom.pixels[:cut], np.zeros(2), range(14, 17)
    found = predictor.predict(Radiograph(pixels))
    spine = found.spine
    visible = spine.visible
    assert not visible[list(gone)].any()
    assert (spine.scores[~visible] == 0).all()
    assert np.isfinite(spine.xy).all()
    off = np.linalg.norm(spine.xy + shift - upright.spine.xy, axis=-1)
    assert off[visible].max() < 0.4 * float(center_distances(phantom.spine.xy[:, 0]).mean())  # the names are right
    for curve in measure_curves(spine.visible_xy):
        assert visible[list(curve.ends), 1:].all()
    assert {OFF_IMAGE, LARGER} & codes(found)
    assert OFF_IMAGE in codes(found)


def test_of_two_images_side_by_side_one_is_measured_and_the_other_warned_of(predictor: LandmarkPredictor) -> None:
    spec = replace(SPEC, width=256, height=512)
    pair = [render_phantom(replace(spec, seed=seed)) for seed in (5, 6)]
    found = predictor.predict(Radiograph(np.concatenate([one.pixels for one in pair], 1)))
    assert SECOND_SPINE in codes(found)
    is_right = found.spine.xy[:, 0, 0] >= 256
    assert is_right.all() or not is_right.any()
    truth = pair[int(is_right.all())].spine.xy + (256.0 * is_right.all(), 0.0)  # noqa: RUF005
    step = float(center_distances(truth[:, 0]).mean())
    assert np.linalg.norm(found.spine.xy[:, 0] - truth[:, 0], axis=-1).max() < 0.5 * step


def test_a_spine_from_the_side_is_doubted(predictor: LandmarkPredictor, upright: Prediction) -> None:
    doubted = [
        NOT_FRONTAL in codes(predictor.locate(Radiograph(other_view("lateral spine", seed, 640, 320))))
        for seed in range(4)
    ]
    assert sum(doubted) >= 2
    assert NOT_FRONTAL not in codes(upright)


def test_a_refusal_says_that_turns_were_tried(predictor: LandmarkPredictor) -> None:
    with pytest.raises(NoSpineError, match=r"at least 0\.30 is expected .* turned by 90°, 180° and 270°, too$"):
        predictor.predict(Radiograph(random_spineless(4, 600, 300)))


def test_what_reading_doubted_is_told_with_the_prediction(predictor: LandmarkPredictor, phantom: Phantom) -> None:
    warning = ImageWarning(POLARITY, "Bone may be dark.")
    found = predictor.predict(Radiograph(phantom.pixels, warnings=(warning,)))
    assert found.warnings == (warning,)


def test_more_turns_are_tried_the_less_is_seen() -> None:
    assert turns_to_test(MIN_SURE_SCORE, 0.25) == ()
    assert turns_to_test(0.3, 0.25) == (Orientation(2),)
    assert turns_to_test(0.1, 0.25) == (Orientation(1), Orientation(2), Orientation(3))


def test_another_turn_is_taken_only_where_it_clearly_wins() -> None:
    half, quarter = Orientation(2), Orientation(1)
    assert chosen_turn(AS_STORED, 0.4, {half: 0.3}) == replace(AS_STORED, tested=(half,))
    assert chosen_turn(AS_STORED, 0.35, {half: 0.35 + MIN_LEAD / 2}).orientation == UPRIGHT
    assert chosen_turn(AS_STORED, 0.0, {quarter: MIN_TURNED_SCORE - 0.01}).orientation == UPRIGHT
    found = chosen_turn(AS_STORED, 0.05, {quarter: 0.7, half: 0.1})
    assert (found.orientation, found.source, found.tested) == (quarter, FOUND, (quarter, half))
    assert [warning.code for warning in found.warnings] == [ORIENTATION]


def test_another_turn_follows_the_stated_orientation() -> None:
    stated = UprightTurn(EXIF_ORIENTATIONS[5], "EXIF Orientation 5", is_stated=True)
    found = chosen_turn(stated, 0.3, {Orientation(2): 0.8})
    assert found.orientation == EXIF_ORIENTATIONS[5].followed_by(Orientation(2))
    assert [warning.code for warning in found.warnings] == [CONTRADICTION]


def test_without_a_word_in_the_file_it_is_taken_as_stored() -> None:
    assert stated_turn(Radiograph(np.zeros((2, 3)))) == AS_STORED
    assert UprightImage(Radiograph(np.zeros((2, 3))), AS_STORED).frame.orientation == UPRIGHT
