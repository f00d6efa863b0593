"""From a labelled radiograph to patches: image and corners move together, whatever is missing."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from monai.transforms import Compose

from lib.learning.codec import ABSENT, PRESENT, UNKNOWN, UNNAMED
from lib.learning.config import Config, PatchAugmentationConfig, load_config
from lib.learning.data import IMAGE, LABEL, MATRIX
from lib.learning.data.patches import (
    IS_KNOWN,
    IS_THERE,
    PATCHES,
    TARGET,
    can_be_patched,
    patch_training_views,
    patch_validation_views,
    patched_vertebrae,
)
from lib.spine.geometry import rotation, transform_points, translation, with_centers
from lib.spine.schema import CORNERS

CONFIG = load_config()
REFINER = CONFIG.refiner
MIDDLE = np.array([REFINER.width - 1, REFINER.height - 1]) / 2
STEP = 60.0
"""Pixels between vertebrae: the image is shrunk to 48 px, 1.5 times those of a patch."""
TL, TR = CORNERS.index("TL"), CORNERS.index("TR")

CALM = PatchAugmentationConfig(
    place_noise=(0.03, 0.15),
    drift=0.12,
    scale_noise=0.07,
    turn_noise_deg=3.5,
    stretch=0.16,
    shear=0.08,
    flip_probability=0.0,
    coarse_probability=0.0,
    local_contrast_probability=0.0,
    gamma=(1.0, 1.0),
    noise_std=0.0,
    invert_probability=0.0,
    occlusion_probability=0.0,
)
"""Patches at random places, with the gray values of the image."""


def configured(**changes: Any) -> Config:
    """The default configuration with ``CALM`` but for the changes."""
    return dataclasses.replace(CONFIG, refiner_augmentation=dataclasses.replace(CALM, **changes))


def label_of(step: float = STEP, angle_deg: float = 5.0) -> np.ndarray:
    """``(17, 5, 3)`` boxes 40 px wide and 36 px high, one every step, on a straight line that leans to one side."""
    box = np.array([[-20.0, -18], [20, -18], [-20, 18], [20, 18]])
    corners = box + step * np.arange(17)[:, None, None] * (0.0, 1.0)
    corners = transform_points(translation(220, 60) @ rotation(angle_deg), corners)
    return np.concatenate([with_centers(corners), np.full((17, 5, 1), PRESENT)], -1)


def item_with_spot(vertebra: int, corner: int, label: np.ndarray | None = None) -> dict[str, Any]:
    """An image of 1080 x 300 px, dark but for a soft spot around one corner."""
    label = label_of() if label is None else label
    x0, y0 = label[vertebra, 1 + corner, :2]
    y, x = np.mgrid[:1080, :300]
    spot = 200 * np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / (2 * 3.0**2))
    return {IMAGE: spot.astype(np.uint8), LABEL: label}


def spot_in(patch: torch.Tensor) -> np.ndarray:
    """Center of mass (x, y) above the even background."""
    weight = (patch - patch.median()).clamp(min=0).double().numpy()
    y, x = np.mgrid[: patch.shape[0], : patch.shape[1]]
    return np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()


def absent(*vertebrae: int, points: slice = slice(1, None), state: float = ABSENT) -> np.ndarray:
    """A label in which points of some vertebrae are not there."""
    label = label_of()
    for vertebra in vertebrae:
        label[vertebra, points] = (0.0, 0.0, state)
    return label


# --- which vertebrae have a patch ---


@pytest.mark.parametrize(
    ("label", "row"),
    [
        pytest.param(label_of(), (0, 17), id="all"),
        pytest.param(absent(0, 1, 16), (2, 16), id="ends"),
        pytest.param(absent(5), (6, 17), id="one-in-the-middle"),
        pytest.param(absent(11), (0, 11), id="another"),
        pytest.param(absent(8), (0, 8), id="equal-parts"),
        pytest.param(absent(4, points=slice(3, 4)), (5, 17), id="one-corner"),
        pytest.param(absent(4, points=slice(0, 1)), (0, 17), id="center-alone"),
        pytest.param(absent(0, 1, state=UNKNOWN), (2, 17), id="unknown"),
        pytest.param(np.where(np.arange(3) == 2, UNNAMED, label_of()), (0, 17), id="unnamed"),
        pytest.param(absent(*range(17)), (0, 0), id="no-corners"),
    ],
)
def test_patches_are_laid_on_the_longest_row_of_vertebrae_with_all_corners(
    label: np.ndarray, row: tuple[int, int]
) -> None:
    found = patched_vertebrae(label)
    assert (found.start, found.stop) == row
    assert can_be_patched({LABEL: label}) == (row != (0, 0))
    assert can_be_patched({LABEL: torch.from_numpy(label)}) == (row != (0, 0))


def test_corners_that_are_no_numbers_are_not_there() -> None:
    """As for the first network, whatever their state says."""
    label = label_of()
    label[3, 2, 0] = np.nan
    assert patched_vertebrae(label) == slice(4, 17)


def test_single_vertebrae_cannot_be_patched() -> None:
    assert not can_be_patched({LABEL: absent(*range(0, 17, 2))})
    assert not can_be_patched({LABEL: absent(*range(1, 17))})
    assert can_be_patched({LABEL: absent(*range(15))})


@pytest.mark.parametrize("make", [patch_validation_views, patch_training_views])
@pytest.mark.parametrize(
    ("missing", "row"), [((0, 1, 16), slice(2, 16)), ((5,), slice(6, 17)), (tuple(range(15)), slice(15, 17))], ids=str
)
def test_vertebrae_without_corners_have_no_patch(make: Any, missing: tuple[int, ...], row: slice) -> None:
    view = make(configured())(item_with_spot(15, TL, absent(*missing)))
    there = np.zeros(17, dtype=bool)
    there[row] = True
    np.testing.assert_array_equal(view[IS_THERE].numpy(), there)
    assert (view[PATCHES][~there] == 0).all()
    assert (view[PATCHES][15] != 0).any()
    assert (view[IS_KNOWN][~there] == 0).all()
    assert (view[IS_KNOWN][there] == 1).all()
    assert all(part.isfinite().all() for part in view.values())


def test_a_corner_outside_its_patch_is_not_known() -> None:
    """The patch shows a step and a half to either side: 90 px of the image, less a tenth of a step."""
    label = label_of(angle_deg=0.0)
    label[7, 1:, 0] = 150 + 140 * np.array([-1, 1, -1, 1])
    label[9, 1:, 0] = 220 + 80 * np.array([-1, 1, -1, 1])
    view = patch_validation_views(CONFIG)(item_with_spot(3, TL, label))
    expected = np.ones(17)
    expected[7] = 0
    np.testing.assert_array_equal(view[IS_KNOWN].numpy(), expected)
    assert view[IS_THERE].all()


# --- image and corners move together ---


@pytest.mark.parametrize("vertebra", [0, 8, 16])
@pytest.mark.parametrize("corner", range(4), ids=CORNERS)
def test_validation_patches_show_a_corner_where_the_target_is(vertebra: int, corner: int) -> None:
    view = patch_validation_views(CONFIG)(item_with_spot(vertebra, corner))
    np.testing.assert_allclose(spot_in(view[PATCHES][vertebra]), view[TARGET][vertebra, corner].numpy(), atol=0.1)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("vertebra", "corner"), [(0, 1), (7, 0), (12, 3), (16, 2)])
def test_random_patches_show_a_corner_where_the_target_is(vertebra: int, corner: int, seed: int) -> None:
    views = patch_training_views(configured())
    views.set_random_state(seed)
    view = views(item_with_spot(vertebra, corner))
    np.testing.assert_allclose(spot_in(view[PATCHES][vertebra]), view[TARGET][vertebra, corner].numpy(), atol=0.1)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("corner", "mirror_image"), [("TL", "TR"), ("BR", "BL")])
def test_left_stays_left_in_a_mirrored_patch(corner: str, mirror_image: str, seed: int) -> None:
    """The spot at a right corner of the image is at a left one of what is learnt from."""
    views = patch_training_views(configured(flip_probability=1.0))
    views.set_random_state(seed)
    view = views(item_with_spot(6, CORNERS.index(corner)))
    target = view[TARGET].numpy()
    np.testing.assert_allclose(spot_in(view[PATCHES][6]), target[6, CORNERS.index(mirror_image)], atol=0.1)
    assert (target[:, TL, 0] < target[:, TR, 0]).all()
    assert (np.linalg.det(view[MATRIX].numpy()) < 0).all()


@pytest.mark.parametrize("changes", [{"coarse_probability": 1.0}, {"gamma": (0.6, 1.7)}, {"noise_std": 0.02}], ids=str)
def test_other_gray_values_leave_corners_where_they_are(changes: dict[str, Any]) -> None:
    views = patch_training_views(configured(**changes))
    for seed in range(3):
        views.set_random_state(seed)
        view = views(item_with_spot(8, TL))
        patch = view[PATCHES][8]
        brightest = divmod(int(torch.nn.functional.avg_pool2d(patch[None], 5, 1, 2).argmax()), REFINER.width)
        np.testing.assert_allclose(brightest[::-1], view[TARGET][8, TL].numpy(), atol=1.6)


@pytest.mark.parametrize("flip", [0.0, 1.0])
@pytest.mark.parametrize("make", [patch_validation_views, patch_training_views])
def test_the_matrices_lead_back_to_the_label(make: Any, flip: float) -> None:
    label = absent(2)
    is_flipped = flip == 1.0 and make is patch_training_views
    view = make(configured(flip_probability=flip))(item_with_spot(8, TL, label))
    order = [1, 0, 3, 2] if is_flipped else [0, 1, 2, 3]
    for vertebra in range(3, 17):
        back = np.linalg.inv(view[MATRIX][vertebra].numpy())
        points = transform_points(back, view[TARGET][vertebra].double().numpy())
        np.testing.assert_allclose(points, label[vertebra, 1:][order, :2], atol=1e-3)
    for vertebra in range(3):
        np.testing.assert_array_equal(view[MATRIX][vertebra].numpy(), np.eye(3))


@pytest.mark.parametrize("step", [12.0, 40.0, 60.0], ids=str)
def test_vertebrae_are_a_step_apart_and_upright_in_validation(step: float) -> None:
    """Centers lie a tenth of a step off the middle, whatever the size of the spine on the image."""
    view = patch_validation_views(CONFIG)(item_with_spot(8, TL, label_of(step)))
    target, matrix = view[TARGET].double().numpy(), view[MATRIX].numpy()
    off = np.linalg.norm(target.mean(1) - MIDDLE, axis=1)
    np.testing.assert_allclose(off, 0.1 * REFINER.step, rtol=0.15)
    centers = label_of(step)[:, 0, :2]
    for vertebra in range(1, 16):
        above, below = transform_points(matrix[vertebra], centers[[vertebra - 1, vertebra + 1]])
        assert (below - above)[1] == pytest.approx(2 * REFINER.step, rel=0.15)
        assert abs((below - above)[0]) < 0.15 * 2 * REFINER.step


def test_random_patches_stay_near_the_vertebrae() -> None:
    """A center is less than half a step off, even with noise beyond all measure."""
    views = patch_training_views(configured(place_noise=(0.49, 0.49), drift=3.0, scale_noise=0.0))
    offs = []
    for seed in range(10):
        views.set_random_state(seed)
        view = views(item_with_spot(8, TL))
        centers = view[TARGET].double().numpy().mean(1)
        back = [np.linalg.inv(matrix) for matrix in view[MATRIX].numpy()]
        middles = np.array([transform_points(matrix, MIDDLE) for matrix in back])
        labelled = np.array([transform_points(*pair) for pair in zip(back, centers, strict=True)])
        offs.append(np.linalg.norm(middles - labelled, axis=1) / STEP)
    assert np.max(offs) < 0.35 * np.sqrt(2) * 1.2  # along both axes, of a spine that is stretched
    assert np.mean(offs) > 0.2


# --- repeatability ---


def test_validation_patches_are_always_the_same() -> None:
    item = item_with_spot(8, TL)
    first, second = (patch_validation_views(CONFIG)(item) for _ in range(2))
    for key in (PATCHES, TARGET, IS_KNOWN, IS_THERE, MATRIX):
        assert torch.equal(first[key], second[key])


def test_random_patches_differ_and_follow_their_seed() -> None:
    views: Compose = patch_training_views(CONFIG)
    item = item_with_spot(8, TL)
    views.set_random_state(3)
    first, second = views(item), views(item)
    views.set_random_state(3)
    again = views(item)
    assert not torch.equal(first[TARGET], second[TARGET])
    for key in (PATCHES, TARGET, MATRIX):
        assert torch.equal(first[key], again[key])


def test_a_batch_has_the_types_that_training_takes() -> None:
    for make in (patch_validation_views, patch_training_views):
        view = make(CONFIG)(item_with_spot(8, TL))
        assert set(view) == {PATCHES, TARGET, IS_KNOWN, IS_THERE, MATRIX}
        assert view[PATCHES].shape == (17, REFINER.height, REFINER.width)
        assert view[TARGET].shape == (17, 4, 2)
        assert view[MATRIX].shape == (17, 3, 3)
        assert {key: view[key].dtype for key in view} == {
            PATCHES: torch.float32,
            TARGET: torch.float32,
            IS_KNOWN: torch.float32,
            IS_THERE: torch.bool,
            MATRIX: torch.float64,
        }


def test_every_change_at_once_leaves_the_item_alone() -> None:
    """Also what is kept in memory between epochs."""
    always = {name: 1.0 for name in dataclasses.asdict(CALM) if name.endswith("probability")}
    views = patch_training_views(configured(**always, gamma=(0.5, 2.0), noise_std=0.5))
    item = item_with_spot(8, TL)
    before = item[IMAGE].copy(), item[LABEL].copy()
    cached = Compose(views.transforms[:3])(item)
    kept = cached[IMAGE].clone(), cached[LABEL].copy()
    for seed in range(5):
        views.set_random_state(seed)
        view = Compose(views.transforms[3:])(cached)
        assert all(part.isfinite().all() for part in view.values())
    np.testing.assert_array_equal(item[IMAGE], before[0])
    np.testing.assert_array_equal(item[LABEL], before[1])
    assert torch.equal(cached[IMAGE], kept[0])
    np.testing.assert_array_equal(cached[LABEL], kept[1])
    assert cached[IMAGE].dtype == torch.uint8
    assert cached[IMAGE].shape[-2:] == (864, 240)  # 1.5 * 32 px per step of 60 px


def test_patches_are_covered_in_one_place_only() -> None:
    """Of one spine, one patch, by an even rectangle."""
    plain, covered = (patch_training_views(configured(occlusion_probability=p)) for p in (0.0, 1.0))
    for seed in range(5):
        for views in (plain, covered):
            views.set_random_state(seed)
        item = {**item_with_spot(8, TL), IMAGE: np.random.default_rng(0).integers(0, 256, (1080, 300)).astype(np.uint8)}
        a, b = plain(item)[PATCHES], covered(item)[PATCHES]
        changed = (a != b).flatten(1).any(1)
        assert changed.sum() == 1
        difference = (a != b)[changed][0]
        rows, columns = (difference.any(axis).nonzero().flatten() for axis in (1, 0))
        part = b[changed][0, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert part.min() == part.max()
        assert 8 <= len(rows) < 50
        assert 8 <= len(columns) < 50
