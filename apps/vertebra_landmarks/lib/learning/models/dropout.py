"""Dropout whose noise belongs to a sample: it does not depend on which other samples share its batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import nn
from torch.nn import functional as F

_generators: ContextVar[Sequence[torch.Generator] | None] = ContextVar("generators", default=None)


@contextmanager
def sample_noise(seeds: Sequence[int], device: torch.device) -> Iterator[None]:
    """Within it, dropout of a batch draws the noise of each sample from the seed of that sample.

    Args:
        seeds: one per sample of the batch.
        device: of the batch; devices of different kinds draw different numbers.
    """
    token = _generators.set([torch.Generator(device).manual_seed(seed) for seed in seeds])
    try:
        yield
    finally:
        _generators.reset(token)


def dropout(x: torch.Tensor, probability: float) -> torch.Tensor:
    """Set elements to 0 at random and scale up the others.

    Args:
        x: ``(B, ...)``.
        probability: of an element to become 0.

    Returns:
        The same shape; the noise is that of ``sample_noise`` where it is in effect, else of PyTorch's own generator.

    Raises:
        ValueError: there is another number of seeds than of samples.
    """
    generators = _generators.get()
    if generators is None:
        return F.dropout(x, probability)
    if len(generators) != len(x):
        raise ValueError(f"dropout needs a seed for each of the {len(x)} samples of a batch, got {len(generators)}")
    is_kept = torch.empty(x.shape, device=x.device)
    for row, generator in zip(is_kept, generators, strict=True):
        row.bernoulli_(1 - probability, generator=generator)
    return x * (is_kept / (1 - probability)).to(x.dtype)


class SampleDropout(nn.Module):
    """``dropout`` as a layer, in training only.

    Args:
        probability: of an element to become 0.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(B, ...)`` to the same shape."""
        return dropout(x, self.probability) if self.training else x
