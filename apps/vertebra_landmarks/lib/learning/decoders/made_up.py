"""Candidates where the network saw none: in gaps and beyond the ends of what it saw."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ...spine.chain_prior import ChainPrior
from ...spine.geometry import body_heights
from ...spine.schema import VERTEBRAE
from .candidates import Candidates, Fields

_STRONG = 0.4  # of the highest score; what reaches it is taken for a vertebra
_APART = 0.5  # of a step; a place nearer to a candidate than that needs none of its own
_APART_IF_FIXED = 0.15  # the same between two fixed vertebrae, which may be squeezed together
_MAX_SIDEWAYS = 2.5  # times its way down, by which a gap may go sideways, which in AASCE labels is 1.53 at most
_MOST = 36  # with those in gaps and beside candidates
_SLOPE = 0.85  # by which a spine turns upright from one made-up vertebra to the next


def made_up_candidates(
    fields: Fields, seen: Candidates, fixed: np.ndarray, prior: ChainPrior, beyond: int
) -> Candidates:
    """Where a vertebra would be expected by the places, the sizes and the tilts of others, and none is seen.

    These are the places one step above and below each strong candidate, evenly spread ones in gaps between them, those
    beyond the uppermost and the lowest, and evenly spread ones for the vertebrae between two fixed ones.

    Args:
        fields: maps of one image.
        seen: candidates to start from, at least one; the fixed centers first.
        fixed: ``(V, 2)`` fixed centers, NaN where free.
        prior: gives the step from the body height.
        beyond: how many to add beyond either end at least; more, if fewer than 17 vertebrae are seen.

    Returns:
        The new candidates; their corners are copies of a neighbour's, their scores what the maps hold there.
    """
    given = np.flatnonzero(np.isfinite(fixed).all(-1))
    is_strong = seen.strengths >= _STRONG * seen.strengths.max()
    is_strong[: len(given)] = True
    strong = np.flatnonzero(is_strong)
    strong = strong[np.argsort(seen.centers[strong, 1])]
    centers, corners = seen.centers[strong], seen.corners[strong]
    height = np.maximum(body_heights(corners), 1.0)
    step = np.exp(prior.step_per_height.mean) * height
    down = (corners[:, 2:].mean(1) - corners[:, :2].mean(1)) / height[:, None]
    down[down[:, 1] < _SLOPE / 2] = (0.0, 1.0)  # no vertebra lies on its side: the corners there are no guide
    down /= np.linalg.norm(down, axis=1, keepdims=True)

    taken = list(seen.centers)
    shapes: list[np.ndarray] = []

    def add(place: np.ndarray, like: int, apart: float = _APART) -> None:
        if ((np.array(taken) - place) ** 2).sum(1).min() >= (apart * step[like]) ** 2:
            taken.append(place)
            shapes.append(corners[like] - centers[like])

    for above, below in pairwise(given):
        like = int(np.abs(centers - fixed[above]).sum(1).argmin())
        for share in np.arange(1, below - above) / (below - above):
            add(fixed[above] + share * (fixed[below] - fixed[above]), like, _APART_IF_FIXED)
    growth = np.exp(prior.step_ratio.mean)
    count = min(len(VERTEBRAE), max(beyond, len(VERTEBRAE) + 1 - len(strong)))
    for end, sign in ((0, -1), (len(centers) - 1, 1)):
        place, length, way = centers[end], step[end], down[end]
        for _ in range(count):
            place = place + sign * length * way
            length *= growth**sign
            way = way * (_SLOPE, 1.0)
            way = way / np.linalg.norm(way)
            add(place, end)
    beside = [(i, centers[i] + sign * step[i] * down[i]) for i in range(len(centers)) for sign in (1, -1)]
    for i, place in [*_between(centers, step), *beside]:
        if len(shapes) < _MOST:  # maps of no spine would ask for hundreds, and the time grows with their cube
            add(place, i)
    new = np.array(taken[len(seen) :]).reshape(-1, 2)
    x, y = fields.cells_of(new).T
    around = new[:, None] + np.array(shapes).reshape(-1, *corners.shape[1:])
    return Candidates(new, around, fields.heatmap[:, y, x].astype(float))


def _between(centers: np.ndarray, step: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Evenly spread places in the gaps of ``(N, 2)`` centers from top to bottom, with the index of the center above."""
    places = []
    for i in range(len(centers) - 1):
        gap = centers[i + 1] - centers[i]
        if abs(gap[0]) > _MAX_SIDEWAYS * gap[1]:
            continue
        steps = min(len(VERTEBRAE), round(float(np.linalg.norm(gap)) * 2 / float(step[i] + step[i + 1])))
        places += [(i, centers[i] + gap * share) for share in np.arange(1, steps) / max(1, steps)]
    return places
