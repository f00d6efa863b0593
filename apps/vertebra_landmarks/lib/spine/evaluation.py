"""All figures of a set of predicted spines against their labels, in one flat table."""

from __future__ import annotations

from dataclasses import asdict
from typing import Optional

import numpy as np

from .anatomy import anatomy_counts, spans_of
from .challenge import angle_agreement, challenge_angles
from .curves import measure_curves
from .geometry import centers_of, corners_of
from .metrics import corner_accuracy, localisation

Figures = dict[str, float]


def evaluate(
    predicted: np.ndarray, labelled: np.ndarray, sizes: np.ndarray, official: Optional[np.ndarray] = None
) -> Figures:
    """Localisation, angles and anatomy of a set of images.

    Args:
        predicted: ``(N, V, P, 2)`` pixels of the original images, every point there.
        labelled: ``(N, V, P, 2)`` pixels, every point there.
        sizes: ``(N, 2)`` width and height of the original images.
        official: ``(N, 3)`` angles of the challenge in degrees; left out, those of the labels by the same rule.

    Returns:
        The fields of ``Localisation``, ``CornerAccuracy`` and ``AngleAgreement``; ``curve_mae_deg``, the mean
        difference of the largest clinical Cobb angle from the labels'; and the fields of ``AnatomyCounts`` of the
        predicted centers and, with ``corner_means_`` before them, of the means of the predicted corners, steps being
        compared with the labelled span.

    Raises:
        ValueError: a shape is wrong or there is no image.
    """
    predicted_corners, labelled_corners = corners_of(predicted), corners_of(labelled)
    localised = localisation(predicted, labelled)
    accuracy = corner_accuracy(predicted_corners, labelled_corners, sizes)  # these two check the shapes
    spans = spans_of(labelled[:, :, 0])
    angles = _challenge(predicted_corners, sizes)
    wanted = _challenge(labelled_corners, sizes) if official is None else official
    largest = [abs(_largest_curve(p) - _largest_curve(q)) for p, q in zip(predicted, labelled)]
    of_means = anatomy_figures(centers_of(predicted_corners), spans)
    return {
        **asdict(localised),
        **asdict(accuracy),
        **asdict(angle_agreement(angles, wanted)),
        "curve_mae_deg": float(np.mean(largest)),
        **anatomy_figures(predicted[:, :, 0], spans),
        **{f"corner_means_{name}": value for name, value in of_means.items()},
        "images": len(predicted),
    }


def anatomy_figures(centers: np.ndarray, spans: np.ndarray) -> Figures:
    """The fields of ``AnatomyCounts`` but the number of images.

    Args:
        centers: ``(N, V, 2)`` pixels.
        spans: ``(N,)`` what steps are compared with.

    Raises:
        ValueError: a shape is wrong or there is no image.
    """
    figures = asdict(anatomy_counts(centers, spans))
    del figures["images"]
    return figures


def _challenge(corners: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    return np.stack([challenge_angles(c, float(height)) for c, (_, height) in zip(corners, sizes)])


def _largest_curve(points: np.ndarray) -> float:
    return max(curve.angle_deg for curve in measure_curves(points))
