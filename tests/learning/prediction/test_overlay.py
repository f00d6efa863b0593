"""The image of the landmarks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from lib.image_io import Radiograph
from lib.learning.prediction.overlay import MIN_TEXT_WIDTH, draw_overlay
from lib.learning.prediction.result import Prediction
from lib.spine.geometry import rotation, transform_points
from lib.spine.imaging.image_frame import ImageFrame
from lib.spine.imaging.orientation import UPRIGHT, Orientation
from lib.spine.measurement.image_warnings import NAMES, ImageWarning
from lib.spine.schema import Spine

GRAY = Radiograph(np.linspace(0, 255, 320 * 120).reshape(320, 120).astype(np.uint8))


def overlay(radiograph: Radiograph, spine: Spine, orientation: Orientation = UPRIGHT, **told: Any) -> Image.Image:
    """The image of points, and of what else was told about them."""
    frame = ImageFrame(radiograph.width, radiograph.height, orientation)
    return draw_overlay(radiograph, Prediction(spine, 1.0, "map", {}, frame, "found in the image", **told))


def is_blue(color: np.ndarray) -> bool:
    """Whether a color is the one of curves."""
    return bool(color[0] < 150 and color[1] > 150 and color[2] > 200)


def is_green(color: np.ndarray) -> bool:
    """Whether a color is the one of sure points."""
    return bool(color[1] > 150 and color[0] < 150 and color[2] < 180)


def is_red(color: np.ndarray) -> bool:
    """Whether a color is the one of doubtful points."""
    return bool(color[0] > 200 and color[1] < 130)


def test_centers_and_outlines_are_drawn_where_they_are(ladder: np.ndarray) -> None:
    image = np.asarray(overlay(GRAY, Spine.from_arrays(ladder)))
    assert image.shape == (320, 120, 3)
    for v in range(17):
        assert is_green(image[20 + 16 * v, 50])
        for dx, dy in ((0, -6), (0, 6), (-10, 0), (10, 0)):  # the middle of every side
            assert is_green(image[20 + 16 * v + dy, 50 + dx])
    assert not is_green(image[20, 45])


def test_doubtful_vertebrae_are_red(ladder: np.ndarray) -> None:
    scores = np.ones((17, 5))
    scores[4] = 0.49
    scores[5] = 0.5
    image = np.asarray(overlay(GRAY, Spine.from_arrays(ladder, scores)))
    assert is_red(image[20 + 16 * 4, 50])
    assert is_red(image[20 + 16 * 4, 40])
    assert is_green(image[20 + 16 * 5, 50])


def test_names_are_written_to_the_right(ladder: np.ndarray) -> None:
    named = np.asarray(overlay(GRAY, Spine.from_arrays(ladder)))
    plain = np.asarray(overlay(GRAY, Spine.from_arrays(np.full((17, 5, 2), np.nan))))
    assert (named[15:26, 64:90] != plain[15:26, 64:90]).any()
    assert not np.apply_along_axis(is_green, 2, named[:, :38]).any()


def test_absent_points_are_not_drawn(ladder: np.ndarray) -> None:
    empty = np.asarray(overlay(GRAY, Spine.from_arrays(np.full((17, 5, 2), np.nan))))
    assert (empty[..., 0] == empty[..., 1]).all()
    ladder[3] = np.nan  # T4 is absent
    ladder[9, 0] = np.nan  # T10 has no center
    ladder[12, 1] = np.nan  # L1 has no top left corner
    image = np.asarray(overlay(GRAY, Spine.from_arrays(ladder)))
    assert not is_green(image[68, 50])
    assert is_red(image[164, 40])
    assert not is_red(image[164, 50])
    assert is_green(image[212, 60])
    assert not is_green(image[212, 40])


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [(3200, 800, (400, 1600)), (1600, 100, (100, 1600)), (1000, 4000, (1600, 400)), (5000, 1, (1, 1600))],
)
def test_the_longer_side_has_at_most_1600_pixels(height: int, width: int, size: tuple[int, int]) -> None:
    empty = Spine.from_arrays(np.full((17, 5, 2), np.nan))
    image = overlay(Radiograph(np.zeros((height, width), np.uint16)), empty)
    assert (image.size, image.mode) == (size, "RGB")


def test_points_follow_a_picture_that_is_shrunk(ladder: np.ndarray) -> None:
    radiograph = Radiograph(np.zeros((3200, 1200), np.uint8))
    image = np.asarray(overlay(radiograph, Spine.from_arrays(10 * ladder)))
    assert image.shape == (1600, 600, 3)
    for v in range(17):
        assert is_green(image[100 + 80 * v, 250])


def test_the_radiograph_is_not_changed(ladder: np.ndarray) -> None:
    before = GRAY.pixels.copy()
    overlay(GRAY, Spine.from_arrays(ladder))
    np.testing.assert_array_equal(GRAY.pixels, before)


def bent(ladder: np.ndarray) -> np.ndarray:
    """A spine of bodies 20 x 12 px, of which those from T9 on are turned by 20 degrees in place."""
    points = ladder.copy()
    for v in range(8, 17):
        points[v] = transform_points(rotation(20), ladder[v] - ladder[v, 0]) + ladder[v, 0]
    return points


def test_a_curve_is_drawn_as_its_endplates_with_the_angle_between_them(ladder: np.ndarray) -> None:
    """The lines go on where the endplates meet, at the image left, and end 1.6 body widths beyond the bodies."""
    straight = np.asarray(overlay(GRAY, Spine.from_arrays(ladder)))
    image = np.asarray(overlay(GRAY, Spine.from_arrays(bent(ladder))))
    blue = np.apply_along_axis(is_blue, 2, image)
    assert blue[:, :38].any()
    assert not np.apply_along_axis(is_blue, 2, straight)[40:260, :38].all()


def test_an_upright_picture_is_made_of_an_image_on_its_side(ladder: np.ndarray) -> None:
    turn = Orientation(1)
    stored = Radiograph(np.ascontiguousarray(np.rot90(GRAY.pixels)))
    back = np.linalg.inv(turn.matrix(stored.width, stored.height))
    upright = np.asarray(overlay(GRAY, Spine.from_arrays(ladder)))
    image = np.asarray(overlay(stored, Spine.from_arrays(transform_points(back, ladder)), turn))
    np.testing.assert_array_equal(image[:320, :120], upright)
    assert len(image) > 320  # it says below that it is turned


def test_what_is_not_visible_is_dashed_and_has_no_name(ladder: np.ndarray) -> None:
    shifted = ladder - np.array([0.0, 22.0])  # T1 lies above the image, with its lower corners within
    image = np.asarray(overlay(GRAY, Spine.from_arrays(shifted)))
    assert not is_green(image[4, 50])
    assert not any(is_green(color) for color in image[4, 40:61])


def test_warnings_stand_below_and_stay_within_the_picture(ladder: np.ndarray) -> None:
    few = overlay(GRAY, Spine.from_arrays(ladder))
    warning = ImageWarning(NAMES, "The names may be off by one level (chance that they are right: 62 %).")
    one, two = (overlay(GRAY, Spine.from_arrays(ladder), warnings=(warning,) * count) for count in (1, 2))
    assert few.size == (120, 320)
    assert one.width == two.width == MIN_TEXT_WIDTH
    assert 320 < one.height < two.height
    text = np.asarray(two)[320:]
    assert (text[:, -4:] == text[0, 0]).all()
    assert (text != text[0, 0]).any()


def test_an_interval_is_explained_unless_names_are_doubtful(ladder: np.ndarray) -> None:
    spine, widths = Spine.from_arrays(ladder), np.full(17, 3.0)
    explained = overlay(GRAY, spine, tilt_half_widths=widths, names_right=0.9)
    withheld = overlay(GRAY, spine, tilt_half_widths=widths, names_right=0.7)
    assert explained.height > 320
    assert withheld.height == 320
