"""The column bends as asked and has the measured proportions."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from lib.phantoms import PhantomSpec, random_spec, render_phantom
from lib.phantoms.column import COUNT, FIRST, LEVELS, build_column, end_levels, tilt_profile


def corners_of(spec: PhantomSpec) -> np.ndarray:
    """``(V, 4, 2)`` corners of the rendered phantom."""
    return render_phantom(spec).spine.xy[:, 1:]


def largest_cobb_deg(corners: np.ndarray) -> float:
    """Largest angle between an upper endplate and a lower endplate of the same or a lower vertebra."""
    upper, lower = corners[:, 1] - corners[:, 0], corners[:, 3] - corners[:, 2]
    above, below = (np.degrees(np.arctan2(plate[:, 1], plate[:, 0])) for plate in (upper, lower))
    return float(np.abs(np.triu(above[:, None] - below[None, :])).max())


def smallest_gap(corners: np.ndarray) -> float:
    """Smallest distance between facing corners along the spine, in mean body heights; negative where bodies overlap."""
    down = np.diff(corners.mean(axis=1), axis=0)
    gaps = np.einsum("vkc,vc->vk", corners[1:, :2] - corners[:-1, 2:], down) / np.linalg.norm(down, axis=1)[:, None]
    return float(gaps.min() / np.linalg.norm((corners[:, 2:] - corners[:, :2]).mean(axis=1), axis=1).mean())


def test_straight_column_is_upright() -> None:
    column = build_column((), 1.8, 1.385, 0.0, 0.0, np.random.default_rng(0))
    np.testing.assert_array_equal(column.tilts, np.zeros(LEVELS))
    np.testing.assert_allclose(column.centers[:, 0], 0, atol=1e-9)
    np.testing.assert_allclose(column.corners.mean(axis=1), column.centers, atol=1e-9)


def test_tilts_of_a_single_curve_differ_by_its_angle() -> None:
    # Apex T9 (level 8): end vertebrae five levels away, T4 and L2.
    curves = ((8.0, 40.0),)
    tilts = np.degrees(tilt_profile(curves))
    np.testing.assert_array_equal(end_levels(curves), [3, 13])
    assert tilts[FIRST + 13] - tilts[FIRST + 3] == pytest.approx(40)
    assert tilts[FIRST : FIRST + COUNT].sum() == pytest.approx(0, abs=1e-9)


def test_places_on_the_column_are_interpolated() -> None:
    column = build_column(((8.0, 40.0),), 1.8, 1.385, 1.0, 0.0, np.random.default_rng(1))
    t1, t2 = column.centers[FIRST], column.centers[FIRST + 1]
    np.testing.assert_allclose(column.at(0.25), 0.75 * t1 + 0.25 * t2)
    assert column.tilt_at(0.5) == pytest.approx(column.tilts[FIRST : FIRST + 2].mean())
    np.testing.assert_allclose(column.local(1, np.zeros((1, 2))), t2[None])
    np.testing.assert_allclose(column.local(1, np.array([[1, 0]]))[0], column.corners[FIRST + 1][[1, 3]].mean(axis=0))


@pytest.mark.parametrize(
    "curves",
    [(), ((7.0, 10.0),), ((8.0, 80.0),), ((12.0, -50.0),), ((6.0, 40.0), (13.0, -35.0)),
     ((2.0, 25.0), (7.0, -50.0), (13.0, 30.0))],
    ids=["straight", "mild", "severe", "thoracolumbar", "double", "triple"],
)  # fmt: skip
@pytest.mark.parametrize("lean_deg", [0.0, 9.0])
def test_requested_cobb_is_met(clean: PhantomSpec, curves: tuple[tuple[float, float], ...], lean_deg: float) -> None:
    asked = max((abs(cobb) for _, cobb in curves), default=0.0)
    base = dataclasses.replace(clean, height=256, width=128, curves=curves, lean_deg=lean_deg)
    assert largest_cobb_deg(corners_of(dataclasses.replace(base, endplate_jitter_deg=0))) == pytest.approx(asked, abs=1)
    # Jitter of 1.5 degrees on two of 34 endplates, cut at 2 SD: at most 6 more; a maximum hardly ever shrinks.
    assert -4.5 <= largest_cobb_deg(corners_of(dataclasses.replace(base, endplate_jitter_deg=1.5))) - asked <= 6.1


@pytest.mark.parametrize(("cobb", "sign"), [(40.0, 1.0), (-40.0, -1.0)])
def test_positive_curve_bulges_to_image_right(clean: PhantomSpec, cobb: float, sign: float) -> None:
    x = corners_of(dataclasses.replace(clean, curves=((8.0, cobb),))).mean(axis=1)[:, 0]
    assert sign * (x[8] - (x[0] + x[16]) / 2) > 10


@pytest.fixture(scope="module")
def random_corners() -> list[np.ndarray]:
    """Corners of random phantoms of 128 x 64 pixels, by seed."""
    return [corners_of(random_spec(seed, 128, 64)) for seed in range(40)]


def test_random_phantoms_have_ordered_corners_inside_the_image(random_corners: list[np.ndarray]) -> None:
    for seed, corners in enumerate(random_corners):
        assert corners.min() >= 0, seed
        assert (corners.max(axis=(0, 1)) <= (63, 127)).all(), seed
        assert (np.diff(corners.mean(axis=1)[:, 1]) > 0).all(), seed
        assert (corners[:, (0, 2), 0] < corners[:, (1, 3), 0]).all(), seed
        assert (corners[:, :2, 1].mean(axis=1) < corners[:, 2:, 1].mean(axis=1)).all(), seed


def test_neighbouring_bodies_do_not_overlap(random_corners: list[np.ndarray]) -> None:
    assert min(smallest_gap(corners) for corners in random_corners) > -0.03


@pytest.mark.parametrize("seed", range(4))
def test_wide_bodies_in_a_sharp_bend_stay_apart(seed: int) -> None:
    spec = PhantomSpec(height=128, width=64, seed=seed, curves=((8.0, 80.0),), aspect=2.6, spacing=1.25)
    assert smallest_gap(corners_of(spec)) > -0.03


def test_proportions_match_the_measured_priors() -> None:
    # METHOD.md section 6, 426 radiographs: spacing 1.385 +- 0.145, width/height 1.80 +- 0.45, growths 1.045 and 1.028.
    spacing, aspect, growth, widening = [], [], [], []
    for seed in range(30):
        corners = corners_of(PhantomSpec(height=128, width=64, seed=seed, noise=0, equalization=0))
        centers = corners.mean(axis=1)
        distance = np.linalg.norm(np.diff(centers, axis=0), axis=1)
        height = np.linalg.norm((corners[:, 2:] - corners[:, :2]).mean(axis=1), axis=1)
        width = np.linalg.norm((corners[:, (1, 3)] - corners[:, (0, 2)]).mean(axis=1), axis=1)
        spacing.extend(2 * distance / (height[1:] + height[:-1]))
        aspect.extend(width / height)
        growth.extend(distance[1:] / distance[:-1])
        widening.extend(width[1:] / width[:-1])
    assert np.mean(spacing) == pytest.approx(1.385, abs=0.03)
    assert np.mean(aspect) == pytest.approx(1.8, abs=0.1)
    assert np.mean(growth) == pytest.approx(1.045, abs=0.01)
    assert np.mean(widening) == pytest.approx(1.028, abs=0.012)
