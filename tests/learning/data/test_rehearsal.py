"""Old items among new ones in every batch."""

from __future__ import annotations

from collections import Counter

import pytest

from lib.learning.data.rehearsal import Rehearsal, RehearsalBatches


@pytest.mark.parametrize(
    ("new", "batch_size", "share", "new_per_batch", "batches"),
    [
        pytest.param(10, 4, 0.5, 2, 5, id="half"),
        pytest.param(9, 4, 0.5, 2, 5, id="last-one-short-of-new"),
        pytest.param(10, 4, 0.01, 3, 4, id="at-least-one-old"),
        pytest.param(10, 4, 0.99, 1, 10, id="at-least-one-new"),
    ],
)
def test_every_batch_is_full_and_every_new_item_comes_once(
    new: int, batch_size: int, share: float, new_per_batch: int, batches: int
) -> None:
    plan = RehearsalBatches(new, 6, batch_size, share, seed=0)
    told = plan.batches(0)
    assert len(told) == len(plan) == batches
    assert all(len(batch) == batch_size for batch in told)
    assert [sum(number < new for number in batch) for batch in told[:-1]] == [new_per_batch] * (batches - 1)
    shown = Counter(number for batch in told for number in batch)
    assert [shown[number] for number in range(new)] == [1] * new
    assert max(shown) < new + 6


def test_old_items_take_turns_across_epochs() -> None:
    plan = RehearsalBatches(4, 6, 4, 0.5, seed=0)  # four old ones an epoch
    shown = Counter(number for epoch in range(3) for batch in plan.batches(epoch) for number in batch if number >= 4)
    assert shown == dict.fromkeys(range(4, 10), 2)


@pytest.mark.parametrize(("new", "old", "batch_size"), [(0, 3, 4), (3, 0, 4), (3, 3, 1)])
def test_batches_without_room_for_both_are_refused(new: int, old: int, batch_size: int) -> None:
    with pytest.raises(ValueError, match=f"batches of {batch_size} cannot hold some of {new} new and of {old} old"):
        RehearsalBatches(new, old, batch_size, 0.5, seed=0)


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="share of old items in a batch must lie in"):
        Rehearsal([{}], share)


def test_nothing_is_rehearsed_without_items_or_share() -> None:
    assert Rehearsal([{}], 0.5).is_needed
    assert not Rehearsal([], 0.5).is_needed
    assert not Rehearsal([{}], 0.0).is_needed
