"""Balanced: images that tell most about those of rare kinds, and about those that the model is unsure of."""

from __future__ import annotations

import numpy as np

from .informative import covariances, greedy_order
from .strategy import OrderStrategy

_WIDTH = 0.5
"""Squared distance up to which images are alike, in median squared distances: kinds lie apart, images of one do not."""
_RARITY, _DOUBT = 0.5, 2.0
"""Exponents of an image's weight: of one over how many are like it, and of its uncertainty."""
_MIN_UNCERTAINTY = 1e-6


def balanced_order(pool: np.ndarray, weights: np.ndarray, labelled: np.ndarray, count: int) -> list[int]:
    """Greedy reduction of the variance that a Gaussian process leaves on the pool, as ``informative_order``, weighted.

    An image counts by the square of its uncertainty and by one over the square root of how many are like it (the sum
    of the Gaussians of its distances to the pool): of kinds of 100 and 25 images the former counts twice as much as the
    latter, not four times, and a kind that the model knows counts little.

    Args:
        pool: ``(N, D)`` points of the images without a label.
        weights: ``(N,)`` uncertainty of each, not negative.
        labelled: ``(M, D)`` points of the labelled images.
        count: how many to choose.

    Returns:
        Indices into the pool, at most N.
    """
    alike = covariances(pool, pool[:0]).sum(0)
    counts = np.maximum(weights, _MIN_UNCERTAINTY) ** _DOUBT / alike**_RARITY
    return greedy_order(covariances(pool, labelled, _WIDTH), counts, count)


STRATEGY = OrderStrategy(
    "An image whose label tells most about those that are rare or that the model is unsure of", balanced_order
)
