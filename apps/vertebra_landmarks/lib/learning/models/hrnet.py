"""HRNet: parallel branches of falling resolution that keep exchanging what they see.

Architecture after Wang et al., Deep High-Resolution Representation Learning for Visual Recognition (HRNetV2),
arXiv 1908.07919. Written from the paper; widths and depths are data (``PRESETS``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import torch
from torch import nn
from torch.nn import functional as F

from .attention import Context

STEM_CHANNELS = 64
_REDUCTION, _MIN_HIDDEN = 16, 4  # of squeeze-and-excitation; the narrow branches would be left with a single channel
STRIDE = 4
"""Input pixels per cell of the finest branch: two stride-2 convolutions."""


@dataclass(frozen=True)
class StageConfig:
    """One stage: ``modules`` exchanges, each after ``blocks`` residual blocks, on branches of these ``channels``."""

    modules: int
    blocks: int
    channels: tuple[int, ...]


@dataclass(frozen=True)
class HRNetConfig:
    """Depths and widths. ``first_channels`` is the bottleneck width of stage one, its output four times as wide."""

    first_blocks: int
    first_channels: int
    stages: tuple[StageConfig, ...]


def _preset(
    width: int, modules: Sequence[int], blocks: int, first_blocks: int, first_channels: int = STEM_CHANNELS
) -> HRNetConfig:
    return HRNetConfig(
        first_blocks,
        first_channels,
        tuple(StageConfig(m, blocks, tuple(width * 2**b for b in range(i + 2))) for i, m in enumerate(modules)),
    )


PRESETS: dict[str, HRNetConfig] = {
    "w18_small": _preset(18, (1, 3, 2), blocks=2, first_blocks=2),
    "w18": _preset(18, (1, 4, 3), blocks=4, first_blocks=4),
    "w32": _preset(32, (1, 4, 3), blocks=4, first_blocks=4),
    "w48": _preset(48, (1, 4, 3), blocks=4, first_blocks=4),
    "tiny": _preset(4, (1, 1, 1), blocks=1, first_blocks=1, first_channels=8),
}
"""``w18_small`` is the published "HRNet-W18-Small-v2", the next three are HRNetV2-W18, -W32 and -W48; ``tiny`` is too
small to learn the task, and there to try a training, a server or an export in seconds."""


def conv_norm(inputs: int, outputs: int, kernel: int, stride: int = 1, act: bool = True) -> nn.Sequential:
    """Convolution that keeps the size (divided by ``stride``), batch norm and, unless told otherwise, ReLU."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if act else nn.Sequential(*layers)


class SqueezeExcitation(nn.Module):
    """Weighs every channel by what all channels show on the mean over the map.

    Args:
        channels: of the map.

    Reference:
        Hu et al., Squeeze-and-Excitation Networks, CVPR 2018, reduction 16 (but never to fewer than 4 channels).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(_MIN_HIDDEN, channels // _REDUCTION)
        self.squeeze = nn.Linear(channels, hidden)
        self.excite = nn.Linear(hidden, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(B, channels, h, w)`` to the same shape."""
        weight = self.excite(F.relu(self.squeeze(x.mean((2, 3))))).sigmoid()
        return x * weight[..., None, None]


class Residual(nn.Module):
    """``ReLU(x + f(x))``, with a 1x1 projection of ``x`` where the channels differ."""

    def __init__(self, body: nn.Sequential, inputs: int, outputs: int) -> None:
        super().__init__()
        self.body = body
        self.shortcut = nn.Identity() if inputs == outputs else conv_norm(inputs, outputs, 1, act=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(B, inputs, h, w)`` to ``(B, outputs, h, w)``."""
        return F.relu(self.body(x) + self.shortcut(x), inplace=True)


def basic_block(channels: int, squeeze_excitation: bool = False) -> Residual:
    """Two 3x3 convolutions, squeeze-and-excitation where asked for, and a shortcut."""
    body: list[nn.Module] = [conv_norm(channels, channels, 3), conv_norm(channels, channels, 3, act=False)]
    if squeeze_excitation:
        body.append(SqueezeExcitation(channels))
    return Residual(nn.Sequential(*body), channels, channels)


def bottleneck(inputs: int, channels: int, squeeze_excitation: bool = False) -> Residual:
    """1x1, 3x3, 1x1 convolutions, then as ``basic_block``; the output has ``4 * channels``."""
    body: list[nn.Module] = [
        conv_norm(inputs, channels, 1),
        conv_norm(channels, channels, 3),
        conv_norm(channels, 4 * channels, 1, act=False),
    ]
    if squeeze_excitation:
        body.append(SqueezeExcitation(4 * channels))
    return Residual(nn.Sequential(*body), inputs, 4 * channels)


class Upsampled(nn.Module):
    """1x1 projection, then enlargement to the size of the finer branch."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.project = conv_norm(inputs, outputs, 1, act=False)

    def forward(self, x: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """``(B, inputs, h, w)`` to ``(B, outputs, *size)``."""
        return F.interpolate(self.project(x), size=size, mode="bilinear", align_corners=False)


def downsampling(inputs: int, outputs: int, steps: int) -> nn.Sequential:
    """``steps`` stride-2 convolutions; only the last changes the channels and none follows it with ReLU."""
    body = [conv_norm(inputs, inputs, 3, stride=2) for _ in range(steps - 1)]
    return nn.Sequential(*body, conv_norm(inputs, outputs, 3, stride=2, act=False))


class Exchange(nn.Module):
    """Every branch becomes the sum of all branches, brought to its resolution and width."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.paths = nn.ModuleList(
            nn.ModuleList(self._path(channels, source, target) for source in range(len(channels)))
            for target in range(len(channels))
        )

    @staticmethod
    def _path(channels: Sequence[int], source: int, target: int) -> nn.Module:
        if source == target:
            return nn.Identity()
        if source > target:
            return Upsampled(channels[source], channels[target])
        return downsampling(channels[source], channels[target], target - source)

    def forward(self, branches: list[torch.Tensor]) -> list[torch.Tensor]:
        """One tensor per branch, finest first, to the same shapes."""
        mixed = []
        for target, paths in enumerate(self.paths):
            size = branches[target].shape[-2:]
            parts = [
                path(x, size) if isinstance(path, Upsampled) else path(x)
                for path, x in zip(paths.children(), branches, strict=True)
            ]
            mixed.append(F.relu(reduce(torch.add, parts)))
        return mixed


class Stage(nn.Module):
    """Residual blocks in every branch, then an exchange; repeated."""

    def __init__(self, config: StageConfig, squeeze_excitation: bool = False) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.ModuleList(
                nn.Sequential(*(basic_block(channels, squeeze_excitation) for _ in range(config.blocks)))
                for channels in config.channels
            )
            for _ in range(config.modules)
        )
        self.exchanges = nn.ModuleList(Exchange(config.channels) for _ in range(config.modules))

    def forward(self, branches: list[torch.Tensor]) -> list[torch.Tensor]:
        """One tensor per branch, finest first, to the same shapes."""
        for blocks, exchange in zip(self.branches, self.exchanges, strict=True):
            branches = exchange([block(x) for block, x in zip(blocks.children(), branches, strict=True)])
        return branches


class Transition(nn.Module):
    """Adapts the widths of the branches and opens one of half the coarsest resolution."""

    def __init__(self, inputs: Sequence[int], outputs: Sequence[int]) -> None:
        super().__init__()
        self.adapt = nn.ModuleList(
            nn.Identity() if a == b else conv_norm(a, b, 3) for a, b in zip(inputs, outputs[:-1], strict=True)
        )
        self.open = conv_norm(inputs[-1], outputs[-1], 3, stride=2)

    def forward(self, branches: list[torch.Tensor]) -> list[torch.Tensor]:
        """``n`` branches to ``n + 1``."""
        adapted = [adapt(x) for adapt, x in zip(self.adapt, branches, strict=True)]
        return [*adapted, self.open(branches[-1])]


class HRNet(nn.Module):
    """The backbone.

    Args:
        config: depths and widths.
        in_channels: image channels.
        context_layers: self-attention layers on the coarsest branch that enters the last stage; 0 as published.
        squeeze_excitation: whether every residual block weighs its channels; not in the published HRNet, but in the
            predecessor of Yang et al. (Liu et al., UbiComp/ISWC 2020 adjunct, doi 10.1145/3410530.3414317).
    """

    def __init__(
        self,
        config: HRNetConfig,
        in_channels: int = 1,
        context_layers: int = 0,
        squeeze_excitation: bool = False,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            conv_norm(in_channels, STEM_CHANNELS, 3, stride=2), conv_norm(STEM_CHANNELS, STEM_CHANNELS, 3, stride=2)
        )
        widths = [STEM_CHANNELS, *[4 * config.first_channels] * config.first_blocks]
        self.first = nn.Sequential(
            *(bottleneck(width, config.first_channels, squeeze_excitation) for width in widths[:-1])
        )
        inputs: Sequence[int] = widths[-1:]
        self.transitions, self.stages = nn.ModuleList(), nn.ModuleList()
        for stage in config.stages:
            self.transitions.append(Transition(inputs, stage.channels))
            self.stages.append(Stage(stage, squeeze_excitation))
            inputs = stage.channels
        self.context = Context(config.stages[-2].channels[-1], context_layers)
        self.out_channels = tuple(inputs)

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        """Features at strides 4, 8, 16, 32.

        Args:
            image: ``(B, in_channels, H, W)``, H and W multiples of 32.

        Returns:
            One ``(B, out_channels[i], H / (4 * 2**i), W / (4 * 2**i))`` tensor per branch.
        """
        branches = [self.first(self.stem(image))]
        for number, (transition, stage) in enumerate(zip(self.transitions, self.stages, strict=True), 1):
            if number == len(self.stages):
                branches = [*branches[:-1], self.context(branches[-1])]
            branches = stage(transition(branches))
        return branches
