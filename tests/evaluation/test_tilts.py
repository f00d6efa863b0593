"""Tilts of vertebrae against those of labels."""

import numpy as np
import pytest

from lib.evaluation.tilts import tilt_figures
from lib.spine.geometry import with_centers
from lib.spine.schema import VERTEBRAE

COUNT = len(VERTEBRAE)


def spine(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """``(17, 5, 2)`` points of bodies whose endplates lie at these angles, degrees."""
    corners = []
    for number, angles in enumerate(zip(upper, lower, strict=True)):
        middle = np.array([150.0, 50.0 + 45 * number])
        ends = [(np.cos(a), np.sin(a)) for a in np.radians(angles)]
        arms = [-30 * np.array(ends[0]), 30 * np.array(ends[0]), -30 * np.array(ends[1]), 30 * np.array(ends[1])]
        corners.append(
            [middle + arm + np.array([0.0, down]) for arm, down in zip(arms, (-15, -15, 15, 15), strict=True)]
        )
    return with_centers(np.array(corners))


def test_figures_by_hand() -> None:
    level = np.zeros(COUNT)
    off = np.where(np.arange(COUNT) == 3, 4.0, 0.0)
    figures = tilt_figures(np.stack([spine(off, off), spine(level, level)]), np.stack([spine(level, level)] * 2))
    assert figures.tilt_images == 2
    assert figures.tilt_rms_deg == pytest.approx(4 / np.sqrt(2 * COUNT))
    assert figures.endplate_rms_deg == pytest.approx(figures.tilt_rms_deg)


def test_images_with_shifted_names_and_absent_labels_do_not_count() -> None:
    level = np.zeros(COUNT)
    label = spine(level, level)
    shifted = spine(level + 9, level + 9) + np.array([0.0, 45.0])
    figures = tilt_figures(np.stack([shifted, spine(level + 1, level + 1)]), np.stack([label, label]))
    assert figures.tilt_images == 1
    assert figures.tilt_rms_deg == pytest.approx(1.0)
    gappy = label.copy()
    gappy[5, 1] = np.nan
    assert tilt_figures(spine(level + 1, level + 1)[None], gappy[None]).tilt_rms_deg == pytest.approx(1.0)
    none = tilt_figures(shifted[None], label[None])
    assert none.tilt_images == 0
    assert np.isnan(none.tilt_rms_deg)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="labelled must have shape"):
        tilt_figures(np.zeros((1, COUNT, 5, 2)), np.zeros((1, 3, 5, 2)))
    with pytest.raises(ValueError, match="2 predicted and 1 labelled images"):
        tilt_figures(np.zeros((2, COUNT, 5, 2)), np.zeros((1, COUNT, 5, 2)))
