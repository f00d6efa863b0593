"""Averages of weights over the steps of a training."""

from __future__ import annotations

import pytest
import torch
from torch.optim.swa_utils import AveragedModel

from lib.learning.training.averaging import Average, all_finite, averaging, kept_share


def test_averages_follow_quickly_at_first_and_take_statistics_in() -> None:
    network = torch.nn.BatchNorm1d(2)
    average, reference = Average(network, 0.9), AveragedModel(network, avg_fn=averaging(0.9), use_buffers=True)
    value, copied = network.weight.detach().clone(), torch.zeros(2)
    for number in range(1, 40):
        with torch.no_grad():
            network.weight.fill_(float(number))
            network.running_mean.fill_(-float(number))
            network.num_batches_tracked.fill_(number)
        value = torch.lerp(value, network.weight.detach(), 1 - kept_share(0.9, number - 1))
        copied = torch.lerp(copied, network.weight.detach(), 1 - kept_share(0.9, number - 1) if number > 1 else 1.0)
        average.update()
        reference.update_parameters(network)
    torch.testing.assert_close(average.module.weight, value)
    assert float(average.module.running_mean[0]) < -20
    assert int(average.module.num_batches_tracked) == 39
    assert all_finite(average.module)
    torch.testing.assert_close(reference.module.weight.detach(), copied)  # it begins with a copy
    average.restore()
    torch.testing.assert_close(network.weight.detach(), value)


def test_what_is_not_finite_leaves_the_average_as_it_is() -> None:
    network = torch.nn.BatchNorm1d(3)
    average = Average(network, 0.9)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([torch.nan, 3.0, torch.inf]))
        network.running_mean.fill_(torch.nan)
    average.update()
    assert not all_finite(network)
    torch.testing.assert_close(average.module.weight, torch.tensor([1.0, 2.8, 1.0]))
    assert (average.module.running_mean == 0).all()


def test_the_kept_share_rises_to_the_decay() -> None:
    shares = [kept_share(0.99, steps) for steps in (0, 10, 100, 10_000)]
    assert shares == [0.1, pytest.approx(0.55), pytest.approx(101 / 110), 0.99]
