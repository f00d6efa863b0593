"""Absorbers in millimetres land where they belong, with the thickness asked for."""

from __future__ import annotations

import numpy as np
import pytest

from lib.phantoms.canvas import PolygonSheet
from lib.phantoms.pencil import Pencil

BOX = np.array([(-5.0, -5.0), (5.0, -5.0), (5.0, 5.0), (-5.0, 5.0)])
"""10 x 10 mm."""


@pytest.fixture
def sheet() -> PolygonSheet:
    """A sheet of 41 x 41 pixels."""
    return PolygonSheet(41, 41)


@pytest.fixture
def pencil(sheet: PolygonSheet) -> Pencil:
    """Two pixels per mm, (0, 0) mm in the middle of the sheet."""
    return Pencil(sheet, lambda points: 2 * points + 20)


def test_fill_is_flat(sheet: PolygonSheet, pencil: Pencil) -> None:
    pencil.fill(BOX, 3.0)
    image = sheet.render()
    assert image.sum() == pytest.approx(3.0 * 20 * 20, rel=1e-5)
    assert image[20, 20] == image[12, 28] == pytest.approx(3.0)
    assert image[20, 5] == 0


def test_dome_is_thickest_in_the_middle(sheet: PolygonSheet, pencil: Pencil) -> None:
    pencil.dome(BOX, 3.0, steps=3)
    image = sheet.render()
    assert image[20, 20] == pytest.approx(3.0)
    assert image[20, 11] == pytest.approx(1.0)
    # Boxes of 1, 2/3 and 1/3 of the area, each a third of the value; heights are good to a scanline, 1/4 pixel.
    assert image.sum() == pytest.approx((1 + 2 / 3 + 1 / 3) * 20 * 20, rel=0.25 / 20)


def test_ring_is_thin_inside(sheet: PolygonSheet, pencil: Pencil) -> None:
    pencil.ring(BOX, 2.0, inner=0.5)
    image = sheet.render()
    assert image[20, 20] == pytest.approx(0.35 * 2.0)
    assert image[20, 12] == pytest.approx(2.0)


def test_tube_is_dense_at_its_borders(sheet: PolygonSheet, pencil: Pencil) -> None:
    pencil.tube(np.array([(0.0, -8.0), (0.0, 0.0), (0.0, 8.0)]), 5.0, 2.0)
    image = sheet.render()
    assert image[20, 20] == pytest.approx(0.65 * 2.0)
    assert image[20, 12] == image[20, 28] == pytest.approx(2.0)
