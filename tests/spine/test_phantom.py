"""The phantom: exact landmarks on drawn edges, the requested curves, and variety."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pytest

from lib.spine import raster
from lib.spine.phantom import (
    COLLIMATIONS,
    IMPLANTS,
    SPINELESS,
    PhantomSpec,
    random_curves,
    random_spec,
    random_spineless,
    render_phantom,
    spineless_kind,
)
from lib.spine.schema import VERTEBRAE

CLEAN = PhantomSpec(
    height=512, width=256, seed=3, curves=(), noise=0, blur_px=0.5, equalization=0, scatter=0, ribs=0, lungs=0
)
"""A film on which nothing hides the vertebrae."""


def corners_of(spec: PhantomSpec) -> np.ndarray:
    """``(V, 4, 2)`` corners of the rendered phantom."""
    return render_phantom(spec).spine.xy[:, 1:]


def largest_cobb_deg(corners: np.ndarray) -> float:
    """Largest angle between an upper endplate and a lower endplate of the same or a lower vertebra."""
    upper, lower = corners[:, 1] - corners[:, 0], corners[:, 3] - corners[:, 2]
    above, below = (np.degrees(np.arctan2(plate[:, 1], plate[:, 0])) for plate in (upper, lower))
    return float(np.abs(np.triu(above[:, None] - below[None, :])).max())


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
def test_landmarks_lie_on_drawn_edges(seed: int) -> None:
    # Tolerance: 0.05 of a body is about one pixel here; an annotator's corner is good to 0.09 body heights.
    phantom = render_phantom(dataclasses.replace(CLEAN, seed=seed, height=1024, width=512))
    misses = []
    for center, top_left, top_right, bottom_left, bottom_right in phantom.spine.xy:
        for start, end in ((top_left, top_right), (bottom_left, bottom_right), (top_left, bottom_left),
                           (top_right, bottom_right)):  # fmt: skip
            misses.append(abs(steepest_offset(phantom.pixels, start, end, 2 * (center - (start + end) / 2))))
    assert np.median(misses) < 0.03
    assert np.mean(np.array(misses) < 0.05) > 0.95


def test_edge_measure_notices_shifted_landmarks() -> None:
    phantom = render_phantom(dataclasses.replace(CLEAN, height=1024, width=512))
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


def test_film_settings_do_not_move_the_landmarks() -> None:
    spec = PhantomSpec(height=256, width=128, seed=2)
    other = dataclasses.replace(spec, noise=0.9, gamma=2.0, collimation="dark", implants=IMPLANTS, letters=True, ribs=0)
    assert render_phantom(spec).spine == render_phantom(other).spine


@pytest.mark.parametrize(("height", "width"), [(64, 32), (300, 301), (512, 200), (200, 512)])
def test_pixels_have_the_size_asked_for_and_contrast(height: int, width: int) -> None:
    pixels = render_phantom(PhantomSpec(height=height, width=width)).pixels
    assert pixels.shape == (height, width)
    assert pixels.dtype == np.uint8
    assert pixels.std() > 15


@pytest.mark.parametrize(
    "curves",
    [(), ((7.0, 10.0),), ((8.0, 80.0),), ((12.0, -50.0),), ((6.0, 40.0), (13.0, -35.0)),
     ((2.0, 25.0), (7.0, -50.0), (13.0, 30.0))],
    ids=["straight", "mild", "severe", "thoracolumbar", "double", "triple"],
)  # fmt: skip
@pytest.mark.parametrize("lean_deg", [0.0, 9.0])
def test_requested_cobb_is_met(curves: tuple[tuple[float, float], ...], lean_deg: float) -> None:
    asked = max((abs(cobb) for _, cobb in curves), default=0.0)
    base = dataclasses.replace(CLEAN, height=256, width=128, curves=curves, lean_deg=lean_deg)
    assert largest_cobb_deg(corners_of(dataclasses.replace(base, endplate_jitter_deg=0))) == pytest.approx(asked, abs=1)
    # Jitter of 1.5 degrees on two of 34 endplates, cut at 2 SD: at most 6 more; a maximum hardly ever shrinks.
    assert -4.5 <= largest_cobb_deg(corners_of(dataclasses.replace(base, endplate_jitter_deg=1.5))) - asked <= 6.1


@pytest.mark.parametrize(("cobb", "sign"), [(40.0, 1.0), (-40.0, -1.0)])
def test_positive_curve_bulges_to_image_right(cobb: float, sign: float) -> None:
    x = corners_of(dataclasses.replace(CLEAN, curves=((8.0, cobb),))).mean(axis=1)[:, 0]
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


def smallest_gap(corners: np.ndarray) -> float:
    """Smallest distance between facing corners along the spine, in mean body heights; negative where bodies overlap."""
    down = np.diff(corners.mean(axis=1), axis=0)
    gaps = np.einsum("vkc,vc->vk", corners[1:, :2] - corners[:-1, 2:], down) / np.linalg.norm(down, axis=1)[:, None]
    return float(gaps.min() / np.linalg.norm((corners[:, 2:] - corners[:, :2]).mean(axis=1), axis=1).mean())


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


def test_center_is_the_mean_of_the_corners_and_all_points_are_there() -> None:
    xy = render_phantom(CLEAN).spine.xy
    assert xy.shape == (len(VERTEBRAE), 5, 2)
    np.testing.assert_allclose(xy[:, 0], xy[:, 1:].mean(axis=1), atol=1e-9)


def test_field_decides_how_much_lies_above_and_below() -> None:
    tight, film = (
        corners_of(dataclasses.replace(CLEAN, field_above=field, field_below=field))[..., 1] for field in (0.0, 1.0)
    )
    assert tight.min() < 0.05 * 512
    assert tight.max() > 0.95 * 511
    assert film.min() > 0.18 * 512
    assert film.max() < 0.80 * 512


def test_bone_is_brighter_than_the_tissue_beside_it() -> None:
    phantom = render_phantom(CLEAN)
    centers = phantom.spine.xy[:, 0]
    widths = np.linalg.norm(phantom.spine.xy[:, 2] - phantom.spine.xy[:, 1], axis=1)[:, None]
    inside = bilinear(phantom.pixels.astype(float), centers)
    beside = bilinear(phantom.pixels.astype(float), centers + widths * (1.2, 0.0))
    assert np.mean(inside > beside + 8) > 0.9


@pytest.mark.parametrize("collimation", COLLIMATIONS)
def test_collimation_keeps_clear_of_the_landmarks(collimation: str) -> None:
    plain = dataclasses.replace(CLEAN, field_above=0.8, field_below=0.8, shift=0.3)
    shut = render_phantom(dataclasses.replace(plain, collimation=collimation))
    changed = shut.pixels != render_phantom(plain).pixels
    x, y = shut.spine.xy[..., 0], shut.spine.xy[..., 1]
    box = changed[int(y.min()) : int(y.max()) + 2, int(x.min()) : int(x.max()) + 2]
    assert not box.any()
    assert changed.any() == (collimation != "none")


def test_implants_change_the_picture() -> None:
    plain = render_phantom(CLEAN).pixels
    for name in IMPLANTS:
        assert (render_phantom(dataclasses.replace(CLEAN, implants=(name,))).pixels != plain).any(), name


def test_random_specs_vary_widely() -> None:
    specs = [random_spec(seed, 256, 128) for seed in range(400)]
    assert {len(spec.curves or ()) for spec in specs} == {0, 1, 2, 3}
    angles = [max((abs(cobb) for _, cobb in spec.curves or ()), default=0.0) for spec in specs]
    assert min(angles) == 0
    assert 60 < max(angles) <= 80
    assert {spec.collimation for spec in specs} == set(COLLIMATIONS)
    assert {name for spec in specs for name in spec.implants} == set(IMPLANTS)
    for name in ("field_above", "field_below", "noise", "equalization"):
        values = [getattr(spec, name) for spec in specs]
        assert min(values) < 0.1, name
        assert max(values) > 0.7, name


def test_random_curves_are_always_buildable() -> None:
    rng = np.random.default_rng(0)
    for _ in range(2000):
        PhantomSpec(curves=random_curves(rng))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"height": 10}, "height must lie in 64"),
        ({"width": 100.5}, "width must be a whole number"),
        ({"seed": -1}, "seed must lie in 0"),
        ({"field_above": 1.2}, "field_above must lie in 0...1, got 1.2"),
        ({"noise": float("nan")}, "noise must lie in"),
        ({"collimation": "green"}, "collimation 'green' is not one of none, dark, bright"),
        ({"implants": ("tooth",)}, "implant 'tooth' is not one of rods"),
        ({"curves": ((8.0,),)}, "a curve must be"),
        ({"curves": ((0.0, 30.0),)}, "curve apex must lie in 1...15, got 0"),
        ({"curves": ((6.0, 30.0), (7.0, -30.0))}, "at least 3 levels"),
        ({"curves": ((6.0, 30.0), (12.0, 30.0))}, "opposite sides"),
        ({"curves": ((8.0, 150.0),)}, "must not exceed 110 degrees"),
        ({"curves": ((8.0, float("nan")),)}, "must not exceed"),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_bad_specs_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(PhantomSpec(), **changes)


def test_all_spineless_kinds_occur_about_equally() -> None:
    counts = Counter(spineless_kind(seed) for seed in range(2000))
    assert set(counts) == set(SPINELESS)
    assert min(counts.values()) > 0.4 * 2000 / len(SPINELESS)


def test_spineless_images_of_every_kind_have_the_size_and_are_reproducible() -> None:
    for seed in {spineless_kind(seed): seed for seed in range(300)}.values():
        image = random_spineless(seed, 130, 70)
        assert image.shape == (130, 70), spineless_kind(seed)
        assert image.dtype == np.uint8
        assert (image.std() > 1) == (spineless_kind(seed) != "constant"), spineless_kind(seed)
        np.testing.assert_array_equal(image, random_spineless(seed, 130, 70))


def test_spineless_images_refuse_a_size_too_small() -> None:
    with pytest.raises(ValueError, match="at least 64 x 32 pixels, got 20 x 20"):
        random_spineless(0, 20, 20)


@pytest.mark.parametrize("flip", [False, True])
def test_polygon_sheet_covers_exact_areas(flip: bool) -> None:
    # A box from (1.25, 2) to (4.75, 5.5), pixel centers at whole numbers: 3.5 x 3.5 pixels, a quarter of column 1.
    sheet = raster.PolygonSheet(8, 9)
    box = np.array([(1.25, 2.0), (4.75, 2.0), (4.75, 5.5), (1.25, 5.5)])
    sheet.add(box[::-1] if flip else box, 2.0)
    image = sheet.render()
    assert image.sum() == pytest.approx(2 * 3.5 * 3.5)
    assert image[3, 3] == pytest.approx(2.0)
    assert image[3, 1] == pytest.approx(2 * 0.25)
    assert image[2, 3] == pytest.approx(2 * 0.5)


def test_polygons_may_reach_out_of_the_sheet() -> None:
    sheet = raster.PolygonSheet(4, 5)
    sheet.add(np.array([(-10.0, -10.0), (20.0, -10.0), (20.0, 20.0), (-10.0, 20.0)]), 1.0)
    sheet.add(np.array([(30.0, 0.0), (40.0, 0.0), (40.0, 3.0)]), 1.0)
    np.testing.assert_allclose(sheet.render(), 1.0)


def test_blur_keeps_a_constant_and_spreads_a_dot() -> None:
    np.testing.assert_allclose(raster.blur(np.full((9, 7), 3.0), 1.5), 3.0)
    dot = np.zeros((21, 21))
    dot[10, 10] = 1.0
    spread = raster.blur(dot, 1.5)
    assert spread.sum() == pytest.approx(1.0)
    # The variance of a Gaussian with sigma 1.5, a little less because the kernel ends at 2.5 sigma.
    assert (spread.sum(axis=0) * (np.arange(21) - 10) ** 2).sum() == pytest.approx(2.25, rel=0.15)


def test_resize_keeps_a_ramp() -> None:
    ramp = np.arange(8.0)[None, :] * np.ones((4, 1))
    np.testing.assert_allclose(raster.resize(ramp, 4, 16)[0, 1:-1], (np.arange(16) + 0.5)[1:-1] / 2 - 0.5)
