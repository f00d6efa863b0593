"""Random networks of a few thousand weights: what is computed with them takes no time."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from lib.learning.config import CornerConfig, InputConfig, NetworkConfig, load_config
from lib.learning.models import hrnet
from lib.learning.models.corner_net import CornerNet
from lib.learning.models.hrnet import HRNetConfig, StageConfig
from lib.learning.models.landmark_net import LandmarkNet
from lib.learning.weights.weight_files import CornerWeights, save_weights

PATCH = CornerConfig(24, 32, 10.0, 4, 1)
_CONFIG = dataclasses.replace(load_config(), network=NetworkConfig("tiny", 8), input=InputConfig(128, 64))
_STAGES = tuple(StageConfig(1, 1, tuple(4 * 2**branch for branch in range(number + 2))) for number in range(3))


@contextmanager
def tiny_preset() -> Iterator[None]:
    """The preset of these networks is known within the block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(hrnet.PRESETS, "tiny", HRNetConfig(1, 8, _STAGES))
        yield


def write_weights(path: Path, has_corner_network: bool = True, facts: Mapping[str, Any] | None = None) -> Path:
    """Networks that see a spine everywhere, both with the same facts; within ``tiny_preset``."""
    torch.manual_seed(0)
    network = LandmarkNet(_CONFIG.network)
    with torch.no_grad():
        network.heatmap[-1].weight.mul_(100)
        network.heatmap[-1].bias.fill_(3.0)
    known = dict(facts or {})
    refiner = CornerWeights(CornerNet(PATCH).state_dict(), PATCH, known) if has_corner_network else None
    save_weights(path, network.state_dict(), _CONFIG, known, refiner=refiner)
    return path
