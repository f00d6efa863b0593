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
from lib.learning.codec import ABSENT, PRESENT, UNKNOWN, UNNAMED
from lib.learning.config import AugmentationConfig, Config, InputConfig, load_config
from lib.learning.data.image_views import fitting_matrix, spine_view, view, warp, windowed
from lib.learning.data.random_views import (
    RandFitToInputd,
    RandInvertd,
    RandLocalContrastd,
    local_contrast,
    training_transforms,
)
from lib.learning.data.transforms import (
    IMAGE,
    LABEL,
    MATRIX,
    FitToInputd,
    LoadRadiographd,
    Packd,
    ToTensorsd,
    Unpackd,
    mirrored,
    move,
    validation_transforms,
)
from lib.spine.geometry import rotation, scaling, transform_points, translation

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


@pytest.fixture
def film(ladder: np.ndarray) -> dict[str, Any]:
    """A film of 300 x 100 px with a straight spine and noise all over, never quite black."""
    label = np.concatenate([ladder, np.full((17, 5, 1), PRESENT)], -1)
    noise = torch.rand(1, 300, 100, generator=torch.Generator().manual_seed(0))
    return {IMAGE: 0.5 + 0.5 * noise, LABEL: label, MATRIX: np.eye(3)}


def random_view(**changes: Any) -> RandFitToInputd:
    """The random view of ``model.yaml`` with other ranges, of which none shows the whole film unless told."""
    return RandFitToInputd(INPUT, ranges(**changes))


def ranges(**changes: Any) -> AugmentationConfig:
    """The ranges of ``model.yaml`` but for these changes, and no view of the whole film unless told."""
    return dataclasses.replace(load_config().augmentation, **{"whole_probability": 0.0, **changes})


@pytest.mark.parametrize(("far", "low", "high"), [(0.0, 0.5, 0.9), (1.0, 0.2, 0.4)], ids=["near", "far"])
def test_the_spine_fills_its_share_of_the_height(film: dict[str, Any], far: float, low: float, high: float) -> None:
    """Whatever the size of the film; turning and stretching would change the share by some per cent."""
    still = {"rotation_deg": 0.0, "stretch": 0.0, "cut_probability": 0.0}
    transform = random_view(far_probability=far, near_span=(0.5, 0.9), far_span=(0.2, 0.4), **still)
    shares = []
    for seed in range(40):
        transform.set_random_state(seed)
        y = transform(film)[LABEL][:, 0, 1]
        shares.append((y[-1] - y[0]) / INPUT.height)
    assert low <= min(shares) < low + 0.3 * (high - low)
    assert high - 0.3 * (high - low) < max(shares) <= high


def test_the_spine_lies_anywhere_within_the_input(film: dict[str, Any]) -> None:
    transform = random_view(far_probability=1.0, cut_probability=0.0, shift=0.0)
    middles = []
    for seed in range(40):
        transform.set_random_state(seed)
        centers = transform(film)[LABEL][:, 0, :2]
        assert ((centers >= 0) & (centers <= (INPUT.width - 1, INPUT.height - 1))).all()
        middles.append(centers.mean(0))
    assert (np.ptp(middles, axis=0) > 0.3 * np.array([INPUT.width, INPUT.height])).all()


class Marked(RandFitToInputd):
    """Draws its surroundings but then shows -1 in their place."""

    def _surroundings(self, image: torch.Tensor) -> torch.Tensor:
        return torch.full_like(super()._surroundings(image), -1.0)


def test_cut_off_vertebrae_are_absent_and_only_those(film: dict[str, Any]) -> None:
    transform = Marked(INPUT, ranges(cut_probability=1.0, shift=0.0))
    seen = []
    for seed in range(200):
        transform.set_random_state(seed)
        result = transform(film)
        label, is_image = result[LABEL], (result[IMAGE][0] > -0.5).numpy()
        is_there = label[:, 0, 2] != ABSENT
        assert (label[..., 2] == np.where(is_there, PRESENT, ABSENT)[:, None]).all()
        assert is_there.sum() == np.flatnonzero(is_there)[-1] - np.flatnonzero(is_there)[0] + 1  # only ends are hidden
        for (x, y), there in zip(label[:, 0, :2].round().astype(int), is_there, strict=True):
            around = is_image[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
            if around.size and 0 <= x < INPUT.width and 0 <= y < INPUT.height:
                assert around.any() if there else not around.all()
        seen.append(is_there)
    hidden = (~np.array(seen)).any(-1).mean()
    assert 0.02 < hidden < 0.3
    assert not np.array(seen)[:, 0].all()  # T1, now and then
    assert not np.array(seen)[:, 16].all()  # and L5


@pytest.mark.parametrize("cut", [0.0, 1.0])
@pytest.mark.parametrize("background", [0.0, 1.0])
def test_surroundings_lie_outside_the_image_only(film: dict[str, Any], cut: float, background: float) -> None:
    changed = ranges(
        **{"cut_probability": cut, "deep_cut_probability": 0.0},
        **{"background_probability": background, "far_probability": 1.0},
    )
    plain, marked = RandFitToInputd(INPUT, changed), Marked(INPUT, changed)
    for seed in range(20):
        result = plain.set_random_state(seed)(film)
        mark = marked.set_random_state(seed)(film)
        np.testing.assert_array_equal(result[LABEL], mark[LABEL])
        np.testing.assert_array_equal(result[MATRIX], mark[MATRIX])
        is_image = mark[IMAGE] > -0.5
        assert torch.equal(result[IMAGE][is_image], mark[IMAGE][is_image])
        expected = warp(film[IMAGE] if np.linalg.det(mark[MATRIX]) > 0 else film[IMAGE].flip(-1), *unflipped(mark))
        torch.testing.assert_close(mark[IMAGE][is_image], expected[is_image])
        outside = result[IMAGE][~is_image]
        assert len(outside) > 100
        assert outside.min() >= 0
        assert outside.max() <= 1
        assert (len(outside.unique()) > 1) == (background == 1)
        if not cut:  # then what is outside is what the film does not cover
            covered = warp(torch.ones_like(film[IMAGE]), *unflipped(mark))
            assert (covered[is_image] > 0).all()
            assert (covered[~is_image] < 1).all()


def unflipped(result: dict[str, Any]) -> tuple[np.ndarray, tuple[int, int]]:
    """Matrix from the film, mirrored where the view is, to the input; and the input's size."""
    mirror = np.array([[-1.0, 0, 99], [0, 1, 0], [0, 0, 1]])
    matrix = result[MATRIX] if np.linalg.det(result[MATRIX]) > 0 else result[MATRIX] @ mirror
    return matrix, (INPUT.height, INPUT.width)


def test_a_view_repeats_with_the_seed_and_leaves_the_film_alone(film: dict[str, Any]) -> None:
    transform = random_view(cut_probability=0.7)
    before = {key: value.clone() if key == IMAGE else value.copy() for key, value in film.items()}
    first = [transform.set_random_state(seed)(film) for seed in (1, 2)]
    again = [transform.set_random_state(seed)(film) for seed in (1, 2)]
    for a, b in zip(first, again, strict=True):
        assert torch.equal(a[IMAGE], b[IMAGE])
        np.testing.assert_array_equal(a[LABEL], b[LABEL])
    assert not torch.equal(first[0][IMAGE], first[1][IMAGE])
    assert torch.equal(film[IMAGE], before[IMAGE])
    np.testing.assert_array_equal(film[LABEL], before[LABEL])


@pytest.mark.parametrize("count", [1, 2, 13])
def test_views_take_spines_of_which_little_is_labelled(film: dict[str, Any], count: int) -> None:
    film[LABEL][count:] = (np.nan, np.nan, ABSENT)
    for seed in range(10):
        result = random_view().set_random_state(seed)(film)
        assert torch.isfinite(result[IMAGE]).all()
        assert np.isfinite(result[LABEL][:count]).all()
        assert (result[LABEL][count:, :, 2] == ABSENT).all()


def test_random_views_show_most_of_the_spine(film: dict[str, Any]) -> None:
    transform = random_view(shift=0.9, far_probability=0.0, near_span=(1.0, 1.5), cut_probability=0.0)
    for seed in range(20):
        transform.set_random_state(seed)
        centers = transform(film)[LABEL][:, 0, :2]
        assert ((centers >= 0) & (centers <= (INPUT.width - 1, INPUT.height - 1))).all(-1).sum() >= 14


@pytest.mark.parametrize("cut", [0.0, 1.0])
def test_a_whole_view_shows_the_film_with_its_borders_on_black(film: dict[str, Any], cut: float) -> None:
    """Where the film ends is what a person who cropped it said; structure and cuts would take that away."""
    transform = random_view(
        **{"whole_probability": 1.0, "cut_probability": cut, "deep_cut_probability": cut},
        **{"background_probability": 1.0, "far_probability": 1.0},
    )
    ends = 0
    for seed in range(20):
        result = transform.set_random_state(seed)(film)
        is_mirrored = np.linalg.det(result[MATRIX]) < 0
        expected = warp(film[IMAGE].flip(-1) if is_mirrored else film[IMAGE], *unflipped(result))
        torch.testing.assert_close(result[IMAGE], expected)
        at = mirrored(film)[LABEL] if is_mirrored else film[LABEL]
        matrix = unflipped(result)[0]
        np.testing.assert_allclose(result[LABEL][..., :2], transform_points(matrix, at[..., :2]), atol=1e-9)
        assert (result[LABEL][..., 2] == PRESENT).all()
        beside = warp(torch.ones_like(film[IMAGE]), *unflipped(result)) == 0
        assert (result[IMAGE][beside] == 0).all()
        ends += beside.any().item()
    assert ends >= 15  # of a film that is narrower than the input


def test_a_whole_view_is_never_far(film: dict[str, Any]) -> None:
    still = {"rotation_deg": 0.0, "stretch": 0.0, "near_span": (0.5, 0.9), "far_span": (0.2, 0.4)}
    transform = random_view(whole_probability=1.0, far_probability=1.0, **still)
    shares = []
    for seed in range(20):
        y = transform.set_random_state(seed)(film)[LABEL][:, 0, 1]
        shares.append((y[-1] - y[0]) / INPUT.height)
    assert min(shares) >= 0.5
    assert max(shares) <= 0.9


def test_whole_views_come_with_their_probability(film: dict[str, Any]) -> None:
    """The others are known by their surroundings, which are marked and nearly always to be seen."""
    transform = Marked(INPUT, ranges(whole_probability=0.5, cut_probability=1.0))
    whole = [transform.set_random_state(seed)(film)[IMAGE].min() > -0.5 for seed in range(60)]
    assert 20 <= sum(whole) <= 40


@pytest.mark.parametrize("whole", [0.0, 1.0])
def test_vertebrae_that_nobody_has_spoken_of_stay_so_whatever_the_view(film: dict[str, Any], whole: float) -> None:
    """What is cut off becomes absent, but it is not known to be absent where nobody has looked."""
    film[LABEL][:4] = (0.0, 0.0, UNKNOWN)  # beyond every cut
    film[LABEL][16] = (50.0, 276.0, UNKNOWN)  # within most of them
    transform = random_view(whole_probability=whole, cut_probability=1.0, deep_cut_probability=0.5)
    mirrors, hidden = 0, 0
    for seed in range(40):
        result = transform.set_random_state(seed)(film)
        mirrors += np.linalg.det(result[MATRIX]) < 0
        states = result[LABEL][..., 2]
        is_unknown = np.isin(np.arange(17), [*range(4), 16])
        assert (states[is_unknown] == UNKNOWN).all()
        assert np.isin(states[~is_unknown], (PRESENT, ABSENT)).all()
        hidden += (states == ABSENT).any()
    assert 5 <= mirrors <= 35
    assert (hidden > 0) == (whole == 0)


def test_unknown_vertebrae_do_not_count_when_a_view_is_sized(film: dict[str, Any]) -> None:
    """T1 to T4 and L5 are missing: 11 steps of 16 px fill the share that the spine is to have."""
    film[LABEL][:4] = (0.0, 0.0, UNKNOWN)
    film[LABEL][16] = (7.0, 999.0, UNKNOWN)
    still = {"rotation_deg": 0.0, "stretch": 0.0, "far_probability": 0.0, "flip_probability": 0.0}
    transform = random_view(near_span=(0.6, 0.6), cut_probability=0.0, **still)
    for seed in range(5):
        result = transform.set_random_state(seed)(film)
        y = result[LABEL][4:16, 0, 1]
        assert (y[-1] - y[0]) / INPUT.height == pytest.approx(0.6)
        assert result[MATRIX][0, 0] == pytest.approx(0.6 * 128 / (11 * 16))


@pytest.mark.parametrize("state", [PRESENT, UNNAMED])
def test_centers_count_with_or_without_a_name(film: dict[str, Any], state: float) -> None:
    film[LABEL][..., 2] = state
    still = {"rotation_deg": 0.0, "stretch": 0.0, "far_probability": 0.0, "flip_probability": 0.0}
    result = random_view(near_span=(0.6, 0.6), cut_probability=0.0, deep_cut_probability=0.0, **still)(film)
    assert result[MATRIX][0, 0] == pytest.approx(0.6 * 128 / (16 * 16))
    assert (result[LABEL][..., 2] == state).all()


def test_a_spine_of_which_nothing_is_known_is_shown_as_an_image_without_one(film: dict[str, Any]) -> None:
    film[LABEL][:] = (0.0, 0.0, UNKNOWN)
    for seed in range(5):
        result = random_view(cut_probability=1.0).set_random_state(seed)(film)
        assert torch.isfinite(result[IMAGE]).all()
        assert (result[LABEL][..., 2] == UNKNOWN).all()


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


def test_windowing_does_not_depend_on_gain_and_offset() -> None:
    pixels = np.random.default_rng(0).normal(size=(50, 40))
    np.testing.assert_allclose(windowed(pixels), windowed(5 * pixels + 3), atol=1e-5)


def test_warping_by_the_identity_changes_nothing() -> None:
    image = torch.rand(1, 7, 5)
    torch.testing.assert_close(warp(image, np.eye(3), (7, 5)), image, atol=1e-5, rtol=0)


def test_warping_shifts_whole_pixels_exactly_and_fills_the_rest() -> None:
    image = torch.rand(1, 6, 8)
    moved = warp(image, translation(2, 1), (9, 12), fill=0.25)
    torch.testing.assert_close(moved[0, 1:7, 2:10], image[0], atol=1e-5, rtol=0)
    assert moved[0, 0].tolist() == pytest.approx([0.25] * 12)
    assert moved[0, :, 11].tolist() == pytest.approx([0.25] * 9)


def test_warping_turns_clockwise_on_the_screen() -> None:
    image = torch.zeros(1, 9, 9)
    image[0, 4, 7] = 1  # right of the middle
    about_middle = translation(4, 4) @ rotation(90) @ translation(-4, -4)
    turned = warp(image, about_middle, (9, 9))
    assert turned[0, 7, 4].item() == pytest.approx(1, abs=1e-4)  # below the middle
    assert turned.sum().item() == pytest.approx(1, abs=1e-3)


def test_large_shrinking_averages() -> None:
    """A checkerboard of 2 px becomes gray; taking the pixels under the new centers would leave black and white."""
    rows, columns = np.mgrid[:640, :640] // 2
    board = torch.from_numpy(((rows + columns) % 2).astype(np.float32))[None]
    small = warp(board, scaling(0.1, 0.1), (64, 64))[0, 2:-2, 2:-2]
    assert small.mean().item() == pytest.approx(0.5, abs=0.01)
    assert small.std().item() < 0.02


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


@pytest.mark.parametrize(("height", "width"), [(64, 48), (3, 2), (40, 200), (200, 40)])
def test_local_contrast_stays_in_0_to_1_and_keeps_the_callers_image(height: int, width: int) -> None:
    image = torch.rand(1, height, width)
    before = image.clone()
    result = local_contrast(image)
    assert result.shape == image.shape
    assert result.min() >= 0
    assert result.max() <= 1
    assert torch.equal(image, before)


def test_local_contrast_is_middle_gray_where_nothing_differs() -> None:
    torch.testing.assert_close(
        local_contrast(torch.full((1, 40, 30), 0.8)), torch.full((1, 40, 30), 0.5), atol=0.02, rtol=0
    )


def test_local_contrast_makes_faint_edges_strong() -> None:
    image = torch.full((1, 64, 64), 0.5)
    image[..., 32:] = 0.6
    result = local_contrast(image)
    assert (result[0, 32, 33] - result[0, 32, 30]) > 0.3


@pytest.mark.parametrize(("probability", "changes"), [(0.0, False), (1.0, True)])
def test_gray_value_changes_happen_with_their_probability(probability: float, changes: bool) -> None:
    image = torch.rand(1, 20, 20)
    data = {IMAGE: image}
    for transform in (RandInvertd(IMAGE, probability), RandLocalContrastd(IMAGE, probability)):
        before = image.clone()
        result = transform(data)[IMAGE]
        assert torch.equal(result, before) is not changes
        assert torch.equal(image, before)
    if changes:
        torch.testing.assert_close(RandInvertd(IMAGE, 1.0)(data)[IMAGE], 1 - image)


def test_batches_get_only_what_they_need() -> None:
    data = {IMAGE: np.zeros((1, 2, 2)), LABEL: np.zeros((17, 5, 3)), MATRIX: np.eye(3), "path": "a"}
    result = ToTensorsd()(data)
    assert {key: value.dtype for key, value in result.items()} == {
        IMAGE: torch.float32,
        LABEL: torch.float32,
        MATRIX: torch.float64,
    }
    assert set(ToTensorsd()({IMAGE: np.zeros((1, 2, 2)), MATRIX: np.eye(3)})) == {IMAGE, MATRIX}
