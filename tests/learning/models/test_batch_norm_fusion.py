from __future__ import annotations

import pytest
import torch
from torch import nn

from lib.learning.config import load_config
from lib.learning.models.batch_norm_fusion import fold_norms
from lib.learning.models.corner_net import CornerNet
from lib.learning.models.landmark_net import LandmarkNet


def _after_training(network: nn.Module) -> nn.Module:
    """The network with norms that do something, in evaluation mode."""
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.uniform_(part.bias, -0.5, 0.5)
            nn.init.uniform_(part.running_mean, -0.5, 0.5)
            nn.init.uniform_(part.running_var, 0.5, 1.5)
    return network.eval()


@pytest.mark.parametrize("kind", ["landmarks", "corners"])
def test_a_folded_network_says_the_same(kind: str) -> None:
    torch.manual_seed(0)
    config = load_config()
    if kind == "landmarks":
        network, shown = _after_training(LandmarkNet(config.network)), torch.rand(1, 1, 128, 64)
    else:
        size = config.refiner.height, config.refiner.width
        network, shown = _after_training(CornerNet(config.refiner)), torch.rand(1, 17, *size)
    with torch.inference_mode():
        before = network(shown)
        folded = fold_norms(network)
        for old, new in zip(before, folded(shown), strict=True):
            assert torch.allclose(old, new, rtol=1e-3, atol=1e-3 * float(old.abs().max()))
    norms = [part for part in folded.modules() if isinstance(part, nn.BatchNorm2d)]
    assert len(norms) <= 1


def test_a_network_in_training_is_not_folded() -> None:
    with pytest.raises(ValueError, match="evaluation mode"):
        fold_norms(nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1)))
