"""Affine matrices of whole batches, ``(..., 2, 3)``, acting on columns (x, y, 1) as those of ``spine.geometry`` do."""

from __future__ import annotations

import torch


def affine(linear: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """``(..., 2, 3)`` of a linear part ``(..., 2, 2)`` and a shift ``(..., 2)``."""
    return torch.cat([linear, shift[..., None]], -1)


def linear(a: torch.Tensor, b: torch.Tensor, c: torch.Tensor, d: torch.Tensor) -> torch.Tensor:
    """``(..., 2, 2)`` of the rows (a, b) and (c, d), each ``(...)``."""
    return torch.stack([torch.stack([a, b], -1), torch.stack([c, d], -1)], -2)


def turned(angle: torch.Tensor) -> torch.Tensor:
    """``(..., 2, 2)`` turns by ``(...)`` radians, clockwise on the screen for positive ones."""
    c, s = angle.cos(), angle.sin()
    return linear(c, -s, s, c)


def after(second: torch.Tensor, first: torch.Tensor) -> torch.Tensor:
    """The map that does ``first``, then ``second``: ``(..., 2, 3)`` each."""
    return affine(second[..., :2] @ first[..., :2], moved(second, first[..., 2]))


def moved(matrix: torch.Tensor, xy: torch.Tensor) -> torch.Tensor:
    """Points ``(..., 2)`` mapped by matrices ``(..., 2, 3)`` of the same leading axes."""
    return (matrix[..., :2] @ xy[..., None])[..., 0] + matrix[..., 2]


def inverse(matrix: torch.Tensor) -> torch.Tensor:
    """The way back of matrices ``(..., 2, 3)``."""
    a, b, c, d = (matrix[..., i, j] for i in (0, 1) for j in (0, 1))
    determinant = a * d - b * c
    back = linear(d, -b, -c, a) / determinant[..., None, None]
    return affine(back, -(back @ matrix[..., 2:])[..., 0])


def mirroring(width: torch.Tensor, is_mirrored: torch.Tensor) -> torch.Tensor:
    """``(B, 2, 3)`` that mirror images of these widths ``(B,)`` left to right, or leave them, by ``(B,)`` bool."""
    sign = 1.0 - 2.0 * is_mirrored.to(torch.float32)
    zero, one = torch.zeros_like(sign), torch.ones_like(sign)
    return affine(linear(sign, zero, zero, one), torch.stack([(width - 1) * is_mirrored, zero], -1))
