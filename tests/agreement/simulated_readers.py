"""Readers with a known error: points of true spines with normally distributed noise, some of them a level off."""

from __future__ import annotations

import numpy as np

from lib.agreement.paired_readings import StudyReading
from lib.spine.geometry import with_centers
from lib.spine.schema import VERTEBRAE, Spine

SD_PX = 2.0
PITCH_PX, WIDTH_PX, HEIGHT_PX = 60.0, 80.0, 44.0
_COUNT = len(VERTEBRAE)


def true_corners(angles_deg: np.ndarray) -> np.ndarray:
    """``(n, 17, 4, 2)`` corners of spines with a right thoracic curve from T5 to T12.

    Args:
        angles_deg: ``(n,)`` angles between the endplates of T5 and T12.
    """
    levels = np.arange(_COUNT)
    profile = np.interp(levels, [0, 4, 11, 16], [-0.2, -0.5, 0.5, 0.2])
    tilt = np.radians(angles_deg)[:, None] * profile
    across = np.stack([np.cos(tilt), np.sin(tilt)], -1)
    down = np.stack([-np.sin(tilt), np.cos(tilt)], -1)
    centers = np.cumsum(down * PITCH_PX, axis=1) + np.array([400.0, 60.0])
    signs = np.array([[-1, -1], [1, -1], [-1, 1], [1, 1]]) / 2
    return centers[:, :, None] + sum(
        sign[:, None] * vector[:, :, None] * size
        for sign, vector, size in zip(signs.T, (across, down), (WIDTH_PX, HEIGHT_PX), strict=True)
    )


def readings_of(
    corners: np.ndarray, reader: str, rng: np.random.Generator, sd_px: float = SD_PX, shifted_share: float = 0.0
) -> list[StudyReading]:
    """A reading of each spine by one reader, who is a level off in some.

    Args:
        corners: ``(n, 17, 4, 2)`` true corners.
        reader: name.
        rng: of the noise.
        sd_px: of the noise of each coordinate.
        shifted_share: probability that the reader calls T2 of an image T1.
    """
    noisy = with_centers_of_all(corners + rng.normal(0, sd_px, corners.shape))
    found, is_shifted = [], rng.random(len(noisy)) < shifted_share
    for number, xy in enumerate(noisy):
        if is_shifted[number]:
            xy = np.concatenate([xy[1:], np.full_like(xy[:1], np.nan)])
        found.append(StudyReading(f"image {number:03d}", reader, 1, Spine.from_arrays(xy), xy))
    return found


def with_centers_of_all(corners: np.ndarray) -> np.ndarray:
    """``(n, 17, 5, 2)`` points of ``(n, 17, 4, 2)`` corners."""
    return np.stack([with_centers(one) for one in corners])
