"""The patient lies in the image where the spec puts him."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lib.phantoms import PhantomSpec, render_phantom
from lib.phantoms.placement import Placement, blank_sheet
from lib.phantoms.render import column_of


def test_millimetres_come_back_from_pixels() -> None:
    spec = PhantomSpec(height=300, width=150, lean_deg=12)
    placement = Placement.fit(spec, column_of(spec))
    points = np.array([(0.0, 0.0), (30.0, -80.0), (-12.5, 200.0)])
    np.testing.assert_allclose(placement.to_mm(placement.to_px(points)), points, atol=1e-9)


def test_positive_lean_turns_clockwise_on_screen() -> None:
    spec = PhantomSpec(lean_deg=10)
    placement = Placement.fit(spec, column_of(spec))
    right = np.diff(placement.to_px(np.array([(0.0, 0.0), (1.0, 0.0)])), axis=0)[0]
    np.testing.assert_allclose(right, placement.scale * np.array([np.cos(np.radians(10)), np.sin(np.radians(10))]))


def test_shift_moves_the_spine_between_the_borders(clean: PhantomSpec) -> None:
    left, right = (dataclasses.replace(clean, shift=shift) for shift in (-1.0, 1.0))
    assert render_phantom(left).spine.xy[..., 0].min() == pytest.approx(0.03 * 255, abs=0.01)
    assert render_phantom(right).spine.xy[..., 0].max() == pytest.approx(0.97 * 255, abs=0.01)


def test_blank_sheet_draws_millimetres() -> None:
    spec = PhantomSpec(height=64, width=32)
    sheet, brush = blank_sheet(spec, Placement(2.0, np.eye(2), np.array([10.0, 20.0])))
    brush.fill(np.array([(0.0, 0.0), (4.0, 0.0), (4.0, 3.0), (0.0, 3.0)]), 1.0)
    image = sheet.render()
    assert image.shape == (64, 32)
    assert image.sum() == pytest.approx(8 * 6)
    assert image[23, 14] == 1


def test_field_decides_how_much_lies_above_and_below(clean: PhantomSpec) -> None:
    tight, wide = (
        render_phantom(dataclasses.replace(clean, field_above=field, field_below=field)).spine.xy[..., 1]
        for field in (0.0, 1.0)
    )
    assert tight.min() < 0.05 * 512
    assert tight.max() > 0.95 * 511
    assert wide.min() > 0.18 * 512
    assert wide.max() < 0.80 * 512
