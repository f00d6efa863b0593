"""A toy model, exported once."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from lib.export.exporter import KINDS, export, needed_packages
from lib.export.network_files import missing_packages
from lib.learning.prediction.predictor import LandmarkPredictor

from ..toy_model import write_weights

CPU = torch.device("cpu")


class Exported(NamedTuple):
    """An export and what it was made of."""

    folder: Path
    facts: dict[str, Any]
    weights: Path
    predictor: LandmarkPredictor


@pytest.fixture(scope="package")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """All kinds of files."""
    if missing := missing_packages(needed_packages(KINDS)):
        pytest.skip(missing)
    folder = tmp_path_factory.mktemp("exported")
    weights = write_weights(tmp_path_factory.mktemp("weights") / "toy.pt")
    predictor = LandmarkPredictor(weights, CPU)
    return Exported(folder, export(predictor, weights, folder, KINDS, 1), weights, predictor)
