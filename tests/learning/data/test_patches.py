"""Patches: where they lie, and what they show."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lib.image_io.window import windowed
from lib.learning.config import CornerConfig
from lib.learning.data.image_views import ShrunkImage, cut_patches, shrink_around, standardised, vertebra_frames
from lib.spine.geometry import rotation, scaling, transform_points, translation

CONFIG = CornerConfig(80, 96, 32.0, 4, 0)
MIDDLE = np.array([47.5, 39.5])


def line(count: int = 5, step: float = 16.0, angle_deg: float = 0.0) -> np.ndarray:
    """Centers of a straight spine that begins at (200, 100); for positive angles it runs down to the left."""
    down = np.stack([np.zeros(count), step * np.arange(count)], -1)
    return transform_points(translation(200, 100) @ rotation(angle_deg), down)


def blob(height: int, width: int, at: tuple[float, float], sigma: float) -> np.ndarray:
    """``(height, width)`` gray values of a soft spot around ``(x, y)``."""
    y, x = np.mgrid[:height, :width]
    spot = 255 * np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * sigma**2))
    return spot.round().astype(np.uint8)


def middle_of(patch: torch.Tensor) -> np.ndarray:
    """Center of mass (x, y)."""
    y, x = np.mgrid[: patch.shape[0], : patch.shape[1]]
    weight = patch.double().numpy()
    return np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()


@pytest.mark.parametrize("angle_deg", [0.0, 30.0, -75.0, 180.0], ids=str)
@pytest.mark.parametrize("step", [0.7, 16.0, 150.0], ids=str)
def test_a_straight_spine_runs_straight_down_through_every_patch(angle_deg: float, step: float) -> None:
    centers = line(5, step, angle_deg)
    frames = vertebra_frames(centers, CONFIG)
    assert frames.shape == (5, 3, 3)
    for number, frame in enumerate(frames):
        offsets = transform_points(frame, centers) - MIDDLE
        expected = np.stack([np.zeros(5), 32.0 * (np.arange(5) - number)], -1)
        np.testing.assert_allclose(offsets, expected, atol=1e-9)


@pytest.mark.parametrize("angle_deg", [0.0, 30.0, -75.0], ids=str)
def test_what_lies_left_of_the_spine_lies_left_in_the_patch(angle_deg: float) -> None:
    """A quarter of a step; a similarity without a mirror image."""
    left = rotation(angle_deg)[:2, :2] @ (-4.0, 0.0)
    centers = line(5, 16.0, angle_deg)
    for frame, center in zip(vertebra_frames(centers, CONFIG), centers, strict=True):
        np.testing.assert_allclose(transform_points(frame, center + left), MIDDLE - (8, 0), atol=1e-9)
        np.testing.assert_allclose(frame[:2, :2] @ frame[:2, :2].T, 4.0 * np.eye(2), atol=1e-9)
        assert np.linalg.det(frame) > 0


def test_moving_turning_and_enlarging_an_image_changes_no_patch() -> None:
    bent = np.array([[0.0, 0], [3, 10], [9, 19], [8, 30], [2, 42]])
    moved_by = translation(30, -7) @ rotation(20) @ np.diag([3.0, 3.0, 1.0])
    moved = vertebra_frames(transform_points(moved_by, bent), CONFIG)
    np.testing.assert_allclose(moved @ moved_by, vertebra_frames(bent, CONFIG), atol=1e-9)


def test_a_bent_spine_by_hand() -> None:
    """Directions: to the neighbour at an end, from neighbour to neighbour in between; all steps are 5 px long."""
    centers = np.array([[0.0, 0], [3, 4], [0, 8]])
    seen = [transform_points(frame, centers) - MIDDLE for frame in vertebra_frames(centers, CONFIG)]
    factor = 32 / 5
    np.testing.assert_allclose(seen[0][1], (0, 32), atol=1e-9)
    np.testing.assert_allclose(seen[1], factor * np.array([[-3, -4], [0, 0], [-3, 4]]), atol=1e-9)
    np.testing.assert_allclose(seen[2][1], (0, -32), atol=1e-9)


def test_the_length_of_a_step_by_hand() -> None:
    """Half the median and half the mean of the two gaps to either side: 10, 10, 20, 10 around the third center."""
    heights = np.cumsum([0.0, 10, 10, 20, 10, 10])
    centers = np.stack([np.zeros(6), heights], -1)
    scales = vertebra_frames(centers, CONFIG)[:, 1, 1]
    assert 32 / scales[0] == pytest.approx(10)
    assert 32 / scales[1] == pytest.approx((10 + 40 / 3) / 2)
    assert 32 / scales[2] == pytest.approx((10 + 12.5) / 2)


def test_a_longer_step_shows_more() -> None:
    """With twice the step, the next center lies at half the distance."""
    centers = line()
    one = vertebra_frames(centers, CONFIG, scale=2.0)
    np.testing.assert_allclose(transform_points(one[1], centers[2]) - MIDDLE, (0, 16), atol=1e-9)
    each = vertebra_frames(centers, CONFIG, scale=np.array([1.0, 2, 4, 0.5, 1]))
    below = [transform_points(each[n], centers[n + 1])[1] - MIDDLE[1] for n in range(4)]
    np.testing.assert_allclose(below, [32, 16, 8, 64])


def test_a_turn_is_added_to_the_direction_of_the_spine() -> None:
    """What lies in that direction, positive to the right of straight down, lies straight below in the patch."""
    centers, turn = line(), np.array([0.3, -0.2, 0.0, 1.0, 2.0])
    frames = vertebra_frames(centers, CONFIG, turn=turn)
    ahead = centers + 16 * np.stack([np.sin(turn), np.cos(turn)], -1)
    seen = [transform_points(*pair) for pair in zip(frames, ahead, strict=True)]
    np.testing.assert_allclose(seen, np.tile([47.5, 71.5], (5, 1)), atol=1e-9)
    np.testing.assert_allclose(vertebra_frames(centers, CONFIG, turn=0.3)[0], frames[0])


@pytest.mark.parametrize(
    "centers",
    [
        pytest.param([[0, 0], [0, 0], [0, 10], [0, 20]], id="first-two"),
        pytest.param([[0, 0], [0, 10], [0, 10], [0, 20]], id="in-between"),
        pytest.param([[0, 0], [0, 10], [0, 20], [0, 20]], id="last-two"),
        pytest.param([[0, 0], [0, 10], [0, 0], [0, 10]], id="to-and-fro"),
    ],
)
def test_centers_in_one_place_have_patches_of_a_sensible_size(centers: list[list[float]]) -> None:
    frames = vertebra_frames(np.array(centers, dtype=float), CONFIG)
    assert np.isfinite(frames).all()
    scale = np.sqrt(np.linalg.det(frames[:, :2, :2]))
    assert (scale >= 32 / 10 - 1e-9).all()
    assert (scale <= 32 / 4 + 1e-9).all()  # no step counts as less than 0.4 of the median


@pytest.mark.parametrize(
    ("centers", "words"),
    [
        pytest.param([[0.0, 0.0]], "two finite centers in different places", id="one"),
        pytest.param(np.zeros((0, 2)), "two finite centers in different places", id="none"),
        pytest.param([[5.0, 5.0]] * 3, "two finite centers in different places", id="one-place"),
        pytest.param([[0, 0], [0, np.nan], [0, 20]], "two finite centers in different places", id="nan"),
        pytest.param([[0, 0], [0, np.inf]], "two finite centers in different places", id="infinite"),
        pytest.param(np.zeros((4, 3)), r"centers must have shape \(\.\.\., 2\)", id="shape"),
    ],
)
def test_centers_without_a_direction_are_refused(centers: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        vertebra_frames(np.array(centers, dtype=float), CONFIG)


@pytest.mark.parametrize("angle_deg", [0.0, 40.0], ids=str)
@pytest.mark.parametrize("offset", [(0.0, 0.0), (7.3, -5.4), (-11.6, 8.2)], ids=str)
def test_a_patch_shows_a_spot_where_its_frame_says(angle_deg: float, offset: tuple[float, float]) -> None:
    centers = line(5, 24.0, angle_deg)
    at = centers[2] + offset
    image = torch.from_numpy(blob(260, 300, (at[0], at[1]), 2.0)).float()[None] / 255
    frames = vertebra_frames(centers, CONFIG)
    patch = cut_patches(image, frames, CONFIG)[2]
    assert patch.shape == (80, 96)
    np.testing.assert_allclose(middle_of(patch), transform_points(frames[2], at), atol=0.1)


def test_patches_are_black_around_the_image() -> None:
    """A bright image of 60 x 40 px, seen twice as large: what lies a pixel outside is 0, a pixel inside 1."""
    centers = np.array([[2.0, 3.0], [2, 19], [2, 35]])
    frames = vertebra_frames(centers, CONFIG)
    patches = cut_patches(torch.ones(1, 60, 40), frames, CONFIG)
    y, x = np.mgrid[:80, :96]
    for patch, frame in zip(patches.numpy(), frames, strict=True):
        at = transform_points(np.linalg.inv(frame), np.stack([x, y], -1).astype(float))
        depth = np.minimum(at + 0.5, np.array([39.5, 59.5]) - at).min(-1)  # pixels inside the outer edge
        np.testing.assert_allclose(patch[depth > 0.51], 1.0, atol=1e-4)
        assert (patch[depth < -0.51] == 0).all()
        assert (depth < -0.51).any()


@pytest.mark.parametrize("at", [(6.4, 6.7), (392.2, 8.5), (5.6, 493.1), (394.0, 492.8)], ids=str)
def test_a_spot_at_a_border_of_the_image_is_found(at: tuple[float, float]) -> None:
    """The spine ends there, so that most of the last patch is black."""
    pixels = blob(500, 400, at, 1.2)
    inwards = np.sign((200, 250) - np.array(at))
    centers = np.array(at) + np.arange(4)[:, None] * 30 * inwards * (0.2, 1.0) + (0.3, 0.9)
    shrunk = shrink_around(pixels, centers, CONFIG)
    frames = vertebra_frames(transform_points(shrunk.matrix, centers), CONFIG)
    patch = cut_patches(shrunk.pixels, frames, CONFIG)[0]
    np.testing.assert_allclose(middle_of(patch), transform_points(frames[0] @ shrunk.matrix, np.array(at)), atol=0.1)


@pytest.mark.parametrize(("step", "size"), [(41.0, (911, 403)), (97.0, (2203, 1001)), (133.7, (2500, 2047))], ids=str)
def test_a_spot_of_a_large_image_is_found_to_a_tenth_of_a_pixel(step: float, size: tuple[int, int]) -> None:
    centers = np.stack([0.55 * size[1] + 0.1 * step * np.arange(17) % 7, 1.5 * step + step * np.arange(17)], -1)
    at = centers[9] + step * np.array([0.31, -0.22])
    pixels = blob(*size, (at[0], at[1]), 0.06 * step)
    shrunk = shrink_around(pixels, centers, CONFIG)
    assert max(shrunk.pixels.shape[-2:]) < max(size)
    frames = vertebra_frames(transform_points(shrunk.matrix, centers), CONFIG)
    patch = cut_patches(shrunk.pixels, frames, CONFIG)[9]
    np.testing.assert_allclose(middle_of(patch), transform_points(frames[9] @ shrunk.matrix, at), atol=0.1)


def test_a_shrunk_image_has_one_and_a_half_pixels_per_pixel_of_a_patch() -> None:
    """A step of 96 px becomes 48 px: 1.5 times the 32 px of a patch."""
    centers = np.stack([np.full(5, 700.0), 500 + 96.0 * np.arange(5)], -1)
    shrunk = shrink_around(blob(1600, 1400, (700, 700), 30), centers, CONFIG)
    seen = transform_points(shrunk.matrix, centers)
    np.testing.assert_allclose(np.diff(seen, axis=0), np.tile([0, 48], (4, 1)), atol=0.05)
    height, width = shrunk.pixels.shape[-2:]
    assert (height, width) == ((4 + 6) * 48, 6 * 48)  # three steps around the centers
    low, high = transform_points(np.linalg.inv(shrunk.matrix), np.array([[-0.5, -0.5], [width - 0.5, height - 0.5]]))
    np.testing.assert_allclose([low, high], [(411.5, 211.5), (987.5, 1171.5)], atol=1e-6)


def test_a_small_image_is_not_enlarged() -> None:
    centers = np.stack([np.full(5, 30.0), 10 + 12.0 * np.arange(5)], -1)
    pixels = blob(80, 60, (30, 34), 4)
    shrunk = shrink_around(pixels, centers, CONFIG)
    assert isinstance(shrunk, ShrunkImage)
    np.testing.assert_array_equal(shrunk.matrix, np.eye(3))
    np.testing.assert_array_equal(shrunk.pixels[0].numpy(), windowed(pixels))


def test_what_lies_far_from_the_spine_changes_nothing() -> None:
    """A marker that is brighter than everything else would otherwise make the spine dark."""
    pixels = (blob(900, 700, (300, 400), 9).astype(np.uint16) + 20) * 10
    centers = np.stack([np.full(6, 300.0), 300 + 40.0 * np.arange(6)], -1)
    plain = shrink_around(pixels, centers, CONFIG)
    pixels[800:, 600:] = 60000
    marked = shrink_around(pixels, centers, CONFIG)
    assert torch.equal(plain.pixels, marked.pixels)
    np.testing.assert_array_equal(plain.matrix, marked.matrix)


@pytest.mark.parametrize("away", [(-500.0, 0.0), (2000.0, 0.0), (0.0, -900.0), (0.0, 5000.0)], ids=str)
def test_centers_outside_the_image_see_black(away: tuple[float, float]) -> None:
    centers = line(5, 16.0) + away
    shrunk = shrink_around(blob(400, 300, (150, 200), 60), centers, CONFIG)
    frames = vertebra_frames(transform_points(shrunk.matrix, centers), CONFIG)
    patches = standardised(cut_patches(shrunk.pixels, frames, CONFIG))
    assert (patches == 0).all()


def test_shrinking_leaves_image_and_centers_alone() -> None:
    pixels, centers = blob(400, 300, (150, 200), 60), line(5, 60.0)
    before = pixels.copy(), centers.copy()
    shrink_around(pixels, centers, CONFIG)
    np.testing.assert_array_equal(pixels, before[0])
    np.testing.assert_array_equal(centers, before[1])


def test_standardised_patches_by_hand() -> None:
    """Half 0.2, half 0.8: mean 0.5, spread 0.3; 0.03 is added to the spread."""
    patch = torch.full((2, 3, 4, 6), 0.2)
    patch[..., 3:] = 0.8
    result = standardised(patch)
    torch.testing.assert_close(result[..., :3], torch.full((2, 3, 4, 3), -0.3 / 0.33))
    torch.testing.assert_close(result[..., 3:], torch.full((2, 3, 4, 3), 0.3 / 0.33))


def test_each_patch_is_standardised_by_itself() -> None:
    contrast = torch.tensor([1.0, 0.5, 0.0])[:, None, None]
    patches = contrast * torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0))
    result = standardised(patches)
    torch.testing.assert_close(result.mean((1, 2)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(result[0], standardised(patches[0]))
    assert (result[2] == 0).all()
    torch.testing.assert_close(standardised(patches + 5.0), result, atol=1e-4, rtol=1e-4)


def test_frames_follow_the_rule_of_resized_pixels() -> None:
    """An image that was shrunk to a third shows the same patches."""
    centers = line(5, 48.0, 10.0)
    small = transform_points(scaling(1 / 3, 1 / 3), centers)
    np.testing.assert_allclose(
        vertebra_frames(small, CONFIG) @ scaling(1 / 3, 1 / 3), vertebra_frames(centers, CONFIG), atol=1e-9
    )
