"""A second spine in the image, as where two films stand side by side: how it is noticed and kept out of the first."""

from __future__ import annotations

import numpy as np
import torch

from ...spine.geometry import center_distances
from ..models.landmark_net import Maps

HALF_WIDTH = 3.0
"""Steps to either side of the line of centers that belong to a spine."""
MIN_SCORE = 0.2
"""Mean of the highest scores of all channels beside a spine from which there is another one. Of 106 films and phantoms
that show one spine none has more than 0.04 there; 12 pairs of phantoms side by side have 0.37 and more."""

MIN_FALLS = 0.6
"""Share of its vertebrae that lie below the one before."""


def cells_of_spine(centers: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Which cells ``(h, w)`` belong to a spine: those near its line of centers, which goes straight on beyond it.

    Args:
        centers: ``(V, 2)`` cells.
        size: (h, w) of the maps.
    """
    height, width = size
    order = np.argsort(centers[:, 1], kind="stable")
    line = np.interp(np.arange(height), centers[order, 1], centers[order, 0])
    reach = HALF_WIDTH * max(1.0, float(np.median(center_distances(centers))))
    near: np.ndarray = np.abs(np.arange(width) - line[:, None]) <= reach
    return near


def is_second_spine(maps: Maps, cells: np.ndarray) -> bool:
    """Whether maps of one image show a spine beside the cells ``(h, w)`` of another.

    A network with a single heatmap, which takes anything like one vertebra for a spine, is not asked.
    """
    if maps.heatmap.shape[1] == 1:
        return False
    highest = (maps.heatmap[0] * torch.from_numpy(~cells)).flatten(1).max(1)
    rows = highest.indices // maps.heatmap.shape[-1]
    falls = (rows.diff() > 0).float().mean()  # T1 lies above T2 and so on
    return bool(highest.values.mean() >= MIN_SCORE and falls >= MIN_FALLS)


def within(maps: Maps, cells: np.ndarray) -> Maps:
    """Maps of one image that show nothing beside these cells ``(h, w)``."""
    return maps._replace(heatmap=maps.heatmap * torch.from_numpy(cells))
