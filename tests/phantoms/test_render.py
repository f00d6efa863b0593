"""The phantom: exact landmarks on drawn edges, the same for the same spec."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lib.phantoms import IMPLANTS, PhantomSpec, random_spec, render_phantom
from lib.spine.schema import VERTEBRAE


def bilinear(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Gray values at ``(..., 2)`` sub-pixel places."""
    x, y = points[..., 0], points[..., 1]
    left = np.clip(np.floor(x).astype(int), 0, image.shape[1] - 2)
    top = np.clip(np.floor(y).astype(int), 0, image.shape[0] - 2)
    u, v = x - left, y - top
    upper = image[top, left] * (1 - u) + image[top, left + 1] * u
    lower = image[top + 1, left] * (1 - u) + image[top + 1, left + 1] * u
    return upper * (1 - v) + lower * v


def steepest_offset(image: np.ndarray, start: np.ndarray, end: np.ndarray, inward: np.ndarray) -> float:
    """Where the gray value rises most steeply across the line ``start``-``end``, in units of ``inward``; 0 is on it."""
    offsets = np.linspace(-0.3, 0.3, 61)
    along = np.linspace(0.06, 0.2, 8)  # near the corners, where the bent outline and the straight line agree
    spots = np.concatenate([start + (end - start) * t for t in np.concatenate([along, 1 - along])[:, None, None]])
    profile = bilinear(image.astype(float), spots[None] + offsets[:, None, None] * inward).mean(axis=1)
    return float(offsets[np.argmax(np.gradient(profile))])


@pytest.mark.parametrize("seed", [3, 4])
def test_landmarks_lie_on_drawn_edges(clean: PhantomSpec, seed: int) -> None:
    # Tolerance: 0.05 of a body is about one pixel here; an annotator's corner is good to 0.09 body heights.
    phantom = render_phantom(dataclasses.replace(clean, seed=seed, height=1024, width=512))
    misses = []
    for center, top_left, top_right, bottom_left, bottom_right in phantom.spine.xy:
        for start, end in ((top_left, top_right), (bottom_left, bottom_right), (top_left, bottom_left),
                           (top_right, bottom_right)):  # fmt: skip
            misses.append(abs(steepest_offset(phantom.pixels, start, end, 2 * (center - (start + end) / 2))))
    assert np.median(misses) < 0.03
    assert np.mean(np.array(misses) < 0.05) > 0.95


def test_edge_measure_notices_shifted_landmarks(clean: PhantomSpec) -> None:
    phantom = render_phantom(dataclasses.replace(clean, height=1024, width=512))
    misses = []
    for center, top_left, top_right, _, _ in phantom.spine.xy:
        inward = 2 * (center - (top_left + top_right) / 2)
        misses.append(steepest_offset(phantom.pixels, top_left + 0.15 * inward, top_right + 0.15 * inward, inward))
    assert np.median(misses) == pytest.approx(-0.15, abs=0.05)


def test_same_spec_same_phantom() -> None:
    spec = random_spec(5, 256, 128)
    first, second = render_phantom(spec), render_phantom(spec)
    assert random_spec(5, 256, 128) == spec
    np.testing.assert_array_equal(first.pixels, second.pixels)
    assert first.spine == second.spine


def test_another_seed_gives_another_phantom() -> None:
    first, second = (render_phantom(PhantomSpec(height=256, width=128, seed=seed)) for seed in (0, 1))
    assert np.mean(first.pixels != second.pixels) > 0.5
    assert first.spine != second.spine


def test_image_settings_do_not_move_the_landmarks() -> None:
    spec = PhantomSpec(height=256, width=128, seed=2)
    other = dataclasses.replace(spec, noise=0.9, gamma=2.0, collimation="dark", implants=IMPLANTS, letters=True, ribs=0)
    assert render_phantom(spec).spine == render_phantom(other).spine


@pytest.mark.parametrize(("height", "width"), [(64, 32), (300, 301), (512, 200), (200, 512)])
def test_pixels_have_the_size_asked_for_and_contrast(height: int, width: int) -> None:
    pixels = render_phantom(PhantomSpec(height=height, width=width)).pixels
    assert pixels.shape == (height, width)
    assert pixels.dtype == np.uint8
    assert pixels.std() > 15


def test_center_is_the_mean_of_the_corners_and_all_points_are_there(clean: PhantomSpec) -> None:
    xy = render_phantom(clean).spine.xy
    assert xy.shape == (len(VERTEBRAE), 5, 2)
    np.testing.assert_allclose(xy[:, 0], xy[:, 1:].mean(axis=1), atol=1e-9)


def test_bone_is_brighter_than_the_tissue_beside_it(clean: PhantomSpec) -> None:
    phantom = render_phantom(clean)
    centers = phantom.spine.xy[:, 0]
    widths = np.linalg.norm(phantom.spine.xy[:, 2] - phantom.spine.xy[:, 1], axis=1)[:, None]
    inside = bilinear(phantom.pixels.astype(float), centers)
    beside = bilinear(phantom.pixels.astype(float), centers + widths * (1.2, 0.0))
    assert np.mean(inside > beside + 8) > 0.9


def test_implants_change_the_picture(clean: PhantomSpec) -> None:
    plain = render_phantom(clean).pixels
    for name in IMPLANTS:
        assert (render_phantom(dataclasses.replace(clean, implants=(name,))).pixels != plain).any(), name
