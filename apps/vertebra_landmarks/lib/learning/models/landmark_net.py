"""The landmark network: HRNet with three heads on its stride-4 features."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from ...spine.schema import CORNERS
from ..config import NetworkConfig
from .hrnet import PRESETS, HRNet

HEATMAP_BIAS = -2.19
"""Start of the heatmap head's bias: a sigmoid of 0.1 everywhere (Yi et al., arXiv 2001.03187)."""


class Maps(NamedTuple):
    """What the network predicts and the codec encodes, all at one cell per ``stride`` input pixels.

    Attributes:
        heatmap: ``(B, C, h, w)`` center heatmaps, C = V, one per vertebra, or C = 1, one for all of them; logits from
            the network, 0...1 from the codec.
        offset: ``(B, 2, h, w)`` from a cell to the center that it holds, in cells, x then y.
        corner_offset: ``(B, 2 K, h, w)`` from the center to its corners, in cells: TL x, TL y, TR x, ...
    """

    heatmap: torch.Tensor
    offset: torch.Tensor
    corner_offset: torch.Tensor


class Fusion(nn.Module):
    """Brings all branches to the finest one: 1x1 convolution of their concatenation, projected before enlarging."""

    def __init__(self, inputs: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        self.project = nn.ModuleList(nn.Conv2d(channels, outputs, 1, bias=False) for channels in inputs)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, branches: list[torch.Tensor]) -> torch.Tensor:
        """Branches finest first to ``(B, outputs, h, w)``."""
        size = branches[0].shape[-2:]
        total = self.project[0](branches[0])
        for project, x in zip(self.project[1:], branches[1:], strict=True):
            total = total + F.interpolate(project(x), size=size, mode="bilinear", align_corners=False)
        return F.relu(self.norm(total))


def head(channels: int, outputs: int, last_kernel: int) -> nn.Sequential:
    """3x3 convolution, ReLU, then a convolution of ``last_kernel`` to ``outputs`` channels."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, outputs, last_kernel, padding=last_kernel // 2),
    )


class LandmarkNet(nn.Module):
    """HRNet backbone, then the heads for center heatmaps, center offset and corner offsets.

    Raises:
        ValueError: the preset is unknown.

    Reference:
        Yang et al., Artificial Intelligence in Medicine 159 (2025) 103011: heads of 3x3 and 1x1 convolutions for the
        17 heatmaps and the shared offset, of 3x3 and 7x7 convolutions for the corners. A single heatmap for all
        vertebrae is the baseline that it modifies (Yi et al., Vertebra-Focused Landmark Detection, arXiv 2001.03187).
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        if config.preset not in PRESETS:
            raise ValueError(f"network.preset must be one of {', '.join(PRESETS)}, got {config.preset!r}")
        self.backbone = HRNet(
            PRESETS[config.preset],
            context_layers=config.context_layers,
            squeeze_excitation=config.squeeze_excitation,
        )
        self.fusion = Fusion(self.backbone.out_channels, config.head_channels)
        self.heatmap = head(config.head_channels, config.heatmap_channels, 1)
        self.offset = head(config.head_channels, 2, 1)
        self.corner_offset = head(config.head_channels, 2 * len(CORNERS), 7)
        _initialise(self)

    def forward(self, image: torch.Tensor) -> Maps:
        """Predict the maps.

        Args:
            image: ``(B, 1, H, W)``, H and W multiples of 32.

        Returns:
            Maps of ``h = H / 4`` by ``w = W / 4`` cells; the heatmap holds logits.
        """
        features = self.fusion(self.backbone(image))
        return Maps(self.heatmap(features), self.offset(features), self.corner_offset(features))


def _initialise(network: LandmarkNet) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for layers in (network.heatmap, network.offset, network.corner_offset):
        nn.init.normal_(layers[-1].get_parameter("weight"), std=0.001)
    nn.init.constant_(network.heatmap[-1].get_parameter("bias"), HEATMAP_BIAS)
