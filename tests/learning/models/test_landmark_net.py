"""The landmark network: maps, gradients, size."""

from __future__ import annotations

import pytest
import torch

from lib.learning.config import DEFAULT_WEIGHTS_FILE, NetworkConfig
from lib.learning.models.hrnet import SqueezeExcitation
from lib.learning.models.landmark_net import HEATMAP_BIAS, Fusion, LandmarkNet, head
from lib.learning.weights.weight_files import build_network, load_weights


@pytest.mark.parametrize(
    ("preset", "height", "width"), [("w18_small", 64, 32), ("w18_small", 96, 160), ("w18", 64, 32)]
)
def test_maps_have_one_cell_per_four_pixels(preset: str, height: int, width: int) -> None:
    torch.set_num_threads(1)
    network = LandmarkNet(NetworkConfig(preset, 16)).eval()
    with torch.inference_mode():
        maps = network(torch.zeros(2, 1, height, width))
    h, w = height // 4, width // 4
    assert maps.heatmap.shape == (2, 17, h, w)
    assert maps.offset.shape == (2, 2, h, w)
    assert maps.corner_offset.shape == (2, 8, h, w)


def test_a_single_heatmap_changes_nothing_but_the_last_layer() -> None:
    many, one = (LandmarkNet(NetworkConfig("w18_small", 16, heatmap_channels=n)) for n in (17, 1))
    with torch.inference_mode():
        maps = one.eval()(torch.zeros(2, 1, 64, 32))
    assert [m.shape for m in maps] == [(2, 1, 16, 8), (2, 2, 16, 8), (2, 8, 16, 8)]
    shapes = [{name: tensor.shape for name, tensor in net.state_dict().items()} for net in (many, one)]
    assert shapes[0].keys() == shapes[1].keys()
    assert {n for n in shapes[0] if shapes[0][n] != shapes[1][n]} == {"heatmap.2.weight", "heatmap.2.bias"}


VARIANTS = {
    "plain": NetworkConfig("w18_small", 16),
    "squeeze and excitation": NetworkConfig("w18_small", 16, squeeze_excitation=True),
    "context": NetworkConfig("w18_small", 16, context_layers=1),
    "single heatmap": NetworkConfig("w18_small", 16, heatmap_channels=1),
}


@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS)
def test_gradient_reaches_every_parameter(config: NetworkConfig) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = LandmarkNet(config)
    with torch.no_grad():  # what starts at zero lets nothing through to what lies before it
        for parameter in network.backbone.context.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        for module in network.modules():
            if isinstance(module, SqueezeExcitation):
                module.squeeze.bias.fill_(1.0)  # few hidden channels: on two images all of them may be off
    sum(m.square().mean() for m in network(torch.rand(2, 1, 64, 64))).backward()
    without = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []


COUNTS = [
    (NetworkConfig("w18_small", 64), 4_014_091),
    (NetworkConfig("w18_small", 64, context_layers=2), 4_098_619),
    (NetworkConfig("w18_small", 64, squeeze_excitation=True), 4_054_447),
    (NetworkConfig("w18_small", 64, heatmap_channels=1), 4_013_051),
    (NetworkConfig("w18", 64), 9_715_631),
    (NetworkConfig("w32", 64), 29_472_347),
    (NetworkConfig("w48", 64), 65_507_291),
    (NetworkConfig("tiny", 64, context_layers=2), 243_939),
]


@pytest.mark.parametrize(("config", "count"), COUNTS, ids=[str(count) for _, count in COUNTS])
def test_the_number_of_parameters_is_guarded(config: NetworkConfig, count: int) -> None:
    """Counted from this implementation: a change means that stored weights no longer fit."""
    with torch.device("meta"):
        assert sum(p.numel() for p in LandmarkNet(config).parameters()) == count


def test_the_shipped_weights_fit() -> None:
    weights = load_weights(DEFAULT_WEIGHTS_FILE)
    assert (
        build_network(weights, DEFAULT_WEIGHTS_FILE).heatmap[-1].out_channels == weights.config.network.heatmap_channels
    )


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(ValueError, match=r"network\.preset must be one of w18_small, w18, w32, w48, tiny, got 'w64'"):
        LandmarkNet(NetworkConfig("w64", 16))


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
