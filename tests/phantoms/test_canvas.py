"""Polygons cover exact areas; blur and resize keep what they must."""

from __future__ import annotations

import numpy as np
import pytest

from lib.phantoms.canvas import PolygonSheet, band, bezier, blur, cloud, ellipse, resize


@pytest.mark.parametrize("flip", [False, True])
def test_polygon_sheet_covers_exact_areas(flip: bool) -> None:
    # A box from (1.25, 2) to (4.75, 5.5), pixel centers at whole numbers: 3.5 x 3.5 pixels, a quarter of column 1.
    sheet = PolygonSheet(8, 9)
    box = np.array([(1.25, 2.0), (4.75, 2.0), (4.75, 5.5), (1.25, 5.5)])
    sheet.add(box[::-1] if flip else box, 2.0)
    image = sheet.render()
    assert image.sum() == pytest.approx(2 * 3.5 * 3.5)
    assert image[3, 3] == pytest.approx(2.0)
    assert image[3, 1] == pytest.approx(2 * 0.25)
    assert image[2, 3] == pytest.approx(2 * 0.5)


def test_polygons_may_reach_out_of_the_sheet() -> None:
    sheet = PolygonSheet(4, 5)
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
