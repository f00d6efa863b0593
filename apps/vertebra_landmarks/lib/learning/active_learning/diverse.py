"""Diverse: uncertain images that resemble none of the labelled ones."""

from __future__ import annotations

import numpy as np

from .embedding import distances, nearest
from .strategy import OrderStrategy


def diverse_order(pool: np.ndarray, weights: np.ndarray, labelled: np.ndarray, count: int) -> list[int]:
    """Greedy, weighted k-center choice.

    One image after another: the one whose distance to the nearest labelled or chosen image, times its weight, is the
    largest.

    Args:
        pool: ``(N, D)`` points of the images without a label.
        weights: ``(N,)`` of each, not negative; its uncertainty.
        labelled: ``(M, D)`` points of the labelled images.
        count: how many to choose.

    Returns:
        Indices into the pool, at most N.

    Reference:
        Sener and Savarese, Active Learning for Convolutional Neural Networks: A Core-Set Approach, ICLR 2018, the
        greedy algorithm; the weights are this project's.
    """
    away = nearest(pool, labelled)
    chosen: list[int] = []
    while len(chosen) < min(count, len(pool)):
        gain = weights * away
        gain[chosen] = -1.0
        best = int(gain.argmax())
        chosen.append(best)
        away = np.minimum(away, distances(pool, pool[best : best + 1])[:, 0])
    return chosen


STRATEGY = OrderStrategy("An uncertain image that resembles none of the labelled ones", diverse_order)
