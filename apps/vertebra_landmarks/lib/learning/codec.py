"""The codec: landmarks to the maps that the network learns, and maps back to landmarks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from ..spine.geometry import mirrored_order
from ..spine.schema import CORNERS, POINTS, VERTEBRAE
from .config import CodecConfig
from .models.hrnet import STRIDE
from .models.landmark_net import Maps

ABSENT, PRESENT, UNNAMED, UNKNOWN = 0.0, 1.0, 2.0, 3.0
"""States of a point in a label: not on the image; there; there, but its vertebra's name is not trusted; nobody has said
whether and where."""

STATE = 2
"""Column of the state in a label ``(V, P, 3)`` of x, y, state."""

_ENDS_BEYOND = (0.5, 2.5)  # steps between which a vertebra may have been left out at an end of an unnamed spine


def is_placed(state: torch.Tensor) -> torch.Tensor:
    """Of which points a label says where they are, by their states."""
    return (state == PRESENT) | (state == UNNAMED)


def longest_row(is_there: np.ndarray) -> slice:
    """The longest row of neighbouring vertebrae, maybe empty; of equal ones the uppermost.

    Args:
        is_there: ``(V,)`` bool.
    """
    best, begin = slice(0, 0), 0
    for number, belongs in enumerate(np.append(is_there, False)):
        if not belongs:
            if number - begin > best.stop - best.start:
                best = slice(begin, number)
            begin = number + 1
    return best


class Targets(NamedTuple):
    """What the network should have predicted.

    Attributes:
        maps: the ideal maps, heatmap in 0...1 with exactly 1 at the center cells.
        heatmap_weight: ``(B, V, 1, 1)``, 0 for unknown vertebrae and for all on images with a vertebra whose name is
            not trusted. For a single heatmap, which has no names, ``(B, 1, h, w)``: 1, but 0 on images of either kind
            where the spine may go on beyond its labelled ends.
        unnamed_weight: ``(B, 1, h, w)``, for the heatmaps of all names together: 1 on images with vertebrae whose names
            are not trusted, 0 on other images and where such a spine may go on beyond its labelled ends; 0 everywhere
            for a single heatmap.
        offset_weight: ``(B, 1, h, w)``, 1 at cells where the offset is known.
        corner_weight: ``(B, 2 K, h, w)``, 1 at cells where that corner is known.
    """

    maps: Maps
    heatmap_weight: torch.Tensor
    unnamed_weight: torch.Tensor
    offset_weight: torch.Tensor
    corner_weight: torch.Tensor


class Decoded(NamedTuple):
    """Landmarks of a batch.

    Attributes:
        xy: ``(B, V, P, 2)`` in pixels of the network's input.
        scores: ``(B, V)`` center scores in 0...1.
    """

    xy: torch.Tensor
    scores: torch.Tensor


class LandmarkCodec:
    """Both directions between landmarks in input pixels and maps in cells.

    Cell ``u`` covers the input pixels ``stride * u ... stride * (u + 1) - 1``; its middle is the pixel position
    ``stride * (u + 0.5) - 0.5``. Offsets are learnt not only at the center's own cell, as published, but in a small
    square around it, so that a peak one cell off still leads to the right point.

    Args:
        config: width of the Gaussians, radius of that square.
    """

    def __init__(self, config: CodecConfig) -> None:
        self.stride = STRIDE
        self.sigma = config.sigma_cells
        self.radius = config.offset_radius_cells

    def encode(self, label: torch.Tensor, size: tuple[int, int], channels: int = len(VERTEBRAE)) -> Targets:
        """Draw the ideal maps.

        Args:
            label: ``(B, V, P, 3)`` x, y in input pixels and the state of each point.
            size: (height, width) of the input in pixels.
            channels: heatmaps, one per vertebra or 1 for all of them.

        Returns:
            Targets on the label's device. A vertebra whose center lies outside the input has no peak.

        Raises:
            ValueError: the label has another shape, or ``channels`` is another number.
        """
        if channels not in (1, len(VERTEBRAE)):
            raise ValueError(f"channels must be 1 or {len(VERTEBRAE)}, got {channels}")
        if label.ndim != 4 or label.shape[1:] != (len(VERTEBRAE), len(POINTS), 3):
            raise ValueError(f"label must have shape (B, {len(VERTEBRAE)}, {len(POINTS)}, 3), got {tuple(label.shape)}")
        h, w = size[0] // self.stride, size[1] // self.stride
        label = label.float()
        xy_hm = (torch.nan_to_num(label[..., :STATE]) + 0.5) / self.stride - 0.5  # (B, V, P, 2)
        counts = label.isfinite().all(-1) | (label[..., STATE] == UNKNOWN)
        states = torch.where(counts, label[..., STATE], ABSENT)  # (B, V, P)
        center, state = xy_hm[:, :, 0], states[:, :, 0]
        cell = center.round()
        limits = label.new_tensor([w, h])
        is_inside = ((cell >= 0) & (cell < limits)).all(-1) & is_placed(state)  # (B, V)

        heatmap = self._gaussians(center, cell, is_inside, h, w)
        batch, vertebra, x, y = self._taught_cells(cell, is_inside, h, w)
        middle = center[batch, vertebra]  # (Q, 2)
        corners = (xy_hm[batch, vertebra, 1:] - middle[:, None]).flatten(1)  # (Q, 2 K)
        placed_corners = is_placed(states[batch, vertebra, 1:]).float().repeat_interleave(2, 1)

        offset = label.new_zeros(len(label), 2, h, w)
        corner_offset = label.new_zeros(len(label), 2 * len(CORNERS), h, w)
        offset_weight, corner_weight = label.new_zeros(len(label), 1, h, w), torch.zeros_like(corner_offset)
        offset[batch, :, y, x] = middle - torch.stack([x, y], -1)
        corner_offset[batch, :, y, x] = corners
        offset_weight[batch, :, y, x] = 1.0
        corner_weight[batch, :, y, x] = placed_corners
        is_named = (state != UNNAMED).all(-1)  # (B,): an image is named as a whole or not at all
        unnamed_weight = self._weight_within(center, state, h, w) * (~is_named)[:, None, None, None]
        heatmap_weight = (is_named[:, None] & (state != UNKNOWN)).float()[..., None, None]
        if channels == 1:
            is_whole = (is_named & (state != UNKNOWN).all(-1))[:, None, None, None]
            heatmap_weight = torch.where(is_whole, 1.0, self._weight_within(center, state, h, w))
            heatmap, unnamed_weight = heatmap.amax(1, keepdim=True), torch.zeros_like(unnamed_weight)
        maps = Maps(heatmap, offset, corner_offset)
        return Targets(maps, heatmap_weight, unnamed_weight, offset_weight, corner_weight)

    @staticmethod
    def _weight_within(center: torch.Tensor, state: torch.Tensor, h: int, w: int) -> torch.Tensor:
        """Rows that lie from 0.5 to 2.5 steps beyond either end of a spine have no weight: ``(B, 1, h, w)``."""
        rows = torch.arange(h, device=center.device)
        placed, y = is_placed(state), center[..., 1]
        top = torch.where(placed, y, torch.inf).amin(1, keepdim=True)  # (B, 1)
        bottom = torch.where(placed, y, -torch.inf).amax(1, keepdim=True)
        step = ((bottom - top) / (placed.sum(1, keepdim=True) - 1).clamp(min=1)).clamp(min=1.0)
        beyond = torch.maximum(top - rows, rows - bottom) / step  # (B, h)
        counts = (beyond <= _ENDS_BEYOND[0]) | (beyond >= _ENDS_BEYOND[1])
        weight = (counts & placed.any(1, keepdim=True)).to(center.dtype)
        return weight[:, None, :, None].expand(-1, 1, h, w)

    def _taught_cells(
        self, cell: torch.Tensor, is_inside: torch.Tensor, h: int, w: int
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Cells at which offsets are learnt: image, vertebra, x and y, each ``(Q,)``, no cell of an image twice.

        Where the squares of two vertebrae overlap, the one whose center is nearer has the cell.
        """
        batch, vertebra = torch.nonzero(is_inside, as_tuple=True)  # (N,)
        reach = torch.arange(-self.radius, self.radius + 1, device=cell.device)
        dy, dx = (d.flatten() for d in torch.meshgrid(reach, reach, indexing="ij"))
        nearest_last = torch.argsort(dx.abs() + dy.abs(), descending=True, stable=True)
        delta = torch.stack([dx, dy], -1)[nearest_last]  # (M, 2)
        cells = cell[batch, vertebra].long() + delta[:, None]  # (M, N, 2)
        fits = ((cells >= 0) & (cells < cells.new_tensor([w, h]))).all(-1)
        m, n = torch.nonzero(fits, as_tuple=True)
        x, y = cells[m, n].unbind(-1)
        wins = _winners((batch[n] * h + y) * w + x, m * len(batch) + n, len(cell) * h * w)
        return batch[n][wins], vertebra[n][wins], x[wins], y[wins]

    def _gaussians(
        self, center: torch.Tensor, cell: torch.Tensor, is_inside: torch.Tensor, h: int, w: int
    ) -> torch.Tensor:
        scale = -0.5 / self.sigma**2
        columns = torch.arange(w, device=center.device)
        rows = torch.arange(h, device=center.device)
        along_x = torch.exp(scale * (columns - center[..., :1]) ** 2)  # (B, V, w)
        along_y = torch.exp(scale * (rows - center[..., 1:]) ** 2) * is_inside[..., None]
        heatmap = along_y[..., :, None] * along_x[..., None, :]  # (B, V, h, w)
        batch, vertebra = torch.nonzero(is_inside, as_tuple=True)
        x, y = cell[batch, vertebra].long().unbind(-1)
        heatmap[batch, vertebra, y, x] = 1.0
        return heatmap

    def decode(self, maps: Maps) -> Decoded:
        """Read the landmarks off the maps, each channel for itself (parallel decoding).

        Args:
            maps: maps of a batch, heatmap in 0...1 (not logits), one channel per vertebra or one for all of them.

        Returns:
            Points in input pixels; the center is the peak cell plus its offset, the corners are relative to it. All
            vertebrae of a single heatmap are there too: those for which it has no peak have score 0.

        Reference:
            Yang et al., Artificial Intelligence in Medicine 159 (2025) 103011, parallel inference; Yi et al.,
            arXiv 2001.03187, for a single heatmap, with names given from top to bottom.
        """
        scores, index = peaks(maps.heatmap)
        b, v, w = *index.shape, maps.heatmap.shape[-1]
        cell = torch.stack([index % w, torch.div(index, w, rounding_mode="floor")], -1)
        center = cell + _gather(maps.offset, index)  # (B, V, 2)
        corners = center[:, :, None] + _gather(maps.corner_offset, index).view(b, v, len(CORNERS), 2)
        xy_hm = torch.cat([center[:, :, None], corners], 2)
        return Decoded((xy_hm + 0.5) * self.stride - 0.5, scores)


def peaks(heatmap: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The cell of every vertebra.

    Each has the highest cell of its channel. In a single channel for all of them, the highest local maxima of 3x3 cells
    (of equal neighbours the first) are theirs, from top to bottom; where there are too few, other cells with score 0.

    Args:
        heatmap: ``(B, V, h, w)`` or ``(B, 1, h, w)`` in 0...1.

    Returns:
        Scores in 0...1 and flat cell indices ``y * w + x``, both ``(B, V)``.
    """
    flat = heatmap.float().flatten(2)  # (B, C, h w)
    if flat.shape[1] > 1:
        scores, index = flat.max(-1)
        return scores, index
    highest = F.max_pool2d(heatmap.float(), 3, stride=1, padding=1, return_indices=True)[1].flatten(1)  # (B, h w)
    is_maximum = highest == torch.arange(highest.shape[1], device=highest.device)
    scores, index = torch.where(is_maximum, flat[:, 0], 0.0).topk(len(VERTEBRAE))
    index, order = index.sort()
    return scores.gather(1, order), index


def mirror_maps(maps: Maps) -> Maps:
    """The maps of the mirrored image, left corners become right corners; applied twice it changes nothing.

    Args:
        maps: maps of a batch, heatmap as logits or in 0...1.
    """
    b, _, h, w = maps.corner_offset.shape
    sign = maps.offset.new_tensor([-1.0, 1.0])[:, None, None]
    corners = maps.corner_offset.view(b, len(CORNERS), 2, h, w)[:, list(mirrored_order(CORNERS))] * sign
    return Maps(maps.heatmap.flip(-1), (maps.offset * sign).flip(-1), corners.reshape(b, -1, h, w).flip(-1))


def _winners(targets: torch.Tensor, ranks: torch.Tensor, count: int) -> torch.Tensor:
    """Which entries hold the highest rank of their target, so that no target is written twice.

    Args:
        targets: ``(Q,)`` in 0...count - 1.
        ranks: ``(Q,)`` distinct and not negative.
        count: number of targets.

    Returns:
        ``(Q,)`` bool.
    """
    highest = targets.new_full((count,), -1).scatter_reduce(0, targets, ranks, "amax")
    return highest[targets] == ranks


def _gather(maps: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Values ``(B, V, C)`` of maps ``(B, C, h, w)`` at flat cell indices ``(B, V)``."""
    flat = maps.flatten(2).float()
    return flat.gather(2, index[:, None].expand(-1, flat.shape[1], -1)).transpose(1, 2)
