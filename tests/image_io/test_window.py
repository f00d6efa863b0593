"""The gray window of an image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lib.image_io.window import windowed


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.uint64, np.float32, np.float64, ">u2"])
def test_windowing_stretches_any_type_to_0_to_1(dtype: Any) -> None:
    pixels = np.linspace(10, 210, 40_000).reshape(200, 200).astype(dtype)
    before = pixels.copy()
    result = windowed(pixels)
    assert (result.dtype, result.shape) == (np.float32, (200, 200))
    assert (result.min(), result.max()) == (0, 1)
    assert result[100, 0] == pytest.approx(0.5, abs=0.01)
    np.testing.assert_array_equal(pixels, before)


def test_windowing_cuts_half_a_percent_at_either_end() -> None:
    pixels = np.arange(1000.0).reshape(20, 50)
    result = windowed(pixels)
    assert (result == 0).sum() == pytest.approx(5, abs=1)
    assert (result == 1).sum() == pytest.approx(5, abs=1)
    low, high = np.percentile(pixels, (0.5, 99.5))
    assert result[10, 0] == pytest.approx((500 - low) / (high - low), abs=1e-6)


def test_windowing_uses_all_16_bits() -> None:
    pixels = np.linspace(0, 65535, 10_000).reshape(100, 100).astype(np.uint16)
    assert len(np.unique(windowed(pixels))) > 9_000


@pytest.mark.parametrize("value", [0, 7, 255])
def test_windowing_a_constant_image_gives_zeros(value: int) -> None:
    assert (windowed(np.full((9, 5), value, np.uint8)) == 0).all()


def test_windowing_an_almost_constant_image_keeps_what_differs() -> None:
    pixels = np.zeros((100, 100), np.uint16)
    pixels[3, 4] = 1000
    result = windowed(pixels)
    assert (result.sum(), result[3, 4]) == (1, 1)


def test_windowing_keeps_small_differences_on_a_large_offset() -> None:
    result = windowed(1e9 + np.arange(1000.0).reshape(20, 50))
    assert len(np.unique(result)) > 900


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_windowing_a_range_that_overflows_keeps_what_differs() -> None:
    pixels = np.full((20, 50), 1.7e308)
    pixels[0, :5] = -1.7e308
    result = windowed(pixels)
    assert (result[0, :5].max(), result[1:].min()) == (0, 1)


def test_windowing_does_not_depend_on_gain_and_offset() -> None:
    pixels = np.random.default_rng(0).normal(size=(50, 40))
    np.testing.assert_allclose(windowed(pixels), windowed(5 * pixels + 3), atol=1e-5)
