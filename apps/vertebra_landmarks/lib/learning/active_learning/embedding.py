"""Images as points, so that similar ones lie near each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .descriptors import ImageDescriptor

_MIN_SPREAD = 1e-6


def embedding(descriptors: Sequence[ImageDescriptor]) -> np.ndarray:
    """Points of images by what they look like and by the shape of their spines.

    Both parts have the same weight: each is moved to mean 0, its columns, of features only, to spread 1, and the whole
    part to a mean squared length of 1.

    Returns:
        ``(N, D)``.
    """
    features = np.stack([descriptor.features for descriptor in descriptors]).astype(float)
    features = (features - features.mean(0)) / np.maximum(features.std(0), _MIN_SPREAD)
    shapes = np.stack([descriptor.shape.ravel() for descriptor in descriptors]).astype(float)
    return np.concatenate([_scaled(features), _scaled(shapes - shapes.mean(0))], 1)


def _scaled(part: np.ndarray) -> np.ndarray:
    scaled: np.ndarray = part / max(float(np.sqrt((part**2).sum(1).mean())), _MIN_SPREAD)
    return scaled


def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """``(N, M)`` between points ``(N, D)`` and ``(M, D)``."""
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    return np.sqrt(np.maximum(squares, 0.0))


def nearest(pool: np.ndarray, labelled: np.ndarray) -> np.ndarray:
    """``(N,)`` distance of each image of the pool to the nearest labelled one; of none, to the farthest of the pool."""
    if len(labelled):
        least: np.ndarray = distances(pool, labelled).min(1)
        return least
    return np.full(len(pool), 2 * float(np.linalg.norm(pool - pool.mean(0), axis=1).max(initial=0.0)) + _MIN_SPREAD)
