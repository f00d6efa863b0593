"""Training items from phantoms."""

from __future__ import annotations

import numpy as np

from lib.learning.codec import ABSENT, PRESENT, STATE
from lib.learning.data.synthetic import synthetic_items
from lib.learning.data.transforms import IMAGE, LABEL


def test_phantoms_come_first_with_every_point_and_spineless_images_after_with_none() -> None:
    items = synthetic_items(2, 3, seed=5)
    assert [set(item[LABEL][..., STATE].ravel()) for item in items] == [{PRESENT}] * 2 + [{ABSENT}] * 3
    for item in items:
        height, width = item[IMAGE].shape
        assert item[IMAGE].dtype == np.uint8
        assert (item[LABEL][..., 0] <= width - 1).all()
        assert (item[LABEL][..., 1] <= height - 1).all()


def test_items_repeat_with_the_seed_and_differ_without() -> None:
    first, same, other = (synthetic_items(1, 1, seed=seed) for seed in (7, 7, 8))
    for a, b, c in zip(first, same, other, strict=True):
        assert np.array_equal(a[IMAGE], b[IMAGE])
        assert a[IMAGE].shape != c[IMAGE].shape or not np.array_equal(a[IMAGE], c[IMAGE])


def test_nothing_asked_gives_nothing() -> None:
    assert synthetic_items(0, 0, seed=0) == []
