"""Whether what was found looks like a spine seen from the front: from the side, bodies are narrow and score less."""

from __future__ import annotations

import math

import numpy as np

from ...spine.geometry import body_heights, corners_of
from ...spine.schema import CORNERS, POINTS

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
