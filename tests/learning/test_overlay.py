"""The picture of the landmarks."""

from __future__ import annotations

import numpy as np
import pytest

from lib.learning.image_io import Radiograph
from lib.learning.overlay import draw_overlay
from lib.spine.schema import Spine

GRAY = Radiograph(np.linspace(0, 255, 320 * 120).reshape(320, 120).astype(np.uint8))


def is_green(color: np.ndarray) -> bool:
    """Whether a color is the one of sure points."""
    return bool(color[1] > 150 and color[0] < 150)


def is_red(color: np.ndarray) -> bool:
    """Whether a color is the one of doubtful points."""
    return bool(color[0] > 200 and color[1] < 130)


def test_centers_and_outlines_are_drawn_where_they_are(ladder: np.ndarray) -> None:
    picture = np.asarray(draw_overlay(GRAY, Spine.from_arrays(ladder)))
    assert picture.shape == (320, 120, 3)
    for v in range(17):
        assert is_green(picture[20 + 16 * v, 50])
        for dx, dy in ((0, -6), (0, 6), (-10, 0), (10, 0)):  # the middle of every side
            assert is_green(picture[20 + 16 * v + dy, 50 + dx])
    assert not is_green(picture[20, 45])


def test_doubtful_vertebrae_are_red(ladder: np.ndarray) -> None:
    scores = np.ones((17, 5))
    scores[4] = 0.49
    scores[5] = 0.5
    picture = np.asarray(draw_overlay(GRAY, Spine.from_arrays(ladder, scores)))
    assert is_red(picture[20 + 16 * 4, 50])
    assert is_red(picture[20 + 16 * 4, 40])
    assert is_green(picture[20 + 16 * 5, 50])


def test_names_are_written_to_the_right(ladder: np.ndarray) -> None:
    named = np.asarray(draw_overlay(GRAY, Spine.from_arrays(ladder)))
    plain = np.asarray(draw_overlay(GRAY, Spine.from_arrays(np.full((17, 5, 2), np.nan))))
    assert (named[15:26, 64:90] != plain[15:26, 64:90]).any()
    assert (named[:, :38] == plain[:, :38]).all()


def test_absent_points_are_not_drawn(ladder: np.ndarray) -> None:
    empty = np.asarray(draw_overlay(GRAY, Spine.from_arrays(np.full((17, 5, 2), np.nan))))
    assert (empty[..., 0] == empty[..., 1]).all()
    ladder[3] = np.nan  # T4 is absent
    ladder[9, 0] = np.nan  # T10 has no center
    ladder[12, 1] = np.nan  # L1 has no top left corner
    picture = np.asarray(draw_overlay(GRAY, Spine.from_arrays(ladder)))
    assert not is_green(picture[68, 50])
    assert is_red(picture[164, 40])
    assert not is_red(picture[164, 50])
    assert is_green(picture[212, 60])
    assert not is_green(picture[212, 40])


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [(3200, 800, (400, 1600)), (1600, 100, (100, 1600)), (1000, 4000, (1600, 400)), (5000, 1, (1, 1600))],
)
def test_the_longer_side_has_at_most_1600_pixels(height: int, width: int, size: tuple[int, int]) -> None:
    empty = Spine.from_arrays(np.full((17, 5, 2), np.nan))
    picture = draw_overlay(Radiograph(np.zeros((height, width), np.uint16)), empty)
    assert (picture.size, picture.mode) == (size, "RGB")


def test_points_follow_a_picture_that_is_shrunk(ladder: np.ndarray) -> None:
    radiograph = Radiograph(np.zeros((3200, 1200), np.uint8))
    picture = np.asarray(draw_overlay(radiograph, Spine.from_arrays(10 * ladder)))
    assert picture.shape == (1600, 600, 3)
    for v in range(17):
        assert is_green(picture[100 + 80 * v, 250])


def test_the_radiograph_is_not_changed(ladder: np.ndarray) -> None:
    before = GRAY.pixels.copy()
    draw_overlay(GRAY, Spine.from_arrays(ladder))
    np.testing.assert_array_equal(GRAY.pixels, before)
