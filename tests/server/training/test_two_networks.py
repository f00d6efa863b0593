"""A training of both networks, one after the other, and what becomes of the expected errors."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from lib.learning.uncertainty.error_model import ErrorModel
from lib.learning.weights.weight_files import (
    ERRORS_MEASURED_ON,
    build_corner_net,
    load_weights,
    networks_digest,
    save_weights,
)
from lib.server.inference.response import read_model_info
from lib.server.models import ModelStore
from lib.server.training import training_stages
from lib.server.training.train_task import RUN, VertebraLandmarksTrain
from lib.server.training.training_stages import CORNERS, LANDMARKS

from ...toy_networks import PATCH
from .rounds import ONE_EPOCH, UNCHECKED, Folder, watch, with_centers_alone

pytestmark = pytest.mark.usefixtures("torch_as_before")


def test_both_networks_learn_one_after_the_other(
    studies: Path, both_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = watch(monkeypatch)
    task = VertebraLandmarksTrain(ModelStore(studies, both_weights), "cpu")
    task({**ONE_EPOCH, "max_epochs": 2}, Folder(studies))
    assert [(t["stage"], t["epoch"], t["percent"]) for t in told] == [
        (LANDMARKS, 1, 25.0),
        (LANDMARKS, 2, 50.0),
        (CORNERS, 3, 75.0),
        (CORNERS, 4, 99.0),
    ]
    assert all((t["state"], t["total_epochs"]) == ("running", 4) for t in told)
    assert "heatmap" in told[1]["terms"]
    assert "tilt" in told[2]["terms"]
    for t in told:
        now = t["stages"][t["stage"]]
        assert t["before"] == now["before"]
        assert t["validation"] == now["validation"]
        assert t["validation"]["images"] == 1
        assert (now["best_epoch"], now["kept"]) == (None, None)
    assert [t["stages"][LANDMARKS]["validation"] for t in told[2:]] == [told[3]["stages"][LANDMARKS]["validation"]] * 2
    assert CORNERS not in told[1]["stages"]
    stats = task.stats()
    assert (stats["state"], stats["epoch"], stats["total_epochs"], stats["percent"]) == ("done", 4, 4, 100)
    published, initial = load_weights(ModelStore(studies, both_weights).served), load_weights(both_weights)
    assert not all(torch.equal(published.state[name], initial.state[name]) for name in initial.state)
    new, old = published.refiner, initial.refiner
    assert new is not None
    assert old is not None
    assert new.config == PATCH
    assert new.facts["radiographs"] == 1
    assert new.facts["validation"]["corner_mean"] > 0
    assert not torch.equal(new.state["heatmap.weight"], old.state["heatmap.weight"])
    kept = [name for name in old.state if name.endswith(("running_mean", "running_var"))]
    assert kept
    assert all(torch.equal(new.state[name], old.state[name]) for name in kept)
    build_corner_net(new, both_weights)
    for stage, facts in ((LANDMARKS, published.facts), (CORNERS, new.facts)):
        told_of = stats["stages"][stage]
        assert (told_of["epoch"], told_of["epochs"], told_of["kept"]) == (2, 2, "new")
        assert told_of["best_epoch"] == facts["epoch"]
        assert told_of["validation"] == pytest.approx(facts["validation"])
        assert told_of["before"].keys() == told_of["validation"].keys()
    assert stats["stages"][LANDMARKS]["before"]["corner_mean"] > 10 * stats["stages"][CORNERS]["before"]["corner_mean"]
    folder = ModelStore(studies, both_weights).folder
    assert not (folder / RUN).exists()


def test_labels_without_corners_teach_the_first_network_only(
    studies: Path, both_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All epochs that there are have been told at the end, then, and the second network stays as it was."""
    with_centers_alone(studies, 0, 1)
    told = watch(monkeypatch)
    task = VertebraLandmarksTrain(ModelStore(studies, both_weights), "cpu")
    task(ONE_EPOCH, Folder(studies))
    assert [(t["stage"], t["epoch"], t["total_epochs"], t["percent"]) for t in told] == [(LANDMARKS, 1, 1, 99.0)]
    assert task.stats()["state"] == "done"
    new, old = (load_weights(path).refiner for path in (ModelStore(studies, both_weights).served, both_weights))
    assert new is not None
    assert old is not None
    assert all(torch.equal(new.state[name], old.state[name]) for name in old.state)


def test_one_label_with_corners_is_enough_for_the_second_network(
    studies: Path, both_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that is learnt from; nothing is left to check it on, so that its last weights are kept."""
    with_centers_alone(studies, 1)
    told = watch(monkeypatch)
    VertebraLandmarksTrain(ModelStore(studies, both_weights), "cpu")(ONE_EPOCH, Folder(studies))
    assert [(t["stage"], t["percent"]) for t in told] == [(LANDMARKS, 50.0), (CORNERS, 99.0)]
    assert told[1]["validation"] is None
    refiner = load_weights(ModelStore(studies, both_weights).served).refiner
    assert refiner is not None
    assert (refiner.facts["epoch"], refiner.facts["validation"]) == (1, {})


def test_both_networks_start_from_the_served_weights_by_default(
    studies: Path, both_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learnt: list[tuple[Any, bool]] = []
    fit = training_stages.CornerTrainer.fit

    def watched(run: training_stages.CornerTrainer, *args: Any, **named: Any) -> Path | None:
        learnt.append((run.network.state_dict()["heatmap.weight"].clone(), run.freeze_norm))
        return fit(run, *args, **named)

    monkeypatch.setattr(training_stages.CornerTrainer, "fit", watched)
    task = VertebraLandmarksTrain(ModelStore(studies, both_weights), "cpu")
    task(UNCHECKED, Folder(studies))
    first = load_weights(ModelStore(studies, both_weights).served).refiner
    task(UNCHECKED, Folder(studies))
    task({**UNCHECKED, "pretrained": False}, Folder(studies))
    initial = load_weights(both_weights).refiner
    assert first is not None
    assert initial is not None
    known = [weights.state["heatmap.weight"].float() for weights in (initial, first, first)]
    assert [torch.equal(start, one) for (start, _), one in zip(learnt, known, strict=True)] == [True, True, False]
    assert [freeze_norm for _, freeze_norm in learnt] == [True, True, False]


def test_a_second_stage_that_breaks_leaves_the_old_weights(
    studies: Path, both_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the first stage has learnt is not served by halves."""

    def broken(*_: object, **__: object) -> None:
        raise FloatingPointError("the loss is no longer finite")

    monkeypatch.setattr(training_stages.CornerTrainer, "fit", broken)
    task = VertebraLandmarksTrain(ModelStore(studies, both_weights), "cpu")
    with pytest.raises(FloatingPointError):
        task(ONE_EPOCH, Folder(studies))
    assert (task.stats()["state"], task.stats()["epoch"], task.stats()["percent"]) == ("failed", 1, 50)
    assert task.stats()["version_after"] is None
    models = ModelStore(studies, both_weights)
    assert models.served == both_weights
    assert not (models.folder / RUN).exists()


@pytest.fixture
def measured_weights(both_weights: Path, tmp_path: Path) -> Path:
    """The same with an error model that was measured with them."""
    weights = load_weights(both_weights)
    assert weights.refiner is not None
    knots = ((0.1, 0.1), (1.0, 1.0))
    facts = {ERRORS_MEASURED_ON: {"data": "films", "networks": networks_digest(weights)}}
    refiner = dataclasses.replace(weights.refiner, errors=ErrorModel(knots, knots, 0.0, 0.0, 1.0, 1.0), facts=facts)
    path = tmp_path / "measured.pt"
    save_weights(path, weights.state, weights.config, weights.facts, weights.prior, refiner)
    return path


@pytest.mark.parametrize(
    "has_corners", [pytest.param(True, id="both-networks-new"), pytest.param(False, id="second-network-as-before")]
)
def test_expected_errors_stay_as_an_estimate(studies: Path, measured_weights: Path, has_corners: bool) -> None:
    if not has_corners:
        with_centers_alone(studies, 0, 1)
    models = ModelStore(studies, measured_weights)
    assert read_model_info(models.served).errors_measured is True
    VertebraLandmarksTrain(models, "cpu")(ONE_EPOCH, Folder(studies))
    new, old = load_weights(models.served).refiner, load_weights(measured_weights).refiner
    assert models.served != measured_weights
    assert new is not None
    assert old is not None
    assert new.errors == old.errors
    assert new.facts[ERRORS_MEASURED_ON] == old.facts[ERRORS_MEASURED_ON]
    assert read_model_info(models.served).errors_measured is False


def test_a_second_network_from_random_weights_has_no_expected_errors(studies: Path, measured_weights: Path) -> None:
    models = ModelStore(studies, measured_weights)
    VertebraLandmarksTrain(models, "cpu")({**UNCHECKED, "pretrained": False}, Folder(studies))
    refiner = load_weights(models.served).refiner
    assert refiner is not None
    assert refiner.errors is None
    assert read_model_info(models.served).errors_measured is None
