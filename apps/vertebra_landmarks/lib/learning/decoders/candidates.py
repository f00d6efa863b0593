"""Places on the maps of one image that may be the center of a vertebra."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from ...spine.schema import CORNERS, VERTEBRAE
from ..models.landmark_net import Maps


@dataclass(frozen=True)
class Fields:
    """The maps of one image as arrays.

    Attributes:
        maps: what they were made of.
        heatmap: ``(V, h, w)`` in 0...1; a single channel stands for every vertebra.
        offset: ``(2, h, w)`` from a cell to the center that it holds, in cells.
        corner_offset: ``(K, 2, h, w)`` from the center to its corners, in cells.
    """

    maps: Maps
    heatmap: np.ndarray
    offset: np.ndarray
    corner_offset: np.ndarray

    @classmethod
    def of(cls, maps: Maps) -> Fields:
        """Maps of one image ``(1, ...)``, heatmap in 0...1.

        Raises:
            ValueError: there is more than one image.
        """
        if len(maps.heatmap) != 1:
            raise ValueError(f"expected the maps of one image, got {len(maps.heatmap)}")
        heatmap, offset, corner = (m[0].detach().float().cpu().numpy() for m in maps)
        heatmap = np.broadcast_to(heatmap, (len(VERTEBRAE), *heatmap.shape[1:]))
        return cls(maps, heatmap, offset, corner.reshape(len(CORNERS), 2, *corner.shape[-2:]))

    def centers_at(self, cells: np.ndarray) -> np.ndarray:
        """``(N, 2)`` centers that the cells ``(N, 2)`` (x, y) hold, in cells."""
        x, y = cells.T
        centers: np.ndarray = cells + self.offset[:, y, x].T
        return centers

    def corners_at(self, centers: np.ndarray) -> np.ndarray:
        """``(N, K, 2)`` corners around centers ``(N, 2)``, in cells, read at the cells that hold the centers."""
        x, y = self.cells_of(centers).T
        corners: np.ndarray = centers[:, None] + self.corner_offset[:, :, y, x].transpose(2, 0, 1)
        return corners

    def cells_of(self, centers: np.ndarray) -> np.ndarray:
        """``(N, 2)`` whole cells that hold centers ``(N, 2)``; the nearest ones for centers outside the maps."""
        h, w = self.heatmap.shape[1:]
        return np.clip(np.rint(centers).astype(int), 0, (w - 1, h - 1))


@dataclass(frozen=True)
class Candidates:
    """Possible centers, all in cells.

    Attributes:
        centers: ``(C, 2)``.
        corners: ``(C, K, 2)`` that belong to them.
        scores: ``(V, C)`` how well each vertebra's channel fits there, 0...1.
    """

    centers: np.ndarray
    corners: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.centers)

    @property
    def strengths(self) -> np.ndarray:
        """``(C,)`` the best score of any channel."""
        strengths: np.ndarray = self.scores.max(0)
        return strengths

    def joined(self, other: Candidates) -> Candidates:
        """These candidates, then the others."""
        return Candidates(
            np.concatenate([self.centers, other.centers]),
            np.concatenate([self.corners, other.corners]),
            np.concatenate([self.scores, other.scores], 1),
        )


def find_candidates(fields: Fields, least_score: float, most: int) -> Candidates:
    """Local maxima of the best channel.

    Args:
        fields: maps of one image.
        least_score: maxima below it are left out.
        most: how many are kept at most, the best ones.
    """
    best = torch.from_numpy(fields.heatmap.max(0))
    highest_around = F.max_pool2d(best[None, None], 3, stride=1, padding=1)[0, 0]
    y, x = torch.nonzero((best == highest_around) & (best >= least_score), as_tuple=True)
    order = torch.argsort(best[y, x], descending=True, stable=True)[:most]
    cells = torch.stack([x, y], -1)[order].numpy()
    centers = fields.centers_at(cells)
    return Candidates(centers, fields.corners_at(centers), _scores_around(fields.heatmap, cells))


def _scores_around(heatmap: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """``(V, C)`` the highest score of each channel at the cells ``(C, 2)`` or beside them."""
    padded = np.pad(heatmap, ((0, 0), (1, 1), (1, 1)))
    around = np.arange(3)
    x, y = cells.T
    blocks = padded[:, (y[:, None] + around)[:, :, None], (x[:, None] + around)[:, None]]  # (V, C, 3, 3)
    scores: np.ndarray = blocks.max((-1, -2)).astype(float)
    return scores
