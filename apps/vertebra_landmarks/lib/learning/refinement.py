"""Corners found once more, in patches around the vertebrae that decoding found."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from ..spine.geometry import corners_of, transform_points, with_centers
from ..spine.schema import CORNERS
from .config import PredictionConfig, RefinerConfig
from .devices import quick_precision
from .patches import ShrunkImage, cut_patches, shrink_around, standardised, vertebra_frames
from .refiner import CornerRefiner, Refined, mirrored_refined
from .stopwatch import Stopwatch

_LEFT, _RIGHT = ([CORNERS.index(name) for name in side] for side in (("TL", "BL"), ("TR", "BR")))
_LEAST_GAP = 0.3  # of the gap that decoding left between two vertebrae; nearer, both are taken for the same body


class RefinedSpine(NamedTuple):
    """A spine after refinement, in pixels of the image.

    Attributes:
        xy: ``(V, P, 2)`` points.
        errors: ``(V, P)`` expected distances from the true places, before calibration; ``refinement_reach`` for
            vertebrae that stayed as decoding placed them.
    """

    xy: np.ndarray
    errors: np.ndarray


class Refinement:
    """The second network at work.

    Args:
        network: in evaluation mode, on its device.
        config: its patches.
        device: where to compute.
    """

    def __init__(self, network: CornerRefiner, config: RefinerConfig, device: torch.device) -> None:
        self.network, self.config, self.device = network, config, device

    def refine(self, pixels: np.ndarray, xy: np.ndarray, limits: PredictionConfig, watch: Stopwatch) -> RefinedSpine:
        """Move the corners to where the patches show them, and the centers to the corners' means.

        A vertebra whose center would move further than ``refinement_reach``, or to where its neighbour lies, stays as
        it was: decoding knows the whole spine, a patch only what lies around it.

        Args:
            pixels: ``(H, W)`` of the image.
            xy: ``(V, P, 2)`` decoded points.
            limits: how often, and how far a center may move.
            watch: told how long the network takes ("refine"), and all the rest ("prepare").
        """
        image = shrink_around(pixels, xy[:, 0], self.config)
        current, errors = xy, np.empty(xy.shape[:2])
        for _ in range(limits.refinement_rounds):
            found, errors = self._look(image, current[:, 0], limits.mirror, watch)
            moves = _may_move(xy[:, 0], found[:, 0], limits.refinement_reach)
            current = np.where(moves[:, None, None], found, xy)
            errors = np.where(moves[:, None], errors, limits.refinement_reach * gap_lengths(xy[:, 0])[:, None])
        current = leaning_to_normal(current, limits.refinement_tilt_prior)
        watch.stop("prepare")
        return RefinedSpine(current, errors)

    def _look(
        self, image: ShrunkImage, centers: np.ndarray, mirror: bool, watch: Stopwatch
    ) -> tuple[np.ndarray, np.ndarray]:
        """Points ``(V, P, 2)`` and their expected errors ``(V, P)`` in pixels of the image."""
        frames = vertebra_frames(transform_points(image.matrix, centers), self.config)
        patches = standardised(cut_patches(image.pixels, frames, self.config))
        views = torch.stack([patches, patches.flip(-1)]) if mirror else patches[None]
        watch.stop("prepare")
        with torch.inference_mode(), quick_precision(self.device):
            refined = Refined(*(part.cpu() for part in self.network(views.to(self.device))))
        watch.stop("refine")
        if mirror:
            mirrored = mirrored_refined(Refined(*(part[1:] for part in refined)), self.config.width)
            refined = Refined(*((a[:1] + b) / 2 for a, b in zip(refined, mirrored, strict=True)))
        back = np.linalg.inv(frames @ image.matrix)
        corners = np.stack(
            [transform_points(*pair) for pair in zip(back, refined.corners[0].double().numpy(), strict=True)]
        )
        scale = np.sqrt(np.abs(np.linalg.det(back[:, :2, :2])))
        return with_centers(corners), np.exp(refined.log_errors[0].double().numpy()) * scale[:, None]


def gap_lengths(centers: np.ndarray) -> np.ndarray:
    """Mean distance of every center ``(V, 2)`` from its neighbours, ``(V,)``."""
    gaps = np.linalg.norm(np.diff(centers, axis=0), axis=1)
    return np.array([gaps[max(0, i - 1) : i + 1].mean() for i in range(len(centers))])


def leaning_to_normal(xy: np.ndarray, share: float) -> np.ndarray:
    """Turn every vertebra about its center by this share of the way to lying square to the line of centers.

    A vertebra lies 0.0 ± 3.1 degrees off that (AASCE labels), which is as much as a patch errs: of two such estimates
    a mean is better than either.

    Args:
        xy: ``(V, P, 2)`` points.
        share: in 0...1.
    """
    centers, corners = xy[:, 0], corners_of(xy)
    along = np.gradient(centers, axis=0)
    middle = corners[:, _RIGHT].mean(1) - corners[:, _LEFT].mean(1)
    normal = np.stack([along[:, 1], -along[:, 0]], 1)
    off = np.arctan2(_cross(middle, normal), (middle * normal).sum(1))
    cosine, sine = np.cos(share * off), np.sin(share * off)
    arms = xy - centers[:, None]
    turned = [cosine[:, None] * arms[..., 0] - sine[:, None] * arms[..., 1]]
    turned.append(sine[:, None] * arms[..., 0] + cosine[:, None] * arms[..., 1])
    return centers[:, None] + np.stack(turned, -1)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    product: np.ndarray = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    return product


def _may_move(decoded: np.ndarray, found: np.ndarray, reach: float) -> np.ndarray:
    """``(V,)`` which centers ``(V, 2)`` may leave their decoded places."""
    moves: np.ndarray = np.linalg.norm(found - decoded, axis=1) <= reach * gap_lengths(decoded)
    while True:
        placed = np.where(moves[:, None], found, decoded)
        falls = np.diff(placed[:, 1]) >= _LEAST_GAP * np.diff(decoded[:, 1])
        clash = ~falls & (moves[1:] | moves[:-1])
        if not clash.any():
            return moves
        moves[1:] &= ~clash
        moves[:-1] &= ~clash
