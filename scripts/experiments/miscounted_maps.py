"""Maps of a network that has counted wrongly, made of right ones: all names one level off, or from a body on."""

from __future__ import annotations

import numpy as np
import torch

from lib.learning.models.hrnet import STRIDE
from lib.learning.models.landmark_net import Maps
from lib.learning.prediction.network_view import NetworkView
from lib.spine.geometry import center_distances, transform_points
from lib.spine.schema import VERTEBRAE

_MIX = (0.6, 0.95)  # share of the wrong channel at a miscounted body
_BEYOND = (0.3, 0.55)  # highest score in pelvis or neck


def with_levels_off(maps: Maps, by: int) -> Maps:
    """Maps whose channels answer so many levels too high: every name goes to the vertebra so much further down."""
    moved = torch.zeros_like(maps.heatmap)
    count = len(VERTEBRAE)
    moved[:, max(0, -by) : count - max(0, by)] = maps.heatmap[:, max(0, by) : count - max(0, -by)]
    return maps._replace(heatmap=moved)


def miscounted(view: NetworkView, centers: np.ndarray, random: np.random.Generator, is_lower: bool) -> Maps | None:
    """Maps that count 18 bodies with 17 names.

    From a random body on, downwards or upwards, every body answers with the name of its inner neighbour, so that two
    share a name, and the outermost name goes to a faint body in the pelvis or the neck.

    Args:
        view: whose maps are changed.
        centers: ``(V, 2)`` of the vertebrae in pixels of the upright image.
        random: where, and how strongly.
        is_lower: whether the lower part is counted wrongly.

    Returns:
        The maps; ``None`` where there is no room beyond the end.
    """
    cells = (transform_points(view.matrix, centers) + 0.5) / STRIDE - 0.5
    heatmap, offset, corners = (part[0].clone() for part in view.maps)
    height, width = heatmap.shape[-2:]
    body = int(random.integers(3, len(VERTEBRAE) - 4))
    rows = torch.arange(height) > float(cells[body : body + 2, 1].mean())
    part = rows if is_lower else ~rows
    wrong = with_levels_off(view.maps, 1 if is_lower else -1).heatmap[0]
    mix = float(random.uniform(*_MIX))
    heatmap[:, part] = (mix * wrong + (1 - mix) * heatmap)[:, part]
    end, inner = (-1, -2) if is_lower else (0, 1)
    reach = max(2, round(float(np.median(center_distances(cells))) / 2))
    source = np.rint(cells[end]).astype(int)
    target = np.rint(2 * cells[end] - cells[inner]).astype(int)
    if min(*source, *target) < reach or (np.maximum(source, target) >= (width - reach, height - reach)).any():
        return None
    here, there = ((..., slice(y - reach, y + reach + 1), slice(x - reach, x + reach + 1)) for x, y in (source, target))
    copied = view.maps.heatmap[0][end][here[1:]]
    scale = float(random.uniform(*_BEYOND)) / max(0.05, float(copied.max()))
    heatmap[end][there[1:]] = torch.maximum(heatmap[end][there[1:]], min(scale, 1.5) * copied)
    offset[there], corners[there] = offset[here].clone(), corners[here].clone()
    return Maps(heatmap[None].clamp(0, 1), offset[None], corners[None])
