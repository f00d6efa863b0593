"""Information about the model in responses: version, training, and calibration of its expected errors."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from lib.learning.config import CornerConfig, load_config
from lib.learning.models.corner_net import CornerNet
from lib.learning.models.landmark_net import LandmarkNet
from lib.learning.uncertainty.error_model import ErrorModel
from lib.learning.weights.weight_files import (
    ERRORS_MEASURED_ON,
    CornerWeights,
    Weights,
    load_weights,
    networks_digest,
    save_weights,
)
from lib.server.inference.infer_task import VertebraLandmarksInfer
from lib.server.inference.response import read_model_info
from lib.server.models import VERSION, ModelStore, version_name

KNOTS = ((0.1, 0.1), (1.0, 1.0))
ERRORS = ErrorModel(KNOTS, KNOTS, 0.0, 0.0, 1.0, 1.0)
PATCH = CornerConfig(40, 48, 16.0, 4, 1)
FACTS = {"data": "films", "validation": {"corner_mean": math.nan}, VERSION: {"number": 3, "published": "then"}}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    """Both networks, as a file holds them."""
    config, path = load_config(), tmp_path_factory.mktemp("weights") / "both.pt"
    refiner = CornerWeights(CornerNet(PATCH).state_dict(), PATCH, {"data": "patches"}, ERRORS)
    save_weights(path, LandmarkNet(config.network).state_dict(), config, FACTS, refiner=refiner)
    return load_weights(path)


def save(folder: Path, weights: Weights) -> Path:
    path = folder / "weights.pt"
    save_weights(path, weights.state, weights.config, weights.facts, weights.prior, weights.refiner)
    return path


def measured_on(weights: Weights, facts: object, errors: ErrorModel | None = ERRORS) -> Weights:
    assert weights.refiner is not None
    return replace(weights, refiner=replace(weights.refiner, errors=errors, facts={ERRORS_MEASURED_ON: facts}))


def test_expected_errors_are_measured_only_if_it_was_with_these_networks(trained: Weights, tmp_path: Path) -> None:
    own = {"networks": networks_digest(trained)}
    for weights, expected in (
        (measured_on(trained, own), True),
        (measured_on(trained, {"networks": "0" * 12}), False),
        (measured_on(trained, {}), False),
        (trained, False),  # as older files have it, which say nothing
        (measured_on(trained, own, errors=None), None),
        (replace(trained, refiner=None), None),
    ):
        assert read_model_info(save(tmp_path, weights)).errors_measured is expected


def test_info_describes_the_served_model(trained: Weights, tmp_path: Path) -> None:
    """In JSON, which lacks the error that labels without corners have."""
    path = save(tmp_path, trained)
    info = VertebraLandmarksInfer(ModelStore(tmp_path / "studies", path), "cpu").info()
    facts = read_model_info(path)
    assert info["model_version"] == facts.version == version_name(FACTS) == "3 (then)"
    assert info["errors_measured"] is facts.errors_measured is False
    assert info["model"] == {**FACTS, "validation": {"corner_mean": None}}
    assert info["second_network"] == {"data": "patches"}
    json.dumps(info, allow_nan=False)
    assert read_model_info(save(tmp_path, replace(trained, refiner=None))).corners is None
