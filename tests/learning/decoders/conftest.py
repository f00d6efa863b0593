"""Ideal maps of known spines."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from lib.learning.codec import PRESENT, LandmarkCodec
from lib.learning.config import load_config
from lib.learning.models.landmark_net import Maps
from lib.spine.geometry import with_centers

HEIGHT, WIDTH = 512, 256


def curved_spine(bend: float = 12.0, step: float = 25.0, top: float = 40.0) -> np.ndarray:
    """``(17, 5, 2)`` points of an S-shaped spine in an input of 512 x 256, each step 2 % longer than the last."""
    steps = step * 1.02 ** np.arange(-8, 9)
    y = top + np.concatenate([[0.0], np.cumsum(steps[:16])])
    x = WIDTH / 2 + bend * np.sin(np.linspace(0, 2 * np.pi, 17))
    half = np.array([[-0.65, -0.36], [0.65, -0.36], [-0.65, 0.36], [0.65, 0.36]])
    corners = np.stack([x, y], -1)[:, None] + half * steps[:, None, None]
    return with_centers(corners)


@pytest.fixture
def codec() -> LandmarkCodec:
    """The app's codec."""
    return LandmarkCodec(load_config().codec)


@pytest.fixture
def ideal(codec: LandmarkCodec) -> Callable[[np.ndarray], Maps]:
    """Maps that a perfect network would give for points in pixels of the input."""

    def maps_of(points: np.ndarray) -> Maps:
        label = np.concatenate([points, np.full((17, 5, 1), PRESENT)], -1)
        maps = codec.encode(torch.from_numpy(label)[None], (HEIGHT, WIDTH)).maps
        return maps._replace(heatmap=0.9 * maps.heatmap)

    return maps_of
