"""Uncertainty: how little a network is sure of a film."""

from __future__ import annotations

from .descriptors import Opinion


def uncertainty_score(opinion: Opinion) -> float:
    """Entropy of the heatmaps plus disagreement between views of the film.

    Both lie in 0...1: an even heatmap counts as much as points that lie a whole vertebra apart.
    """
    return opinion.entropy + opinion.disagreement
