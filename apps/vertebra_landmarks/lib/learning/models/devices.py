"""Where and how networks compute: device, precision, fused batch norms."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

NetworkT = TypeVar("NetworkT", bound=nn.Module)


def choose_device(name: str = "auto") -> torch.device:
    """The device of that name; "auto" takes CUDA where there is one.

    Raises:
        ValueError: the device is unknown or absent.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, number = name.partition(":")
    if kind not in ("cpu", "cuda") or not (name == kind or number.isdecimal()):
        raise ValueError(f"device must be auto, cpu or cuda, got {name!r}")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise ValueError(f"device {name!r} is not available here; use cpu")
    return torch.device(name)


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether half-width arithmetic is native on the device; elsewhere it would be slower than single precision."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return bool(torch.cpu.get_capabilities().get("avx512_bf16", False))


def quick_precision(device: torch.device, is_wanted: bool = True) -> torch.autocast:
    """A context in which networks compute in bfloat16 where the device is quicker with it, and that is wanted."""
    return torch.autocast(device.type, torch.bfloat16, enabled=is_wanted and has_fast_bfloat16(device))


def on_device(network: NetworkT, device: torch.device) -> NetworkT:
    """The network on a device, laid out channels last, which is the fast layout for convolutions."""
    return network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # the stubs lack it


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
