"""How far predicted points are from labelled ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .geometry import check_shape, corners_of, steps
from .schema import POINTS, VERTEBRAE


@dataclass(frozen=True)
class Localisation:
    """Errors over a set of images, in pixels of the original images unless a name says otherwise.

    Attributes:
        images: how many images were compared.
        corner_median: median distance over all corners of all images.
        corner_mean: mean distance over all corners of all images.
        center_median: median distance over all centers of all images.
        center_mean: mean distance over all centers of all images.
        center_mean_steps: mean over images of the mean center distance divided by the image's mean labelled step.
        names_shifted: share of images whose median center distance falls when all predicted names are moved by one.
        names_right: share of images in which every predicted center lies nearer to its own label than to any other.
    """

    images: int
    corner_median: float
    corner_mean: float
    center_median: float
    center_mean: float
    center_mean_steps: float
    names_shifted: float
    names_right: float


def distances(predicted: np.ndarray, labelled: np.ndarray) -> np.ndarray:
    """Euclidean distance of every point to its label.

    Args:
        predicted: ``(..., 2)`` pixels.
        labelled: ``(..., 2)`` pixels, NaN where there is no label.

    Returns:
        ``(...)`` pixels, NaN where there is no label.

    Raises:
        ValueError: the shapes differ.
    """
    if predicted.shape != labelled.shape:
        raise ValueError(f"predicted {predicted.shape} and labelled {labelled.shape} must have the same shape")
    distance: np.ndarray = np.linalg.norm(predicted - labelled, axis=-1)
    return distance


def is_name_shifted(predicted: np.ndarray, labelled: np.ndarray) -> bool:
    """Whether the median center distance falls when all predicted names are moved up or down by one.

    Args:
        predicted: ``(V, 2)`` centers.
        labelled: ``(V, 2)`` centers.

    Raises:
        ValueError: the shapes differ.
    """
    here = np.nanmedian(distances(predicted, labelled))
    up = np.nanmedian(distances(predicted[1:], labelled[:-1]))
    down = np.nanmedian(distances(predicted[:-1], labelled[1:]))
    return bool(min(up, down) < here)


def has_right_names(predicted: np.ndarray, labelled: np.ndarray) -> bool:
    """Whether every predicted center lies nearer to its own label than to any other; absent labels do not count.

    Args:
        predicted: ``(V, 2)`` centers.
        labelled: ``(V, 2)`` centers, NaN where there is no label.

    Raises:
        ValueError: the shapes differ.
    """
    if predicted.shape != labelled.shape:
        raise ValueError(f"predicted {predicted.shape} and labelled {labelled.shape} must have the same shape")
    there = np.flatnonzero(np.isfinite(labelled).all(-1))
    between = np.linalg.norm(predicted[there, None] - labelled[None, there], axis=-1)
    return bool((between.argmin(1) == np.arange(len(there))).all())


def localisation(predicted: np.ndarray, labelled: np.ndarray) -> Localisation:
    """Compare the points of a set of images.

    Args:
        predicted: ``(N, V, P, 2)`` pixels of the original images.
        labelled: ``(N, V, P, 2)`` pixels, NaN where there is no label.

    Raises:
        ValueError: a shape is wrong or there is no image.
    """
    check_shape("predicted", predicted, (len(VERTEBRAE), len(POINTS), 2))
    if predicted.ndim != 4:
        raise ValueError(f"predicted must have shape (N, V, P, 2), got {predicted.shape}")
    if not len(predicted):
        raise ValueError("there is no image to compare")
    error = distances(predicted, labelled)
    corner, center = corners_of(error[..., None])[..., 0], error[:, :, 0]
    step = np.nanmean(steps(labelled[:, :, 0]), axis=-1)
    shifted = [is_name_shifted(p[:, 0], q[:, 0]) for p, q in zip(predicted, labelled)]
    right = [has_right_names(p[:, 0], q[:, 0]) for p, q in zip(predicted, labelled)]
    return Localisation(
        len(predicted),
        float(np.nanmedian(corner)),
        float(np.nanmean(corner)),
        float(np.nanmedian(center)),
        float(np.nanmean(center)),
        float(np.mean(np.nanmean(center, axis=-1) / step)),
        float(np.mean(shifted)),
        float(np.mean(right)),
    )
