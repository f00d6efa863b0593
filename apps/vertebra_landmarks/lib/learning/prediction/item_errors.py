"""How far off the whole prediction is on labelled images, as users see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...image_io import UnreadableImageError, read_radiograph
from ...spine.geometry import center_distances
from ..codec import PRESENT, STATE
from ..data.transforms import IMAGE, LABEL
from .predictor import LandmarkPredictor


def item_errors(predictor: LandmarkPredictor, items: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Mean distance of the predicted points from the labelled ones, image by image.

    Args:
        predictor: with both networks.
        items: as ``labelled.read_item`` makes them.

    Returns:
        ``(N,)`` in steps, the mean distance between neighbouring labelled centers of the image: of the corners, or of
        the centers where none of the corners is labelled; NaN where the image cannot be predicted on.

    Raises:
        OSError: an image cannot be opened.
    """
    return np.array([_item_error(predictor, Path(item[IMAGE]), np.asarray(item[LABEL])) for item in items])


def _item_error(predictor: LandmarkPredictor, image: Path, label: np.ndarray) -> float:
    try:
        with np.errstate(invalid="ignore", over="ignore"):  # a network that went astray may say anything
            spine = predictor.locate(read_radiograph(image)).spine
    except UnreadableImageError:  # it may be too small to be predicted on
        return float("nan")
    there = label[..., STATE] == PRESENT
    labelled = np.where(there[..., None], label[..., :STATE], np.nan)
    off = np.linalg.norm(spine.xy - labelled, axis=-1)  # (V, P), the center first
    counted = off[:, 1:] if np.isfinite(off[:, 1:]).any() else off[:, 0]
    return float(np.nanmean(counted)) / float(np.nanmean(center_distances(labelled[:, 0])))
