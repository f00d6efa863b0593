"""Where to compute."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lib.learning.config import load_config
from lib.learning.models.corner_net import CornerNet
from lib.learning.models.devices import choose_device, fold_norms, has_fast_bfloat16, on_device
from lib.learning.models.landmark_net import LandmarkNet

CPU = torch.device("cpu")


def test_devices_are_chosen_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_device("cpu") == CPU
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert choose_device() == torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert choose_device() == CPU
    for name in ("cuda", "cuda:0"):
        with pytest.raises(ValueError, match=f"device '{name}' is not available here"):
            choose_device(name)


@pytest.mark.parametrize("name", ["gpu", "", "cpu:x", "mps", "meta"])
def test_an_unknown_or_absent_device_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="device"):
        choose_device(name)


def test_half_width_arithmetic_is_a_fact_of_the_device() -> None:
    assert isinstance(has_fast_bfloat16(CPU), bool)


def test_a_network_on_a_device_is_itself_with_channels_last() -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU())
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    moved = on_device(network, CPU)
    assert isinstance(moved, torch.nn.Sequential)
    assert moved[0].weight.is_contiguous(memory_format=torch.channels_last)
    for name, tensor in moved.state_dict().items():
        assert tensor.device == CPU
        torch.testing.assert_close(tensor, before[name])


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
