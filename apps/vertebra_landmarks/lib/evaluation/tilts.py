"""Tilts of vertebrae, which decide angles, against those of labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..spine.geometry import body_tilts, check_shape, corners_of, directions_deg, endplate_lines
from ..spine.schema import POINTS, VERTEBRAE
from .metrics import name_shift


@dataclass(frozen=True)
class TiltFigures:
    """How far off the tilts of single vertebrae are, on images whose names are not shifted.

    Attributes:
        tilt_images: number of these images.
        tilt_rms_deg: root mean square of the differences of the vertebrae's tilts, from the middle of the left to that
            of the right side; NaN without such an image.
        endplate_rms_deg: the same of both endplates.
    """

    tilt_images: int
    tilt_rms_deg: float
    endplate_rms_deg: float


def tilt_figures(predicted: np.ndarray, labelled: np.ndarray) -> TiltFigures:
    """Compare the tilts of a set of images.

    Args:
        predicted: ``(N, V, P, 2)`` pixels.
        labelled: ``(N, V, P, 2)`` pixels, NaN where there is no label.

    Raises:
        ValueError: a shape is wrong, or an image has no labelled center.
    """
    for name, points in (("predicted", predicted), ("labelled", labelled)):
        check_shape(name, points, (len(VERTEBRAE), len(POINTS), 2))
    if len(predicted) != len(labelled):
        raise ValueError(f"there are {len(predicted)} predicted and {len(labelled)} labelled images")
    right = [n for n, (p, q) in enumerate(zip(predicted, labelled, strict=True)) if name_shift(p[:, 0], q[:, 0]) == 0]
    found, wanted = corners_of(predicted[right]), corners_of(labelled[right])
    bodies = _turn(body_tilts(found) - body_tilts(wanted))
    plates = _turn(directions_deg(endplate_lines(found)) - directions_deg(endplate_lines(wanted)))
    return TiltFigures(len(right), _rms(bodies), _rms(plates))


def _turn(differences: np.ndarray) -> np.ndarray:
    """The known ones of differences of directions, in -180...180 degrees."""
    known = differences[np.isfinite(differences)]
    turns: np.ndarray = (known + 180.0) % 360.0 - 180.0
    return turns


def _rms(differences: np.ndarray) -> float:
    return float(np.sqrt(np.mean(differences**2))) if len(differences) else float("nan")
