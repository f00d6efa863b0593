"""Old items among new ones in every batch, so that a network which goes on learning does not forget."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.data import Sampler


@dataclass(frozen=True)
class Rehearsal:
    """What is learnt once more beside the new items.

    Attributes:
        items: training items that the network knows, or phantoms.
        share: of a batch that they fill, 0 to below 1; at least one item of a batch is new.

    Raises:
        ValueError: the share is out of range.
    """

    items: Sequence[Mapping[str, Any]] = ()
    share: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.share < 1.0:
            raise ValueError(f"the share of old items in a batch must lie in 0...1, 1 excluded, got {self.share}")

    @property
    def is_needed(self) -> bool:
        """Whether there is anything to rehearse."""
        return bool(self.items) and self.share > 0


class RehearsalBatches(Sampler[list[int]]):
    """Batches of new and old items; an epoch shows every new item once, and as many old ones as fill the batches.

    Old items take turns: none comes again before all others were shown, across epochs too.

    Args:
        new: how many new items there are, the first ones of the data set.
        old: how many old items follow them, at least one.
        batch_size: items per batch.
        share: of a batch that is old; rounded to whole items, at least one, and leaving at least one new item.

    Raises:
        ValueError: there is no new or no old item, or no room for both in a batch.
    """

    def __init__(self, new: int, old: int, batch_size: int, share: float) -> None:
        if min(new, old) < 1 or batch_size < 2:
            raise ValueError(f"batches of {batch_size} cannot hold some of {new} new and of {old} old items")
        self.new, self.old, self.batch_size = new, old, batch_size
        self.new_per_batch = batch_size - min(max(round(batch_size * share), 1), batch_size - 1)
        self._waiting: list[int] = []

    def __len__(self) -> int:
        """Batches of an epoch."""
        return math.ceil(self.new / self.new_per_batch)

    def __iter__(self) -> Iterator[list[int]]:
        """Numbers of items, batch by batch."""
        order = torch.randperm(self.new).tolist()
        for begin in range(0, self.new, self.new_per_batch):
            batch = order[begin : begin + self.new_per_batch]
            yield batch + [self._next_old() for _ in range(self.batch_size - len(batch))]

    def _next_old(self) -> int:
        if not self._waiting:
            self._waiting = torch.randperm(self.old).tolist()
        return self.new + self._waiting.pop()
