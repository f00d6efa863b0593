"""Uncertainty: how unsure a network is of an image."""

from __future__ import annotations

from .strategy import ScoreStrategy

STRATEGY = ScoreStrategy("The image that the model is least sure of", lambda descriptor: descriptor.uncertainty)
