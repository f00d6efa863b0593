"""Random networks of a few thousand weights: what is computed with them takes no time."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from lib.learning.config import CornerConfig, InputConfig, NetworkConfig, load_config
from lib.learning.models.corner_net import CornerNet
from lib.learning.models.landmark_net import LandmarkNet
from lib.learning.weights.weight_files import CornerWeights, save_weights

PATCH = CornerConfig(24, 32, 10.0, 4, 1)
_CONFIG = dataclasses.replace(load_config(), network=NetworkConfig("tiny", 8), input=InputConfig(128, 64))


def write_weights(path: Path, has_corner_network: bool = True, facts: Mapping[str, Any] | None = None) -> Path:
    """Networks that see a spine everywhere, both with the same facts."""
    torch.manual_seed(0)
    network = LandmarkNet(_CONFIG.network)
    with torch.no_grad():
        network.heatmap[-1].weight.mul_(100)
        network.heatmap[-1].bias.fill_(3.0)
    known = dict(facts or {})
    refiner = CornerWeights(CornerNet(PATCH).state_dict(), PATCH, known) if has_corner_network else None
    save_weights(path, network.state_dict(), _CONFIG, known, refiner=refiner)
    return path
