"""Where to compute."""

from __future__ import annotations

import pytest
import torch

from lib.learning.models.devices import choose_device, has_fast_bfloat16, on_device

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
