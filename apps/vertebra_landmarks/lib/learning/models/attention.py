"""Self-attention over a feature map: every cell sees the whole image, which naming vertebrae by counting needs."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

from .dropout import SampleDropout, dropout

_HEADS = 4
_DROPOUT = 0.1
_MAX_WAVELENGTH = 200.0  # cells; longer than any feature map


def positions(channels: int, height: int, width: int, device: torch.device) -> torch.Tensor:
    """Sines and cosines of the position of every cell, half of the channels for each axis.

    Args:
        channels: a multiple of 4.
        height: rows.
        width: columns.
        device: where to put the result.

    Returns:
        ``(height * width, channels)`` in -1...1.

    Raises:
        ValueError: channels is no multiple of 4.

    Reference:
        Vaswani et al., Attention Is All You Need, NeurIPS 2017, section 3.5, for two axes.
    """
    if channels % 4:
        raise ValueError(f"channels must be a multiple of 4, got {channels}")
    waves = torch.arange(channels // 4, device=device) / max(1, channels // 4 - 1)
    frequency = torch.exp(-math.log(_MAX_WAVELENGTH) * waves)
    along_y = torch.arange(height, device=device)[:, None] * frequency  # (h, C / 4)
    along_x = torch.arange(width, device=device)[:, None] * frequency
    by_y = torch.cat([along_y.sin(), along_y.cos()], -1)[:, None].expand(-1, width, -1)
    by_x = torch.cat([along_x.sin(), along_x.cos()], -1)[None].expand(height, -1, -1)
    return torch.cat([by_y, by_x], -1).flatten(0, 1)


class ContextLayer(nn.Module):
    """Self-attention, then two dense layers, both added to what came in; at first it changes nothing.

    Args:
        channels: a multiple of 4.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.attention = nn.MultiheadAttention(channels, _HEADS, dropout=_DROPOUT, batch_first=True)
        self.dense = nn.Sequential(
            nn.LayerNorm(channels),
            nn.Linear(channels, 2 * channels),
            nn.GELU(),
            SampleDropout(_DROPOUT),
            nn.Linear(2 * channels, channels),
        )
        for last in (self.attention.out_proj, self.dense[-1]):
            nn.init.zeros_(last.get_parameter("weight"))
            nn.init.zeros_(last.get_parameter("bias"))

    def forward(
        self, tokens: torch.Tensor, position: torch.Tensor, is_ignored: torch.Tensor | None = None
    ) -> torch.Tensor:
        """``(B, N, C)`` tokens, ``(N, C)`` positions and ``(B, N)`` which tokens are ignored, to ``(B, N, C)``."""
        normed = self.norm(tokens)
        query = normed + position
        if self.training:
            tokens = tokens + self._attended(query, normed, is_ignored)
        else:
            tokens = tokens + self.attention(query, query, normed, key_padding_mask=is_ignored, need_weights=False)[0]
        return tokens + self.dense(tokens)

    def _attended(self, query: torch.Tensor, value: torch.Tensor, is_ignored: torch.Tensor | None) -> torch.Tensor:
        """What ``self.attention`` computes, step by step, since its own dropout depends on the rest of the batch."""
        channels, weight, bias = query.shape[-1], self.attention.in_proj_weight, self.attention.in_proj_bias
        q, k = F.linear(query, weight[: 2 * channels], bias[: 2 * channels]).chunk(2, -1)
        v = F.linear(value, weight[2 * channels :], bias[2 * channels :])
        q, k, v = (x.unflatten(-1, (_HEADS, channels // _HEADS)).transpose(1, 2) for x in (q, k, v))  # (B, heads, N, C)
        scores = q @ k.transpose(-2, -1) / math.sqrt(channels // _HEADS)
        if is_ignored is not None:
            scores = scores.masked_fill(is_ignored[:, None, None], -math.inf)
        shares = dropout(scores.softmax(-1), _DROPOUT)
        attended: torch.Tensor = self.attention.out_proj((shares.to(v.dtype) @ v).transpose(1, 2).flatten(2))
        return attended


class Context(nn.Module):
    """Layers of self-attention among the cells of one feature map.

    Args:
        channels: of the map.
        layers: how many.
    """

    def __init__(self, channels: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(ContextLayer(channels) for _ in range(layers))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``(B, C, h, w)`` to the same shape."""
        if not len(self.layers):
            return x
        b, c, h, w = x.shape
        position = positions(c, h, w, x.device).to(x.dtype)
        tokens = x.flatten(2).transpose(1, 2)
        for layer in self.layers:
            tokens = layer(tokens, position)
        return tokens.transpose(1, 2).reshape(b, c, h, w).contiguous(memory_format=torch.channels_last)
