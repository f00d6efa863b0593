"""Candidates for centers of vertebrae: local maxima of the maps, and interpolated ones where the network saw none."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch.nn import functional as F

from ...spine.chain_prior import ChainPrior
from ...spine.geometry import body_heights
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


def find_candidates(fields: Fields, min_score: float, max_count: int) -> Candidates:
    """Local maxima of the best channel.

    Args:
        fields: maps of one image.
        min_score: maxima below it are left out.
        max_count: how many are kept at most, the best ones.
    """
    best = torch.from_numpy(fields.heatmap.max(0))
    highest_around = F.max_pool2d(best[None, None], 3, stride=1, padding=1)[0, 0]
    y, x = torch.nonzero((best == highest_around) & (best >= min_score), as_tuple=True)
    order = torch.argsort(best[y, x], descending=True, stable=True)[:max_count]
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


_STRONG = 0.4  # of the highest score; what reaches it is taken for a vertebra
_APART = 0.5  # of a step; a position nearer to a candidate than that needs none of its own
_APART_IF_FIXED = 0.15  # the same between two fixed vertebrae, which may be squeezed together
_MAX_SIDEWAYS = 2.5  # times its way down, by which a gap may go sideways, which in AASCE labels is 1.53 at most
_MAX_CANDIDATES = 36  # with those in gaps and beside candidates
_SLOPE = 0.85  # by which a spine turns upright from one interpolated vertebra to the next


def interpolated_candidates(
    fields: Fields, detected: Candidates, fixed: np.ndarray, prior: ChainPrior, beyond: int
) -> Candidates:
    """Where a vertebra is expected by the positions, sizes and tilts of others, and none is detected.

    These are the positions one step above and below each strong candidate, evenly spread ones in gaps between them,
    those beyond the uppermost and the lowest, and evenly spread ones for the vertebrae between two fixed ones.

    Args:
        fields: maps of one image.
        detected: candidates to start from, at least one; the fixed centers first.
        fixed: ``(V, 2)`` fixed centers, NaN where free.
        prior: gives the step from the body height.
        beyond: how many to add beyond either end at least; more, if fewer than 17 vertebrae are detected.

    Returns:
        The new candidates; their corners are copies of a neighbour's, their scores what the maps hold there.
    """
    fixed_vertebrae = np.flatnonzero(np.isfinite(fixed).all(-1))
    is_strong = detected.strengths >= _STRONG * detected.strengths.max()
    is_strong[: len(fixed_vertebrae)] = True
    strong = np.flatnonzero(is_strong)
    strong = strong[np.argsort(detected.centers[strong, 1])]
    centers, corners = detected.centers[strong], detected.corners[strong]
    height = np.maximum(body_heights(corners), 1.0)
    step = np.exp(prior.step_per_height.mean) * height
    down = (corners[:, 2:].mean(1) - corners[:, :2].mean(1)) / height[:, None]
    down[down[:, 1] < _SLOPE / 2] = (0.0, 1.0)  # no vertebra lies on its side: the corners there are no guide
    down /= np.linalg.norm(down, axis=1, keepdims=True)

    taken = list(detected.centers)
    shapes: list[np.ndarray] = []

    def add(position: np.ndarray, like: int, apart: float = _APART) -> None:
        if ((np.array(taken) - position) ** 2).sum(1).min() >= (apart * step[like]) ** 2:
            taken.append(position)
            shapes.append(corners[like] - centers[like])

    for above, below in pairwise(fixed_vertebrae):
        like = int(np.abs(centers - fixed[above]).sum(1).argmin())
        for share in np.arange(1, below - above) / (below - above):
            add(fixed[above] + share * (fixed[below] - fixed[above]), like, _APART_IF_FIXED)
    growth = np.exp(prior.step_ratio.mean)
    count = min(len(VERTEBRAE), max(beyond, len(VERTEBRAE) + 1 - len(strong)))
    for end, sign in ((0, -1), (len(centers) - 1, 1)):
        position, length, direction = centers[end], step[end], down[end]
        for _ in range(count):
            position = position + sign * length * direction
            length *= growth**sign
            direction = direction * (_SLOPE, 1.0)
            direction = direction / np.linalg.norm(direction)
            add(position, end)
    beside = [(i, centers[i] + sign * step[i] * down[i]) for i in range(len(centers)) for sign in (1, -1)]
    for i, position in [*_between(centers, step), *beside]:
        if len(shapes) < _MAX_CANDIDATES:  # maps of no spine would ask for hundreds, and the time grows with their cube
            add(position, i)
    new = np.array(taken[len(detected) :]).reshape(-1, 2)
    x, y = fields.cells_of(new).T
    around = new[:, None] + np.array(shapes).reshape(-1, *corners.shape[1:])
    return Candidates(new, around, fields.heatmap[:, y, x].astype(float))


def _between(centers: np.ndarray, step: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Evenly spread positions in the gaps of ``(N, 2)`` centers from top to bottom, with the upper center's index."""
    positions = []
    for i in range(len(centers) - 1):
        gap = centers[i + 1] - centers[i]
        if abs(gap[0]) > _MAX_SIDEWAYS * gap[1]:
            continue
        steps = min(len(VERTEBRAE), round(float(np.linalg.norm(gap)) * 2 / float(step[i] + step[i + 1])))
        positions += [(i, centers[i] + gap * share) for share in np.arange(1, steps) / max(1, steps)]
    return positions
