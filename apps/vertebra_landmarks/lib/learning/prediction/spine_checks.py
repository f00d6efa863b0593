"""Checks of what the network found: a second spine in the image, a spine seen from the side."""

from __future__ import annotations

import math

import numpy as np
import torch

from ...spine.geometry import body_heights, center_distances, corners_of
from ...spine.schema import CORNERS, POINTS
from ..models.landmark_net import Maps

HALF_WIDTH = 3.0
"""Steps to either side of the line of centers that belong to a spine."""
MIN_SCORE = 0.2
"""Mean of the highest scores of all channels beside a spine from which there is another one. Of 106 images and phantoms
that show one spine none has more than 0.04 there; 12 pairs of phantoms side by side have 0.37 and more."""

MIN_FALLS = 0.6
"""Share of its vertebrae that lie below the one before."""

MAX_SIDE_ASPECT = 1.6
"""Width over height from which bodies are not those of a lateral radiograph."""
MIN_EVIDENCE = 0.75
"""Mean score of bodies plus half the logarithm of their aspect, below which narrow ones may be seen from the side.

The weights are those of a linear discriminant between 159 radiographs and phantoms from the front, of which none falls
below, and 20 phantoms from the side; see ``docs/RESULTS.md`` for the rates.
"""
_ASPECT_WEIGHT = 0.5
_MIN_BODIES = 3
_LEFT, _RIGHT = ([POINTS.index(name) for name in CORNERS if name.endswith(side)] for side in "LR")


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


def body_aspect(xy: np.ndarray) -> float:
    """Median width of bodies over their height; NaN where there is none.

    Args:
        xy: ``(N, P, 2)`` pixels.
    """
    widths = np.linalg.norm(xy[:, _RIGHT].mean(1) - xy[:, _LEFT].mean(1), axis=-1)
    heights = np.maximum(body_heights(corners_of(xy)), 1e-6)
    return float(np.median(widths / heights)) if len(xy) else math.nan


def may_be_lateral(strengths: np.ndarray, xy: np.ndarray) -> bool:
    """Whether bodies may be seen from the side; fewer than three say nothing.

    Args:
        strengths: ``(N,)`` highest score of any channel at each visible body.
        xy: ``(N, P, 2)`` their points in upright pixels.
    """
    if len(xy) < _MIN_BODIES:
        return False
    aspect = max(body_aspect(xy), 1e-6)
    return aspect < MAX_SIDE_ASPECT and float(strengths.mean()) + _ASPECT_WEIGHT * math.log(aspect) < MIN_EVIDENCE
