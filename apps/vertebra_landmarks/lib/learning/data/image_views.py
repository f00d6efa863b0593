"""What the networks are shown of an image: it seen through an affine matrix, and patches, one per vertebra."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from ...image_io.window import windowed
from ...spine.geometry import check_shape, scaling, transform_points, translation
from ..config import CornerConfig, InputConfig

STEP_REACH = 2
"""Gaps to either side that set the length of a step."""
MIN_STEP_SHARE = 0.4
"""Of the median step, below which a step counts as a mistake of the decoder."""
_MARGIN = 2  # pixels around a part of an image, for interpolation at its border
_FINER = 1.5  # pixels of the shrunk image per pixel of a patch
_LOCAL_WINDOW_SHARE = 8  # of the width
_AROUND = 3.0  # steps around the centers that are looked at
_MIN_ROWS, _MIN_COARSE_ROWS = 6, 4  # of the image per row of the input that a view is sampled from


def warp(image: torch.Tensor, matrix: np.ndarray, size: tuple[int, int]) -> torch.Tensor:
    """Move an image by an affine matrix, black around it; a shrinking one averages the pixels that fall together.

    Args:
        image: ``(1, H, W)`` float tensor.
        matrix: ``(3, 3)`` from pixels of the image to pixels of the result.
        size: (height, width) of the result.

    Returns:
        ``(1, *size)`` float tensor.
    """
    height, width = image.shape[-2:]
    scale = _scale_of(matrix)
    if scale < 1.0:
        small = max(1, round(height * scale)), max(1, round(width * scale))
        image = F.interpolate(image[None], size=small, mode="bilinear", antialias=True, align_corners=False)[0]
        matrix = matrix @ np.linalg.inv(scaling(small[1] / width, small[0] / height))
        height, width = small
    theta = torch.from_numpy(sampling_matrix(np.linalg.inv(matrix), (height, width), size)).to(image)
    grid = F.affine_grid(theta[None], [1, 1, *size], align_corners=False)
    return F.grid_sample(image[None], grid, mode="bilinear", padding_mode="zeros", align_corners=False)[0]


def _scale_of(matrix: np.ndarray) -> float:
    """Pixels of the result per pixel of the image."""
    return float(np.sqrt(abs(np.linalg.det(matrix[:2, :2]))))


def sampling_matrix(back: np.ndarray, source: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """What ``affine_grid`` without aligned corners needs in order to look at an image through affine matrices.

    Args:
        back: ``(..., 3, 3)`` from pixels of the result to pixels of the image.
        source: (height, width) of the image.
        size: (height, width) of the result.

    Returns:
        ``(..., 2, 3)``.
    """
    theta: np.ndarray = (_to_unit(*source) @ back @ np.linalg.inv(_to_unit(*size)))[..., :2, :]
    return theta


def _to_unit(height: int, width: int) -> np.ndarray:
    """From pixels to -1...1 between the outer edges of the outermost pixels."""
    return np.array([[2 / width, 0, 1 / width - 1], [0, 2 / height, 1 / height - 1], [0, 0, 1]])


def fitting_matrix(height: int, width: int, config: InputConfig) -> np.ndarray:
    """``(3, 3)`` matrix that makes a whole image fit the input, undistorted and centered."""
    scale = min(config.height / height, config.width / width)
    dx = round((config.width - width * scale) / 2)
    dy = round((config.height - height * scale) / 2)
    return translation(dx, dy) @ scaling(scale, scale)


def spine_view(centers: np.ndarray, span: float, margin: float, config: InputConfig) -> np.ndarray:
    """``(3, 3)`` matrix that brings a spine to the middle of the input, upright as it is.

    Args:
        centers: ``(V, 2)`` from top to bottom, in pixels of the image.
        span: their height as a share of the input's.
        margin: room to leave on either side, in mean steps; where it does not fit, the spine becomes smaller.
        config: size of the input.
    """
    low, high = centers.min(0), centers.max(0)
    width, height = np.maximum(high - low, 1.0)
    room = 2 * margin * height / max(1, len(centers) - 1)
    scale = min(span * config.height / height, config.width / (width + room))
    middle = np.array([config.width - 1, config.height - 1]) / 2
    return translation(*(middle - scale * (low + high) / 2)) @ np.diag([scale, scale, 1.0])


def view(pixels: np.ndarray, matrix: np.ndarray, config: InputConfig, is_coarse: bool = False) -> torch.Tensor:
    """What the network sees of an image: the part that a matrix shows, windowed by itself, black around the image.

    A view of a large image leaves out so many of its rows and columns that at least six of each make up a pixel of the
    input, of a coarse view four.

    Args:
        pixels: ``(H, W)`` values as stored.
        matrix: ``(3, 3)`` from pixels of the image to pixels of the input.
        config: size of the input.
        is_coarse: whether it may be quicker and less exact.

    Returns:
        ``(1, height, width)`` in 0...1.
    """
    rows = _MIN_COARSE_ROWS if is_coarse else _MIN_ROWS
    every = int(np.clip(1 / (rows * _scale_of(matrix)), 1, max(pixels.shape)))  # a spoiled network may show far more
    pixels, matrix = pixels[::every, ::every], matrix @ np.diag([every, every, 1.0])
    corners = np.array([[0, 0], [config.width, 0], [0, config.height], [config.width, config.height]], dtype=float)
    shown = transform_points(np.linalg.inv(matrix), corners)
    limits = np.array(pixels.shape[::-1])
    low = np.clip(np.floor(shown.min(0)).astype(int) - _MARGIN, 0, limits - 1)
    high = np.clip(np.ceil(shown.max(0)).astype(int) + _MARGIN, low + 1, limits)
    part = torch.from_numpy(windowed(pixels[low[1] : high[1], low[0] : high[0]]))[None]
    return warp(part, matrix @ translation(*low), (config.height, config.width))


def vertebra_frames(
    centers: np.ndarray, config: CornerConfig, scale: np.ndarray | float = 1.0, turn: np.ndarray | float = 0.0
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
    lengths = np.maximum(lengths, MIN_STEP_SHARE * np.median(lengths[lengths > 0]))
    index = np.arange(count)
    near = [lengths[max(0, i - STEP_REACH) : i + STEP_REACH] for i in index]
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


def shrinking(step: float, config: CornerConfig) -> float:
    """Factor, at most 1, that brings an image with steps of this many pixels to nearly the resolution of patches."""
    return min(1.0, _FINER * config.step / max(1.0, step))


def shrink_around(pixels: np.ndarray, centers: np.ndarray, config: CornerConfig) -> ShrunkImage:
    """Cut out and shrink what patches around these centers may show, windowed by itself.

    Args:
        pixels: ``(H, W)`` values as stored.
        centers: ``(N, 2)`` pixels, N at least 2.
        config: size of the patches.
    """
    step = max(1.0, float(np.median(np.linalg.norm(np.diff(centers, axis=0), axis=1))))
    limits = np.array(pixels.shape[::-1])
    low = np.clip(np.floor(centers.min(0) - _AROUND * step).astype(int), 0, limits - 1)
    high = np.clip(np.ceil(centers.max(0) + _AROUND * step).astype(int), low + 1, limits)
    part = torch.from_numpy(windowed(pixels[low[1] : high[1], low[0] : high[0]]))[None]
    height, width = part.shape[-2:]
    scale = shrinking(step, config)
    size = max(1, round(height * scale)), max(1, round(width * scale))
    if scale < 1.0:
        part = F.interpolate(part[None], size=size, mode="bilinear", antialias=True, align_corners=False)[0]
    return ShrunkImage(part, scaling(size[1] / width, size[0] / height) @ translation(*(-low)))


def cut_patches(image: torch.Tensor, frames: np.ndarray, config: CornerConfig) -> torch.Tensor:
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


def local_contrast(images: torch.Tensor, window: int | None = None) -> torch.Tensor:
    """Equalise contrast locally, as many viewers and exports do.

    Args:
        images: ``(C, h, w)`` or ``(B, C, h, w)`` in 0...1.
        window: odd width in pixels of the square neighbourhood; an eighth of that of the images unless given.

    Returns:
        The same shape, in 0...1: each pixel against the mean and spread of its neighbourhood.
    """
    size = max(3, images.shape[-1] // _LOCAL_WINDOW_SHARE) | 1 if window is None else window

    def mean(x: torch.Tensor) -> torch.Tensor:  # rows first, then columns
        x = F.avg_pool2d(x, (1, size), stride=1, padding=(0, size // 2), count_include_pad=False)
        return F.avg_pool2d(x, (size, 1), stride=1, padding=(size // 2, 0), count_include_pad=False)

    average = mean(images)
    spread = (mean(images**2) - average**2).clamp(min=0).sqrt()
    return torch.sigmoid(1.6 * (images - average) / (spread + 0.03))
