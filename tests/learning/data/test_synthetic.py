"""Training items from phantoms."""

from __future__ import annotations

import numpy as np
import pytest

from lib.image_io import Radiograph
from lib.learning.codec import ABSENT, PRESENT, STATE
from lib.learning.data import IMAGE, LABEL
from lib.learning.data.synthetic import padded, synthetic_items
from lib.spine.imaging.image_geometry import ImageGeometry

SEEDS = range(60)


def test_phantoms_come_first_with_every_point_and_spineless_images_after_with_none() -> None:
    items = synthetic_items(2, 3, seed=5)
    assert [set(item[LABEL][..., STATE].ravel()) for item in items] == [{PRESENT}] * 2 + [{ABSENT}] * 3
    for item in items:
        height, width = item[IMAGE].shape
        assert item[IMAGE].dtype == np.uint8
        assert (item[LABEL][..., 0] <= width - 1).all()
        assert (item[LABEL][..., 1] <= height - 1).all()


def test_items_repeat_with_the_seed_and_differ_without() -> None:
    first, same, other = (synthetic_items(1, 1, seed=seed) for seed in (7, 7, 8))
    for a, b, c in zip(first, same, other, strict=True):
        assert np.array_equal(a[IMAGE], b[IMAGE])
        assert a[IMAGE].shape != c[IMAGE].shape or not np.array_equal(a[IMAGE], c[IMAGE])


def test_nothing_asked_gives_nothing() -> None:
    assert synthetic_items(0, 0, seed=0) == []


def image(dtype: type = np.uint8, height: int = 90, width: int = 40) -> Radiograph:
    """Random gray values between 50 and 200; of floats between -0.25 and 0.5."""
    whole = np.random.default_rng(0).integers(50, 201, (height, width))
    return Radiograph((whole / 200 - 0.5 if np.issubdtype(dtype, np.floating) else whole).astype(dtype))


def around(field: np.ndarray, inner: Radiograph, moved: np.ndarray) -> np.ndarray:
    """``(M,)`` pixels of the field that are not of the image."""
    mask = np.ones(field.shape, bool)
    x, y = moved.astype(int)
    mask[y : y + inner.height, x : x + inner.width] = False
    return field[mask]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("seed", range(12))
def test_the_image_lies_unchanged_where_points_have_moved_to(dtype: type, seed: int) -> None:
    inner = image(dtype)
    before = inner.pixels.copy()
    field, moved = padded(inner, seed)
    assert field.pixels.dtype == dtype
    assert moved.shape == (2,)
    assert moved.dtype == float
    x, y = moved.astype(int)
    assert (moved == (x, y)).all()
    np.testing.assert_array_equal(field.pixels[y : y + 90, x : x + 40], before)
    np.testing.assert_array_equal(inner.pixels, before)
    assert before.min() <= field.pixels.min()
    assert field.pixels.max() <= before.max()


def test_the_seed_decides_everything() -> None:
    inner = image()
    fields = [padded(inner, seed) for seed in SEEDS]
    for (field, moved), seed in zip(fields, SEEDS, strict=True):
        again, moved_again = padded(image(), seed)
        np.testing.assert_array_equal(again.pixels, field.pixels)
        np.testing.assert_array_equal(moved_again, moved)
    assert len({(field.pixels.shape, *moved) for field, moved in fields}) == len(SEEDS)


@pytest.mark.parametrize(("height", "width"), [(300, 120), (300, 32), (32, 300), (1000, 1000), (301, 97)])
def test_fields_are_larger_and_shaped_like_radiographs(height: int, width: int) -> None:
    """As tall as 1.15 to 2.2 images, and at least 0.35 of their height wide; half a pixel is lost by rounding."""
    inner = image(height=height, width=width)
    for seed in SEEDS:
        field, moved = padded(inner, seed)
        assert 1.15 * height - 0.5 <= field.height <= 2.2 * height + 0.5
        assert field.width >= max(1.1 * width, 0.35 * field.height) - 0.5
        assert field.width <= max(2.5 * width, 0.7 * field.height) + 0.5
        assert (moved >= 0).all()
        assert moved[0] + width <= field.width
        assert moved[1] + height <= field.height


def test_the_image_lies_at_any_place() -> None:
    """Relative places of the image in the free room cover it from side to side."""
    inner = image()
    places = []
    for seed in range(200):
        field, moved = padded(inner, seed)
        places.append(moved / (field.width - inner.width, field.height - inner.height))
    assert (np.min(places, 0) < 0.05).all()
    assert (np.max(places, 0) > 0.95).all()
    np.testing.assert_allclose(np.mean(places, 0), 0.5, atol=0.1)


def test_surroundings_are_black_gray_or_a_gradient_with_and_without_noise() -> None:
    """Without noise a row has one value; black and gray have one everywhere."""
    inner = image()
    seen = set()
    for seed in SEEDS:
        field, moved = padded(inner, seed)
        rows = [np.ptp(row) for row in np.delete(field.pixels, np.s_[int(moved[1]) : int(moved[1]) + 90], 0)]
        outside = around(field.pixels, inner, moved)
        if max(rows) > 0:
            seen.add("noise")
        elif np.ptp(outside) > 0:
            seen.add("gradient")
        else:
            seen.add({50: "black", int(inner.pixels.mean()): "gray"}[int(outside[0])])
    assert seen == {"black", "gray", "gradient", "noise"}


def test_a_negative_black_stays_the_darkest_value() -> None:
    inner = image(np.float32)
    assert any((around(*_field_and(inner, seed)) == inner.pixels.min()).all() for seed in SEEDS)


def _field_and(inner: Radiograph, seed: int) -> tuple[np.ndarray, Radiograph, np.ndarray]:
    field, moved = padded(inner, seed)
    return field.pixels, inner, moved


def test_a_constant_image_gets_a_constant_field() -> None:
    inner = Radiograph(np.full((300, 100), 7, np.uint16))
    for seed in range(10):
        assert (padded(inner, seed)[0].pixels == 7).all()


def test_the_full_range_of_16_bits_does_not_wrap_around() -> None:
    pixels = np.random.default_rng(1).integers(0, 65536, (300, 100)).astype(np.uint16)
    pixels[0, :2] = 0, 65535
    for seed in range(10):
        field, moved = padded(Radiograph(pixels), seed)
        outside = around(field.pixels, Radiograph(pixels), moved)
        low, high = np.percentile(outside, [1, 99])
        assert low == high or high - low < 65535  # noise of 6 % at black must not show up as white
        if outside.min() == 0:
            assert np.median(outside) < 65535 / 2 or high < 65535


def test_what_is_known_about_the_image_stays_known() -> None:
    inner = Radiograph(image().pixels, ImageGeometry((0.2, 0.3), source="file header"), image_left_is="right")
    field, _ = padded(inner, 0)
    assert (field.geometry, field.image_left_is) == (inner.geometry, "right")
