"""Sampling images of a bank: places, levels, borders."""

import numpy as np
import pytest
import torch

from lib.learning.training.batches.image_bank import ImageBank

CPU = torch.device("cpu")
PLAIN = torch.tensor([[1.0, 0, 0], [0, 1.0, 0]])


def ramp(height: int, width: int) -> np.ndarray:
    """Gray values 2 x + y."""
    y, x = np.mgrid[:height, :width]
    return (2 * x + y).astype(np.uint8)


def test_an_image_sampled_as_it_is_has_its_pixels() -> None:
    images = [ramp(20, 30), ramp(40, 24)]
    bank = ImageBank(images, CPU)
    seen, places = bank.sample(torch.tensor([1, 0]), PLAIN.expand(2, 1, 2, 3), (20, 24))
    np.testing.assert_allclose(seen[0, 0].numpy() * 255, images[1][:20], atol=1e-3)
    np.testing.assert_allclose(seen[1, 0].numpy() * 255, images[0][:, :24], atol=1e-3)
    np.testing.assert_allclose(places[0, 0, 3, 5].numpy(), (5, 3))


def test_places_between_pixels_are_interpolated_and_those_outside_are_as_the_border() -> None:
    bank = ImageBank([ramp(20, 30)], CPU)
    back = torch.tensor([[[[1.0, 0, 0.25], [0, 1.0, 0.5]]]])
    seen, _ = bank.sample(torch.tensor([0]), back, (10, 10))
    assert float(seen[0, 0, 4, 6]) * 255 == pytest.approx(2 * 6.25 + 4.5, abs=1e-3)
    seen, _ = bank.sample(torch.tensor([0]), torch.tensor([[[[1.0, 0, -50], [0, 1.0, -50]]]]), (4, 4))
    assert float(seen.abs().max()) * 255 == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize("zoom", [2.0, 3.0, 8.0])
def test_a_shrinking_view_averages_and_stays_in_place(zoom: float) -> None:
    bank = ImageBank([ramp(64, 80)], CPU)
    shift = (zoom - 1) / 2
    back = torch.tensor([[[[zoom, 0, shift], [0, zoom, shift]]]])
    seen, _ = bank.sample(torch.tensor([0]), back, (8, 8))
    middle = 3 * zoom + shift
    assert float(seen[0, 0, 3, 3]) * 255 == pytest.approx(3 * middle, abs=0.6)
    checkered = ((np.indices((64, 64)).sum(0) % 2) * 255).astype(np.uint8)
    gray, _ = ImageBank([checkered], CPU).sample(torch.tensor([0]), back, (7, 7))
    assert float((gray[0, 0, 1:-1, 1:-1] - 0.5).abs().max()) < 0.02


def test_coarser_views_lose_details_and_an_unknown_matrix_shows_nothing_infinite() -> None:
    checkered = ((np.indices((64, 64)).sum(0) % 2) * 255).astype(np.uint8)
    bank = ImageBank([checkered], CPU)
    back = torch.stack([PLAIN, torch.full((2, 3), torch.nan)])[None]
    seen, _ = bank.sample(torch.tensor([0]), back, (16, 16), torch.tensor([2.5]))
    assert float((seen[0, 0] - 0.5).abs().max()) < 0.2
    assert bool(torch.isfinite(seen).all())


def test_images_of_another_type_are_refused() -> None:
    with pytest.raises(ValueError, match="type uint8"):
        ImageBank([np.zeros((4, 4))], CPU)
    with pytest.raises(ValueError, match="type uint8"):
        ImageBank([], CPU)
