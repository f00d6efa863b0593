"""What may be wrong with measured points, in words."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lib.spine.geometry import rotation, transform_points
from lib.spine.imaging.image_frame import ImageFrame
from lib.spine.imaging.orientation import UPRIGHT, Orientation
from lib.spine.measurement.angle_interval import (
    READER_TILT_HALF_WIDTH_DEG,
    are_names_doubtful,
    corrected_half_widths,
    interval_sentence,
    interval_text,
)
from lib.spine.measurement.cobb import measure_curves
from lib.spine.measurement.image_warnings import (
    CODES,
    IMPLAUSIBLE,
    LARGER,
    NAMES,
    OFF_IMAGE,
    POLARITY,
    ImageWarning,
    describe_orientation,
    list_vertebrae,
    measurement_warnings,
    not_frontal_warning,
    orientation_contradiction,
    orientation_warning,
    second_spine_warning,
)
from lib.spine.measurement.report import curves_of
from lib.spine.schema import VERTEBRAE, Spine

FRAME = ImageFrame(400, 320, UPRIGHT)


def wide(ladder: np.ndarray) -> np.ndarray:
    """The ladder in the middle of an image of 400 pixels, tilted by 15 degrees from T7 on and straight above."""
    points = ladder + np.array([150.0, 0])
    for v in range(6, 17):
        points[v] = transform_points(rotation(15 if v == 6 else 7), points[v] - points[v, 0]) + points[v, 0]
    return points


def test_a_plausible_spine_on_the_image_has_no_warnings(ladder: np.ndarray) -> None:
    assert measurement_warnings(Spine.from_arrays(ladder), ImageFrame(100, 320, UPRIGHT), 0.95) == ()


def test_bodies_off_the_image_are_named_and_the_curve_may_be_larger(ladder: np.ndarray) -> None:
    """The image begins within T4: its center is off, that of T5 on it."""
    spine = Spine.from_arrays(wide(ladder) - np.array([0.0, 20 + 16 * 3 + 7]))
    off, larger = measurement_warnings(spine, FRAME)[:2]
    assert (off.code, off.vertebrae) == (OFF_IMAGE, ("T1", "T2", "T3", "T4"))
    assert off.message == "T1 to T4 lie off the image: nothing is measured from what it does not show."
    assert (larger.code, larger.vertebrae) == (LARGER, ("T5",))
    assert larger.message == "T5 is the last body that the image shows: the curve T5 to T7 may be larger."
    (curve,) = (c for c in curves_of(spine, FRAME) if c.upper_end == "T5")
    assert curve.open_ends == ("T5",)


def test_a_body_at_the_border_is_partly_off_the_image(ladder: np.ndarray) -> None:
    spine = Spine.from_arrays(wide(ladder) - np.array([0.0, 18]))
    warning = measurement_warnings(spine, FRAME)[0]
    assert (warning.code, warning.vertebrae) == (OFF_IMAGE, ("T1",))
    assert warning.message == "T1 lies partly off the image: only visible corners are measured."


def test_absent_bodies_are_not_said_to_be_off_the_image(ladder: np.ndarray) -> None:
    """As while a person still places points."""
    xy = wide(ladder)
    xy[:4] = np.nan
    warnings = measurement_warnings(Spine.from_arrays(xy), FRAME)
    assert {warning.code for warning in warnings} == {LARGER}
    assert warnings[0].message.startswith("T5 is the last body with all four corners: ")


def test_curves_of_a_whole_spine_are_not_open(ladder: np.ndarray) -> None:
    assert all(curve.open_ends == () for curve in measure_curves(wide(ladder)))


def test_doubtful_names_are_told_with_their_chance(ladder: np.ndarray) -> None:
    spine = Spine.from_arrays(ladder)
    (warning,) = measurement_warnings(spine, FRAME, 0.62)
    assert warning.code == NAMES
    assert warning.message == "The names may be off by one level (chance that they are right: 62 %)."
    assert measurement_warnings(spine, FRAME, 0.8) == measurement_warnings(spine, FRAME, None) == ()


def test_implausible_anatomy_names_vertebrae_and_stays_readable(ladder: np.ndarray) -> None:
    ladder[[5, 6]] = ladder[[6, 5]]
    ladder[12, [1, 2]] = ladder[12, [2, 1]]
    (warning,) = measurement_warnings(Spine.from_arrays(ladder), FRAME)
    assert warning.code == IMPLAUSIBLE
    assert {"T6", "T7", "L1"} <= set(warning.vertebrae) <= set(VERTEBRAE)
    assert warning.message.startswith("Implausible anatomy: ")
    assert "T7 does not lie below T6." in warning.message
    assert warning.message.endswith(" more.")
    assert len(warning.message) < 500


def test_what_is_about_the_image_stays_and_what_was_about_other_points_goes(ladder: np.ndarray) -> None:
    about_image = ImageWarning(POLARITY, "Bone may be dark.")
    stale = ImageWarning(NAMES, "The names may be off.")
    assert measurement_warnings(Spine.from_arrays(ladder), FRAME, None, [about_image, stale]) == (about_image,)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_warnings_do_not_depend_on_how_the_image_is_stored(ladder: np.ndarray, turns: int) -> None:
    turn = Orientation(turns)
    width, height = turn.size(400, 320)
    points = wide(ladder) - np.array([0.0, 75])
    stored = transform_points(np.linalg.inv(turn.matrix(width, height)), points)
    here = measurement_warnings(Spine.from_arrays(stored), ImageFrame(width, height, turn))
    assert here == measurement_warnings(Spine.from_arrays(points), FRAME)
    assert here


def test_every_sentence_has_a_known_code_and_goes_into_json() -> None:
    warnings = (
        orientation_warning(Orientation(2)),
        orientation_contradiction("EXIF Orientation 6", UPRIGHT),
        second_spine_warning(),
        not_frontal_warning(1.3),
    )
    for warning in warnings:
        assert warning.code in CODES
        assert warning.message.endswith(".")
        assert json.loads(json.dumps(warning.as_dict()))["code"] == warning.code
    assert "turned 180° clockwise" in warnings[0].message
    assert "EXIF Orientation 6" in warnings[1].message


def test_orientations_and_vertebrae_in_words() -> None:
    assert describe_orientation(UPRIGHT) == "upright as stored"
    assert describe_orientation(Orientation(1, True)) == "mirrored left to right and turned 90° clockwise"
    assert list_vertebrae(("T1", "T2", "T3", "T6", "L4", "L5")) == "T1 to T3, T6, L4 and L5"
    assert list_vertebrae(("T1",)) == "T1"
    assert list_vertebrae(("T12", "L1")) == "T12 and L1"
    assert list_vertebrae(()) == ""


def test_an_interval_is_promised_only_if_the_names_are_right(ladder: np.ndarray) -> None:
    spine, widths = Spine.from_arrays(wide(ladder)), np.full(17, 3.0)
    assert interval_sentence(0.9) == "If the names are right, the angle lies within ± in nine of ten images."
    assert interval_sentence(0.9, is_corrected=True) == "In nine of ten images another reader's angle lies within ±."
    assert interval_sentence(0.79) == ""
    assert (interval_text(4.4), interval_text(None)) == (" ± 4", "")
    assert are_names_doubtful(0.79)
    assert not are_names_doubtful(None)
    assert all(c.half_width_deg is not None for c in curves_of(spine, FRAME, widths, 0.9))
    assert all(c.half_width_deg is None for c in curves_of(spine, FRAME, widths, 0.79))
    assert all(c.half_width_deg is None for c in curves_of(spine, FRAME, np.full(17, np.nan), 0.9))


def test_corrected_vertebrae_have_the_error_of_a_reader() -> None:
    by_reader = np.zeros((17, 4), bool)
    by_reader[3], by_reader[5, :2] = True, True
    widths = corrected_half_widths(np.full(17, 8.0), by_reader)
    assert widths[3] == READER_TILT_HALF_WIDTH_DEG
    assert widths[5] == pytest.approx(4.0 + READER_TILT_HALF_WIDTH_DEG / 2)
    assert (np.delete(widths, [3, 5]) == 8.0).all()
    alone = corrected_half_widths(None, by_reader)
    assert alone[3] == READER_TILT_HALF_WIDTH_DEG
    assert np.isnan(np.delete(alone, 3)).all()
    with pytest.raises(ValueError, match="by_reader must have shape"):
        corrected_half_widths(None, by_reader[:, :3])
