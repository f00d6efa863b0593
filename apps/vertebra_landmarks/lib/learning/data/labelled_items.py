"""Training items from labelled radiographs: what counts as a label, and which images are of one patient."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...image_io import Radiograph, read_radiograph
from ...image_io.dicom.study import read_study_tags
from ...spine.geometry import check_shape, corners_of
from ...spine.imaging.image_frame import ImageFrame
from ...spine.labels.label_exchange import fit_to_image
from ...spine.labels.markups import read_markups
from ...spine.schema import CENTER, CORNERS, POINTS, VERTEBRAE, Spine
from ..codec import ABSENT, PRESENT, STATE, UNKNOWN
from . import IMAGE, LABEL

_DIAGONALS = [[CORNERS.index("TL"), CORNERS.index("TR")], [CORNERS.index("BR"), CORNERS.index("BL")]]
DEFAULT_PATTERN = r"(.*?\d.*?)(?:[ _.-]+[A-Za-z]{1,8})*"
"""Of an image id the part up to trailing words: ``P12_pre`` and ``P12_post`` are of ``P12``.

Numbers at the end do not count as words: in ``film_1`` and ``film_2`` they tell patients apart more often than images
of one. An id without a digit is a patient of its own.
"""
MAX_PATTERN = 200
NEAR, FAR = 0.1, 3.0
"""In steps, the median distance of neighbouring centers: the nearest that two centers may be to each other, and the
furthest that a corner may be from its center. In the 432 images of the AASCE training split that can be learnt from, no
two centers are nearer than 0.40 and no corner is further than 1.65."""
_CENTER = POINTS.index(CENTER)
_LEFT, _RIGHT = ([POINTS.index(name) for name in names] for names in (("TL", "BL"), ("TR", "BR")))


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
    is_given = np.isfinite(middles).all(-1)
    total = np.where(is_given[..., None], middles, 0.0).sum(1)
    missing = ~np.isfinite(xy[:, 0]).all(-1) & is_given.any(1)
    xy[missing, 0] = total[missing] / is_given[missing].sum(1, keepdims=True)
    there = np.isfinite(xy).all(-1, keepdims=True)
    return np.concatenate([np.where(there, xy, 0.0), np.where(there, PRESENT, ABSENT)], -1)


def points_of(label: np.ndarray) -> np.ndarray:
    """``(V, P, 2)`` pixels of the points that a label ``(V, P, 3)`` has, NaN where it has none."""
    return np.where(label[..., STATE:] == PRESENT, label[..., :STATE], np.nan)


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
        points = checked_label(spine, radiograph)
    except ValueError as error:
        raise ValueError(f"{label.name}: {error}") from error
    return {IMAGE: str(image), LABEL: points}


def checked_label(spine: Spine, radiograph: Radiograph, is_missing_unknown: bool = False) -> np.ndarray:
    """What the network learns from a labelled spine, if it can be one.

    Args:
        spine: points in stored pixels.
        radiograph: the image.
        is_missing_unknown: whether points without a position are unknown, so that they teach nothing; else they are
            absent, as points are that the image does not show.

    Returns:
        ``(V, P, 3)`` x, y and state, see ``to_label``.

    Raises:
        ValueError: it is none of a spine (``gross_error``), or has too few points on the image to learn from.
    """
    points = to_label(fit_to_image(spine, radiograph.width, radiograph.height))
    _check_spine(points, radiograph.frame)
    if is_missing_unknown:
        is_missing = ~np.isfinite(spine.xy).all(-1) & (points[..., STATE] == ABSENT)
        points[is_missing, STATE] = UNKNOWN
    return points


def _check_spine(points: np.ndarray, frame: ImageFrame) -> None:
    there = points[:, 0, STATE] == PRESENT
    if not (there[1:] & there[:-1]).any():
        raise ValueError(f"two neighbouring vertebrae are the least to learn from, got {there.sum()} centers")
    xy = points_of(points)
    error = gross_error(frame.upright(Spine.from_arrays(xy)).xy)
    if error:
        across, along = np.nanmax(xy, (0, 1)) - np.nanmin(xy, (0, 1))
        is_exchanged = across > along and not gross_error(xy[..., ::-1])
        raise ValueError(f"{error}; x and y may be exchanged" if is_exchanged else error)


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
    held_out = {name for name, patient in patients.items() if _fraction(patient) < share}
    return sorted(patients.keys() - held_out), sorted(held_out)


def _fraction(patient: str) -> float:
    """A pseudorandom number in 0...1 that depends on the patient only."""
    return int.from_bytes(hashlib.sha256(patient.encode()).digest()[:8], "big") / 2**64


def check_pattern(pattern: str) -> str:
    """The pattern, if ids can be compared by it.

    Args:
        pattern: regular expression for a whole image id, whose first group is the patient; "" for the usual rule.

    Raises:
        ValueError: it is no regular expression, has no group, or is too long.
    """
    if len(pattern) > MAX_PATTERN:
        raise ValueError(f"a pattern has at most {MAX_PATTERN} characters, got {len(pattern)}")
    try:
        groups = re.compile(pattern).groups
    except (re.error, OverflowError) as error:
        raise ValueError(f"{pattern!r:.80} is no regular expression: {error}") from error
    if pattern and not groups:
        raise ValueError(f"a pattern marks the patient by a group, such as ([^_]+)_.*, got {pattern!r:.80}")
    return pattern


def patient_of(image_id: str, image: Path, pattern: str = "") -> str:
    """What tells a patient from others.

    Args:
        image_id: name of the image.
        image: its file. A DICOM file names the patient itself, unless a pattern is given.
        pattern: see ``check_pattern``; an id that it does not fit is a patient of its own.
    """
    tags = None if pattern else read_study_tags(image)
    if tags is not None and tags.patient_id:
        return tags.patient_id
    return patient_by_name(image_id, pattern)


def patient_by_name(image_id: str, pattern: str = "") -> str:
    """What tells a patient from others by the name of an image alone.

    Args:
        image_id: name of the image.
        pattern: see ``check_pattern``.
    """
    match = re.fullmatch(pattern or DEFAULT_PATTERN, image_id)
    return (match.group(1) if match else None) or image_id


def gross_error(xy: np.ndarray) -> str:
    """Why points cannot be those of a spine, in words; "" where they may be.

    Args:
        xy: ``(V, P, 2)`` pixels, NaN where a point is missing.

    Raises:
        ValueError: the shape is wrong.
    """
    check_shape("xy", xy, (len(VERTEBRAE), len(POINTS), 2))
    centers = xy[:, _CENTER]
    gaps = np.diff(centers, axis=0)
    lengths = np.linalg.norm(gaps, axis=-1)
    is_known = np.isfinite(lengths)
    if not is_known.any():
        return ""
    step = float(np.median(lengths[is_known]))
    if step < 1:
        return "the centers lie in one place"
    if (gaps[is_known, 1] < 0).mean() > 0.5:
        return "the spine runs upwards: names go from T1 at the top to L5 at the bottom"
    for what, is_wrong in (("lie in one place", lengths < NEAR * step), ("stand in the wrong order", gaps[:, 1] < 0)):
        if is_wrong.any():
            upper = int(np.argmax(is_wrong))
            return f"{VERTEBRAE[upper]} and {VERTEBRAE[upper + 1]} {what}"
    away = np.linalg.norm(xy - centers[:, None], axis=-1)
    if (away > FAR * step).any():
        v, p = np.argwhere(away > FAR * step)[0]
        return f"{VERTEBRAE[v]} {POINTS[p]} is {away[v, p] / step:.0f} steps away from the center of {VERTEBRAE[v]}"
    across = xy[:, _RIGHT, 0] - xy[:, _LEFT, 0]
    if (across < 0).sum() > np.isfinite(across).sum() / 2:
        return "left and right corners are exchanged: left is the left side of the image"
    return ""
