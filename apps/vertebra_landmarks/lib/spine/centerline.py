"""The line through the centers of a spine: gaps and directions along it."""

from __future__ import annotations

import numpy as np

from .geometry import center_distances


def gap_lengths(centers: np.ndarray) -> np.ndarray:
    """Mean distance of every center ``(V, 2)`` from its neighbours, ``(V,)``."""
    gaps = center_distances(centers)
    return np.array([gaps[max(0, i - 1) : i + 1].mean() for i in range(len(centers))])


def normals_of(centers: np.ndarray) -> np.ndarray:
    """``(V, 2)`` a step to the right, square to the line of centers ``(V, 2)``."""
    along = np.gradient(centers, axis=0)
    return np.stack([along[:, 1], -along[:, 0]], 1)


def local_frames(centers: np.ndarray) -> np.ndarray:
    """``(V, 2, 2)`` unit vectors across the line of centers ``(V, 2)``, to the right, and along it, down."""
    across = normals_of(centers)
    across = across / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-9)
    return np.stack([across, np.stack([-across[:, 1], across[:, 0]], 1)], 1)
