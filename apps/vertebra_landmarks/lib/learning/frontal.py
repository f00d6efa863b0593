"""Whether what was found looks like a spine seen from the front: from the side, bodies are narrow and score less."""

from __future__ import annotations

import math

import numpy as np

from ..spine.geometry import body_heights, corners_of
from ..spine.schema import CORNERS, POINTS

MIN_EVIDENCE = 0.75
"""Evidence below which an image may not show a frontal spine; see ``docs/RESULTS.md`` for how many it holds back."""
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


def frontal_evidence(strengths: np.ndarray, xy: np.ndarray) -> float:
    """Mean score of the bodies, and half the logarithm of their aspect: spines from the side have less of both.

    Weighed by a linear discriminant between 159 films and phantoms from the front and 20 phantoms from the side.

    Args:
        strengths: ``(N,)`` highest score of any channel at each visible body.
        xy: ``(N, P, 2)`` their points in upright pixels.

    Returns:
        NaN for fewer than three bodies, which say nothing.
    """
    if len(xy) < _MIN_BODIES:
        return math.nan
    return float(strengths.mean()) + _ASPECT_WEIGHT * math.log(max(body_aspect(xy), 1e-6))
