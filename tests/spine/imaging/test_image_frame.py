"""Spines in the upright image, cut to what it shows."""

from __future__ import annotations

import numpy as np
import pytest

from lib.spine.geometry import transform_points
from lib.spine.imaging.image_frame import ImageFrame
from lib.spine.imaging.orientation import EXIF_ORIENTATIONS, UPRIGHT, Orientation
from lib.spine.measurement.report import challenge_report, cobb_report, curves_of
from lib.spine.schema import VERTEBRAE, Spine


@pytest.fixture
def bent(ladder: np.ndarray) -> np.ndarray:
    """``(17, 5, 2)`` points of a spine whose bodies tilt along it, in an image of 100 x 300 pixels."""
    tilts = np.deg2rad(15 * np.sin(np.linspace(0, 2 * np.pi, 17)))
    turn = np.stack([[np.cos(tilts), -np.sin(tilts)], [np.sin(tilts), np.cos(tilts)]]).transpose(2, 0, 1)
    middle = ladder[:, :1]
    turned: np.ndarray = middle + (ladder - middle) @ turn.transpose(0, 2, 1)
    return turned


@pytest.mark.parametrize("exif", EXIF_ORIENTATIONS)
def test_a_spine_is_measured_alike_in_every_stored_orientation(bent: np.ndarray, exif: int) -> None:
    orientation = EXIF_ORIENTATIONS[exif]
    stored_size = (300, 100) if orientation.quarter_turns % 2 else (100, 300)
    stored = transform_points(np.linalg.inv(orientation.matrix(*stored_size)), bent)
    upright, frame = ImageFrame(100, 300, None, "left"), ImageFrame(*stored_size, orientation, "left")
    spine = Spine.from_arrays(stored)
    np.testing.assert_allclose(frame.upright(spine).xy, bent, atol=1e-9)
    assert frame.upright_height(spine) == 300
    found, expected = cobb_report(spine, frame), cobb_report(Spine.from_arrays(bent), upright)
    assert expected["curves"]
    assert len(found["curves"]) == len(expected["curves"])
    for one, other in zip(found["curves"], expected["curves"], strict=True):
        assert one["side"] == other["side"]
        assert one["angle_deg"] == pytest.approx(other["angle_deg"])
    assert found["challenge"] == pytest.approx(expected["challenge"])


@pytest.mark.parametrize("turns", range(4))
def test_points_decide_where_nothing_is_stated(bent: np.ndarray, turns: int) -> None:
    size = (300, 100) if turns % 2 else (100, 300)
    stored = transform_points(np.linalg.inv(Orientation(turns).matrix(*size)), bent)
    np.testing.assert_allclose(ImageFrame(*size).upright(Spine.from_arrays(stored)).xy, bent, atol=1e-9)


def test_what_lies_off_the_image_is_not_measured(bent: np.ndarray) -> None:
    spine, frame = Spine.from_arrays(bent), ImageFrame(100, 150)
    visible = frame.upright(spine).visible
    last = VERTEBRAE.index("T9")  # centered at 148
    assert visible[:last].all()
    assert visible[last, 0]
    assert not visible[last, 3:].any()
    assert not visible[last + 1 :].any()
    assert np.isnan(frame.upright(spine).visible_xy[last + 1 :]).all()
    assert max(end for curve in curves_of(spine, frame) for end in curve.ends) < last
    assert challenge_report(spine, frame) is None


def test_the_word_of_a_file_about_sides_counts_only_with_its_word_about_the_orientation(ladder: np.ndarray) -> None:
    contradicted = ImageFrame(100, 300, Orientation(2), "left").resolved(Spine.from_arrays(ladder))
    assert (contradicted.orientation, contradicted.image_left_is) == (UPRIGHT, None)
    assert ImageFrame(100, 300, None, "left").resolved(Spine.from_arrays(ladder)).image_left_is == "left"
