"""Active learning: strategies that choose the images whose labels teach most, from what a network says about each."""

from __future__ import annotations

from . import anatomy, balanced, diverse, informative, uncertainty
from .descriptors import ImageDescriptor, describe_images
from .strategy import OrderStrategy, ScoreStrategy, Strategy

STRATEGIES: dict[str, Strategy] = {
    "uncertainty": uncertainty.STRATEGY,
    "anatomy": anatomy.STRATEGY,
    "diverse": diverse.STRATEGY,
    "informative": informative.STRATEGY,
    "balanced": balanced.STRATEGY,
}
"""All strategies that need a network, by name."""

DEFAULT = "balanced"
"""The strategy that clients are offered first; simulated rounds compare them (docs/ACTIVE_LEARNING.md)."""

__all__ = ["DEFAULT", "STRATEGIES", "ImageDescriptor", "OrderStrategy", "ScoreStrategy", "Strategy", "describe_images"]
