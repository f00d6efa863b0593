"""Error correlations with the highest likelihood on films that the networks were not trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ...spine.centerline import local_frames
from ...spine.geometry import center_distances, corners_of
from ...spine.schema import VERTEBRAE
from .error_correlation import VALUES, ErrorCorrelations, kernels

REACHES = (0.0, 1.5, 20.0)
"""Steps: of one vertebra alone, of neighbours, and of nearly the whole spine."""
_OTHER_BODY = 0.4  # steps; a vertebra with a corner that is further off was taken for another body
_ITERATIONS = 150
_NUGGET = 1e-4  # of the variance, so that covariances can be inverted
_LEAST_VARIANCE = 1e-6
_UNKNOWN = 1e4  # variances of a value that does not count


@dataclass(frozen=True, eq=False)
class SpineErrors:
    """Errors of one film whose names are right.

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


def fit_correlations(films: Sequence[SpineErrors]) -> ErrorCorrelations:
    """The most likely covariances of every reach.

    Raises:
        ValueError: no vertebra counts.
    """
    values = torch.from_numpy(np.stack([film.off.ravel() for film in films]))
    counts = torch.from_numpy(np.stack([np.repeat(film.counts, VALUES) for film in films]))
    if not counts.any():
        raise ValueError("error correlations need films on which some vertebra was found")
    values = torch.where(counts, values, 0.0)
    variance = max(float(values[counts].square().mean()), _LEAST_VARIANCE)
    kernel = torch.from_numpy(kernels(REACHES))
    value = torch.arange(VALUES).repeat(len(VERTEBRAE))
    patterns, pattern = torch.unique(counts, dim=0, return_inverse=True)
    groups = [values[pattern == number].T for number in range(len(patterns))]  # films of one pattern share a covariance
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
