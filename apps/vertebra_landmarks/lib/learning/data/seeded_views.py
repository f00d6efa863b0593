"""Which items an epoch shows in which batches, and in which views: a function of the seed and the epoch alone.

Nothing of it depends on how many processes share a batch, on how many workers prepare images, or on whether a run was
interrupted.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from monai.data import CacheDataset
from monai.transforms import Compose
from torch.utils.data import Sampler

SEED = "seed"
"""Key of a view: the seed that it was drawn with, or ``NOT_SHOWN``."""
NOT_SHOWN = -1
"""Seed of a view that only stands in where a process has no part of a batch."""
_ORDER, _VIEWS = 0, 1


def shuffled(count: int, *seeds: int) -> list[int]:
    """The numbers below ``count`` in a random order that the seeds, 0 or above, decide."""
    return np.random.default_rng(seeds).permutation(count).tolist()


class Drawn(NamedTuple):
    """An item to show, and the seed of its view."""

    number: int
    seed: int


class BatchPlan(ABC):
    """Items of the batches of any epoch."""

    @abstractmethod
    def __len__(self) -> int:
        """Batches of an epoch."""

    @abstractmethod
    def batches(self, epoch: int) -> list[list[int]]:
        """Numbers of the items of each batch of an epoch, 0 being the first."""


class PlainBatches(BatchPlan):
    """Every item once in an epoch, in random order.

    Args:
        count: of the items.
        batch_size: items per batch; all items are one batch where there are fewer.
        drops_last: leave out what is left for an incomplete batch.
        seed: of the order.
    """

    def __init__(self, count: int, batch_size: int, drops_last: bool, seed: int) -> None:
        self.count, self.batch_size, self.seed = count, min(batch_size, count), seed
        self.drops_last = drops_last

    def __len__(self) -> int:
        """Batches of an epoch."""
        return self.count // self.batch_size if self.drops_last else math.ceil(self.count / self.batch_size)

    def batches(self, epoch: int) -> list[list[int]]:
        """Numbers of the items, batch by batch."""
        order, size = shuffled(self.count, self.seed, epoch, _ORDER), self.batch_size
        return [order[number * size : (number + 1) * size] for number in range(len(self))]


class SharedBatches(Sampler[list[Drawn]]):
    """The part of every batch that one of several processes takes.

    Parts are as equal as they can be. A process without a part gets an item that is ``NOT_SHOWN``.

    Args:
        plan: the batches.
        seed: of the views.
        part: which part, from 0.
        parts: how many there are.
    """

    def __init__(self, plan: BatchPlan, seed: int, part: int = 0, parts: int = 1) -> None:
        self.plan, self.seed, self.part, self.parts = plan, seed, part, parts
        self.epoch = 0

    def __len__(self) -> int:
        """Batches of an epoch."""
        return len(self.plan)

    def __iter__(self) -> Iterator[list[Drawn]]:
        """Parts of the batches of ``epoch``."""
        batches = self.plan.batches(self.epoch)
        sequence = np.random.SeedSequence([self.seed, self.epoch, _VIEWS])
        seeds = iter(sequence.generate_state(sum(map(len, batches))).tolist())
        for batch in batches:
            drawn = [Drawn(number, seed) for number, seed in zip(batch, seeds, strict=False)]
            begin, end = (part * len(drawn) // self.parts for part in (self.part, self.part + 1))
            yield drawn[begin:end] or [Drawn(batch[0], NOT_SHOWN)]


class SeededViews(CacheDataset):
    """Views of items, each decided by its seed; what comes before the first random step is kept in memory.

    Args:
        items: to be seen.
        transforms: from an item to a view.
        progress: show a progress bar while the items are read.
    """

    def __init__(self, items: list[Any], transforms: Compose, progress: bool) -> None:
        super().__init__(items, transforms, num_workers=2, copy_cache=False, progress=progress)

    def __getitem__(self, drawn: Drawn) -> dict[str, Any]:
        """The view, with its ``SEED``."""
        self.transform.set_random_state(seed=max(drawn.seed, 0))
        view: dict[str, Any] = super().__getitem__(drawn.number)
        return {**view, SEED: torch.tensor(drawn.seed)}
