"""Batch norm over the parts of a batch that several processes hold, on any device.

PyTorch's own ``SyncBatchNorm`` needs CUDA.
"""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import distributed as dist
from torch import nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from .distributed import count, rank

NetworkT = TypeVar("NetworkT", bound=nn.Module)
_OVER = (0, 2, 3)


class SyncedBatchNorm2d(nn.BatchNorm2d):
    """``BatchNorm2d`` whose statistics in training are those of the whole batch, whatever part a process holds.

    No part may be empty. The state has the same names.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(B, C, H, W)`` to the same shape."""
        if not self.training or count() == 1:
            return super().forward(x)
        mean, variance, total = _moments(x.detach())
        if self.track_running_stats and self.momentum is not None:
            self.num_batches_tracked.add_(1)  # type: ignore[union-attr]  # a tensor, as statistics are tracked
            self.running_mean.lerp_(mean, self.momentum)  # type: ignore[union-attr]
            self.running_var.lerp_(variance * total / (total - 1), self.momentum)  # type: ignore[union-attr]
        normed: torch.Tensor = _Normalise.apply(x, self.weight, self.bias, mean, variance, total, self.eps)
        return normed


def _moments(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Mean and variance ``(C,)`` of the whole batch, and how many values each is of, a scalar."""
    channels, number = x.shape[1], x.numel() // x.shape[1]
    values = _wide(x)
    variance, mean = torch.var_mean(values, _OVER, correction=0)
    rows = torch.zeros(count(), 2 * channels + 1, device=x.device, dtype=torch.float64)
    rows[rank()] = torch.cat([mean, variance, mean.new_full((1,), number)])
    dist.all_reduce(rows)  # every process adds its row
    means, variances, numbers = rows.split([channels, channels, 1], 1)
    total = numbers.sum()
    mean = (numbers * means).sum(0) / total
    variance = (numbers * (variances + (means - mean) ** 2)).sum(0) / total
    return mean.to(values.dtype), variance.to(values.dtype), total.to(values.dtype)


def _wide(x: torch.Tensor) -> torch.Tensor:
    """In single precision at least."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class _Normalise(torch.autograd.Function):
    """Normalises by given statistics, with the gradient for statistics of the whole batch."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
        mean: torch.Tensor,
        variance: torch.Tensor,
        total: torch.Tensor,
        eps: float,
    ) -> torch.Tensor:
        ctx.save_for_backward(x, weight, mean, (variance + eps).rsqrt(), total)
        return F.batch_norm(x, mean, variance, weight, bias, training=False, eps=eps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, weight, mean, scale, total = ctx.saved_tensors
        gradient, spread = _wide(gradient), (None, slice(None), None, None)
        normed = (_wide(x) - mean[spread]) * scale[spread]
        own = torch.stack([gradient.sum(_OVER), (gradient * normed).sum(_OVER)])
        whole = own.clone()
        dist.all_reduce(whole)
        along, through = (whole / total).unbind()
        inner = (gradient - along[spread] - normed * through[spread]) * (scale * weight)[spread]
        return inner.to(x.dtype), own[1], own[0], None, None, None, None


def with_synced_norms(network: NetworkT) -> NetworkT:
    """Replace every batch norm of a network by one over all processes; unchanged while there is one process.

    Args:
        network: changed in place.

    Returns:
        The same network.
    """
    if count() == 1:
        return network
    for part in network.modules():
        for name, norm in part.named_children():
            if type(norm) is nn.BatchNorm2d:
                synced = SyncedBatchNorm2d(norm.num_features, norm.eps, norm.momentum)
                synced.load_state_dict(norm.state_dict())
                setattr(part, name, synced.to(norm.weight.device, norm.weight.dtype))
    return network
