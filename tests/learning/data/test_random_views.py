"""Random views: sizes, positions, surroundings and gray values."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from monai.data import set_track_meta

from lib.learning.codec import ABSENT, PRESENT, UNKNOWN, UNNAMED
from lib.learning.config import AugmentationConfig, InputConfig, load_config
from lib.learning.data import IMAGE, LABEL, MATRIX
from lib.learning.data.image_views import local_contrast, warp
from lib.learning.data.random_views import (
    RandFitToInputd,
    RandInvertd,
    RandLocalContrastd,
)
from lib.learning.data.transforms import mirrored
from lib.spine.geometry import transform_points

INPUT = InputConfig(height=128, width=96)


@pytest.fixture(autouse=True)
def plain_tensors() -> Iterator[None]:
    """Training works on plain tensors."""
    set_track_meta(False)
    yield
    set_track_meta(True)


@pytest.fixture
def sample(ladder: np.ndarray) -> dict[str, Any]:
    """An image of 300 x 100 px with a straight spine and noise all over, never quite black."""
    label = np.concatenate([ladder, np.full((17, 5, 1), PRESENT)], -1)
    noise = torch.rand(1, 300, 100, generator=torch.Generator().manual_seed(0))
    return {IMAGE: 0.5 + 0.5 * noise, LABEL: label, MATRIX: np.eye(3)}


def random_view(**changes: Any) -> RandFitToInputd:
    """The random view of ``model.yaml`` with other ranges, of which none shows the whole image unless told."""
    return RandFitToInputd(INPUT, ranges(**changes))


def ranges(**changes: Any) -> AugmentationConfig:
    """The ranges of ``model.yaml`` but for these changes, and no view of the whole image unless told."""
    return dataclasses.replace(load_config().augmentation, **{"whole_probability": 0.0, **changes})


@pytest.mark.parametrize(("far", "low", "high"), [(0.0, 0.5, 0.9), (1.0, 0.2, 0.4)], ids=["near", "far"])
def test_the_spine_fills_its_share_of_the_height(sample: dict[str, Any], far: float, low: float, high: float) -> None:
    """Whatever the size of the image; turning and stretching would change the share by some per cent."""
    still = {"rotation_deg": 0.0, "stretch": 0.0, "cut_probability": 0.0}
    transform = random_view(far_probability=far, near_span=(0.5, 0.9), far_span=(0.2, 0.4), **still)
    shares = []
    for seed in range(40):
        transform.set_random_state(seed)
        y = transform(sample)[LABEL][:, 0, 1]
        shares.append((y[-1] - y[0]) / INPUT.height)
    assert low <= min(shares) < low + 0.3 * (high - low)
    assert high - 0.3 * (high - low) < max(shares) <= high


def test_the_spine_lies_anywhere_within_the_input(sample: dict[str, Any]) -> None:
    transform = random_view(far_probability=1.0, cut_probability=0.0, shift=0.0)
    middles = []
    for seed in range(40):
        transform.set_random_state(seed)
        centers = transform(sample)[LABEL][:, 0, :2]
        assert ((centers >= 0) & (centers <= (INPUT.width - 1, INPUT.height - 1))).all()
        middles.append(centers.mean(0))
    assert (np.ptp(middles, axis=0) > 0.3 * np.array([INPUT.width, INPUT.height])).all()


class Marked(RandFitToInputd):
    """Draws its surroundings but then shows -1 in their place."""

    def _surroundings(self, image: torch.Tensor) -> torch.Tensor:
        return torch.full_like(super()._surroundings(image), -1.0)


def test_cut_off_vertebrae_are_absent_and_only_those(sample: dict[str, Any]) -> None:
    transform = Marked(INPUT, ranges(cut_probability=1.0, shift=0.0))
    seen = []
    for seed in range(200):
        transform.set_random_state(seed)
        result = transform(sample)
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
def test_surroundings_lie_outside_the_image_only(sample: dict[str, Any], cut: float, background: float) -> None:
    changed = ranges(
        **{"cut_probability": cut, "deep_cut_probability": 0.0},
        **{"background_probability": background, "far_probability": 1.0},
    )
    plain, marked = RandFitToInputd(INPUT, changed), Marked(INPUT, changed)
    for seed in range(20):
        result = plain.set_random_state(seed)(sample)
        mark = marked.set_random_state(seed)(sample)
        np.testing.assert_array_equal(result[LABEL], mark[LABEL])
        np.testing.assert_array_equal(result[MATRIX], mark[MATRIX])
        is_image = mark[IMAGE] > -0.5
        assert torch.equal(result[IMAGE][is_image], mark[IMAGE][is_image])
        expected = warp(sample[IMAGE] if np.linalg.det(mark[MATRIX]) > 0 else sample[IMAGE].flip(-1), *unflipped(mark))
        torch.testing.assert_close(mark[IMAGE][is_image], expected[is_image])
        outside = result[IMAGE][~is_image]
        assert len(outside) > 100
        assert outside.min() >= 0
        assert outside.max() <= 1
        assert (len(outside.unique()) > 1) == (background == 1)
        if not cut:  # then what is outside is what the image does not cover
            covered = warp(torch.ones_like(sample[IMAGE]), *unflipped(mark))
            assert (covered[is_image] > 0).all()
            assert (covered[~is_image] < 1).all()


def unflipped(result: dict[str, Any]) -> tuple[np.ndarray, tuple[int, int]]:
    """Matrix from the image, mirrored where the view is, to the input; and the input's size."""
    mirror = np.array([[-1.0, 0, 99], [0, 1, 0], [0, 0, 1]])
    matrix = result[MATRIX] if np.linalg.det(result[MATRIX]) > 0 else result[MATRIX] @ mirror
    return matrix, (INPUT.height, INPUT.width)


def test_a_view_repeats_with_the_seed_and_leaves_the_image_alone(sample: dict[str, Any]) -> None:
    transform = random_view(cut_probability=0.7)
    before = {key: value.clone() if key == IMAGE else value.copy() for key, value in sample.items()}
    first = [transform.set_random_state(seed)(sample) for seed in (1, 2)]
    again = [transform.set_random_state(seed)(sample) for seed in (1, 2)]
    for a, b in zip(first, again, strict=True):
        assert torch.equal(a[IMAGE], b[IMAGE])
        np.testing.assert_array_equal(a[LABEL], b[LABEL])
    assert not torch.equal(first[0][IMAGE], first[1][IMAGE])
    assert torch.equal(sample[IMAGE], before[IMAGE])
    np.testing.assert_array_equal(sample[LABEL], before[LABEL])


@pytest.mark.parametrize("count", [1, 2, 13])
def test_views_take_spines_of_which_little_is_labelled(sample: dict[str, Any], count: int) -> None:
    sample[LABEL][count:] = (np.nan, np.nan, ABSENT)
    for seed in range(10):
        result = random_view().set_random_state(seed)(sample)
        assert torch.isfinite(result[IMAGE]).all()
        assert np.isfinite(result[LABEL][:count]).all()
        assert (result[LABEL][count:, :, 2] == ABSENT).all()


def test_random_views_show_most_of_the_spine(sample: dict[str, Any]) -> None:
    transform = random_view(shift=0.9, far_probability=0.0, near_span=(1.0, 1.5), cut_probability=0.0)
    for seed in range(20):
        transform.set_random_state(seed)
        centers = transform(sample)[LABEL][:, 0, :2]
        assert ((centers >= 0) & (centers <= (INPUT.width - 1, INPUT.height - 1))).all(-1).sum() >= 14


@pytest.mark.parametrize("cut", [0.0, 1.0])
def test_a_whole_view_shows_the_image_with_its_borders_on_black(sample: dict[str, Any], cut: float) -> None:
    """Where the image ends is what a person who cropped it said; structure and cuts would take that away."""
    transform = random_view(
        **{"whole_probability": 1.0, "cut_probability": cut, "deep_cut_probability": cut},
        **{"background_probability": 1.0, "far_probability": 1.0},
    )
    ends = 0
    for seed in range(20):
        result = transform.set_random_state(seed)(sample)
        is_mirrored = np.linalg.det(result[MATRIX]) < 0
        expected = warp(sample[IMAGE].flip(-1) if is_mirrored else sample[IMAGE], *unflipped(result))
        torch.testing.assert_close(result[IMAGE], expected)
        at = mirrored(sample)[LABEL] if is_mirrored else sample[LABEL]
        matrix = unflipped(result)[0]
        np.testing.assert_allclose(result[LABEL][..., :2], transform_points(matrix, at[..., :2]), atol=1e-9)
        assert (result[LABEL][..., 2] == PRESENT).all()
        beside = warp(torch.ones_like(sample[IMAGE]), *unflipped(result)) == 0
        assert (result[IMAGE][beside] == 0).all()
        ends += beside.any().item()
    assert ends >= 15  # of an image that is narrower than the input


def test_a_whole_view_is_never_far(sample: dict[str, Any]) -> None:
    still = {"rotation_deg": 0.0, "stretch": 0.0, "near_span": (0.5, 0.9), "far_span": (0.2, 0.4)}
    transform = random_view(whole_probability=1.0, far_probability=1.0, **still)
    shares = []
    for seed in range(20):
        y = transform.set_random_state(seed)(sample)[LABEL][:, 0, 1]
        shares.append((y[-1] - y[0]) / INPUT.height)
    assert min(shares) >= 0.5
    assert max(shares) <= 0.9


def test_whole_views_come_with_their_probability(sample: dict[str, Any]) -> None:
    """The others are known by their surroundings, which are marked and nearly always to be seen."""
    transform = Marked(INPUT, ranges(whole_probability=0.5, cut_probability=1.0))
    whole = [transform.set_random_state(seed)(sample)[IMAGE].min() > -0.5 for seed in range(60)]
    assert 20 <= sum(whole) <= 40


@pytest.mark.parametrize("whole", [0.0, 1.0])
def test_vertebrae_that_nobody_has_spoken_of_stay_so_whatever_the_view(sample: dict[str, Any], whole: float) -> None:
    """What is cut off becomes absent, but it is not known to be absent where nobody has looked."""
    sample[LABEL][:4] = (0.0, 0.0, UNKNOWN)  # beyond every cut
    sample[LABEL][16] = (50.0, 276.0, UNKNOWN)  # within most of them
    transform = random_view(whole_probability=whole, cut_probability=1.0, deep_cut_probability=0.5)
    mirrors, hidden = 0, 0
    for seed in range(40):
        result = transform.set_random_state(seed)(sample)
        mirrors += np.linalg.det(result[MATRIX]) < 0
        states = result[LABEL][..., 2]
        is_unknown = np.isin(np.arange(17), [*range(4), 16])
        assert (states[is_unknown] == UNKNOWN).all()
        assert np.isin(states[~is_unknown], (PRESENT, ABSENT)).all()
        hidden += (states == ABSENT).any()
    assert 5 <= mirrors <= 35
    assert (hidden > 0) == (whole == 0)


def test_unknown_vertebrae_do_not_count_when_a_view_is_sized(sample: dict[str, Any]) -> None:
    """T1 to T4 and L5 are missing: 11 steps of 16 px fill the share that the spine is to have."""
    sample[LABEL][:4] = (0.0, 0.0, UNKNOWN)
    sample[LABEL][16] = (7.0, 999.0, UNKNOWN)
    still = {"rotation_deg": 0.0, "stretch": 0.0, "far_probability": 0.0, "flip_probability": 0.0}
    transform = random_view(near_span=(0.6, 0.6), cut_probability=0.0, **still)
    for seed in range(5):
        result = transform.set_random_state(seed)(sample)
        y = result[LABEL][4:16, 0, 1]
        assert (y[-1] - y[0]) / INPUT.height == pytest.approx(0.6)
        assert result[MATRIX][0, 0] == pytest.approx(0.6 * 128 / (11 * 16))


@pytest.mark.parametrize("state", [PRESENT, UNNAMED])
def test_centers_count_with_or_without_a_name(sample: dict[str, Any], state: float) -> None:
    sample[LABEL][..., 2] = state
    still = {"rotation_deg": 0.0, "stretch": 0.0, "far_probability": 0.0, "flip_probability": 0.0}
    result = random_view(near_span=(0.6, 0.6), cut_probability=0.0, deep_cut_probability=0.0, **still)(sample)
    assert result[MATRIX][0, 0] == pytest.approx(0.6 * 128 / (16 * 16))
    assert (result[LABEL][..., 2] == state).all()


def test_a_spine_of_which_nothing_is_known_is_shown_as_an_image_without_one(sample: dict[str, Any]) -> None:
    sample[LABEL][:] = (0.0, 0.0, UNKNOWN)
    for seed in range(5):
        result = random_view(cut_probability=1.0).set_random_state(seed)(sample)
        assert torch.isfinite(result[IMAGE]).all()
        assert (result[LABEL][..., 2] == UNKNOWN).all()


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
