"""The landmark network: maps, gradients, size."""

from __future__ import annotations

import pytest
import torch

from lib.learning.config import NetworkConfig
from lib.learning.hrnet import PRESETS
from lib.learning.network import HEATMAP_BIAS, Fusion, LandmarkNet, head


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(("height", "width"), [(64, 32), (96, 64)])
def test_maps_have_one_cell_per_four_pixels(preset: str, height: int, width: int) -> None:
    torch.set_num_threads(1)
    network = LandmarkNet(NetworkConfig(preset, 16)).eval()
    with torch.inference_mode():
        maps = network(torch.zeros(2, 1, height, width))
    h, w = height // 4, width // 4
    assert maps.heatmap.shape == (2, 17, h, w)
    assert maps.offset.shape == (2, 2, h, w)
    assert maps.corner_offset.shape == (2, 8, h, w)


def test_gradient_reaches_every_parameter() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = LandmarkNet(NetworkConfig("w18_small", 16))
    sum(m.square().mean() for m in network(torch.rand(2, 1, 64, 64))).backward()
    without = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []


@pytest.mark.parametrize(("preset", "count"), [("w18_small", 4_014_091), ("w18", 9_715_631)])
def test_the_number_of_parameters_is_guarded(preset: str, count: int) -> None:
    """Counted from this implementation: a change means that stored weights no longer fit."""
    assert sum(p.numel() for p in LandmarkNet(NetworkConfig(preset, 64)).parameters()) == count


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(ValueError, match=r"network\.preset must be one of w18_small, w18, got 'w48'"):
        LandmarkNet(NetworkConfig("w48", 16))


def test_a_fresh_network_doubts_everything_equally() -> None:
    torch.manual_seed(0)
    with torch.inference_mode():
        maps = LandmarkNet(NetworkConfig("w18_small", 16)).train()(torch.rand(2, 1, 64, 64))
    torch.testing.assert_close(maps.heatmap, torch.full_like(maps.heatmap, HEATMAP_BIAS), atol=0.2, rtol=0)
    assert maps.offset.abs().max() < 0.2
    assert torch.tensor(HEATMAP_BIAS).sigmoid().item() == pytest.approx(0.1, abs=0.001)


def test_evaluation_does_not_depend_on_the_batch_and_leaves_the_image_alone() -> None:
    torch.manual_seed(0)
    network = LandmarkNet(NetworkConfig("w18_small", 16)).eval()
    image = torch.rand(2, 1, 64, 32)
    before = image.clone()
    with torch.inference_mode():
        both, one = network(image), network(image[1:])
    torch.testing.assert_close(image, before)
    for a, b in zip(both, one, strict=True):
        torch.testing.assert_close(a[1:], b, atol=1e-5, rtol=1e-4)


def test_fusion_uses_every_branch() -> None:
    torch.manual_seed(0)
    branches = [torch.randn(2, c, s, s, requires_grad=True) for c, s in ((2, 8), (4, 4), (8, 2))]
    fused = Fusion((2, 4, 8), 5)(branches)
    assert fused.shape == (2, 5, 8, 8)
    fused.square().sum().backward()
    assert all(b.grad is not None and b.grad.abs().sum() > 0 for b in branches)


@pytest.mark.parametrize("last_kernel", [1, 7])
def test_a_head_keeps_the_size(last_kernel: int) -> None:
    layers = head(6, 3, last_kernel)
    assert layers(torch.zeros(1, 6, 9, 5)).shape == (1, 3, 9, 5)
    assert layers[-1].kernel_size == (last_kernel, last_kernel)
