"""Transforms: image, points and matrix move together."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.data import set_track_meta
from PIL import Image

from lib.image_io import Radiograph, UnreadableImageError
from lib.image_io.window import windowed
from lib.learning.codec import ABSENT, PRESENT
from lib.learning.config import Config, InputConfig, load_config
from lib.learning.data import IMAGE, LABEL, MATRIX
from lib.learning.data.image_views import fitting_matrix, spine_view, view
from lib.learning.data.random_views import (
    RandFitToInputd,
    training_transforms,
)
from lib.learning.data.transforms import (
    FitToInputd,
    LoadRadiographd,
    Packd,
    ToTensorsd,
    Unpackd,
    mirrored,
    move,
    validation_transforms,
)
from lib.spine.geometry import transform_points, translation

INPUT = InputConfig(height=128, width=96)
SIGMA = 4.0


@pytest.fixture(autouse=True)
def plain_tensors() -> Iterator[None]:
    """Training works on plain tensors."""
    set_track_meta(False)
    yield
    set_track_meta(True)


@pytest.fixture
def config() -> Config:
    """The configuration with a small input, nothing cut off and no change of gray values."""
    config = load_config()
    still = dataclasses.replace(
        config.augmentation,
        **{"cut_probability": 0.0, "deep_cut_probability": 0.0, "background_probability": 0.0},
        **{"gamma": (1.0, 1.0), "contrast": (1.0, 1.0), "brightness": 0.0, "noise_std": 0.0, "blur_sigma": 0.2},
        **{"local_contrast_probability": 0.0, "invert_probability": 0.0, "occlusion_probability": 0.0},
    )
    return dataclasses.replace(config, input=INPUT, augmentation=still)


def drawn(height: int, width: int, x: float, y: float) -> np.ndarray:
    """``(H, W)`` black image with a Gaussian blob at (x, y) and bright lines at its upper edge that fix the window."""
    rows, columns = np.mgrid[:height, :width]
    pixels = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * SIGMA**2))
    pixels[pixels < 1e-3] = 0
    pixels[: max(2, height // 40)] = 1
    return pixels.astype(np.float32)


def labelled(height: int, width: int, place: tuple[int, int] = (8, 0)) -> tuple[dict[str, Any], np.ndarray]:
    """An item with points of an upright spine, of which the one at ``place`` has a blob; and where that is."""
    random = np.random.default_rng(height)
    points = random.uniform((0, 0), (width, height), (17, 5, 2))
    points = points[points[:, 0, 1].argsort()]
    points[:, 0, 0] = width / 2
    points[:, 1:] = np.sort(points[:, 1:], axis=1)
    points[:, 1:, 0] = points[:, [1, 4, 1, 4], 0]  # left corners left of right ones
    label = np.concatenate([points, np.full((17, 5, 1), PRESENT)], -1)
    xy = np.array([0.43 * width + 0.3, 0.6 * height - 0.2])
    label[(*place, slice(2))] = xy
    return {IMAGE: drawn(height, width, *xy), LABEL: label}, xy


def centroid(image: torch.Tensor, near: np.ndarray, reach: float) -> np.ndarray:
    """Center of mass (x, y) of what is brighter than the darkest pixel within ``reach`` of a point."""
    rows, columns = np.mgrid[: image.shape[-2], : image.shape[-1]]
    weight = image[0].numpy().astype(np.float64)
    inside = np.hypot(columns - near[0], rows - near[1]) <= reach
    weight = np.where(inside, weight - weight[inside].min(), 0)
    return np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()


def is_well_inside(xy: np.ndarray, reach: float) -> bool:
    """Whether a circle fits into the input."""
    return bool((xy > reach + 1).all() and (xy < np.array([INPUT.width, INPUT.height]) - reach - 2).all())


SIZES = [(300, 200), (150, 333), (128, 96), (60, 50), (611, 97)]


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_a_view_of_the_whole_image_shows_it_where_its_matrix_says(height: int, width: int) -> None:
    item, xy = labelled(height, width)
    matrix = fitting_matrix(height, width, INPUT)
    image = view(item[IMAGE], matrix, INPUT)
    assert (image.shape, image.dtype) == ((1, 128, 96), torch.float32)
    at = transform_points(matrix, xy)
    reach = max(4.0, 4 * SIGMA * matrix[0, 0])
    # a fifth of a pixel: resampling at a factor of a few to one keeps the center of mass only so well
    np.testing.assert_allclose(centroid(image, at, reach), at, atol=0.2)
    fitted = FitToInputd(INPUT)(LoadRadiographd()(item))
    torch.testing.assert_close(image, fitted[IMAGE], atol=1e-5, rtol=0)
    np.testing.assert_array_equal(fitted[MATRIX], matrix)


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_a_view_of_a_part_shows_it_where_its_matrix_says(scale: float) -> None:
    item, xy = labelled(400, 300)
    before = item[IMAGE].copy()
    middle = np.array([INPUT.width, INPUT.height]) / 2
    matrix = translation(*(middle - scale * xy)) @ np.diag([scale, scale, 1.0])
    image = view(item[IMAGE], matrix, INPUT)
    np.testing.assert_allclose(centroid(image, middle, 4 * SIGMA * scale), middle, atol=0.2)
    np.testing.assert_array_equal(item[IMAGE], before)


def test_a_view_is_windowed_by_what_it_shows() -> None:
    """A bright label far from what is looked at does not darken it."""
    pixels = np.zeros((400, 300), np.uint16)
    pixels[200:, :] = np.linspace(100, 200, 300).astype(np.uint16)
    pixels[:50] = 60_000
    low = view(pixels, translation(-100, -260), INPUT)
    assert low.min() < 0.05
    assert low.max() > 0.95
    assert view(pixels, translation(-100, 0), INPUT)[0, 64:].max() == 0


@pytest.mark.parametrize("shift", [(-500, 0), (0, 500)])
def test_a_view_beside_the_image_is_black(shift: tuple[int, int]) -> None:
    assert (view(np.full((90, 80), 7, np.uint8), translation(*shift), INPUT) == 0).all()


def test_the_view_of_a_spine_by_hand() -> None:
    """160 px high to three quarters of 128 px: a factor of 0.6; with 15 px of room on either side 42 px wide."""
    centers = np.stack([np.linspace(100, 140, 17), np.linspace(20, 180, 17)], -1)
    matrix = spine_view(centers, 0.75, 1.5, INPUT)
    np.testing.assert_allclose(np.diag(matrix), [0.6, 0.6, 1])
    moved = transform_points(matrix, centers)
    np.testing.assert_allclose(moved.mean(0), [47.5, 63.5])
    np.testing.assert_allclose(moved[-1] - moved[0], [24, 96])


def test_the_view_of_a_wide_spine_is_smaller() -> None:
    """170 px wide and 20 steps of 10 px of room must fit into 96 px."""
    centers = np.stack([np.linspace(0, 170, 17), np.linspace(20, 180, 17)], -1)
    assert spine_view(centers, 0.75, 10, INPUT)[0, 0] == pytest.approx(96 / 370)


def test_the_view_of_a_single_place_is_finite() -> None:
    assert np.isfinite(spine_view(np.full((17, 2), 5.0), 0.75, 1.5, INPUT)).all()


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_validation_maps_back_to_original_pixels_through_the_cache(config: Config, height: int, width: int) -> None:
    config = dataclasses.replace(config, training=dataclasses.replace(config.training, cache_longest=200))
    item, xy = labelled(height, width)
    result = validation_transforms(config)(item)
    back = np.linalg.inv(result[MATRIX].numpy())
    np.testing.assert_allclose(transform_points(back, result[LABEL].double().numpy()[8, 0, :2]), xy, atol=1e-2)
    at = transform_points(result[MATRIX].numpy(), xy)
    reach = max(4.0, 4 * SIGMA * float(result[MATRIX][0, 0]))
    np.testing.assert_allclose(centroid(result[IMAGE], at, reach), at, atol=0.25)


@pytest.mark.parametrize("place", [(8, 0), (3, 1), (3, 2), (14, 3), (14, 4)], ids=str)
def test_training_moves_image_and_points_together(config: Config, place: tuple[int, int]) -> None:
    """Whatever the seed; a mirrored left corner is looked for at the right one."""
    item, xy = labelled(240, 160, place)
    transforms = training_transforms(config)
    swapped = (0, 2, 1, 4, 3)
    mirrors, checked = 0, 0
    for seed in range(24):
        transforms.set_random_state(seed)
        result = transforms(item)
        label, matrix = result[LABEL].double().numpy(), result[MATRIX].numpy()
        is_mirrored = np.linalg.det(matrix) < 0
        mirrors += is_mirrored
        at = label[place[0], swapped[place[1]] if is_mirrored else place[1], :2]
        np.testing.assert_allclose(at, transform_points(matrix, xy), atol=1e-3)
        reach = 3.5 * SIGMA * np.sqrt(abs(np.linalg.det(matrix[:2, :2]))) + 1
        if is_well_inside(at, reach):
            checked += 1
            np.testing.assert_allclose(centroid(result[IMAGE], at, reach), at, atol=0.25)
    assert 4 <= mirrors <= 20
    assert checked >= 12


def test_random_views_take_items_without_a_label_or_a_spine(config: Config) -> None:
    transform = RandFitToInputd(INPUT, config.augmentation)
    item: dict[str, Any] = {IMAGE: torch.zeros(1, 300, 100), MATRIX: np.eye(3)}
    assert transform(item)[IMAGE].shape == (1, 128, 96)
    assert LABEL not in transform(item)
    item[LABEL] = np.full((17, 5, 3), ABSENT)
    assert (transform(item)[LABEL][..., 2] == ABSENT).all()


def test_random_transforms_repeat_with_the_seed(config: Config) -> None:
    config = dataclasses.replace(config, augmentation=load_config().augmentation)
    item, _ = labelled(240, 160)
    transforms = training_transforms(config)
    a, b, c = (transforms.set_random_state(seed)(item) for seed in (5, 5, 6))
    torch.testing.assert_close(a[IMAGE], b[IMAGE])
    torch.testing.assert_close(a[LABEL], b[LABEL])
    assert not torch.equal(a[IMAGE], c[IMAGE])


@pytest.mark.parametrize("kind", ["training", "validation"])
def test_the_callers_data_are_not_changed(kind: str) -> None:
    config = dataclasses.replace(load_config(), input=INPUT)
    transforms = {"training": training_transforms, "validation": validation_transforms}[kind](config)
    item, _ = labelled(240, 160)
    image, label = item[IMAGE].copy(), item[LABEL].copy()
    for seed in range(6):
        transforms.set_random_state(seed)
        transforms(item)
    assert set(item) == {IMAGE, LABEL}
    np.testing.assert_array_equal(item[IMAGE], image)
    np.testing.assert_array_equal(item[LABEL], label)


def test_what_training_keeps_in_memory_is_not_changed(config: Config) -> None:
    """MONAI's cache hands the same dict to every epoch: no random step may write into it."""
    config = dataclasses.replace(config, augmentation=load_config().augmentation)
    item, _ = labelled(240, 160)
    transforms = training_transforms(config)
    first = transforms.get_index_of_first(lambda t: hasattr(t, "set_random_state"))
    kept = transforms(item, end=first)
    assert kept[IMAGE].dtype == torch.uint8
    image, label, matrix = kept[IMAGE].clone(), kept[LABEL].copy(), kept[MATRIX].copy()
    for seed in range(12):
        transforms.set_random_state(seed)
        transforms(kept, start=first)
    assert torch.equal(kept[IMAGE], image)
    np.testing.assert_array_equal(kept[LABEL], label)
    np.testing.assert_array_equal(kept[MATRIX], matrix)


def test_mirroring_swaps_left_and_right_corners(ladder: np.ndarray) -> None:
    label = np.concatenate([ladder, np.arange(85.0).reshape(17, 5, 1)], -1)
    image = torch.rand(1, 4, 120)
    flipped = mirrored({IMAGE: image, LABEL: label, MATRIX: translation(1, 0), "path": "a"})
    assert flipped["path"] == "a"
    torch.testing.assert_close(flipped[IMAGE][0, :, 7], image[0, :, 112])
    np.testing.assert_array_equal(flipped[LABEL][0, 1], [119 - 60, 14, 2])  # TL was TR
    np.testing.assert_array_equal(flipped[LABEL][0, 2], [119 - 40, 14, 1])
    np.testing.assert_array_equal(flipped[LABEL][0, 3], [119 - 60, 26, 4])  # BL was BR
    np.testing.assert_array_equal(flipped[LABEL][0, 4], [119 - 40, 26, 3])
    np.testing.assert_array_equal(transform_points(flipped[MATRIX], np.array([49.0, 3])), [119 - 50, 3])
    assert LABEL not in mirrored({IMAGE: image, MATRIX: np.eye(3)})


def test_moving_leaves_the_data_alone() -> None:
    data = {IMAGE: torch.rand(1, 6, 8), LABEL: np.ones((17, 5, 3)), MATRIX: np.eye(3), "path": "a"}
    image, label = data[IMAGE].clone(), data[LABEL].copy()  # type: ignore[attr-defined]
    moved = move(data, translation(3, 4), (6, 8))
    assert moved["path"] == "a"
    np.testing.assert_array_equal(moved[LABEL][0, 0], [4, 5, 1])
    np.testing.assert_array_equal(moved[MATRIX], translation(3, 4))
    assert torch.equal(data[IMAGE], image)  # type: ignore[arg-type]
    np.testing.assert_array_equal(data[LABEL], label)  # type: ignore[arg-type]
    np.testing.assert_array_equal(data[MATRIX], np.eye(3))  # type: ignore[arg-type]


def test_loading_takes_paths_radiographs_and_arrays(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (30, 20)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    sources = [tmp_path / "a.png", str(tmp_path / "a.png"), Radiograph(pixels), pixels]
    for source in sources:
        loaded = LoadRadiographd()({IMAGE: source})
        torch.testing.assert_close(loaded[IMAGE], torch.from_numpy(windowed(pixels))[None])
        np.testing.assert_array_equal(loaded[MATRIX], np.eye(3))


def test_loading_names_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("text")
    with pytest.raises(UnreadableImageError, match=r"a\.png"):
        LoadRadiographd()({IMAGE: tmp_path / "a.png"})


@pytest.mark.parametrize(("longest", "size"), [(None, (300, 200)), (300, (300, 200)), (150, (150, 100)), (1, (1, 1))])
def test_loading_shrinks_to_the_min_longer_side(longest: int | None, size: tuple[int, int]) -> None:
    item, xy = labelled(300, 200)
    loaded = LoadRadiographd(longest)(item)
    assert loaded[IMAGE].shape == (1, *size)
    scale = size[0] / 300, size[1] / 200
    expected = (xy[0] + 0.5) * scale[1] - 0.5, (xy[1] + 0.5) * scale[0] - 0.5
    np.testing.assert_allclose(loaded[LABEL][8, 0, :2], expected)


def test_packing_keeps_one_part_in_255() -> None:
    image = torch.linspace(0, 1, 999).reshape(1, 27, 37)
    data = {IMAGE: image}
    packed = Packd(IMAGE)(data)
    assert packed[IMAGE].dtype == torch.uint8
    assert data[IMAGE] is image
    torch.testing.assert_close(Unpackd(IMAGE)(packed)[IMAGE], image, atol=0.5 / 255 + 1e-6, rtol=0)


def test_fitting_is_undistorted_and_centered_by_hand() -> None:
    """200 x 300 into 96 x 128: scale 128 / 300, 85.33 px wide, so 5 px of black to the left."""
    matrix = fitting_matrix(300, 200, INPUT)
    s = 128 / 300
    np.testing.assert_allclose(matrix, [[s, 0, (s - 1) / 2 + 5], [0, s, (s - 1) / 2], [0, 0, 1]])
    fitted = FitToInputd(INPUT)({IMAGE: torch.ones(1, 300, 200), MATRIX: np.eye(3)})
    assert fitted[IMAGE].shape == (1, 128, 96)
    assert fitted[IMAGE][0, 64, :5].max() < 0.01
    assert fitted[IMAGE][0, 64, 6:89].min() > 0.99
    assert fitted[IMAGE][0, 64, 91:].max() < 0.01


def test_batches_get_only_what_they_need() -> None:
    data = {IMAGE: np.zeros((1, 2, 2)), LABEL: np.zeros((17, 5, 3)), MATRIX: np.eye(3), "path": "a"}
    result = ToTensorsd()(data)
    assert {key: value.dtype for key, value in result.items()} == {
        IMAGE: torch.float32,
        LABEL: torch.float32,
        MATRIX: torch.float64,
    }
    assert set(ToTensorsd()({IMAGE: np.zeros((1, 2, 2)), MATRIX: np.eye(3)})) == {IMAGE, MATRIX}
