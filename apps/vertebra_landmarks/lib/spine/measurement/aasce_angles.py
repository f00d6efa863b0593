"""The three angles of the AASCE challenge and the scores of their agreement, for comparison with the literature only.

The clinical measurement is in ``cobb``. The rule reproduces all 609 official angle rows of the data set within 0.014
degrees from its untouched labels; ports of it in public code do not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..schema import CORNERS, VERTEBRAE

ANGLES = 3
"""Number of angles per image in the challenge."""
MAX_AGREEING_DEG = 5.0
"""Largest difference of the largest angle at which two measurements count as in agreement."""

_TL, _TR, _BL, _BR = range(len(CORNERS))
_COSINE_DECIMALS = 8


@dataclass(frozen=True)
class AngleAgreement:
    """Agreement of predicted challenge angles with official ones over a set of images.

    Attributes:
        images: how many images were compared.
        smape: per cent; mean over images of the sum of the three |differences| over the sum of all six angles (no
            factor 2; 0 where all six are 0).
        cmae_deg: degrees; mean over images of the circular mean of the three |differences|, that is the angle whose
            tangent is the sum of their sines over the sum of their cosines.
        mae_largest_deg: degrees; mean over images of the |difference| of the first, largest angle.
        within_5_deg: share of images in 0...1 in which that difference is at most 5 degrees.
    """

    images: int
    smape: float
    cmae_deg: float
    mae_largest_deg: float
    within_5_deg: float


def challenge_angles(corners: np.ndarray, height: float) -> np.ndarray:
    """The angles of one spine by the rule of the AASCE 2019 challenge.

    1. The mid-line of a vertebra leads from the middle of its left side to the middle of its right side.
    2. The first angle is the largest between two mid-lines, those of an upper vertebra p and a lower vertebra q; of
       equal ones the first p, then the first q counts.
    3. The spine is "S-shaped" if middles of endplates lie on both sides of the line through the first and the last of
       the 34 middles; the last two do not count. If it is not, the other angles are those from T1 to p and q to L5.
    4. If it is and the heights in the image of the lower endplates of p and q add up to less than the image height,
       the others are the largest from p to a vertebra above it and the largest from q to one below it.
    5. If it is and they do not, the others are the largest from p to a vertebra above it, say k, and the largest from
       k to one above k.

    Args:
        corners: ``(V, 4, 2)`` pixels of the original image, ordered as ``schema.CORNERS``. Vertebrae are taken in the
            given order, even where a label stores them in another than from top to bottom, as the challenge did.
        height: rows of the original image.

    Returns:
        ``(3,)`` degrees in 0...180, the largest first.

    Raises:
        ValueError: the shape is wrong, a corner is not finite, a mid-line has no length, or the height is not a
            positive number.

    Reference:
        The rule of the challenge (AASCE, MICCAI 2019), whose data set is that of Wu et al., Automatic landmark
        estimation for adolescent idiopathic scoliosis assessment using BoostNet, MICCAI 2017.
    """
    corners = np.asarray(corners, dtype=float)
    _check_corners(corners)
    if not (np.isfinite(height) and height > 0):
        raise ValueError(f"height must be a positive number of pixels, got {height}")
    lines = (corners[:, _TR] + corners[:, _BR] - corners[:, _TL] - corners[:, _BL]) / 2
    lengths = np.hypot(lines[:, 0], lines[:, 1])
    if not lengths.all():
        raise ValueError(f"{VERTEBRAE[int(lengths.argmin())]}: the middles of its left and right side coincide")
    units = lines / lengths[:, None]
    cosines = np.round(units @ units.T, _COSINE_DECIMALS)
    angles = np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0)))  # (V, V)
    p, q = divmod(int(np.triu(angles).argmax()), len(VERTEBRAE))
    if not _is_s_shaped(corners):
        return np.array([angles[p, q], angles[0, p], angles[-1, q]])
    k = int(angles[p, : p + 1].argmax())
    is_in_upper_half = corners[[p, q], _BL:, 1].mean(axis=1).sum() < height
    other = angles[q, q:].max() if is_in_upper_half else angles[k, : k + 1].max()
    return np.array([angles[p, q], angles[p, k], other])


def angle_agreement(predicted: np.ndarray, official: np.ndarray) -> AngleAgreement:
    """Compare the challenge angles of a set of images.

    Args:
        predicted: ``(N, 3)`` degrees, not negative.
        official: ``(N, 3)`` degrees, not negative.

    Raises:
        ValueError: a shape is wrong, there is no image, or an angle is negative or not finite.

    Reference:
        SMAPE is the score of the AASCE challenge. CMAE is written with an arc tangent of a quotient in the literature;
        the arc tangent of two arguments used here differs only where the differences exceed 90 degrees on the whole.
    """
    predicted, official = np.asarray(predicted, dtype=float), np.asarray(official, dtype=float)
    for name, angles in (("predicted", predicted), ("official", official)):
        if angles.ndim != 2 or angles.shape[1] != ANGLES:
            raise ValueError(f"{name} must have shape (N, {ANGLES}), got {angles.shape}")
        wrong = np.flatnonzero(~(np.isfinite(angles) & (angles >= 0)).all(axis=1))
        if len(wrong):
            raise ValueError(f"{name} row {wrong[0]}: angles must be numbers from 0 up, got {angles[wrong[0]]}")
    if predicted.shape != official.shape:
        raise ValueError(f"predicted {predicted.shape} and official {official.shape} must have the same shape")
    if not len(predicted):
        raise ValueError("there is no image to compare")
    difference = np.abs(predicted - official)
    total = (predicted + official).sum(axis=1)
    share = difference.sum(axis=1) / np.where(total > 0, total, 1.0)
    turn = np.radians(difference)
    circular = np.degrees(np.arctan2(np.sin(turn).sum(axis=1), np.cos(turn).sum(axis=1)))
    return AngleAgreement(
        images=len(predicted),
        smape=float(100 * share.mean()),
        cmae_deg=float(circular.mean()),
        mae_largest_deg=float(difference[:, 0].mean()),
        within_5_deg=float((difference[:, 0] <= MAX_AGREEING_DEG).mean()),
    )


def _check_corners(corners: np.ndarray) -> None:
    shape = (len(VERTEBRAE), len(CORNERS), 2)
    if corners.shape != shape:
        raise ValueError(f"corners must have shape {shape}, got {corners.shape}")
    finite = np.isfinite(corners).all(axis=-1)
    if not finite.all():
        v, k = divmod(int(finite.argmin()), len(CORNERS))
        raise ValueError(f"{VERTEBRAE[v]} {CORNERS[k]} is not finite: the challenge rule needs all corners")


def _is_s_shaped(corners: np.ndarray) -> bool:
    """Whether the middles of the endplates lie on both sides of the line through the first and the last of them.

    Where those two stand exactly above or beside each other, the rule divides by zero: the first middle then lies at
    0 / 0, which equals nothing, and the spine counts as S-shaped. So it does in the two official rows of that kind.
    """
    middles = ((corners[:, ::2] + corners[:, 1::2]) / 2).reshape(-1, 2)  # top, bottom of T1, top, bottom of T2, ...
    with np.errstate(divide="ignore", invalid="ignore"):
        share = (middles - middles[-1]) / (middles[0] - middles[-1])
        side = (share[:, 1] - share[:, 0])[:-2]
    return bool(np.isnan(side).any() or ((side > 0).any() and (side < 0).any()))
