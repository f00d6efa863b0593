"""Correlated errors of corners along a spine: fitted on images, and propagated from fixed points to free ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from ...spine.centerline import is_dented, local_frames, movable_centers
from ...spine.geometry import center_distances, corners_of, with_centers
from ...spine.schema import CORNERS, VERTEBRAE
from ..decoders import FixedLandmarks

VALUES = 2 * len(CORNERS)
"""Of a vertebra: how far every corner is off across and along the spine."""
_HALF_BODY = 0.35  # steps from a center to its endplates
_DOUBT = 0.5  # of the expected error; so much of a corrected point's error is taken for its own, see ``propagate``
_HAND = 0.01  # steps; by so much a person misses the point that is meant, along either axis
REACHES = (0.0, 1.5, 20.0)
"""Steps: of one vertebra alone, of neighbours, and of nearly the whole spine."""
_OTHER_BODY = 0.4  # steps; a vertebra with a corner that is further off was taken for another body
_ITERATIONS = 150
_NUGGET = 1e-4  # of the variance, so that covariances can be inverted
_MIN_VARIANCE = 1e-6
_UNKNOWN = 1e4  # variances of a value that does not count


@dataclass(frozen=True)
class ErrorCorrelations:
    """A Gaussian process of the errors of all corners of a spine.

    Errors are shares of what is expected of each corner, across and along the spine. Two of them, of the values a and
    b of two vertebrae whose endplates lie d steps apart, have the covariance ``sum_m C_m[a, b] exp(-d / r_m)``; where
    the reach r is 0, that part joins errors of one vertebra only.

    Attributes:
        reaches: of each part, steps.
        covariances: of each part ``VALUES`` x ``VALUES``, symmetric.
    """

    reaches: tuple[float, ...]
    covariances: tuple[tuple[tuple[float, ...], ...], ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, the inverse of ``from_dict``."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ErrorCorrelations:
        """Build them from plain values.

        Raises:
            ValueError: a value is missing, unknown or no number, or the covariances are none.
        """
        try:
            reaches = tuple(float(reach) for reach in values["reaches"])
            tables = np.array(values["covariances"], dtype=float)
            is_whole = set(values) == {"reaches", "covariances"}
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"the error correlations are not those of this project: {error}") from error
        if not is_whole or tables.shape != (len(reaches), VALUES, VALUES) or not np.isfinite(tables).all():
            raise ValueError(f"the error correlations need {VALUES} x {VALUES} finite numbers for every reach")
        if not np.isfinite(reaches).all() or min(reaches, default=-1) < 0:
            raise ValueError("the error correlations need reaches that are not negative")
        if not np.allclose(tables, tables.swapaxes(1, 2)) or np.linalg.eigvalsh(tables).min() < -1e-6:
            raise ValueError("the error correlations have a table that is no covariance")
        return cls(reaches, tuple(tuple(tuple(map(float, row)) for row in table) for table in tables))

    @cached_property
    def _covariance(self) -> np.ndarray:
        """``(V * VALUES, V * VALUES)`` of all values of a spine."""
        value = np.tile(np.arange(VALUES), len(VERTEBRAE))
        parts = zip(self.covariances, kernels(self.reaches), strict=True)
        covariance: np.ndarray = sum(np.array(table)[np.ix_(value, value)] * kernel for table, kernel in parts)
        return covariance

    def propagate(
        self, points: np.ndarray, observed: np.ndarray, errors: np.ndarray, fixed: FixedLandmarks
    ) -> tuple[np.ndarray, np.ndarray]:
        """Free corners moved by what is to be expected of them, given how far off the fixed points were.

        A person corrects what is worst, and that is more often an error of that point alone than a Gaussian process
        believes. So a part of its error is taken for its own (``_DOUBT``).

        Neighbours keep their order and their steps the limits of anatomy, and no outline is dented: where one would be,
        the vertebra stays.

        Args:
            points: ``(V, P, 2)`` pixels, the fixed ones at their positions.
            observed: ``(V, P, 2)`` where the image shows them; NaN for vertebrae that do not take part.
            errors: ``(V, P)`` expected distances of ``observed`` from the true positions, pixels.
            fixed: points that must stay.

        Returns:
            ``(V, P, 2)`` points; and ``(V, P)`` what is left of their expected errors, as shares in 0...1.
        """
        corners = corners_of(observed)
        takes_part = np.isfinite(corners).all((1, 2))
        frames, step = local_frames(points[:, 0]), float(center_distances(points[:, 0]).mean())
        scale = np.repeat(np.where(takes_part[:, None], errors[:, 1:], 0.0), 2, axis=1).ravel() / step
        design, offsets = _observations(corners, fixed, frames, step)
        if not len(offsets):
            return points, np.ones(points.shape[:2])
        covariance = scale[:, None] * self._covariance * scale
        noise = np.diag(design**2 @ (_DOUBT * scale) ** 2 + _HAND**2)
        gain = np.linalg.solve(design @ covariance @ design.T + noise, design @ covariance).T
        shifts = np.einsum("vij,vki->vkj", frames, (gain @ offsets).reshape(len(points), len(CORNERS), 2)) * step
        left = 1 - np.einsum("ij,ji->i", gain, design @ covariance) / np.maximum(np.diag(covariance), 1e-12)
        shares = np.sqrt(np.clip(left, 0.0, 1.0)).reshape(len(points), len(CORNERS), 2).mean(-1)
        shifts = np.where(fixed.mask[:, 1:, None], 0.0, shifts)
        after = points + np.concatenate([shifts.mean(1, keepdims=True), shifts], 1)
        placed = _within_anatomy(points, fixed.applied_to(after), fixed)
        return placed, np.concatenate([shares.mean(1, keepdims=True), shares], 1)


def kernels(reaches: tuple[float, ...]) -> np.ndarray:
    """``(M, V * VALUES, V * VALUES)`` what is left of each part's covariance at the distance of two values."""
    half = np.array([-_HALF_BODY if name.startswith("T") else _HALF_BODY for name in CORNERS])
    position = (np.arange(len(VERTEBRAE))[:, None] + np.repeat(half, 2)).ravel()
    vertebra = np.repeat(np.arange(len(VERTEBRAE)), VALUES)
    away = np.abs(position[:, None] - position)
    is_same = (vertebra[:, None] == vertebra).astype(float)
    return np.stack([np.exp(-away / reach) if reach > 0 else is_same for reach in reaches])


def _observations(
    corners: np.ndarray, fixed: FixedLandmarks, frames: np.ndarray, step: float
) -> tuple[np.ndarray, np.ndarray]:
    """What fixed points say about errors of corners.

    Args:
        corners: ``(V, K, 2)`` where the image shows them, pixels, NaN for vertebrae that do not take part.
        fixed: points that must stay.
        frames: ``(V, 2, 2)`` across and along the spine.
        step: pixels.

    Returns:
        ``(N, V * VALUES)`` of which values each of N numbers is the mean, and these, ``(N,)`` steps.
    """
    rows, offsets = [], []
    shown = with_centers(corners)
    for vertebra, point in np.argwhere(fixed.mask & np.isfinite(shown).all(-1)):
        off = frames[vertebra] @ (fixed.xy[vertebra, point] - shown[vertebra, point]) / step
        which = range(len(CORNERS)) if point == 0 else (point - 1,)
        for axis in (0, 1):
            row = np.zeros((len(VERTEBRAE), len(CORNERS), 2))
            row[vertebra, list(which), axis] = 1 / len(which)
            rows.append(row.ravel())
            offsets.append(off[axis])
    return np.array(rows).reshape(len(rows), len(VERTEBRAE) * VALUES), np.array(offsets)


def _within_anatomy(before: np.ndarray, after: np.ndarray, fixed: FixedLandmarks) -> np.ndarray:
    """``(V, P, 2)`` vertebrae after a move, those before it where the move would leave anatomy."""
    moves = ~(is_dented(after) & ~is_dented(before))
    placed = np.where(moves[:, None, None], after, before)
    has_fixed_center = np.isfinite(fixed.centers).all(1)
    may = movable_centers(before[:, 0], placed[:, 0], np.full(len(before), np.inf), has_fixed_center)
    constrained: np.ndarray = np.where(may[:, None, None], placed, before)
    return constrained


@dataclass(frozen=True, eq=False)
class SpineErrors:
    """Errors of one image whose names are right.

    Attributes:
        off: ``(V, K, 2)`` label less prediction, across and along the spine, as shares of the expected error.
        counts: ``(V,)`` whether the vertebra is the labelled body at all.
    """

    off: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, points: np.ndarray, labelled: np.ndarray, errors: np.ndarray) -> SpineErrors:
        """Compare a prediction with its label.

        Args:
            points: ``(V, P, 2)`` predicted pixels.
            labelled: ``(V, P, 2)`` pixels.
            errors: ``(V, P)`` expected errors where the names are right, pixels.
        """
        off = np.einsum("vij,vkj->vki", local_frames(points[:, 0]), corners_of(labelled) - corners_of(points))
        counts = (np.abs(off) < _OTHER_BODY * center_distances(points[:, 0]).mean()).all((1, 2))
        return cls(off / errors[:, 1:, None], counts)


def fit_correlations(spines: Sequence[SpineErrors]) -> ErrorCorrelations:
    """The most likely covariances of every reach.

    Raises:
        ValueError: no vertebra counts.
    """
    values = torch.from_numpy(np.stack([spine.off.ravel() for spine in spines]))
    counts = torch.from_numpy(np.stack([np.repeat(spine.counts, VALUES) for spine in spines]))
    if not counts.any():
        raise ValueError("error correlations need images on which some vertebra was found")
    values = torch.where(counts, values, 0.0)
    variance = max(float(values[counts].square().mean()), _MIN_VARIANCE)
    kernel = torch.from_numpy(kernels(REACHES))
    value = torch.arange(VALUES).repeat(len(VERTEBRAE))
    patterns, pattern = torch.unique(counts, dim=0, return_inverse=True)
    groups = [values[pattern == number].T for number in range(len(patterns))]  # of one pattern: one covariance
    extra = torch.diag_embed(torch.where(patterns, _NUGGET, _UNKNOWN) * variance)
    start = torch.eye(VALUES, dtype=torch.float64) + 0.02 * torch.ones(VALUES, VALUES, dtype=torch.float64).tril(-1)
    roots = (start * (variance / len(REACHES)) ** 0.5).repeat(len(REACHES), 1, 1).requires_grad_()
    optimiser = torch.optim.LBFGS([roots], max_iter=_ITERATIONS, history_size=20, line_search_fn="strong_wolfe")

    def surprise() -> torch.Tensor:
        """Negative log likelihood per value, but for a constant."""
        optimiser.zero_grad()
        lower = roots.tril()
        tables = (lower @ lower.mT)[:, value][:, :, value]
        triangles = torch.linalg.cholesky((tables * kernel).sum(0) + extra)
        loss = torch.zeros((), dtype=torch.float64)
        for triangle, group in zip(triangles, groups, strict=True):
            white = torch.linalg.solve_triangular(triangle, group, upper=False)
            loss = loss + white.square().sum() / 2 + group.shape[1] * triangle.diagonal().log().sum()
        loss = loss / counts.sum()
        loss.backward()
        return loss.detach()

    optimiser.step(surprise)
    lower = roots.detach().tril()
    return ErrorCorrelations.from_dict({"reaches": REACHES, "covariances": (lower @ lower.mT).tolist()})
