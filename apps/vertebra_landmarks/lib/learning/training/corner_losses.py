"""What the second network learns from."""

from __future__ import annotations

import torch

from ...spine.schema import CORNERS
from ..models.corner_net import CornerOutput

_SMALL = 1e-4  # keeps the gradient of a length finite at 0
_LARGEST_TILT = 0.5  # radians, beyond which a wrong tilt is not punished further
_CENTER_WEIGHT, _TILT_WEIGHT, _ERROR_WEIGHT = 0.5, 10.0, 0.3
_LOG_ERRORS = (-3.0, 5.0)
_ENDPLATES = (("TL", "TR"), ("BL", "BR"))


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


def refiner_loss(
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
    count = is_known.sum().clamp(min=1.0)

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
        "tilt": mean((plates + midline).clamp(max=_LARGEST_TILT)),
        "error": mean((distances / logs.exp() + logs).mean(-1)),
    }
    weights = {"corner": 1.0, "center": _CENTER_WEIGHT, "tilt": _TILT_WEIGHT, "error": _ERROR_WEIGHT}
    return torch.stack([weights[name] * term for name, term in terms.items()]).sum(), terms
