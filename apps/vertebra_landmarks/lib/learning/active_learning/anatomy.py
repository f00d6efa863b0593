"""Anatomy: how far from a plausible spine a network's own answer is."""

from __future__ import annotations

from ...spine.schema import VERTEBRAE
from .descriptors import ImageDescriptor
from .strategy import ScoreStrategy


def anatomy_score(descriptor: ImageDescriptor) -> float:
    """MAP margin, in log scores per vertebra, plus broken limits of anatomy per vertebra."""
    return descriptor.margin + descriptor.violations / len(VERTEBRAE)


STRATEGY = ScoreStrategy("The image in which the model's own answer is farthest from a plausible spine", anatomy_score)
