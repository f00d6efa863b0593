"""Random changes of gray values for whole batches on a device: exposure, processing, and what covers bones.

All functions take and return ``(B, N, h, w)``, N views of each of B images; no point moves.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional as F

from .random_draws import BatchRandom

_EDGE = 0.5  # pixels over which a drawn line fades
_FAR = 1e6
_SEGMENTS = 16  # drawn at once


Change = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""From some images ``(M, N, h, w)`` of a batch and their indices ``(M,)`` in it to changed ones."""


def changed(images: torch.Tensor, which: torch.Tensor, change: Change) -> torch.Tensor:
    """A batch of which some images ``(M,)``, by index, are changed."""
    if not len(which):
        return images
    return images.index_copy(0, which, change(images[which], which))


def column(values: torch.Tensor) -> torch.Tensor:
    """``(B,)`` as ``(B, 1, 1, 1)``."""
    return values.view(-1, 1, 1, 1)


def blurred(images: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Gaussian blur, each image by its own width.

    Args:
        images: ``(B, N, h, w)``.
        sigma: ``(B,)`` pixels; up to about 2.
    """
    b, n, h, w = images.shape
    reach = torch.arange(-4, 5, device=images.device)
    kernel = torch.exp(-0.5 * (reach / sigma.clamp(min=1e-2)[:, None]) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(n, 0)[:, None]
    flat = F.pad(images.reshape(1, b * n, h, w), (4, 4, 4, 4), mode="replicate")
    flat = F.conv2d(flat, kernel[:, :, None, :], groups=b * n)
    return F.conv2d(flat, kernel[:, :, :, None], groups=b * n).view(b, n, h, w)


def smooth_field(random: BatchRandom, shape: torch.Size) -> torch.Tensor:
    """``(B, N, h, w)`` in 0...1 that changes slowly from place to place."""
    b, n, h, w = shape
    coarse = random.uniform(-0.4, 1.4, b, n, 4, 3)
    return F.interpolate(coarse, size=(h, w), mode="bicubic", align_corners=False).clamp(0, 1)


def rewindowed(images: torch.Tensor, is_image: torch.Tensor) -> torch.Tensor:
    """Stretched so that all but the extreme gray values of the image fill 0...1, as prediction windows a view."""
    sample = torch.where(is_image, images, torch.nan)[..., ::8, ::8].flatten(1)
    low = column(torch.nanquantile(sample, 0.005, dim=1).nan_to_num(0.0))
    high = column(torch.nanquantile(sample, 0.995, dim=1).nan_to_num(1.0))
    return ((images - low) / (high - low).clamp(min=0.1)).clamp(0, 1)


def gamma_changed(images: torch.Tensor, gamma: torch.Tensor) -> torch.Tensor:
    """Gray values in 0...1 to the power of ``(B,)``."""
    return images.clamp(1e-4, 1.0) ** column(gamma)


def hazed(images: torch.Tensor, random: BatchRandom) -> torch.Tensor:
    """Scatter over parts of an image, which have less contrast and detail there."""
    b = len(images)
    field = smooth_field(random, images.shape) * column(random.uniform(0.3, 1.0, b))
    soft = torch.lerp(images, blurred(images, random.uniform(0.6, 1.8, b)), field)
    return torch.lerp(soft, column(random.uniform(0.1, 0.9, b)).expand_as(soft), 0.8 * field)


def faded_end(images: torch.Tensor, random: BatchRandom) -> torch.Tensor:
    """The neck or the lumbar spine nearly lost: too dark or too bright towards one end of the image."""
    b, _, h, _ = images.shape
    rows = torch.linspace(0, 1, h, device=images.device)
    rows = torch.where(random.chance(0.5, b, 1), rows, rows.flip(0))  # (B, h)
    field = torch.sigmoid((rows - random.uniform(0.5, 0.9, b, 1)) / random.uniform(0.03, 0.15, b, 1))
    field = field[:, None, :, None] * column(random.uniform(0.4, 0.85, b))
    return torch.lerp(images, column(random.uniform(0, 1, b)).expand_as(images), field)


def lined(images: torch.Tensor, random: BatchRandom) -> torch.Tensor:
    """Lines of an anti-scatter grid, along or across, of any pitch."""
    b, _, h, w = images.shape
    angle = random.uniform(-0.05, 0.05, b) + random.chance(0.5, b) * (torch.pi / 2)
    rows = torch.arange(h, device=images.device)[:, None]
    columns = torch.arange(w, device=images.device)
    phase = column(angle.cos()) * columns + column(angle.sin()) * rows
    wave = torch.sin(phase * (2 * torch.pi / column(random.uniform(2.1, 9.0, b))))
    return images + wave * column(random.uniform(0.01, 0.07, b))


def grainy(images: torch.Tensor, random: BatchRandom, strongest: float) -> torch.Tensor:
    """Noise of a low dose: stronger than usual, in grains of up to a few pixels."""
    b = len(images)
    noise = random.normal(*images.shape)
    noise = torch.lerp(noise, 3 * blurred(noise, random.uniform(0.5, 1.2, b)), column(random.uniform(0, 1, b)))
    return images + noise * column(random.uniform(0.3, 1.0, b) * strongest)


def covered(images: torch.Tensor, random: BatchRandom, least: int, most: int) -> torch.Tensor:
    """One even rectangle somewhere in one view of each image."""
    b, n, h, w = images.shape
    rows = torch.arange(h, device=images.device)[:, None]
    columns = torch.arange(w, device=images.device)
    height, width = (column(random.uniform(least, most, b)) for _ in range(2))
    y = column(random.uniform(0, 1, b)) * (h - height).clamp(min=1)
    x = column(random.uniform(0, 1, b)) * (w - width).clamp(min=1)
    hit = (rows >= y) & (rows < y + height) & (columns >= x) & (columns < x + width)
    chosen = torch.arange(n, device=images.device).view(1, n, 1, 1) == column(random.whole(n, b))
    return torch.where(hit & chosen, column(random.uniform(0, 1, b)), images)


def shadowed(images: torch.Tensor, centers: torch.Tensor, radius: torch.Tensor, random: BatchRandom) -> torch.Tensor:
    """A soft shadow, as of bowel, heart or a plate, over places of each image.

    Args:
        images: ``(B, N, h, w)``.
        centers: ``(B, N, 2)`` x, y of the shadow in each view, pixels.
        radius: ``(B,)`` pixels.
        random: chooses its strength and gray value.
    """
    b, _, h, w = images.shape
    rows = torch.arange(h, device=images.device)[:, None] - centers[..., 1, None, None]
    columns = torch.arange(w, device=images.device) - centers[..., 0, None, None]
    far = (rows.square() + columns.square()).sqrt() / column(radius)
    share = torch.sigmoid((1 - far) / column(random.uniform(0.02, 0.3, b))) * column(random.uniform(0.4, 1.0, b))
    return torch.lerp(images, column(random.uniform(0, 1, b)).expand_as(images), share)


def drawn(
    images: torch.Tensor, segments: torch.Tensor, radius: torch.Tensor, value: torch.Tensor, alpha: torch.Tensor
) -> torch.Tensor:
    """Lines with round ends over images.

    Args:
        images: ``(B, N, h, w)``.
        segments: ``(B, N, S, 4)`` x, y of both ends in pixels; NaN for none.
        radius: ``(B, S)`` half widths in pixels.
        value: ``(B,)`` gray value.
        alpha: ``(B,)`` share of it.
    """
    h, w = images.shape[-2:]
    rows = torch.arange(h, device=images.device, dtype=images.dtype)[:, None]
    columns = torch.arange(w, device=images.device, dtype=images.dtype)
    nearest = torch.full_like(images, _FAR)
    for begin in range(0, segments.shape[2], _SEGMENTS):
        part = slice(begin, begin + _SEGMENTS)
        x0, y0, x1, y1 = (end[..., None, None] for end in segments[:, :, part].unbind(-1))  # (B, N, S, 1, 1)
        dx, dy = x1 - x0, y1 - y0
        along = ((columns - x0) * dx + (rows - y0) * dy) / (dx.square() + dy.square()).clamp(min=1e-6)
        along = along.clamp(0, 1)
        far = ((columns - x0 - along * dx).square() + (rows - y0 - along * dy).square()).sqrt()
        far = (far - radius[:, None, part, None, None]).nan_to_num(_FAR)
        nearest = torch.minimum(nearest, far.amin(2))
    share = ((_EDGE - nearest) / (2 * _EDGE)).clamp(0, 1) * column(alpha)
    return torch.lerp(images, column(value).expand_as(images), share)


def scribbles(random: BatchRandom, count: int, height: int, width: int) -> torch.Tensor:
    """Pen lines: a few straight ones, as angles are drawn with, and a ruler with ticks; ``(B, 1, S, 4)`` pixels."""
    lines = 6
    middle = torch.stack([random.uniform(0.1, 0.9, count, lines), random.uniform(0.02, 0.98, count, lines)], -1)
    angle = random.normal(count, lines) * 0.4 + (torch.pi / 2) * random.chance(0.25, count, lines)
    arm = torch.stack([angle.cos(), angle.sin()], -1) * (width * random.uniform(0.05, 0.5, count, lines)[..., None])
    middle = middle * middle.new_tensor([width, height])
    pen = torch.cat([middle - arm, middle + arm], -1)
    pen = torch.where(random.chance(0.5, count, lines, 1), pen, torch.nan)
    ticks = 24
    x = random.uniform(0.02, 0.98, count, 1) * width
    begin, pitch = random.uniform(0, 0.5, count, 1) * height, random.uniform(5, 16, count, 1)
    y = begin + pitch * torch.arange(ticks, device=middle.device)
    reach = torch.where(torch.arange(ticks, device=middle.device) % 5 == 0, 8.0, 4.0)
    reach = reach * torch.where(x > width / 2, -1.0, 1.0)
    ruler = torch.stack([x.expand_as(y), y, x + reach, y], -1)
    ruler = torch.where(random.chance(0.5, count, 1, 1), ruler, torch.nan)
    return torch.cat([pen, ruler], 1)[:, None]


def implants(corners: torch.Tensor, below: torch.Tensor, random: BatchRandom) -> tuple[torch.Tensor, torch.Tensor]:
    """Rods with screws or hooks along a part of a spine.

    Args:
        corners: ``(B, V, K, 2)`` TL, TR, BL, BR in pixels, NaN where unknown.
        below: ``(B, V, 2)`` center of the next body, in pixels of the same view; NaN where unknown.
        random: chooses the bodies and what they bear.

    Returns:
        Segments ``(B, V, S, 4)`` beside every vertebra, NaN for none, and half widths ``(B, S)``, in the unit of the
        corners.
    """
    b, v = corners.shape[:2]
    center = corners.mean(2)
    across = (corners[:, :, 1::2].mean(2) - corners[:, :, ::2].mean(2)) / 2  # half a body to the right
    down = below - center
    size = torch.nanmedian(torch.linalg.vector_norm(across, dim=-1), dim=1).values  # (B,)
    level = torch.arange(v, device=corners.device)
    first = random.whole(max(1, v - 5), b)[:, None]
    has_rod = ((level >= first) & (level <= first + 3 + random.whole(v, b)[:, None]))[..., None, None]
    parts, widths = [], []
    for side in (-1.0, 1.0):
        out = side * random.uniform(0.35, 0.7, b)[:, None, None]
        head = center + out * across
        rod = torch.cat([head - 0.5 * down, head + down], -1)
        tip = center + across * side * random.uniform(-0.3, 0.25, b, v)[..., None]
        tip = tip + down.nan_to_num(0.0) * random.uniform(-0.25, 0.25, b, v)[..., None]
        screw = torch.cat([head, tip], -1)
        screw = torch.where(random.chance(0.7, b, v, 1), screw, torch.nan)
        knob = torch.where(torch.isnan(screw), torch.nan, torch.cat([head, head], -1))
        parts += [rod, screw, knob]
        widths += [0.09 * size, 0.07 * size, 0.17 * size]
    segments = torch.where(has_rod, torch.stack(parts, 2), torch.nan)
    return segments, torch.stack(widths, 1)
