"""The corner network: four corners of every vertebra in its own patch, and how far off they may be."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from ...spine.geometry import mirrored_order
from ...spine.schema import CORNERS, POINTS, VERTEBRAE
from ..config import CornerConfig
from .attention import ContextLayer
from .hrnet import Residual, conv_norm

_STRIDE = 4
_HIDDEN = 64


class CornerOutput(NamedTuple):
    """Output of the corner network.

    Attributes:
        corners: ``(B, V, K, 2)`` pixels of each patch.
        log_errors: ``(B, V, P)`` logarithm of the expected distances of center and corners, in pixels of the patch.
    """

    corners: torch.Tensor
    log_errors: torch.Tensor


class CachedTokens(NamedTuple):
    """Tokens of the other vertebrae of a spine, from an earlier run.

    Attributes:
        tokens: ``(B, V, C)`` of all vertebrae; those of the active ones do not count.
        active: ``(M,)`` indices of the vertebrae whose patches are run now.
    """

    tokens: torch.Tensor
    active: torch.Tensor


def _block(channels: int) -> Residual:
    body = nn.Sequential(conv_norm(channels, channels, 3), conv_norm(channels, channels, 3, act=False))
    return Residual(body, channels, channels)


class CornerNet(nn.Module):
    """A small encoder and decoder per patch, with self-attention among the vertebrae of a spine in between.

    Corners are means under a softmax over the cells of a map, plus the mean offset there, so that they are finer than a
    cell. The error head learns from the features, but does not change them.

    Args:
        config: patch size, width and depth.

    Reference:
        Sun et al., Integral Human Pose Regression, ECCV 2018, for the means.
    """

    def __init__(self, config: CornerConfig) -> None:
        super().__init__()
        c = config.channels
        self.fine = nn.Sequential(conv_norm(1, c, 5, stride=2), _block(c))
        self.middle = nn.Sequential(conv_norm(c, 2 * c, 3, stride=2), *(_block(2 * c) for _ in range(3)))
        self.coarse = nn.Sequential(conv_norm(2 * c, 4 * c, 3, stride=2), _block(4 * c), _block(4 * c))
        self.to_token, self.from_token = nn.Linear(4 * c, 4 * c), nn.Linear(4 * c, 4 * c)
        self.place = nn.Parameter(0.02 * torch.randn(len(VERTEBRAE), 4 * c))
        self.context = nn.ModuleList(ContextLayer(4 * c) for _ in range(config.context_layers))
        self.informed = _block(4 * c)
        self.enlarged = conv_norm(4 * c, 2 * c, 1)
        self.joined = nn.Sequential(_block(2 * c), _block(2 * c))
        self.heatmap = nn.Conv2d(2 * c, len(CORNERS), 1)
        self.offset = nn.Conv2d(2 * c, 2 * len(CORNERS), 1)
        self.error = nn.Sequential(
            nn.Linear(2 * c * len(CORNERS) + 4 * c, _HIDDEN), nn.GELU(), nn.Linear(_HIDDEN, len(POINTS))
        )
        nn.init.zeros_(self.offset.weight)
        nn.init.zeros_(self.offset.bias)  # type: ignore[arg-type]  # it has one
        h, w = config.height // _STRIDE, config.width // _STRIDE
        y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
        cells = (torch.stack([x, y]).float() + 0.5) * _STRIDE - 0.5
        self.register_buffer("cells", cells.flatten(1), persistent=False)

    def forward(self, patches: torch.Tensor, is_there: torch.Tensor | None = None) -> CornerOutput:
        """Find the corners.

        Args:
            patches: ``(B, V, height, width)`` standardised, the vertebrae of a spine in order.
            is_there: ``(B, V)`` False for patches of vertebrae that are not there, which no other may attend to.
        """
        return self._run(patches, None, None if is_there is None else ~is_there)[0]

    def among(self, patches: torch.Tensor, cached: CachedTokens | None = None) -> tuple[CornerOutput, torch.Tensor]:
        """Find the corners of some vertebrae amid the rest of their spine, whose patches were run before.

        Args:
            patches: ``(B, M, height, width)`` standardised, in order from top to bottom.
            cached: tokens of the rest; ``None`` where these are all V.

        Returns:
            The output for the M vertebrae, and the ``(B, V, C)`` tokens of all, for ``CachedTokens``.
        """
        return self._run(patches, cached, None)

    def _run(
        self, patches: torch.Tensor, cached: CachedTokens | None, is_ignored: torch.Tensor | None
    ) -> tuple[CornerOutput, torch.Tensor]:
        b, m = patches.shape[:2]
        x = patches.reshape(b * m, 1, *patches.shape[2:]).to(memory_format=torch.channels_last)
        middle = self.middle(self.fine(x))
        coarse = self.coarse(middle)
        own = self.to_token(coarse.mean((2, 3))).unflatten(0, (b, m))
        active = torch.arange(m) if cached is None else cached.active
        tokens = own
        if cached is not None:
            tokens = cached.tokens.to(own.dtype, copy=True)
            tokens[:, active] = own
        before = tokens
        for layer in self.context:
            tokens = layer(tokens, self.place.to(tokens.dtype), is_ignored)
        tokens = tokens[:, active]
        coarse = self.informed(coarse + self.from_token(tokens).flatten(0, 1)[..., None, None])
        features = self.joined(middle + F.interpolate(self.enlarged(coarse), size=middle.shape[-2:], mode="bilinear"))
        share = self.heatmap(features).float().flatten(2).softmax(-1)  # (B M, K, cells)
        offset = self.offset(features).float().unflatten(1, (len(CORNERS), 2)).flatten(3)
        corners = (share[:, :, None] * (self.cells + offset)).sum(-1)
        there = torch.einsum("nkp,ncp->nkc", share.detach(), features.float().flatten(2).detach()).flatten(1)
        error = self.error(torch.cat([there, tokens.float().flatten(0, 1).detach()], 1)).float()
        return CornerOutput(corners.reshape(b, m, len(CORNERS), 2), error.reshape(b, m, len(POINTS))), before


def mirrored_output(refined: CornerOutput, width: int) -> CornerOutput:
    """The output for mirrored patches of this width, as one for the patches themselves."""
    corners = refined.corners[:, :, mirrored_order(CORNERS)]
    x = width - 1 - corners[..., :1]
    return CornerOutput(torch.cat([x, corners[..., 1:]], -1), refined.log_errors[..., mirrored_order(POINTS)])
