"""Candidates where the network saw none: in gaps and beyond the ends of what it saw."""

from __future__ import annotations

import numpy as np

from ...spine.geometry import body_heights
from ...spine.priors import ChainPrior
from .candidates import Candidates, Fields

_APART = 0.5  # of a step; a place nearer to a candidate than that needs none of its own
_SLOPE = 0.85  # by which a spine turns upright from one made-up vertebra to the next


def made_up_candidates(fields: Fields, seen: Candidates, prior: ChainPrior, beyond: int) -> Candidates:
    """Where a neighbour would be expected by the size and the tilt of a candidate, and is not.

    Args:
        fields: maps of one image.
        seen: candidates to start from, at least one.
        prior: gives the step from the body height.
        beyond: how many to add beyond either end.

    Returns:
        The new candidates; their corners are copies of their neighbour's, their scores what the maps hold there.
    """
    order = np.argsort(seen.centers[:, 1])
    centers, corners = seen.centers[order], seen.corners[order]
    step = np.exp(prior.step_per_height.mean) * np.maximum(body_heights(corners), 1.0)
    down = (corners[:, 2:].mean(1) - corners[:, :2].mean(1)) / np.maximum(body_heights(corners), 1.0)[:, None]
    down[down[:, 1] < _SLOPE / 2] = (0.0, 1.0)  # no vertebra lies on its side: the corners there are no guide
    down /= np.linalg.norm(down, axis=1, keepdims=True)

    taken = np.concatenate([centers, np.empty((2 * len(centers) + 2 * beyond, 2))])
    places: list[np.ndarray] = []
    shapes: list[np.ndarray] = []

    def add(place: np.ndarray, like: int) -> None:
        count = len(centers) + len(places)
        if ((taken[:count] - place) ** 2).sum(1).min() >= (_APART * step[like]) ** 2:
            taken[count] = place
            places.append(place)
            shapes.append(corners[like] - centers[like])

    for i in range(len(centers)):
        add(centers[i] + step[i] * down[i], i)
        add(centers[i] - step[i] * down[i], i)
    growth = np.exp(prior.step_ratio.mean)
    for end, sign in ((0, -1), (len(centers) - 1, 1)):
        place, length, way = centers[end], step[end], down[end]
        for _ in range(beyond):
            place = place + sign * length * way
            length *= growth**sign
            way = way * (_SLOPE, 1.0)
            way = way / np.linalg.norm(way)
            add(place, end)
    if not places:
        return Candidates(np.empty((0, 2)), np.empty((0, *corners.shape[1:])), np.empty((len(fields.heatmap), 0)))
    new = np.array(places)
    x, y = fields.cells_of(new).T
    return Candidates(new, new[:, None] + np.array(shapes), fields.heatmap[:, y, x].astype(float))
