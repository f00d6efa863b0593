"""Training items from radiographs and the labels that people gave them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...image_io import read_radiograph
from ...spine.geometry import corners_of
from ...spine.imaging.image_frame import ImageFrame
from ...spine.labels.label_exchange import fit_to_image
from ...spine.labels.markups import read_markups
from ...spine.schema import CORNERS, Spine
from ..codec import ABSENT, PRESENT, STATE
from .gross_errors import gross_error
from .transforms import IMAGE, LABEL

_DIAGONALS = [[CORNERS.index("TL"), CORNERS.index("TR")], [CORNERS.index("BR"), CORNERS.index("BL")]]


def to_label(spine: Spine) -> np.ndarray:
    """What the network learns from what is visible of a labelled spine, and from centers that its corners determine.

    A center that is missing is the middle of the diagonals whose two corners are there: the mean of all four corners,
    or close to it. A vertebra without one stays without a center and so counts as not on the image, and so do points
    that are not visible: the network shall not see them where there is nothing to see.

    Args:
        spine: points in stored pixels.

    Returns:
        ``(V, P, 3)`` x, y and state, the latter ``PRESENT`` or ``ABSENT``; x and y of absent points are 0.
    """
    xy = spine.visible_xy
    first, second = (corners_of(xy)[:, ends] for ends in _DIAGONALS)  # (V, 2 diagonals, 2)
    middles = (first + second) / 2
    known = np.isfinite(middles).all(-1)
    total = np.where(known[..., None], middles, 0.0).sum(1)
    missing = ~np.isfinite(xy[:, 0]).all(-1) & known.any(1)
    xy[missing, 0] = total[missing] / known[missing].sum(1, keepdims=True)
    there = np.isfinite(xy).all(-1, keepdims=True)
    return np.concatenate([np.where(there, xy, 0.0), np.where(there, PRESENT, ABSENT)], -1)


def read_item(image: Path, label: Path) -> dict[str, Any]:
    """One training item.

    Points off the image are absent, as a body is whose center lies there; the others are learnt from.

    Args:
        image: radiograph.
        label: its ``.mrk.json`` file.

    Returns:
        A dict with ``IMAGE``, the path, and ``LABEL`` ``(V, P, 3)`` in stored pixels.

    Raises:
        ValueError: the image or the label cannot be read, or the label is none of a spine (``gross_error``) or has too
            few points on the image to learn from; the message says which.
        OSError: a file cannot be opened.
    """
    radiograph = read_radiograph(image)
    spine = read_markups(label, radiograph.geometry)
    try:
        points = to_label(fit_to_image(spine, radiograph.width, radiograph.height))
        _check_spine(points, radiograph.frame)
    except ValueError as error:
        raise ValueError(f"{label.name}: {error}") from error
    return {IMAGE: str(image), LABEL: points}


def _check_spine(points: np.ndarray, frame: ImageFrame) -> None:
    there = points[:, 0, STATE] == PRESENT
    if not (there[1:] & there[:-1]).any():
        raise ValueError(f"two neighbouring vertebrae are the least to learn from, got {there.sum()} centers")
    spine = Spine.from_arrays(np.where(points[..., STATE:] == PRESENT, points[..., :STATE], np.nan))
    error = gross_error(frame.upright(spine).xy)
    if error:
        raise ValueError(error)


def split(patients: Mapping[str, str], share: float) -> tuple[list[str], list[str]]:
    """Divide images into those to train on and those to check on, by nothing but their patients.

    All images of a patient are on one side, and stay there whatever other images come and go: a model that learns
    again and again is never checked on a patient that it was trained on. So with few patients one side may be empty.

    Args:
        patients: patient by image id.
        share: of the patients to check on, about; 0 for none.

    Returns:
        Names to train on and names to check on, in alphabetical order.

    Raises:
        ValueError: the share is not in 0...1, 1 excluded.
    """
    if not 0.0 <= share < 1.0:
        raise ValueError(f"the share of patients to check on must lie in 0...1, 1 excluded, got {share}")
    held_out = {name for name, patient in patients.items() if _place(patient) < share}
    return sorted(patients.keys() - held_out), sorted(held_out)


def _place(patient: str) -> float:
    """A number in 0...1 that looks random and depends on the patient only."""
    return int.from_bytes(hashlib.sha256(patient.encode()).digest()[:8], "big") / 2**64
