"""Informative: images whose labels leave the least variance of all the others."""

from __future__ import annotations

import numpy as np

from .embedding import distances
from .strategy import OrderStrategy

_NOISE = 0.3
"""Share of what a label says that holds for its own image only, to that which holds for similar ones."""
_MIN_SPREAD = 1e-12


def informative_order(pool: np.ndarray, weights: np.ndarray, labelled: np.ndarray, count: int) -> list[int]:
    """Greedy reduction of the variance that a Gaussian process leaves on the pool.

    What a label teaches holds for similar images too, the less the further they lie (a Gaussian of the distance, whose
    squared width is the median squared distance). One image after another: the one whose label takes away most of the
    variance of all images of the pool. It lies amid many images, and apart from those that are labelled.

    Args:
        pool: ``(N, D)`` points of the images without a label.
        weights: unused: how unsure a model is of an image says little about what it teaches.
        labelled: ``(M, D)`` points of the labelled images.
        count: how many to choose.

    Returns:
        Indices into the pool, at most N.

    Reference:
        Cohn, Ghahramani and Jordan, Active Learning with Statistical Models, Journal of Artificial Intelligence
        Research 4 (1996) 129-145; for Gaussian processes Seo, Wallat, Graepel and Obermayer, IJCNN 2000.
    """
    return greedy_order(covariances(pool, labelled), np.ones(len(pool)), count)


STRATEGY = OrderStrategy("An image whose label tells most about the others", informative_order)


def covariances(pool: np.ndarray, labelled: np.ndarray, width: float = 1.0) -> np.ndarray:
    """Covariances that a Gaussian process leaves on a pool; without any label all variances are 1.

    Args:
        pool: ``(N, D)`` points of the images without a label.
        labelled: ``(M, D)`` points of the labelled images.
        width: squared width of the Gaussian of the distance, in median squared distances.

    Returns:
        ``(N, N)``.
    """
    everything = np.concatenate([pool, labelled])
    squares = distances(everything, everything) ** 2
    alike = np.exp(-squares / max(width * float(np.median(squares)), _MIN_SPREAD))
    own, across = alike[: len(pool), : len(pool)], alike[len(pool) :, : len(pool)]
    beside = alike[len(pool) :, len(pool) :] + _NOISE * np.eye(len(labelled))
    left: np.ndarray = own - across.T @ np.linalg.solve(beside, across)
    return left


def greedy_order(left: np.ndarray, weights: np.ndarray, count: int) -> list[int]:
    """The images whose labels take away most of the weighted sum of all variances, one after another.

    Args:
        left: ``(N, N)`` covariances of the images.
        weights: ``(N,)`` how much the variance of each counts.
        count: how many to choose.

    Returns:
        Indices, at most N.
    """
    chosen: list[int] = []
    while len(chosen) < min(count, len(left)):
        gain = weights @ left**2 / (left.diagonal() + _NOISE)
        gain[chosen] = -1.0
        best = int(gain.argmax())
        chosen.append(best)
        left = left - np.outer(left[best], left[best]) / (left[best, best] + _NOISE)
    return chosen
