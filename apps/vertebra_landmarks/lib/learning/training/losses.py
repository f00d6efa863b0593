"""Losses of the landmark network's maps, and of the corners that the corner network finds.

Where several processes train, each loss is what this part of a batch adds to that of the whole, see ``shared_count``.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

from ...spine.schema import CORNERS
from ..models.corner_net import CornerOutput
from .distributed import shared_count

_MIN_PROBABILITY = 1e-6  # below which the logarithm of a joined probability stays as it is
_SMALL = 1e-4  # cells or pixels; keeps the gradient of a length finite at 0
_MAX_TILT = 0.5  # radians, beyond which a wrong tilt is not punished further
_CENTER_WEIGHT, _TILT_WEIGHT, _ERROR_WEIGHT = 0.5, 10.0, 0.3
_LOG_ERRORS = (-3.0, 5.0)
_ENDPLATES = (("TL", "TR"), ("BL", "BR"))


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
    return _penalty_reduced(logits.sigmoid(), log_p, log_not_p, target, weight, alpha, beta)


def unnamed_focal_loss(
    logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor, alpha: float = 2.0, beta: float = 4.0
) -> torch.Tensor:
    """Penalty-reduced focal loss of "some vertebra has its center here", for labels without trusted names.

    The channels' probabilities are joined as if independent, 1 - prod(1 - p); which channel answers is left open.

    Args:
        logits: ``(B, V, h, w)`` predicted heatmap before the sigmoid.
        target: ``(B, V, h, w)`` Gaussians in 0...1, exactly 1 at the centers, in whatever channels.
        weight: ``(B, 1, h, w)``; 0 leaves a cell out.
        alpha: exponent on the error of the prediction.
        beta: exponent on one minus the target.

    Returns:
        The sum over all cells divided by the number of centers (at least 1), a scalar.
    """
    log_not_p = F.logsigmoid(-logits).sum(1, keepdim=True)
    p = -torch.expm1(log_not_p)
    log_p = torch.log(p.clamp(min=_MIN_PROBABILITY))
    joined = target.amax(1, keepdim=True)
    return _penalty_reduced(p, log_p, log_not_p, joined, weight, alpha, beta)


def _penalty_reduced(
    p: torch.Tensor,
    log_p: torch.Tensor,
    log_not_p: torch.Tensor,
    target: torch.Tensor,
    weight: torch.Tensor,
    alpha: float,
    beta: float,
) -> torch.Tensor:
    is_center = (target == 1).to(p.dtype)
    positive = is_center * (1 - p) ** alpha * log_p
    negative = (1 - is_center) * (1 - target) ** beta * p**alpha * log_not_p
    return -((positive + negative) * weight).sum() / shared_count((is_center * weight).sum())


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
    return (F.l1_loss(prediction, target, reduction="none") * weight).sum() / shared_count(weight.sum())


def soft_argmax(logits: torch.Tensor, offset: torch.Tensor, sharpness: float = 1.0) -> torch.Tensor:
    """Differentiable centers: the mean position under each channel's softmax, plus the mean offset there.

    Args:
        logits: ``(B, V, h, w)`` heatmap before the sigmoid.
        offset: ``(B, 2, h, w)`` from cell to center, in cells.
        sharpness: factor on the logits. With 1 the thousands of cells without a center, each of a tiny share, still
            draw the mean towards the middle of the map; with 2 a trained heatmap's mean is at its peak.

    Returns:
        ``(B, V, 2)`` x, y in cells.

    Reference:
        Yang et al., Artificial Intelligence in Medicine 159 (2025) 103011, the centers of the anatomy constraint.
    """
    h, w = logits.shape[-2:]
    share = (sharpness * logits).flatten(2).softmax(-1)  # (B, V, h w)
    y, x = torch.meshgrid(
        torch.arange(h, device=logits.device, dtype=logits.dtype),
        torch.arange(w, device=logits.device, dtype=logits.dtype),
        indexing="ij",
    )
    position = torch.stack([x, y])[None] + offset  # (B, 2, h, w)
    return share @ position.flatten(2).transpose(1, 2)


def anatomy_constraint_loss(centers: torch.Tensor, weight: torch.Tensor, hinge: float = 0.0) -> torch.Tensor:
    """Distance of every center from the middle of its two neighbours, in mean steps of its spine.

    Args:
        centers: ``(B, V, 2)`` in cells; a mean step counts as one cell at least.
        weight: ``(B, V)``; a triplet counts where all three centers have weight.
        hinge: distance in steps that is free, since true spines are curved; 0 gives the plain, published form.

    Returns:
        Mean over the triplets that count, a scalar.

    Reference:
        Yang et al., Artificial Intelligence in Medicine 159 (2025) 103011, L_tri; the hinge is this project's.
    """
    above, middle, below = centers[:, :-2], centers[:, 1:-1], centers[:, 2:]
    counts = weight[:, :-2] * weight[:, 1:-1] * weight[:, 2:]
    both = weight[:, :-1] * weight[:, 1:]
    length = torch.linalg.vector_norm(centers[:, 1:] - centers[:, :-1], dim=-1).detach()
    step = (length * both).sum(-1, keepdim=True) / both.sum(-1, keepdim=True).clamp(min=1.0)
    residual = torch.sqrt(((middle - (above + below) / 2) ** 2).sum(-1) + _SMALL**2)
    excess = F.relu(residual / step.clamp(min=1.0) - hinge)
    return (excess * counts).sum() / shared_count(counts.sum())


def endplate_tilts(corners: torch.Tensor) -> torch.Tensor:
    """``(..., 2)`` directions of the upper and lower endplate in radians, of corners ``(..., K, 2)``."""
    left, right = ([CORNERS.index(plate[side]) for plate in _ENDPLATES] for side in (0, 1))
    along = corners[..., right, :] - corners[..., left, :]
    return torch.atan2(along[..., 1], along[..., 0])


def midline_tilt(corners: torch.Tensor) -> torch.Tensor:
    """``(...)`` direction from the middle of the left to that of the right side, which the challenge's angles use."""
    names = list(zip(*_ENDPLATES, strict=True))
    left, right = (corners[..., [CORNERS.index(name) for name in side], :].mean(-2) for side in names)
    along = right - left
    return torch.atan2(along[..., 1], along[..., 0])


def corner_loss(
    refined: CornerOutput, corners: torch.Tensor, is_known: torch.Tensor
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Distances of corners and of centers, wrong tilts, and how well the distances were foretold.

    The last is the likelihood of an exponential distribution, whose optimum is the mean distance; it does not change
    where the corners are placed.

    Args:
        refined: prediction for ``(B, V)`` patches.
        corners: ``(B, V, K, 2)`` labelled pixels of the patches.
        is_known: ``(B, V)`` 0 for vertebrae that teach nothing.

    Returns:
        The weighted sum (a scalar) and the unweighted terms.
    """
    count = shared_count(is_known.sum())

    def mean(values: torch.Tensor) -> torch.Tensor:
        return (values * is_known).sum() / count

    far = ((refined.corners - corners).square().sum(-1) + _SMALL).sqrt()  # (B, V, K)
    center = ((refined.corners.mean(2) - corners.mean(2)).square().sum(-1) + _SMALL).sqrt()
    plates = (endplate_tilts(refined.corners) - endplate_tilts(corners)).abs().mean(-1)
    midline = (midline_tilt(refined.corners) - midline_tilt(corners)).abs()
    distances = torch.cat([center[..., None], far], -1).detach()
    logs = refined.log_errors.clamp(*_LOG_ERRORS)
    terms = {
        "corner": mean(far.mean(-1)),
        "center": mean(center),
        "tilt": mean((plates + midline).clamp(max=_MAX_TILT)),
        "error": mean((distances / logs.exp() + logs).mean(-1)),
    }
    weights = {"corner": 1.0, "center": _CENTER_WEIGHT, "tilt": _TILT_WEIGHT, "error": _ERROR_WEIGHT}
    return torch.stack([weights[name] * term for name, term in terms.items()]).sum(), terms
