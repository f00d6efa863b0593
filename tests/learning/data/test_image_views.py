"""What the network is shown of an image."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lib.image_io.window import windowed
from lib.learning.config import InputConfig
from lib.learning.data.image_views import fitting_matrix, spine_view, view, warp
from lib.spine.geometry import rotation, scaling, transform_points, translation

SIZE = InputConfig(128, 64)


def gradient(height: int, width: int) -> np.ndarray:
    """An image that tells where it is looked at."""
    return (np.arange(width)[None] + 3.0 * np.arange(height)[:, None]).astype(np.float32)


def test_the_whole_image_is_windowed_and_warped() -> None:

    pixels = gradient(300, 100)
    matrix = fitting_matrix(300, 100, SIZE)
    expected = warp(torch.from_numpy(windowed(pixels))[None], matrix, (128, 64))
    np.testing.assert_allclose(view(pixels, matrix, SIZE).numpy(), expected.numpy(), atol=1e-6)


def test_a_part_is_shown_where_the_matrix_puts_it() -> None:
    """Twice enlarged, from (40, 100) on: the pixel at (50, 110) is seen at (20.5, 20.5)."""
    pixels = np.zeros((300, 200), np.uint16)
    pixels[105:116, 45:56] = 1000
    seen = view(pixels, scaling(2, 2) @ translation(-40, -100), SIZE)[0].numpy()
    rows, columns = np.nonzero(seen > 0.5)
    assert (rows.mean(), columns.mean()) == (20.5, 20.5)
    assert seen.shape == (128, 64)


def test_a_coarse_view_of_a_large_image_shows_the_same_places() -> None:
    """Twenty rows to one of the input: every fifth is enough, and what is seen stays in its place."""
    y, x = np.mgrid[:2560, :1280]
    pixels = (4000 * np.exp(-((x - 500) ** 2 + (y - 1700) ** 2) / (2 * 90.0**2))).astype(np.uint16)
    matrix = fitting_matrix(2560, 1280, SIZE)
    whole, coarse = (view(pixels, matrix, SIZE, is_coarse)[0].double().numpy() for is_coarse in (False, True))
    assert not np.array_equal(whole, coarse)
    np.testing.assert_allclose(coarse, whole, atol=0.02)
    for axis in (0, 1):
        places = np.arange(whole.shape[axis])
        middles = [(seen.sum(1 - axis) * places).sum() / seen.sum() for seen in (whole, coarse)]
        assert middles[0] == pytest.approx(middles[1], abs=0.03)


def test_a_small_image_is_looked_at_pixel_by_pixel() -> None:
    pixels = gradient(500, 200)
    matrix = fitting_matrix(500, 200, SIZE)
    assert torch.equal(view(pixels, matrix, SIZE, is_coarse=True), view(pixels, matrix, SIZE))


def test_a_part_is_windowed_by_itself() -> None:
    """What is bright elsewhere does not make the part dark."""
    pixels = gradient(400, 200)
    pixels[300:] = 1e6
    seen = view(pixels, translation(-50, -50), SIZE)[0].numpy()
    assert seen.min() == 0.0
    assert seen.max() == 1.0
    assert 0.3 < seen.mean() < 0.7


def test_outside_the_image_is_black() -> None:
    pixels = np.full((50, 50), 7, np.uint8)
    pixels[::2] = 9
    seen = view(pixels, translation(10, 70), SIZE)[0].numpy()
    assert (seen[:69] == 0).all()
    assert (seen[:, :9] == 0).all()
    assert seen[72:118, 12:58].max() > 0


def test_a_view_beside_the_image_is_black() -> None:
    assert not view(gradient(50, 50), translation(1000, -1000), SIZE).any()


@pytest.mark.parametrize(("x", "y"), [(0.0, 0.0), (500.0, 90.0)])
def test_a_spine_is_brought_to_the_middle_at_its_share(x: float, y: float) -> None:
    centers = np.array([[x, y], [x + 4, y + 100], [x - 4, y + 200]])
    moved = transform_points(spine_view(centers, 0.8, 0.2, SIZE), centers)
    assert np.ptp(moved[:, 1]) == pytest.approx(0.8 * 128)
    np.testing.assert_allclose((moved.min(0) + moved.max(0)) / 2, [31.5, 63.5])


def test_a_wide_spine_becomes_smaller_to_leave_room() -> None:
    """Steps of 100, two on either side of a spine 200 wide: 600 pixels in 64."""
    centers = np.array([[0.0, 0.0], [200.0, 100.0], [0.0, 200.0]])
    moved = transform_points(spine_view(centers, 0.8, 2.0, SIZE), centers)
    assert np.ptp(moved[:, 0]) == pytest.approx(200 * 64 / 600)
    assert np.ptp(moved[:, 1]) == pytest.approx(200 * 64 / 600)


def test_warping_by_the_identity_changes_nothing() -> None:
    image = torch.rand(1, 7, 5)
    torch.testing.assert_close(warp(image, np.eye(3), (7, 5)), image, atol=1e-5, rtol=0)


def test_warping_shifts_whole_pixels_exactly_and_leaves_the_rest_black() -> None:
    image = torch.rand(1, 6, 8)
    moved = warp(image, translation(2, 1), (9, 12))
    torch.testing.assert_close(moved[0, 1:7, 2:10], image[0], atol=1e-5, rtol=0)
    assert moved[0, 0].tolist() == [0.0] * 12
    assert moved[0, :, 11].tolist() == [0.0] * 9


def test_warping_turns_clockwise_on_the_screen() -> None:
    image = torch.zeros(1, 9, 9)
    image[0, 4, 7] = 1  # right of the middle
    about_middle = translation(4, 4) @ rotation(90) @ translation(-4, -4)
    turned = warp(image, about_middle, (9, 9))
    assert turned[0, 7, 4].item() == pytest.approx(1, abs=1e-4)  # below the middle
    assert turned.sum().item() == pytest.approx(1, abs=1e-3)


def test_large_shrinking_averages() -> None:
    """A checkerboard of 2 px becomes gray; taking the pixels under the new centers would leave black and white."""
    rows, columns = np.mgrid[:640, :640] // 2
    checkerboard = torch.from_numpy(((rows + columns) % 2).astype(np.float32))[None]
    small = warp(checkerboard, scaling(0.1, 0.1), (64, 64))[0, 2:-2, 2:-2]
    assert small.mean().item() == pytest.approx(0.5, abs=0.01)
    assert small.std().item() < 0.02
