"""Polygons cover exact areas; blur and resize keep what they must."""

from __future__ import annotations

import numpy as np
import pytest

from lib.phantoms.canvas import Brush, Sheet, band, bezier, blur, cloud, ellipse, resize


@pytest.mark.parametrize("flip", [False, True])
def test_polygon_sheet_covers_exact_areas(flip: bool) -> None:
    # A box from (1.25, 2) to (4.75, 5.5), pixel centers at whole numbers: 3.5 x 3.5 pixels, a quarter of column 1.
    sheet = Sheet(8, 9)
    box = np.array([(1.25, 2.0), (4.75, 2.0), (4.75, 5.5), (1.25, 5.5)])
    sheet.add(box[::-1] if flip else box, 2.0)
    image = sheet.render()
    assert image.sum() == pytest.approx(2 * 3.5 * 3.5)
    assert image[3, 3] == pytest.approx(2.0)
    assert image[3, 1] == pytest.approx(2 * 0.25)
    assert image[2, 3] == pytest.approx(2 * 0.5)


def test_polygons_may_reach_out_of_the_sheet() -> None:
    sheet = Sheet(4, 5)
    sheet.add(np.array([(-10.0, -10.0), (20.0, -10.0), (20.0, 20.0), (-10.0, 20.0)]), 1.0)
    sheet.add(np.array([(30.0, 0.0), (40.0, 0.0), (40.0, 3.0)]), 1.0)
    np.testing.assert_allclose(sheet.render(), 1.0)


def test_blur_keeps_a_constant_and_spreads_a_dot() -> None:
    np.testing.assert_allclose(blur(np.full((9, 7), 3.0), 1.5), 3.0)
    dot = np.zeros((21, 21))
    dot[10, 10] = 1.0
    spread = blur(dot, 1.5)
    assert spread.sum() == pytest.approx(1.0)
    # The variance of a Gaussian with sigma 1.5, a little less because the kernel ends at 2.5 sigma.
    assert (spread.sum(axis=0) * (np.arange(21) - 10) ** 2).sum() == pytest.approx(2.25, rel=0.15)


def test_resize_keeps_a_ramp() -> None:
    ramp = np.arange(8.0)[None, :] * np.ones((4, 1))
    np.testing.assert_allclose(resize(ramp, 4, 16)[0, 1:-1], (np.arange(16) + 0.5)[1:-1] / 2 - 0.5)


def test_band_lies_on_both_sides_of_its_curve() -> None:
    outline = band(np.array([(0.0, 0.0), (4.0, 0.0), (8.0, 0.0)]), np.array([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(outline, [(0, 1), (4, 2), (8, 3), (8, -3), (4, -2), (0, -1)])


def test_ellipse_turns_clockwise_on_screen() -> None:
    outline = ellipse((5.0, 6.0), (3.0, 1.0), 90.0, count=4)
    np.testing.assert_allclose(outline, [(5, 9), (4, 6), (5, 3), (6, 6)], atol=1e-12)


def test_bezier_begins_and_ends_at_the_outer_control_points() -> None:
    curve = bezier([(0, 0), (1, 2), (2, 0)], 3)
    np.testing.assert_allclose(curve, [(0, 0), (1, 1), (2, 0)])


def test_cloud_has_its_size_and_varies() -> None:
    noise = cloud(np.random.default_rng(0), 40, 30, 8.0, 3)
    assert noise.shape == (40, 30)
    assert noise.dtype == np.float32
    assert 0.1 < noise.std() < 1


BOX = np.array([(-5.0, -5.0), (5.0, -5.0), (5.0, 5.0), (-5.0, 5.0)])
"""10 x 10 mm."""


@pytest.fixture
def sheet() -> Sheet:
    """A sheet of 41 x 41 pixels."""
    return Sheet(41, 41)


@pytest.fixture
def brush(sheet: Sheet) -> Brush:
    """Two pixels per mm, (0, 0) mm in the middle of the sheet."""
    return Brush(sheet, lambda points: 2 * points + 20)


def test_fill_is_flat(sheet: Sheet, brush: Brush) -> None:
    brush.fill(BOX, 3.0)
    image = sheet.render()
    assert image.sum() == pytest.approx(3.0 * 20 * 20, rel=1e-5)
    assert image[20, 20] == image[12, 28] == pytest.approx(3.0)
    assert image[20, 5] == 0


def test_dome_is_thickest_in_the_middle(sheet: Sheet, brush: Brush) -> None:
    brush.dome(BOX, 3.0, steps=3)
    image = sheet.render()
    assert image[20, 20] == pytest.approx(3.0)
    assert image[20, 11] == pytest.approx(1.0)
    # Boxes of 1, 2/3 and 1/3 of the area, each a third of the value; heights are good to a scanline, 1/4 pixel.
    assert image.sum() == pytest.approx((1 + 2 / 3 + 1 / 3) * 20 * 20, rel=0.25 / 20)


def test_ring_is_thin_inside(sheet: Sheet, brush: Brush) -> None:
    brush.ring(BOX, 2.0, inner=0.5)
    image = sheet.render()
    assert image[20, 20] == pytest.approx(0.35 * 2.0)
    assert image[20, 12] == pytest.approx(2.0)


def test_tube_is_dense_at_its_borders(sheet: Sheet, brush: Brush) -> None:
    brush.tube(np.array([(0.0, -8.0), (0.0, 0.0), (0.0, 8.0)]), 5.0, 2.0)
    image = sheet.render()
    assert image[20, 20] == pytest.approx(0.65 * 2.0)
    assert image[20, 12] == image[20, 28] == pytest.approx(2.0)
