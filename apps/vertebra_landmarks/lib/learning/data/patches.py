"""Patches of a spine: each vertebra upright and at one size, whatever the image and however the spine is curved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from ...spine.geometry import check_shape, scaling, translation
from ..config import RefinerConfig
from .transforms import sampling_matrix, windowed

_REACH = 2  # gaps to either side that set the length of a step
_LEAST_STEP_SHARE = 0.4  # of the median step, below which a step counts as a mistake of the decoder
_FINER = 1.5  # pixels of the shrunk image per pixel of a patch
_ROOM = 3.0  # steps around the centers that are looked at


def vertebra_frames(
    centers: np.ndarray, config: RefinerConfig, scale: np.ndarray | float = 1.0, turn: np.ndarray | float = 0.0
) -> np.ndarray:
    """Where each patch lies: its middle on the center, the spine running straight down through it.

    Args:
        centers: ``(N, 2)`` neighbouring centers from top to bottom, N at least 2.
        config: size of the patches.
        scale: factor on the length of a step, one or ``(N,)``.
        turn: added to the direction of the spine, radians, one or ``(N,)``.

    Returns:
        ``(N, 3, 3)`` from pixels of the image to pixels of each patch; similarity transforms.

    Raises:
        ValueError: a shape is wrong, there is one center only, or all lie in one place.
    """
    check_shape("centers", centers, (2,))
    count = len(centers)
    gaps = np.diff(centers, axis=0)
    lengths = np.linalg.norm(gaps, axis=1)
    if count < 2 or not (np.isfinite(lengths).all() and lengths.max() > 0):
        raise ValueError("patches need two finite centers in different places at least")
    lengths = np.maximum(lengths, _LEAST_STEP_SHARE * np.median(lengths[lengths > 0]))
    index = np.arange(count)
    near = [lengths[max(0, i - _REACH) : i + _REACH] for i in index]
    step = np.array([(np.median(part) + part.mean()) / 2 for part in near]) * scale
    tangent = centers[np.minimum(index + 1, count - 1)] - centers[np.maximum(index - 1, 0)]
    angle = np.arctan2(tangent[:, 0], tangent[:, 1]) + turn
    cosine, sine = config.step / step * np.cos(angle), config.step / step * np.sin(angle)
    frames = np.zeros((count, 3, 3))
    frames[:, 0, 0], frames[:, 0, 1] = cosine, -sine
    frames[:, 1, 0], frames[:, 1, 1] = sine, cosine
    frames[:, 2, 2] = 1.0
    middle = np.array([config.width - 1, config.height - 1]) / 2
    frames[:, :2, 2] = middle - np.einsum("nij,nj->ni", frames[:, :2, :2], centers)
    return frames


@dataclass(frozen=True)
class ShrunkImage:
    """The part of an image around a spine at about the resolution of the patches.

    Attributes:
        pixels: ``(1, h, w)`` in 0...1.
        matrix: ``(3, 3)`` from pixels of the image to its pixels.
    """

    pixels: torch.Tensor
    matrix: np.ndarray


def shrinking(step: float, config: RefinerConfig) -> float:
    """Factor, at most 1, that brings an image with steps of this many pixels to nearly the resolution of patches."""
    return min(1.0, _FINER * config.step / max(1.0, step))


def shrink_around(pixels: np.ndarray, centers: np.ndarray, config: RefinerConfig) -> ShrunkImage:
    """Cut out and shrink what patches around these centers may show, windowed by itself.

    Args:
        pixels: ``(H, W)`` values as stored.
        centers: ``(N, 2)`` pixels, N at least 2.
        config: size of the patches.
    """
    step = max(1.0, float(np.median(np.linalg.norm(np.diff(centers, axis=0), axis=1))))
    limits = np.array(pixels.shape[::-1])
    low = np.clip(np.floor(centers.min(0) - _ROOM * step).astype(int), 0, limits - 1)
    high = np.clip(np.ceil(centers.max(0) + _ROOM * step).astype(int), low + 1, limits)
    part = torch.from_numpy(windowed(pixels[low[1] : high[1], low[0] : high[0]]))[None]
    height, width = part.shape[-2:]
    scale = shrinking(step, config)
    size = max(1, round(height * scale)), max(1, round(width * scale))
    if scale < 1.0:
        part = F.interpolate(part[None], size=size, mode="bilinear", antialias=True, align_corners=False)[0]
    return ShrunkImage(part, scaling(size[1] / width, size[0] / height) @ translation(*(-low)))


def cut_patches(image: torch.Tensor, frames: np.ndarray, config: RefinerConfig) -> torch.Tensor:
    """Look at an image through frames; black around the image.

    Args:
        image: ``(1, h, w)``.
        frames: ``(N, 3, 3)`` from its pixels to those of the patches.
        config: size of the patches.

    Returns:
        ``(N, height, width)``.
    """
    size = config.height, config.width
    theta = sampling_matrix(np.linalg.inv(frames), (image.shape[-2], image.shape[-1]), size)
    grid = F.affine_grid(torch.from_numpy(theta).to(image), [len(frames), 1, *size], align_corners=False)
    images = image[None].expand(len(frames), -1, -1, -1)
    return F.grid_sample(images, grid, mode="bilinear", align_corners=False)[:, 0]


def standardised(patches: torch.Tensor) -> torch.Tensor:
    """``(..., h, w)`` patches, each with mean 0 and spread about 1; an even one becomes 0."""
    mean = patches.mean((-2, -1), keepdim=True)
    spread = (patches - mean).square().mean((-2, -1), keepdim=True).sqrt()
    return (patches - mean) / (spread + 0.03)
