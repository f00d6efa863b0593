"""Many images in one block of device memory, each as a pyramid, sampled through affine matrices in whole batches."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional as F

LEVELS = 5
"""Each is half as large as the one before."""


class ImageBank:
    """Images of any size as bytes, with smaller versions of each for views that shrink them.

    The middle of pixel ``x`` of an image lies at ``(x + 0.5) / 2**level - 0.5`` in its level.

    Args:
        images: ``(H, W)`` uint8 each.
        device: whose memory holds them.

    Raises:
        ValueError: there is no image, or one is not two-dimensional uint8.
    """

    def __init__(self, images: Sequence[np.ndarray], device: torch.device) -> None:
        if not images or any(image.dtype != np.uint8 or image.ndim != 2 for image in images):
            raise ValueError("an image bank needs images of shape (H, W) and type uint8")
        flat: list[torch.Tensor] = []
        offsets = np.zeros((len(images), LEVELS), np.int64)
        sizes = np.zeros((len(images), LEVELS, 2), np.int64)
        begin = 0
        for number, image in enumerate(images):
            level = torch.from_numpy(np.array(image)).to(device).float()[None, None]
            for depth in range(LEVELS):
                if depth:
                    level = F.avg_pool2d(level, 2, ceil_mode=True, count_include_pad=False)
                offsets[number, depth], sizes[number, depth] = begin, level.shape[-2:]
                flat.append(level.round().to(torch.uint8).flatten())
                begin += level.numel()
        self.pixels = torch.cat(flat)
        self.offsets = torch.from_numpy(offsets).to(device)
        self.sizes = torch.from_numpy(sizes).to(device)
        self.device = device

    def __len__(self) -> int:
        return len(self.offsets)

    def size_of(self, index: torch.Tensor) -> torch.Tensor:
        """``(B, 2)`` width and height of images ``(B,)``."""
        return self.sizes[index, 0].flip(-1)

    def sample(
        self, index: torch.Tensor, back: torch.Tensor, size: tuple[int, int], coarser: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Images seen through affine matrices.

        Args:
            index: ``(B,)`` which image.
            back: ``(B, N, 2, 3)`` from pixels of each of N results to pixels of the image; NaN where
                there is no result.
            size: (height, width) of the results.
            coarser: ``(B,)`` factor, at least 1, by which details are lost beyond what the size takes.

        Returns:
            ``(B, N, *size)`` in 0...1, border pixels repeated outside the image, and the sampled places,
            ``(B, N, *size, 2)`` pixels of the image.
        """
        zoom = torch.linalg.vector_norm(back[..., :2], dim=(-2, -1)).nanmean(1) / math.sqrt(2)  # (B,) pixels per pixel
        places = places_of(back.nan_to_num(0.0, 0.0, 0.0), size)
        if coarser is not None:
            zoom = zoom.clamp(min=1.0) * coarser
        level = zoom.clamp(min=1.0).log2().clamp(max=LEVELS - 1.001)
        fine = level.floor()
        share = (level - fine)[:, None, None, None]
        gray = torch.lerp(self._at(index, fine.long(), places), self._at(index, fine.long() + 1, places), share)
        return gray / 255, places

    def _at(self, index: torch.Tensor, level: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """Bilinear values ``(B, N, h, w)`` in 0...255 of one level of each image."""
        shape = (-1, 1, 1, 1)
        scale = torch.exp2(-level.float()).view(*shape, 1)
        x, y = ((places + 0.5) * scale - 0.5).unbind(-1)
        height, width = self.sizes[index, level].view(-1, 2, 1, 1, 1).unbind(1)
        x = torch.minimum(x.clamp(min=0), (width - 1).to(x))
        y = torch.minimum(y.clamp(min=0), (height - 1).to(y))
        left, top = x.floor(), y.floor()
        across, down = x - left, y - top
        left, top = left.long(), top.long()
        right, low = torch.minimum(left + 1, width - 1), torch.minimum(top + 1, height - 1)
        begin = self.offsets[index, level].view(shape)

        def value(row: torch.Tensor, column: torch.Tensor) -> torch.Tensor:
            return self.pixels[begin + row * width + column].float()

        upper = torch.lerp(value(top, left), value(top, right), across)
        lower = torch.lerp(value(low, left), value(low, right), across)
        return torch.lerp(upper, lower, down)


def places_of(back: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Where the pixels of results lie: ``(..., h, w, 2)`` of affine matrices ``(..., 2, 3)``."""
    rows = torch.arange(size[0], device=back.device, dtype=back.dtype)
    columns = torch.arange(size[1], device=back.device, dtype=back.dtype)
    m = back[..., None, None, :, :]
    along = columns[:, None] * m[..., 0] + rows[:, None, None] * m[..., 1]
    return along + m[..., 2]
