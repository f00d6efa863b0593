"""Exposure, processing, and what is burnt into the image."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lib.phantoms import COLLIMATIONS, PhantomSpec, render_phantom
from lib.phantoms.exposure import develop, expose, render_text


def test_clear_exposure_is_proportional_to_the_absorption(clean: PhantomSpec) -> None:
    absorption = np.linspace(0, 1, 64 * 32, dtype=np.float32).reshape(64, 32)
    log_dose = expose(dataclasses.replace(clean, height=64, width=32, blur_px=0), absorption)
    np.testing.assert_allclose(log_dose, 3.2 * absorption, atol=1e-5)


def test_scatter_flattens_dense_regions(clean: PhantomSpec) -> None:
    absorption = np.zeros((64, 32), dtype=np.float32)
    absorption[:, 16:] = 1.0
    plain, scattered = (np.ptp(expose(dataclasses.replace(clean, scatter=scatter), absorption)) for scatter in (0, 1))
    assert scattered < 0.7 * plain


def test_developed_image_keeps_the_order_of_gray_values(clean: PhantomSpec) -> None:
    gray = develop(clean, np.linspace(0, 3, 64 * 32, dtype=np.float32).reshape(64, 32))
    assert 0 <= gray.min() < 0.05
    assert 0.95 < gray.max() <= 1
    assert (np.diff(gray.ravel()) >= 0).all()


@pytest.mark.parametrize("collimation", COLLIMATIONS)
def test_collimation_keeps_clear_of_the_landmarks(clean: PhantomSpec, collimation: str) -> None:
    plain = dataclasses.replace(clean, field_above=0.8, field_below=0.8, shift=0.3)
    shut = render_phantom(dataclasses.replace(plain, collimation=collimation))
    changed = shut.pixels != render_phantom(plain).pixels
    x, y = shut.spine.xy[..., 0], shut.spine.xy[..., 1]
    box = changed[int(y.min()) : int(y.max()) + 2, int(x.min()) : int(x.max()) + 2]
    assert not box.any()
    assert changed.any() == (collimation != "none")


def test_letters_keep_clear_of_the_landmarks(clean: PhantomSpec) -> None:
    plain = render_phantom(clean)
    x = plain.spine.xy[..., 0]
    changed = render_phantom(dataclasses.replace(clean, letters=True)).pixels != plain.pixels
    assert changed.any()
    assert not changed[:, int(x.min()) : int(x.max()) + 2].any()


def test_text_is_drawn_in_dots() -> None:
    glyphs = render_text("T", 1)
    assert glyphs.shape == (7, 5)
    np.testing.assert_array_equal(glyphs[0], 1)
    np.testing.assert_array_equal(glyphs[1:], np.tile([0, 0, 1, 0, 0], (6, 1)))


def test_letters_are_separated_and_enlarged_and_unknown_ones_are_blank() -> None:
    glyphs = render_text("L?L", 3)
    assert glyphs.shape == (7 * 3, (6 * 3 - 1) * 3)
    np.testing.assert_array_equal(glyphs[:, :3], 1)
    assert glyphs[:, 5 * 3 : 12 * 3].max() == 0
    np.testing.assert_array_equal(glyphs[:, 12 * 3 : 13 * 3], 1)
