"""A folder with labels, and the task that trains on it, on networks of a moment."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib.learning.weights.weight_files import load_weights, save_weights
from lib.server.models import ModelStore
from lib.server.training.train_task import VertebraLandmarksTrain

from .rounds import make_studies


@pytest.fixture(scope="module")
def both_weights(toy_weights: Path) -> Path:
    """A weight file for an input of 64 x 64 pixels, with a small second network."""
    return toy_weights


@pytest.fixture(scope="module")
def weights(toy_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weight file for an input of 64 x 64 pixels."""
    both, path = load_weights(toy_weights), tmp_path_factory.mktemp("weights") / "one.pt"
    save_weights(path, both.state, both.config, both.facts, both.prior)
    return path


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    """Two labelled phantoms, of which the second is held out, and the damaged label."""
    make_studies(tmp_path, 2)
    return tmp_path


@pytest.fixture
def task(studies: Path, weights: Path) -> VertebraLandmarksTrain:
    """The task on the two phantoms."""
    return VertebraLandmarksTrain(ModelStore(studies, weights), "cpu")
