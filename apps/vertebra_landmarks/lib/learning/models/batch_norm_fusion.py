"""A trained network made quicker: its batch norms become part of the convolutions before them."""

from __future__ import annotations

from typing import TypeVar

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

NetworkT = TypeVar("NetworkT", bound=nn.Module)


def fold_norms(network: NetworkT) -> NetworkT:
    """Put every batch norm that directly follows a convolution in a ``Sequential`` into that convolution.

    The outputs differ by rounding only. The network can no longer be trained, and its state has other names.

    Args:
        network: in evaluation mode; changed in place.

    Returns:
        The same network.

    Raises:
        ValueError: it is in training mode, in which a batch norm depends on the batch.
    """
    if network.training:
        raise ValueError("only a network in evaluation mode can have its batch norms folded")
    for part in network.modules():
        if isinstance(part, nn.Sequential):
            _fold(part)
    return network


def _fold(part: nn.Sequential) -> None:
    for index in range(len(part) - 1):
        first, second = part[index], part[index + 1]
        if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
            part[index], part[index + 1] = fuse_conv_bn_eval(first, second), nn.Identity()
