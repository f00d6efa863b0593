"""Changes of gray values for whole batches."""

import numpy as np
import pytest
import torch

from lib.learning.training.batches import photometry
from lib.learning.training.batches.random_draws import BatchRandom

CPU = torch.device("cpu")


def smooth_images(seed: int = 0, count: int = 4) -> torch.Tensor:
    """Smooth random images ``(B, 1, 48, 40)``."""
    coarse = torch.rand(count, 1, 6, 5, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, size=(48, 40), mode="bilinear")


def test_blur_keeps_the_mean_and_takes_as_much_detail_as_it_is_wide() -> None:
    spot = torch.zeros(2, 1, 21, 21)
    spot[:, :, 10, 10] = 1.0
    seen = photometry.blurred(spot, torch.tensor([0.5, 1.5]))
    torch.testing.assert_close(seen.sum((1, 2, 3)), torch.ones(2), atol=1e-3, rtol=0)
    y = torch.arange(21.0) - 10
    spread = (seen.sum(-1)[:, 0] * y.square()).sum(1).sqrt()
    assert float(spread[0]) == pytest.approx(0.5, abs=0.1)
    assert float(spread[1]) == pytest.approx(1.5, abs=0.1)


def test_windowing_ignores_what_is_not_of_the_image() -> None:
    images = 0.2 + 0.3 * smooth_images()
    within = torch.ones_like(images, dtype=torch.bool)
    within[..., 20:, :] = False
    images[..., 20:, :] = 1.0
    seen = photometry.rewindowed(images, within)[..., :20, :]
    assert float(seen.amin()) == 0.0
    assert float(seen.amax((1, 2, 3)).min()) > 0.95


def test_lines_are_drawn_where_they_are_and_nowhere_else() -> None:
    images = torch.zeros(2, 1, 40, 60)
    segments = torch.tensor([[[[5.0, 10, 50, 10], [torch.nan] * 4]], [[[30.0, 5, 30, 35], [10.0, 30, 10, 30]]]])
    radius = torch.tensor([[1.0, 1.0], [2.0, 4.0]])
    seen = photometry.drawn(images, segments, radius, torch.tensor([1.0, 0.5]), torch.ones(2))
    assert float(seen[0, 0, 10, 30]) == 1.0
    assert float(seen[0, 0, 14, 30]) == 0.0
    assert float(seen[1, 0, 20, 31]) == 0.5
    assert float(seen[1, 0, 33, 10]) == 0.5
    assert float(seen[1, 0, 20, 50]) == 0.0
    assert 80 < float(seen[0].sum()) < 110  # about twice as wide as the radius, 45 long


def test_rods_follow_the_bodies_and_lie_beside_their_middles() -> None:
    y = torch.arange(10) * 30.0 + 20
    arms = torch.tensor([[-20.0, -10], [20, -10], [-20, 10], [20, 10]])
    corners = (torch.stack([torch.full((10,), 100.0), y], -1)[:, None] + arms).expand(5, -1, -1, -1)
    below = torch.nn.functional.pad(corners.mean(2)[:, 1:], (0, 0, 0, 1), value=torch.nan)
    segments, radius = photometry.implants(corners, below, BatchRandom(CPU, 0))
    assert segments.shape == (5, 10, 6, 4)
    assert bool((radius > 0).all())
    rods = segments[:, :, [0, 3]]
    there = torch.isfinite(rods).all(-1)
    assert bool(there.flatten(1).any(1).all())
    assert not bool(there.all())
    off = (rods[..., 0] - 100).abs()[there] / 20
    assert float(off.min()) >= 0.35 - 1e-5
    assert float(off.max()) <= 0.7 + 1e-5


@pytest.mark.parametrize("name", ["hazed", "faded_end", "lined"])
def test_changes_keep_shape_and_depend_on_the_seed(name: str) -> None:
    images, change = smooth_images(), getattr(photometry, name)
    first, second, third = (change(images, BatchRandom(CPU, seed)) for seed in (1, 1, 2))
    assert first.shape == images.shape
    torch.testing.assert_close(first, second)
    assert float((first - third).abs().max()) > 0.01
    assert float((first - images).abs().max()) > 0.01


def test_noise_of_a_low_dose_has_no_mean_and_rectangles_cover_one_view_of_an_image() -> None:
    random = BatchRandom(CPU, 0)
    even = torch.full((6, 3, 40, 40), 0.5)
    noisy = photometry.grainy(even, random, 0.2)
    assert float(noisy.mean()) == pytest.approx(0.5, abs=0.01)
    assert float(noisy.std()) > 0.03
    covered = (photometry.covered(even, random, 8, 16) != 0.5).flatten(2).any(-1)
    np.testing.assert_array_equal(covered.sum(1).numpy(), np.ones(6))


def test_a_share_of_a_batch_is_changed() -> None:
    random = BatchRandom(CPU, 3)
    counts = [len(random.some(0.3, 10)) for _ in range(200)]
    assert set(counts) == {3}
    assert 3.2 < np.mean([len(random.some(0.35, 10)) for _ in range(400)]) < 3.8
    images = torch.zeros(10, 1, 4, 4)
    changed = photometry.changed(images, random.some(0.5, 10), lambda part, which: part + 1 + which.view(-1, 1, 1, 1))
    values = changed[:, 0, 0, 0]
    assert int((values > 0).sum()) == 5
    assert all(value in (0.0, number + 1.0) for number, value in enumerate(values.tolist()))
