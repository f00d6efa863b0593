"""The losses and the criterion that joins them."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from .codec import LandmarkCodec, Targets
from .config import LossConfig
from .network import Maps


def penalty_reduced_focal_loss(
    logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor, alpha: float = 2.0, beta: float = 4.0
) -> torch.Tensor:
    """Focal loss whose negatives count less the nearer they lie to a center.

    Args:
        logits: ``(B, V, h, w)`` predicted heatmap before the sigmoid.
        target: ``(B, V, h, w)`` Gaussians in 0...1, exactly 1 at the centers.
        weight: broadcastable to the target; 0 leaves a channel out.
        alpha: exponent on the error of the prediction.
        beta: exponent on one minus the target.

    Returns:
        The sum over all cells divided by the number of centers (at least 1), a scalar.

    Reference:
        Law and Deng, CornerNet, ECCV 2018, eq. (1).
    """
    log_p, log_not_p = F.logsigmoid(logits), F.logsigmoid(-logits)
    p = logits.sigmoid()
    is_center = (target == 1).to(logits.dtype)
    positive = is_center * (1 - p) ** alpha * log_p
    negative = (1 - is_center) * (1 - target) ** beta * p**alpha * log_not_p
    return -((positive + negative) * weight).sum() / (is_center * weight).sum().clamp(min=1.0)


def masked_l1_loss(prediction: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Mean absolute error over the entries with weight.

    Args:
        prediction: any shape.
        target: the same shape.
        weight: broadcastable to it; an entry with weight 0 changes nothing.

    Returns:
        A scalar, 0 (with a gradient) where nothing has weight.
    """
    weight = weight.expand_as(target)
    return (F.l1_loss(prediction, target, reduction="none") * weight).sum() / weight.sum().clamp(min=1.0)


class LandmarkCriterion(nn.Module):
    """Weighted sum of the heatmap, offset and corner losses.

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
        prediction = Maps(*(m.float() for m in prediction))
        return {
            "heatmap": penalty_reduced_focal_loss(
                prediction.heatmap, targets.maps.heatmap, targets.heatmap_weight, self.config.alpha, self.config.beta
            ),
            "offset": masked_l1_loss(prediction.offset, targets.maps.offset, targets.offset_weight),
            "corner": masked_l1_loss(prediction.corner_offset, targets.maps.corner_offset, targets.corner_weight),
        }

    def forward(self, prediction: Maps, label: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Total loss and its terms.

        Args:
            prediction: maps from the network, heatmap as logits.
            label: ``(B, V, P, 3)`` x, y in input pixels and state.

        Returns:
            The weighted sum (a scalar) and the unweighted terms.
        """
        h, w = prediction.heatmap.shape[-2:]
        terms = self.terms(prediction, self.codec.encode(label, (h * self.codec.stride, w * self.codec.stride)))
        weights = {
            "heatmap": self.config.heatmap_weight,
            "offset": self.config.offset_weight,
            "corner": self.config.corner_weight,
        }
        return torch.stack([weights[name] * term for name, term in terms.items()]).sum(), terms
