"""Interfaces of active-learning strategies: a score per image, or an order of many."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .descriptors import ImageDescriptor
from .embedding import embedding


@dataclass(frozen=True)
class Strategy(ABC):
    """Chooses the next images of a pool.

    Attributes:
        description: of the image that comes next, for people.
    """

    description: str

    @abstractmethod
    def choose(self, pool: Sequence[ImageDescriptor], labelled: Sequence[ImageDescriptor], count: int) -> list[int]:
        """The next images.

        Args:
            pool: about the images without a label.
            labelled: about those with one, by the same network.
            count: how many to choose.

        Returns:
            Indices into the pool, the image that teaches most first; all of them where it holds no more than ``count``.
        """


@dataclass(frozen=True)
class ScoreStrategy(Strategy):
    """Scores every image for itself; the highest score comes next.

    Attributes:
        score: of one image.
    """

    score: Callable[[ImageDescriptor], float]

    def choose(self, pool: Sequence[ImageDescriptor], labelled: Sequence[ImageDescriptor], count: int) -> list[int]:
        """See ``Strategy``."""
        return np.argsort([-self.score(descriptor) for descriptor in pool], kind="stable")[:count].tolist()


@dataclass(frozen=True)
class OrderStrategy(Strategy):
    """Compares images with each other and with labelled ones, as points of an ``embedding``.

    Attributes:
        order: from ``(N, D)`` points of the pool, their uncertainties ``(N,)``, ``(M, D)`` points of the labelled
            images and a count to so many indices into the pool, at most N.
    """

    order: Callable[[np.ndarray, np.ndarray, np.ndarray, int], list[int]]

    def choose(self, pool: Sequence[ImageDescriptor], labelled: Sequence[ImageDescriptor], count: int) -> list[int]:
        """See ``Strategy``."""
        if not pool:
            return []
        points = embedding([*pool, *labelled])
        uncertainties = np.array([descriptor.uncertainty for descriptor in pool])
        return self.order(points[: len(pool)], uncertainties, points[len(pool) :], count)
