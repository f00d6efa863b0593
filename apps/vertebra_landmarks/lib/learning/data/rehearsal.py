"""Old items among new ones in every batch, so that a network which goes on learning does not forget."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .seeded_views import BatchPlan, shuffled

_NEW, _OLD = 2, 3


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


class RehearsalBatches(BatchPlan):
    """Batches of new and old items; an epoch shows every new item once, and as many old ones as fill the batches.

    Old items take turns: none comes again before all others were shown, across epochs too.

    Args:
        new: how many new items there are, the first ones of the data set.
        old: how many old items follow them, at least one.
        batch_size: items per batch.
        share: of a batch that is old; rounded to whole items, at least one, and leaving at least one new item.
        seed: of the order.

    Raises:
        ValueError: there is no new or no old item, or no room for both in a batch.
    """

    def __init__(self, new: int, old: int, batch_size: int, share: float, seed: int) -> None:
        if min(new, old) < 1 or batch_size < 2:
            raise ValueError(f"batches of {batch_size} cannot hold some of {new} new and of {old} old items")
        self.new, self.old, self.batch_size, self.seed = new, old, batch_size, seed
        self.new_per_batch = batch_size - min(max(round(batch_size * share), 1), batch_size - 1)

    def __len__(self) -> int:
        """Batches of an epoch."""
        return math.ceil(self.new / self.new_per_batch)

    def batches(self, epoch: int) -> list[list[int]]:
        """Numbers of items, batch by batch."""
        order = shuffled(self.new, self.seed, epoch, _NEW)
        per_epoch = len(self) * self.batch_size - self.new
        turns = self._old_items(epoch * per_epoch, per_epoch)
        result = []
        for begin in range(0, self.new, self.new_per_batch):
            batch = order[begin : begin + self.new_per_batch]
            result.append(batch + [turns.pop() for _ in range(self.batch_size - len(batch))])
        return result

    def _old_items(self, begin: int, count: int) -> list[int]:
        """The old items from a turn on, counted over all epochs."""
        first, end = begin // self.old, math.ceil((begin + count) / self.old)
        turns = [number for cycle in range(first, end) for number in shuffled(self.old, self.seed, cycle, _OLD)]
        skipped = begin - first * self.old
        return [self.new + number for number in turns[skipped : skipped + count]]
