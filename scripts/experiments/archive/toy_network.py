"""An untrained network with a tiny input, for measurements in which prediction must cost next to nothing."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from lib.learning.config import InputConfig, NetworkConfig, load_config
from lib.learning.models.landmark_net import LandmarkNet
from lib.learning.weights.weight_files import save_weights


def save_toy_network(path: Path) -> Path:
    """Write the weight file of a network that finds a spine in every image, at a place that depends on the image.

    Args:
        path: of the file.

    Returns:
        The same path.
    """
    torch.manual_seed(0)
    config = dataclasses.replace(load_config(), network=NetworkConfig("w18_small", 8), input=InputConfig(64, 32))
    network = LandmarkNet(config.network).eval()
    last = network.heatmap[-1]
    assert isinstance(last, torch.nn.Conv2d)
    assert last.bias is not None
    with torch.no_grad():
        last.bias.zero_()  # every score is around one half
        last.weight.mul_(30)  # and differs from cell to cell
    save_weights(path, network.state_dict(), config, {})
    return path
