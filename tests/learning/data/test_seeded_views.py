"""Which items an epoch shows in which views: by seed, epoch and place alone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from monai.transforms import Compose

from lib.learning.config import load_config
from lib.learning.data import IMAGE, LABEL
from lib.learning.data.random_views import training_transforms
from lib.learning.data.seeded_views import NOT_SHOWN, SEED, Drawn, PlainBatches, SeededViews, SharedBatches
from lib.learning.data.synthetic import synthetic_items


def parts(count: int, batch_size: int, of: int, epoch: int = 0, drops_last: bool = False) -> list[list[list[Drawn]]]:
    """By process, its part of every batch."""
    result = []
    for part in range(of):
        batches = SharedBatches(PlainBatches(count, batch_size, drops_last, 5), 5, part, of)
        batches.epoch = epoch
        result.append(list(batches))
        assert len(result[-1]) == len(batches)
    return result


def shown(batch: Sequence[Drawn]) -> list[Drawn]:
    """Without what only stands in."""
    return [drawn for drawn in batch if drawn.seed != NOT_SHOWN]


@pytest.mark.parametrize("of", [2, 3, 4])
@pytest.mark.parametrize(("count", "batch_size"), [(12, 4), (11, 4), (9, 4), (2, 8)])
def test_parts_of_any_number_of_processes_make_up_the_batches_of_one(count: int, batch_size: int, of: int) -> None:
    (whole,) = parts(count, batch_size, 1)
    several = parts(count, batch_size, of)
    for number, batch in enumerate(whole):
        own = [mine[number] for mine in several]
        assert [drawn for part in own for drawn in shown(part)] == batch
        sizes = [len(shown(part)) for part in own]
        assert max(sizes) - min(sizes) <= 1
        assert all(own)
    assert sorted(drawn.number for batch in whole for drawn in batch) == list(range(count))


def test_epochs_differ_in_order_and_views_and_can_be_repeated() -> None:
    (first,), (second,), (again,) = parts(12, 4, 1), parts(12, 4, 1, epoch=1), parts(12, 4, 1)
    assert first == again
    assert first != second
    seeds = {drawn.seed for batch in [*first, *second] for drawn in batch}
    assert len(seeds) == 24


def test_an_incomplete_batch_can_be_left_out() -> None:
    (batches,) = parts(11, 4, 1, drops_last=True)
    assert [len(batch) for batch in batches] == [4, 4]
    (batches,) = parts(3, 4, 1, drops_last=True)
    assert [len(batch) for batch in batches] == [3]


def test_a_view_is_decided_by_its_seed() -> None:
    """Whatever was drawn before it, with every random transform of a training."""
    views = SeededViews(synthetic_items(2, 0, 1), training_transforms(load_config()), progress=False)
    assert isinstance(views.transform, Compose)
    drawn = [views[Drawn(0, seed)] for seed in range(8)]
    for seed in reversed(range(8)):
        views[Drawn(1, seed + 100)]
        again = views[Drawn(0, seed)]
        assert torch.equal(again[IMAGE], drawn[seed][IMAGE])
        assert torch.equal(again[LABEL], drawn[seed][LABEL])
        assert again[SEED] == seed
    assert not torch.equal(drawn[0][IMAGE], drawn[1][IMAGE])
