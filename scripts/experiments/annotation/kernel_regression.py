"""A learner that is fit exactly: kernel regression of the landmarks on the maps of a small network.

A network that learns by gradient descent ends elsewhere with every seed, by more than strategies differ. This one knows
no chance: what is left between two sets of labelled images is what their labels teach.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from experiments.annotation.small_network import INPUT, MIRRORED, LabelledImages, SmallLandmarkNet
from lib.learning.active_learning import ImageDescriptor
from lib.learning.active_learning.descriptors import moved, turned_matrix
from lib.learning.active_learning.embedding import distances
from lib.spine.geometry import center_distances, transform_points
from lib.spine.measurement.anatomy import violations

_IMAGE_GRID = (48, 16)
_BRANCH_GRIDS = ((12, 4), (12, 4), (12, 4), (6, 2))
"""Rows and columns that the image and the maps of each size are averaged to."""
_NOISE = 0.05
"""Of the labels, beside a variance of 1 of what is to be learnt."""
_LEAST = 1e-9


@dataclass(frozen=True)
class Described:
    """Images as numbers, seen in three ways: as they are, mirrored, and turned.

    Attributes:
        blocks: of each view ``(N, D)`` arrays, one of the image and one of each map.
        means: ``(N, C)`` means of the channels of the maps, of the images as they are.
    """

    blocks: tuple[list[np.ndarray], ...]
    means: np.ndarray


@dataclass(frozen=True)
class KernelFit:
    """What was learnt.

    Attributes:
        inputs: ``(2 M, D)`` of the labelled images and their mirror images.
        inverse: ``(2 M, 2 M)`` of their covariances.
        mean: ``(V * P * 2,)`` of their labels.
        rest: ``(2 M, V * P * 2)`` what of the labels the mean does not say.
    """

    inputs: np.ndarray
    inverse: np.ndarray
    mean: np.ndarray
    rest: np.ndarray


class KernelLearner:
    """Learns from some images of a pool and is tried on others.

    Args:
        network: whose maps are looked at; it is not changed.
        pool: images to learn from.
        held_out: images to be tried on.
    """

    def __init__(self, network: SmallLandmarkNet, pool: LabelledImages, held_out: LabelledImages) -> None:
        self._pool, self._held_out = pool, held_out
        described = [describe(network, data.images) for data in (pool, held_out)]
        middles = [block.mean(0) for block in described[0].blocks[0]]
        spreads = [
            max(float(np.sqrt(((b - middle) ** 2).sum(1).mean())), _LEAST)
            for b, middle in zip(described[0].blocks[0], middles, strict=True)
        ]
        self._inputs, self._tried = (
            [
                np.concatenate([(b - m) / s for b, m, s in zip(blocks, middles, spreads, strict=True)], 1)
                for blocks in one.blocks
            ]
            for one in described
        )
        self._means = described[0].means
        self._width = max(float(np.median(distances(self._inputs[0], self._inputs[0]) ** 2)), _LEAST)

    def learn(self, chosen: Sequence[int], before: KernelFit | None, seed: int) -> KernelFit:
        """What the labels of some images of the pool say, whatever was learnt before and by whichever chance."""
        labels = self._pool.labels[list(chosen), ..., :2].double().numpy()
        both = np.concatenate([labels, _mirrored(labels)]).reshape(2 * len(labels), -1)
        inputs = np.concatenate([view[list(chosen)] for view in self._inputs[:2]])
        beside = self._alike(inputs, inputs) + _NOISE * np.eye(len(inputs))
        mean = both.mean(0)
        return KernelFit(inputs, np.linalg.inv(beside), mean, both - mean)

    def keep(self, fit: KernelFit, path: Path) -> None:
        """Nothing is kept: it is learnt anew as quickly."""

    def taken_up(self, path: Path, chosen: Sequence[int]) -> KernelFit:
        """What was learnt from some images before."""
        return self.learn(chosen, None, 0)

    def errors(self, fit: KernelFit) -> np.ndarray:
        """``(N, V, K)`` distances of the corners of the held-out images from their labels, in steps.

        Points are means over an image and its mirror image.
        """
        plain, mirrored = (self._points(fit, view) for view in self._tried[:2])
        found = (plain + _mirrored(mirrored)) / 2
        labelled = self._held_out.labels[..., :2].double().numpy()
        away: np.ndarray = np.linalg.norm(found - labelled, axis=-1)[:, :, 1:]
        return away / np.array([center_distances(spine[:, 0]).mean() for spine in labelled])[:, None, None]

    def opinions(self, fit: KernelFit) -> list[ImageDescriptor]:
        """About all images of the pool.

        There are no heatmaps: their entropy is replaced by the remaining variance, 0...1; the margin is 0.
        """
        plain, mirrored, turned = (self._points(fit, view) for view in self._inputs)
        back = np.linalg.inv(turned_matrix(INPUT.height, INPUT.width))
        views = np.stack([plain, _mirrored(mirrored), transform_points(back, turned)])
        across = self._alike(self._inputs[0], fit.inputs)
        variances = 1.0 - ((across @ fit.inverse) * across).sum(1)
        opinions = []
        for number, spine in enumerate(plain):
            step = float(center_distances(spine[:, 0]).mean())
            away = np.linalg.norm(views[:, number] - views[:, number].mean(0), axis=-1) / step
            shape = (spine[:, 0] - spine[:, 0].mean(0)) / step
            disagreement = float(np.minimum(away, 1.0).mean())
            features = self._means[number]
            opinions.append(
                ImageDescriptor(float(variances[number]), disagreement, 0.0, len(violations(spine)), features, shape)
            )
        return opinions

    def _alike(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        alike: np.ndarray = np.exp(-(distances(one, other) ** 2) / self._width)
        return alike

    def _points(self, fit: KernelFit, inputs: np.ndarray) -> np.ndarray:
        """``(N, V, P, 2)`` pixels of the small network's input."""
        found = fit.mean + self._alike(inputs, fit.inputs) @ fit.inverse @ fit.rest
        points: np.ndarray = found.reshape(len(inputs), *self._pool.labels.shape[1:3], 2)
        return points


def describe(network: SmallLandmarkNet, images: torch.Tensor) -> Described:
    """What a network's maps say about images ``(N, 1, H, W)``."""
    views = (images, images.flip(-1), moved(images, turned_matrix(INPUT.height, INPUT.width)))
    blocks, means = [], []
    with torch.inference_mode():
        for view in views:
            branches = network.backbone(view)
            grids = zip(branches, _BRANCH_GRIDS, strict=True)
            averaged = [F.adaptive_avg_pool2d(view, _IMAGE_GRID)]
            averaged += [F.adaptive_avg_pool2d(branch, grid) for branch, grid in grids]
            blocks.append([part.flatten(1).double().numpy() for part in averaged])
            means.append(torch.cat([branch.mean((2, 3)) for branch in branches], 1).double().numpy())
    return Described(tuple(blocks), means[0])


def _mirrored(points: np.ndarray) -> np.ndarray:
    """Points ``(N, V, P, 2)`` of images as they lie in the mirror images."""
    mirrored = points[:, :, MIRRORED].copy()
    mirrored[..., 0] = INPUT.width - 1 - mirrored[..., 0]
    return mirrored
