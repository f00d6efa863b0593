"""Ways to choose the films whose labels teach most, behind one interface.

The films that are first or random need no network. The others rest on what a network says about each film
(``opinion``). ``uncertainty`` and ``anatomy`` look at every film for itself; ``diverse`` and ``informative`` look at
the films beside each other, at those that are labelled too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .anatomy import anatomy_score
from .descriptors import Opinion, opinions_of
from .diverse import diverse_order
from .embedding import embedding
from .informative import informative_order
from .uncertainty import uncertainty_score

SCORES: dict[str, Callable[[Opinion], float]] = {"uncertainty": uncertainty_score, "anatomy": anatomy_score}
"""Strategies that score every film for itself; the highest score is the next film."""

ORDERS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray, int], list[int]]] = {
    "diverse": diverse_order,
    "informative": informative_order,
}
"""Strategies that choose one film after another, each with those before it in view."""

STRATEGIES = (*SCORES, *ORDERS)
"""All that need a network."""

DEFAULT = "informative"
"""The strategy that clients are offered first; simulated rounds compare them (docs/ACTIVE_LEARNING.md)."""


def choose(strategy: str, pool: Sequence[Opinion], labelled: Sequence[Opinion], count: int) -> list[int]:
    """The next films of a pool.

    Args:
        strategy: one of ``STRATEGIES``.
        pool: about the films without a label.
        labelled: about those with one, by the same network.
        count: how many to choose.

    Returns:
        Places in the pool, the film that teaches most first; all of them where the pool holds no more than ``count``.

    Raises:
        KeyError: there is no such strategy.
    """
    if strategy in SCORES:
        scores = np.array([SCORES[strategy](opinion) for opinion in pool])
        return np.argsort(-scores, kind="stable")[:count].tolist()
    order = ORDERS[strategy]
    if not pool:
        return []
    places = embedding([*pool, *labelled])
    weights = np.array([uncertainty_score(opinion) for opinion in pool])
    return order(places[: len(pool)], weights, places[len(pool) :], count)


__all__ = ["DEFAULT", "ORDERS", "SCORES", "STRATEGIES", "Opinion", "choose", "opinions_of"]
