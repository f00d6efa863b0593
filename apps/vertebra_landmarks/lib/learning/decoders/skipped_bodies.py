"""Penalty evidence for skipped vertebrae: clear maxima that lie between the two candidates of a step."""

from __future__ import annotations

import numpy as np

from ...spine.chain_prior import ChainPrior
from ...spine.geometry import body_heights
from .candidates import Candidates
from .chain import Steps

_SHORT, _LONG = 1.45, 1.75  # usual steps; a shorter one goes over a disc at most, a longer one has room for a body
_APART = 0.45  # of a usual step, that a body keeps from either end of a step over it
_MAX_DETOUR = 1.12  # of the straight line, by a body on it
_CLEAR = 0.3  # score, of all channels together, of what is surely a body


def skipped_bodies(candidates: Candidates, detected: int, steps: Steps, prior: ChainPrior) -> np.ndarray:
    """How clearly each step goes over a body.

    Args:
        candidates: those that the network detected first.
        detected: how many these are.
        steps: E steps between candidates.
        prior: gives the usual step from the body height.

    Returns:
        ``(E,)`` in 0...1.
    """
    centers, heights = candidates.centers, body_heights(candidates.corners)
    usual = np.exp(prior.step_per_height.mean) * (heights[steps.begin] + heights[steps.end]) / 2
    length = np.linalg.norm(centers[steps.end] - centers[steps.begin], axis=-1)
    room = np.clip((length / np.maximum(usual, 1e-3) - _SHORT) / (_LONG - _SHORT), 0.0, 1.0)
    long = np.flatnonzero(room)
    apart = np.linalg.norm(centers[:detected, None] - centers, axis=-1)  # (detected, C)
    to, on = apart[:, steps.begin[long]], apart[:, steps.end[long]]
    is_between = (np.minimum(to, on) >= _APART * usual[long]) & (to + on <= _MAX_DETOUR * length[long])
    strength = np.minimum(candidates.scores[:, :detected].sum(0) / _CLEAR, 1.0)
    skipped = np.zeros(len(length))
    skipped[long] = room[long] * (is_between * strength[:, None]).max(0, initial=0.0)
    return skipped
