"""What all decoders have in common: from the maps of one image to 85 points."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from ...spine.fixed_landmarks import FixedLandmarks
from ...spine.schema import POINTS
from ..models.hrnet import STRIDE
from ..models.landmark_net import Maps
from .candidates import Fields


@dataclass(frozen=True)
class DecodedSpine:
    """Landmarks of one image.

    Attributes:
        xy: ``(V, P, 2)`` in pixels of the network's input.
        scores: ``(V, P)`` confidences in 0...1; 1 for fixed points, and for the center of four fixed corners.
    """

    xy: np.ndarray
    scores: np.ndarray


@dataclass(frozen=True)
class CenterEstimate:
    """The 17 centers of a decoder, in cells, before fixed points are applied.

    Attributes:
        centers: ``(V, 2)``.
        corners: ``(V, K, 2)``.
        scores: ``(V,)``.
    """

    centers: np.ndarray
    corners: np.ndarray
    scores: np.ndarray


class Decoder(ABC):
    """Chooses the centers; the corners follow from them."""

    def decode(self, maps: Maps, fixed: FixedLandmarks | None = None) -> DecodedSpine:
        """Read the landmarks of one image off its maps.

        Args:
            maps: maps of one image ``(1, ...)``, heatmap in 0...1 (not logits).
            fixed: points that must stay, in pixels of the network's input.

        Raises:
            ValueError: there is more than one image.
        """
        fixed = fixed or FixedLandmarks.none()
        fields = Fields.of(maps)
        in_cells = FixedLandmarks((fixed.xy + 0.5) / STRIDE - 0.5)
        estimate = self.choose(fields, in_cells)
        xy = (np.concatenate([estimate.centers[:, None], estimate.corners], 1) + 0.5) * STRIDE - 0.5
        scores = np.repeat(np.clip(estimate.scores, 0.0, 1.0)[:, None], len(POINTS), 1)
        return DecodedSpine(fixed.applied_to(xy), np.where(fixed.determined, 1.0, scores))

    @abstractmethod
    def choose(self, fields: Fields, fixed: FixedLandmarks) -> CenterEstimate:
        """Choose 17 centers; fixed ones, in cells, are kept."""


def with_fixed_centers(fields: Fields, estimate: CenterEstimate, fixed: FixedLandmarks) -> CenterEstimate:
    """The estimate with fixed centers, and with the corners and scores that the maps hold there."""
    is_fixed = np.isfinite(fixed.centers).all(-1)
    centers = np.where(is_fixed[:, None], fixed.centers, estimate.centers)
    corners = estimate.corners.copy()
    corners[is_fixed] = fields.corners_at(centers[is_fixed])
    x, y = fields.cells_of(centers).T
    scores = fields.heatmap[np.arange(len(centers)), y, x]
    return CenterEstimate(centers, corners, np.where(is_fixed, scores, estimate.scores))
