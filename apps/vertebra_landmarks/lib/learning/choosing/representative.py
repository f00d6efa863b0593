"""Representative: films that many others resemble."""

from __future__ import annotations

import numpy as np

from .embedding import distances, nearest


def representative_order(pool: np.ndarray, weights: np.ndarray, labelled: np.ndarray, count: int) -> list[int]:
    """Greedy facility location.

    One film after another: the one that brings the films of the pool nearest to a labelled or chosen film. Unlike the
    farthest film, it is none that resembles no other.

    Args:
        pool: ``(N, D)`` places of the films without a label.
        weights: not looked at: films that a model is unsure of are often none to learn from.
        labelled: ``(M, D)`` places of the labelled films.
        count: how many to choose.

    Returns:
        Places in the pool, at most N.

    Reference:
        Wei, Iyer and Bilmes, Submodularity in Data Subset Selection and Active Learning, ICML 2015: the facility
        location function.
    """
    between, away = distances(pool, pool), nearest(pool, labelled)
    chosen: list[int] = []
    while len(chosen) < min(count, len(pool)):
        gain = np.maximum(away[:, None] - between, 0.0).sum(0)
        gain[chosen] = -1.0
        best = int(gain.argmax())
        chosen.append(best)
        away = np.minimum(away, between[:, best])
    return chosen
