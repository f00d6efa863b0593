"""Patches made in whole batches: where they lie, what they teach."""

import numpy as np
import pytest
import torch

from lib.learning.codec import ABSENT, PRESENT, STATE, UNKNOWN, UNNAMED
from lib.learning.config import load_config
from lib.learning.data.image_views import vertebra_frames
from lib.learning.training.batches.affine import inverse
from lib.learning.training.batches.image_bank import ImageBank
from lib.learning.training.batches.patches import BatchPatches, batch_frames, corner_rows, mirrored_patches
from lib.learning.training.batches.random_draws import BatchRandom
from lib.spine.schema import CORNERS, POINTS, VERTEBRAE

CPU = torch.device("cpu")
CONFIG = load_config()
COUNT = len(VERTEBRAE)


def bent(seed: int) -> np.ndarray:
    """``(V, 2)`` centers."""
    random = np.random.default_rng(seed)
    y = 40 + np.cumsum(random.uniform(28, 45, COUNT))
    return np.stack([150 + 30 * np.sin(y / 150) + random.normal(0, 1, COUNT), y], 1)


@pytest.mark.parametrize("row", [slice(0, COUNT), slice(3, 9), slice(0, 2), slice(COUNT - 5, COUNT)])
def test_frames_are_those_of_single_spines(row: slice) -> None:
    centers = np.stack([bent(seed) for seed in range(3)])
    centers[1, 4] = centers[1, 5] + 0.5  # two bodies nearly in one place
    random = np.random.default_rng(7)
    scale, turn = random.uniform(0.9, 1.1, (3, COUNT)), random.normal(0, 0.1, (3, COUNT))
    is_there = np.zeros((3, COUNT), bool)
    is_there[:, row] = True
    hidden = np.where(is_there[..., None], centers, 1e4)
    found = batch_frames(
        *map(torch.from_numpy, (hidden, is_there)), CONFIG.refiner, *map(torch.from_numpy, (scale, turn))
    )
    for number in range(3):
        wanted = vertebra_frames(centers[number, row], CONFIG.refiner, scale[number, row], turn[number, row])
        np.testing.assert_allclose(found[number, row].numpy(), wanted[:, :2], rtol=1e-6, atol=1e-6)


def patches_of(seed: int, taught: bool = True) -> BatchPatches:
    """Patches of an image with a bright spot at every right upper corner; T1 and T2 have no corners."""
    centers = bent(0)
    arms = np.array([(-18, -11), (20, -11), (-18, 11), (20, 11)])
    corners = centers[:, None] + arms
    y, x = np.mgrid[:800, :300]
    image = np.zeros((800, 300))
    for spot in corners[:, CORNERS.index("TR")]:
        image = np.maximum(image, np.exp(-((x - spot[0]) ** 2 + (y - spot[1]) ** 2) / 12))
    rows = np.ones((1, COUNT), bool)
    rows[0, :2] = False
    bank = ImageBank([(image * 255).astype(np.uint8)], CPU)
    return BatchPatches(
        bank,
        torch.from_numpy(corners[None]),
        torch.from_numpy(rows),
        torch.from_numpy(rows & taught),
        CONFIG.refiner,
        CONFIG.refiner_augmentation,
        BatchRandom(CPU, seed),
    )


def test_spots_of_the_image_lie_at_the_targets() -> None:
    patches = patches_of(1)
    index = torch.zeros(16, dtype=torch.long)
    frames, target = patches.placed(index)
    seen, _ = patches.bank.sample(index, inverse(frames), (CONFIG.refiner.height, CONFIG.refiner.width))
    mirrored = torch.linalg.det(frames[:, 5, :, :2]) < 0
    assert 0 < int(mirrored.sum()) < 16
    for image, corners, is_mirrored in zip(seen[:, 2:], target[:, 2:], mirrored.tolist(), strict=True):
        name = "TL" if is_mirrored else "TR"
        for patch, (x, y) in zip(image, corners[:, CORNERS.index(name)].round().long().tolist(), strict=True):
            if 0 <= x < CONFIG.refiner.width and 0 <= y < CONFIG.refiner.height:
                assert float(patch[y, x]) > 0.6


def test_a_batch_teaches_what_is_taught_and_depends_on_nothing_but_the_seed() -> None:
    index = torch.zeros(3, dtype=torch.long)
    first, second = patches_of(4)(index), patches_of(4)(index)
    for one, other in zip(first, second, strict=True):
        torch.testing.assert_close(one, other)
    assert first.patches.shape == (3, COUNT, CONFIG.refiner.height, CONFIG.refiner.width)
    assert bool(torch.isfinite(first.patches).all() and torch.isfinite(first.target).all())
    assert not bool(first.is_there[:, :2].any())
    assert float(first.patches[:, :2].abs().max()) == 0.0
    assert float(first.is_known[:, 2:].mean()) > 0.9
    assert float(patches_of(4, taught=False)(index).is_known.sum()) == 0.0


def test_mirrored_patches_are_mirrored_twice_the_same() -> None:
    batch = patches_of(2)(torch.zeros(3, dtype=torch.long))
    other = mirrored_patches(batch)
    torch.testing.assert_close(other.patches, batch.patches.flip(-1))
    left, right = CORNERS.index("BL"), CORNERS.index("BR")
    torch.testing.assert_close(other.target[:, :, left, 0], CONFIG.refiner.width - 1 - batch.target[:, :, right, 0])
    torch.testing.assert_close(mirrored_patches(other).target, batch.target)


def label_of(state: float) -> np.ndarray:
    """``(V, P, 3)`` with all points in one state."""
    label = np.random.default_rng(0).uniform(1, 90, (COUNT, len(POINTS), 3))
    label[..., STATE] = state
    return label


def test_patches_are_laid_on_the_longest_row_whose_corners_have_places() -> None:
    label = label_of(PRESENT)
    label[4] = (0, 0, ABSENT)
    label[12, POINTS.index("BL")] = (0, 0, UNKNOWN)
    label[8, 1:, STATE] = UNKNOWN  # places that are not learnt
    row, taught = corner_rows(label)
    assert np.flatnonzero(row).tolist() == [5, 6, 7, 8, 9, 10, 11]
    assert np.flatnonzero(taught).tolist() == [5, 6, 7, 9, 10, 11]


def test_a_label_of_centers_has_no_row() -> None:
    label = label_of(UNNAMED)
    label[:, 1:] = (0, 0, UNKNOWN)
    assert not corner_rows(label)[0].any()
