"""Averages of weights and statistics over the steps of a training."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import torch


def kept_share(decay: float, steps: int) -> float:
    """Share of an exponential average that a step keeps: little at first, so that the random start is forgotten.

    Args:
        decay: what it rises to.
        steps: done before.
    """
    return min(decay, (1 + steps) / (10 + steps))


def averaging(decay: float) -> Callable[[torch.Tensor, torch.Tensor, torch.Tensor | int], torch.Tensor]:
    """That average as the ``avg_fn`` of an ``AveragedModel``."""

    def average(averaged: torch.Tensor, current: torch.Tensor, steps: torch.Tensor | int) -> torch.Tensor:
        return averaged + (current - averaged) * (1 - kept_share(decay, int(steps)))

    return average


def all_finite(network: torch.nn.Module) -> bool:
    """Whether all weights and statistics of a network are finite numbers."""
    return all(bool(value.isfinite().all()) for value in network.state_dict().values())


class Average:
    """The same average of a network on one device, which no step waits for.

    Args:
        network: that is averaged, statistics of its batch norms included.
        decay: per step.

    Attributes:
        module: the average, in evaluation mode.
        steps: taken in so far.
    """

    def __init__(self, network: torch.nn.Module, decay: float) -> None:
        self.network, self.decay, self.steps = network, decay, 0
        self.module = deepcopy(network).eval()
        for parameter in self.module.parameters():
            parameter.requires_grad_(False)
        pairs = list(zip(self.module.state_dict().values(), network.state_dict().values(), strict=True))
        self._floats = [pair for pair in pairs if pair[0].is_floating_point()]
        self._others = [pair for pair in pairs if not pair[0].is_floating_point()]

    @torch.no_grad()
    def update(self) -> None:
        """Take in the present weights; those that are not finite leave the average as it is."""
        keep = kept_share(self.decay, self.steps)
        self.steps += 1
        averaged = [one for one, _ in self._floats]
        current = [torch.where(other.isfinite(), other, one) for one, other in self._floats]
        torch._foreach_lerp_(averaged, current, 1 - keep)
        for counter, other in self._others:
            counter.copy_(other)

    @torch.no_grad()
    def restore(self) -> None:
        """Put the averaged weights back into the network."""
        self.network.load_state_dict(self.module.state_dict())
