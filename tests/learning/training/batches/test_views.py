"""Views made in whole batches: image and points move together, cuts hide points, seeds tell everything."""

import dataclasses

import numpy as np
import pytest
import torch

from lib.learning.codec import ABSENT, PRESENT, STATE, UNKNOWN
from lib.learning.config import AugmentationConfig, load_config
from lib.learning.training.batches.affine import inverse
from lib.learning.training.batches.image_bank import ImageBank
from lib.learning.training.batches.random_draws import BatchRandom
from lib.learning.training.batches.views import BatchViews, mirrored_views
from lib.spine.schema import POINTS, VERTEBRAE

CPU = torch.device("cpu")
CONFIG = load_config()
SIZE = (CONFIG.input.height, CONFIG.input.width)


def spine_label(height: int, width: int) -> np.ndarray:
    """A bent spine; T1 and L5 are wider to one side, so that mirror images differ."""
    label = np.zeros((len(VERTEBRAE), len(POINTS), 3))
    label[..., STATE] = PRESENT
    y = np.linspace(0.1, 0.9, len(VERTEBRAE)) * height
    x = width * (0.45 + 0.1 * np.sin(np.linspace(0, 3, len(VERTEBRAE))))
    arms = np.array([(0, 0), (-14, -9), (18, -9), (-14, 9), (18, 9)])
    label[..., :STATE] = np.stack([x, y], 1)[:, None] + arms
    return label


def dotted(label: np.ndarray, height: int, width: int) -> np.ndarray:
    """An image with a bright spot at every right upper corner."""
    y, x = np.mgrid[:height, :width]
    image = np.zeros((height, width))
    for spot in label[:, POINTS.index("TR"), :STATE]:
        image = np.maximum(image, np.exp(-((x - spot[0]) ** 2 + (y - spot[1]) ** 2) / 40))
    return (image * 255).astype(np.uint8)


def views_of(seed: int, **ranges: object) -> BatchViews:
    """Views of a spine of 700 x 300 pixels and of an image without one."""
    label = spine_label(700, 300)
    bare = np.zeros_like(label)
    bare[..., STATE] = ABSENT
    bank = ImageBank([dotted(label, 700, 300), np.full((500, 260), 90, np.uint8)], CPU)
    config: AugmentationConfig = dataclasses.replace(CONFIG.augmentation, **ranges)  # type: ignore[arg-type]
    labels = torch.from_numpy(np.stack([label, bare]))
    return BatchViews(bank, labels, CONFIG.input, config, BatchRandom(CPU, seed))


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_spots_of_the_image_lie_at_the_points_of_the_label(flip: float) -> None:
    views = views_of(3, flip_probability=flip, whole_probability=1.0)
    index = torch.zeros(12, dtype=torch.long)
    matrix, label, _, _ = views.placed(index)
    seen, _ = views.bank.sample(index, inverse(matrix)[:, None], SIZE)
    name = "TL" if flip else "TR"  # a mirrored right corner is a left one
    checked = 0
    for image, points in zip(seen[:, 0], label[:, :, POINTS.index(name), :STATE].round().long(), strict=True):
        for x, y in points.tolist():
            if 0 <= x < SIZE[1] and 0 <= y < SIZE[0]:
                assert float(image[y, x]) > 0.6
                checked += 1
    assert checked > 150


def test_the_spine_has_the_height_that_is_asked_for() -> None:
    views = views_of(0, whole_probability=1.0, near_span=(0.7, 0.7), rotation_deg=0.0, stretch=0.0)
    _, label, _, _ = views.placed(torch.zeros(8, dtype=torch.long))
    centers = label[:, :, 0]
    height = centers[:, -1, 1] - centers[:, 0, 1]
    torch.testing.assert_close(height, torch.full((8,), 0.7 * SIZE[0]), rtol=1e-4, atol=1e-2)


def test_a_deep_cut_makes_bodies_absent_and_keeps_what_nobody_knows() -> None:
    views = views_of(1, deep_cut_probability=1.0, whole_probability=0.0)
    views.labels[0, 3, :, STATE] = UNKNOWN
    _, label, limits, _ = views.placed(torch.zeros(40, dtype=torch.long))
    absent = (label[:, :, 0, STATE] == ABSENT).sum(1)
    assert int(absent.max()) >= 2
    assert int(absent.max()) <= 8
    assert bool((label[:, 3, 0, STATE] == UNKNOWN).all())
    assert bool((limits[:, 1] > limits[:, 0]).all())


def test_a_batch_has_images_of_input_size_and_depends_on_nothing_but_the_seed() -> None:
    index = torch.tensor([0, 1] * 3)
    first, second, third = (views_of(seed)(index) for seed in (5, 5, 6))
    assert first[0].shape == (6, 1, *SIZE)
    assert bool(torch.isfinite(first[0]).all())
    torch.testing.assert_close(first[0], second[0])
    torch.testing.assert_close(first[1], second[1])
    assert float((first[0] - third[0]).abs().max()) > 0.1
    assert bool((first[1][1::2, ..., STATE] == ABSENT).all())


def test_mirrored_views_are_mirrored_twice_the_same() -> None:
    images, label = views_of(2)(torch.zeros(3, dtype=torch.long))
    other, other_label = mirrored_views(images, label)
    torch.testing.assert_close(other, images.flip(-1))
    again, again_label = mirrored_views(other, other_label)
    torch.testing.assert_close(again, images)
    torch.testing.assert_close(again_label, label, atol=1e-3, rtol=0)
    left, right = POINTS.index("TL"), POINTS.index("TR")
    torch.testing.assert_close(other_label[:, :, left, 0], SIZE[1] - 1 - label[:, :, right, 0])
