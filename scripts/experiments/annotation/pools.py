"""Pools of images to be labelled in simulated rounds, and the images that errors are measured on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from experiments.annotation.kinds import RADIOGRAPHS, phantom_items, radiograph_items
from lib.learning.data.aasce import Record, to_items

COLLECTION, MIXED = "collection", "mixed"
FREQUENT = "crop"
RARE = {
    "whole view": 20,
    "inverted": 16,
    "low dose": 12,
    "marked": 14,
    "equalised": 12,
    "implants": 18,
    "large body": 14,
}
"""Images of every rare kind in a mixed pool; all other radiographs are of the frequent kind."""
HELD_OUT = 24
"""Images of each kind that errors are measured on."""
_POOL, _HELD_OUT = 0, 1


@dataclass(frozen=True, eq=False)
class Pool:
    """What is labelled, and what errors are measured on.

    Attributes:
        items: dicts with ``IMAGE`` and ``LABEL`` ``(V, P, 3)``.
        kinds: of each of them, the frequent one last.
        held_out: the same of other patients; of every kind as many.
        held_out_kinds: of each of these.
    """

    items: list[dict[str, Any]]
    kinds: list[str]
    held_out: list[dict[str, Any]]
    held_out_kinds: list[str]

    def deck(self, seed: int, first: int) -> list[int]:
        """All places in random order; the ``first`` ones are of the kind of the last image, which is the frequent one.

        Raises:
            ValueError: there are fewer of that kind.
        """
        deck = np.random.default_rng(seed).permutation(len(self.items)).tolist()
        begin = [place for place in deck if self.kinds[place] == self.kinds[-1]][:first]
        if len(begin) < first:
            kind = f"{len(begin)} are of {self.kinds[-1]!r}"
            raise ValueError(f"rounds begin with {first} images of one kind, but only {kind}")
        return begin + [place for place in deck if place not in set(begin)]

    def errors_by_kind(self, errors: np.ndarray) -> dict[str, np.ndarray]:
        """``(N, V, K)`` errors of the held-out images by kind."""
        kinds = np.array(self.held_out_kinds)
        return {kind: errors[kinds == kind] for kind in dict.fromkeys(self.held_out_kinds)}


def collection(dealt: Sequence[tuple[Record, int]], fold: int) -> Pool:
    """The images of a collection as they are: one fold is held out.

    Args:
        dealt: images with their folds.
        fold: that is held out.

    Raises:
        ValueError: the fold has no image.
    """
    pool, held_out = _split(dealt, fold)
    items = to_items(pool), to_items(held_out)
    return Pool(items[0], [COLLECTION] * len(pool), items[1], [COLLECTION] * len(held_out))


def mixed(dealt: Sequence[tuple[Record, int]], fold: int, count: int = HELD_OUT) -> Pool:
    """Images of one frequent and several rare kinds; of the held-out ones there are as many of every kind.

    An image of the pool is of one kind. A held-out image may be seen as several, and of the same fold all are.

    Args:
        dealt: images of the collection with their folds.
        fold: that the held-out images are of.
        count: of the held-out images of every kind.

    Raises:
        ValueError: the fold or the rest has too few images.
    """
    pool, held_out = _split(dealt, fold)
    rare = sum(number for kind, number in RARE.items() if kind in RADIOGRAPHS)
    if len(held_out) < count or len(pool) <= rare:
        raise ValueError(
            f"a mixed pool takes {count} held-out images and more than {rare} others, fold {fold} leaves "
            f"{len(held_out)} and {len(pool)}"
        )
    random = np.random.default_rng(fold)
    order, made, kinds = random.permutation(len(pool)).tolist(), [], []
    for kind, number in {**RARE, FREQUENT: len(pool) - rare}.items():
        if kind in RADIOGRAPHS:
            taken, order = order[:number], order[number:]
            made += radiograph_items(kind, to_items(pool[place] for place in taken), 10 * fold + _POOL)
        else:
            made += phantom_items(kind, number, 10 * fold + _POOL + _seed_of(kind))
        kinds += [kind] * number
    tried, tried_kinds = [], []
    for kind in (FREQUENT, *RARE):
        if kind in RADIOGRAPHS:
            taken = random.choice(len(held_out), count, replace=False).tolist()
            tried += radiograph_items(kind, to_items(held_out[place] for place in taken), 10 * fold + _HELD_OUT)
        else:
            tried += phantom_items(kind, count, 10 * fold + _HELD_OUT + _seed_of(kind))
        tried_kinds += [kind] * count
    return Pool(made, kinds, tried, tried_kinds)


def _split(dealt: Sequence[tuple[Record, int]], fold: int) -> tuple[list[Record], list[Record]]:
    pool = sorted((record for record, of in dealt if of != fold), key=lambda record: record.path.name)
    held_out = [record for record, of in dealt if of == fold]
    if not held_out:
        raise ValueError(f"fold {fold} has no image")
    return pool, held_out


def _seed_of(kind: str) -> int:
    return 100 * (1 + list(RARE).index(kind))
