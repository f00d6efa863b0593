"""A toy model, exported once."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from lib.export.exporter import KINDS, export, needed_packages
from lib.export.network_files import missing_packages
from lib.learning.config import CornerConfig, InputConfig, NetworkConfig, load_config
from lib.learning.models import hrnet
from lib.learning.models.corner_net import CornerNet
from lib.learning.models.hrnet import HRNetConfig, StageConfig
from lib.learning.models.landmark_net import LandmarkNet
from lib.learning.prediction.predictor import LandmarkPredictor
from lib.learning.weights.weight_files import CornerWeights, save_weights

CPU = torch.device("cpu")
PATCH = CornerConfig(24, 32, 10.0, 4, 1)
_CONFIG = dataclasses.replace(load_config(), network=NetworkConfig("tiny", 8), input=InputConfig(128, 64))
_STAGES = tuple(StageConfig(1, 1, tuple(4 * 2**branch for branch in range(number + 2))) for number in range(3))


def write_weights(path: Path, has_corner_network: bool = True) -> Path:
    """Random networks that see a spine everywhere."""
    torch.manual_seed(0)
    network = LandmarkNet(_CONFIG.network)
    with torch.no_grad():
        network.heatmap[-1].weight.mul_(100)
        network.heatmap[-1].bias.fill_(3.0)
    refiner = CornerWeights(CornerNet(PATCH).state_dict(), PATCH, {}) if has_corner_network else None
    save_weights(path, network.state_dict(), _CONFIG, {}, refiner=refiner)
    return path


@pytest.fixture(scope="package", autouse=True)
def tiny_preset() -> Iterator[None]:
    """A network whose export takes a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(hrnet.PRESETS, "tiny", HRNetConfig(1, 8, _STAGES))
        yield


class Exported(NamedTuple):
    """An export and what it was made of."""

    folder: Path
    facts: dict[str, Any]
    weights: Path
    predictor: LandmarkPredictor


@pytest.fixture(scope="package")
def exported(tmp_path_factory: pytest.TempPathFactory, tiny_preset: None) -> Exported:
    """All kinds of files."""
    if missing := missing_packages(needed_packages(KINDS)):
        pytest.skip(missing)
    folder = tmp_path_factory.mktemp("exported")
    weights = write_weights(tmp_path_factory.mktemp("weights") / "toy.pt")
    predictor = LandmarkPredictor(weights, CPU)
    return Exported(folder, export(predictor, weights, folder, KINDS, 1), weights, predictor)
