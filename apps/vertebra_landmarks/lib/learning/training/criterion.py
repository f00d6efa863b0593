"""The criterion of the landmark network: a weighted sum of terms, each a function in the registry ``TERMS``."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from ..codec import LandmarkCodec, Targets
from ..config import LossConfig
from ..models.landmark_net import Maps
from .losses import (
    anatomy_constraint_loss,
    masked_l1_loss,
    penalty_reduced_focal_loss,
    soft_argmax,
    unnamed_focal_loss,
)


def _heatmap(maps: Maps, targets: Targets, config: LossConfig) -> torch.Tensor:
    weight = targets.heatmap_weight
    return penalty_reduced_focal_loss(maps.heatmap, targets.maps.heatmap, weight, config.alpha, config.beta)


def _unnamed(maps: Maps, targets: Targets, config: LossConfig) -> torch.Tensor:
    return unnamed_focal_loss(maps.heatmap, targets.maps.heatmap, targets.unnamed_weight, config.alpha, config.beta)


def _anatomy(maps: Maps, targets: Targets, config: LossConfig) -> torch.Tensor:
    is_there = (targets.maps.heatmap == 1).flatten(2).any(-1) * targets.heatmap_weight[..., 0, 0]
    centers = soft_argmax(maps.heatmap, maps.offset, config.anatomy_sharpness)
    return anatomy_constraint_loss(centers, is_there, config.anatomy_hinge)


def _offset(maps: Maps, targets: Targets, config: LossConfig) -> torch.Tensor:
    return masked_l1_loss(maps.offset, targets.maps.offset, targets.offset_weight)


def _corner(maps: Maps, targets: Targets, config: LossConfig) -> torch.Tensor:
    return masked_l1_loss(maps.corner_offset, targets.maps.corner_offset, targets.corner_weight)


TERMS: dict[str, Callable[[Maps, Targets, LossConfig], torch.Tensor]] = {
    "heatmap": _heatmap,
    "unnamed": _unnamed,
    "anatomy": _anatomy,
    "offset": _offset,
    "corner": _corner,
}
"""All terms by name, from maps (heatmap as logits, single precision), targets and settings to a scalar.

The weight of a term is the setting ``loss.NAME_weight`` of ``model.yaml``, or 1 where there is no such setting. A
single heatmap for all vertebrae has neither an unnamed nor an anatomy term: both are 0.
"""


class LandmarkCriterion(nn.Module):
    """Weighted sum of all ``TERMS``.

    Args:
        codec: encodes the label.
        config: exponents and weights.
    """

    def __init__(self, codec: LandmarkCodec, config: LossConfig) -> None:
        super().__init__()
        self.codec = codec
        self.config = config

    def terms(self, prediction: Maps, targets: Targets) -> dict[str, torch.Tensor]:
        """The single losses by name, without their weights."""
        maps = Maps(*(m.float() for m in prediction))
        return {name: term(maps, targets, self.config) for name, term in TERMS.items()}

    def forward(
        self, prediction: Maps, label: torch.Tensor, corner_weight: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Total loss and its terms.

        Args:
            prediction: maps from the network, heatmap as logits.
            label: ``(B, V, P, 3)`` x, y in input pixels and state.
            corner_weight: ``(B,)`` by which the corners of each image count; left out: all alike.

        Returns:
            The weighted sum (a scalar) and the unweighted terms.
        """
        channels, h, w = prediction.heatmap.shape[1:]
        size = h * self.codec.stride, w * self.codec.stride
        targets = self.codec.encode(label, size, channels)
        if corner_weight is not None:
            targets = targets._replace(corner_weight=targets.corner_weight * corner_weight[:, None, None, None])
        terms = self.terms(prediction, targets)
        weights = {name: getattr(self.config, f"{name}_weight", 1.0) for name in terms}
        return torch.stack([weights[name] * term for name, term in terms.items()]).sum(), terms
