"""One view of an upright image, and the maps that the landmark network makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from ...spine.geometry import transform_points
from ..config import InputConfig
from ..decoders import DecodedSpine, Decoder, FixedLandmarks
from ..models.hrnet import STRIDE
from ..models.landmark_net import Maps
from .spine_checks import cells_of_spine, within


@dataclass(frozen=True, eq=False)
class NetworkView:
    """A view of an upright image and the network's maps of it.

    Attributes:
        maps: of one image, on the CPU, heatmap in 0...1.
        matrix: ``(3, 3)`` from pixels of the upright image to pixels of the network's input.
        score: mean of the highest scores of the channels.
        cells: ``(h, w)`` of the spine that this is about, where the image shows a second one; the score is theirs.
    """

    maps: Maps
    matrix: np.ndarray
    score: float
    cells: np.ndarray | None = None

    @property
    def has_second_spine(self) -> bool:
        """Whether the image shows a spine beside the one that this is about."""
        return self.cells is not None

    @cached_property
    def spine_maps(self) -> Maps:
        """Maps of the one spine that this is about."""
        return self.maps if self.cells is None else within(self.maps, self.cells)

    def covers(self, points: FixedLandmarks, size: InputConfig) -> np.ndarray:
        """``(V, P)`` which fixed points, in pixels of the upright image, lie in the view of that size.

        Those on another spine do not.
        """
        x, y = np.moveaxis(transform_points(self.matrix, points.xy), -1, 0)
        covered: np.ndarray = (x >= -0.5) & (x < size.width - 0.5) & (y >= -0.5) & (y < size.height - 0.5)
        if self.cells is not None:
            column, row = (np.where(covered, (pixel + 0.5) // STRIDE, 0).astype(int) for pixel in (x, y))
            covered &= self.cells[row, column]
        return covered

    def to_cells(self, points: np.ndarray) -> np.ndarray:
        """Points ``(..., 2)`` of the upright image in cells of the maps."""
        cells: np.ndarray = (transform_points(self.matrix, points) + 0.5) / STRIDE - 0.5
        return cells

    def scores_at(self, points: np.ndarray) -> np.ndarray:
        """``(V, N)`` highest score of each channel in the 3 x 3 cells around points ``(N, 2)``; 0 outside the view."""
        around = torch.nn.functional.max_pool2d(self.maps.heatmap, 3, stride=1, padding=1)[0].numpy()
        h, w = around.shape[1:]
        x, y = np.round(self.to_cells(points)).astype(int).T
        is_inside = (x >= 0) & (x < w) & (y >= 0) & (y < h)
        scores: np.ndarray = around[:, np.clip(y, 0, h - 1), np.clip(x, 0, w - 1)] * is_inside
        return scores

    def decode(self, decoder: Decoder, fixed: FixedLandmarks) -> DecodedSpine:
        """The spine that a decoder finds around fixed points, both in pixels of the upright image."""
        decoded = decoder.decode(self.spine_maps, fixed.moved(self.matrix))
        xy = transform_points(np.linalg.inv(self.matrix), decoded.xy)
        return DecodedSpine(fixed.applied_to(xy), decoded.scores)

    def cells_of(self, centers: np.ndarray) -> np.ndarray:
        """Cells ``(h, w)`` that belong to the spine with centers ``(V, 2)``, upright pixels."""
        height, width = self.maps.heatmap.shape[-2:]
        return cells_of_spine(self.to_cells(centers), (height, width))
