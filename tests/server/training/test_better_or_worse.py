"""Networks that do better or worse after a training, and what is published of them."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lib.learning.data import IMAGE
from lib.learning.weights.weight_files import load_weights
from lib.server.models import ModelStore, version_name
from lib.server.training import training_round, training_stages
from lib.server.training.train_request import TrainRequest
from lib.server.training.train_task import VertebraLandmarksTrain
from lib.server.training.training_stages import CORNERS, LANDMARKS

from .rounds import GATED, ONE_EPOCH, SPOILING, SPOILS, UNCHECKED, Folder, with_centers_alone

pytestmark = pytest.mark.usefixtures("torch_as_before")


def spoil(monkeypatch: pytest.MonkeyPatch, stage: type[training_stages.Stage]) -> None:
    """Let a stage learn much too fast."""
    trainer = stage.trainer

    def spoilt(self: Any, settings: TrainRequest, *args: Any) -> Any:
        return trainer(self, dataclasses.replace(settings, **SPOILING), *args)

    monkeypatch.setattr(stage, "trainer", spoilt)


def are_equal(states: list[dict[str, torch.Tensor]]) -> bool:
    first, second = states
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        pytest.param(training_stages.LandmarkStage, "The network that finds the vertebrae did worse", id="landmarks"),
        pytest.param(training_stages.CornerStage, "The second network did worse", id="corners"),
    ],
)
def test_one_network_that_does_worse_stays_while_the_other_is_published(
    studies: Path, both_weights: Path, monkeypatch: pytest.MonkeyPatch, stage: type[training_stages.Stage], words: str
) -> None:
    spoil(monkeypatch, stage)
    task = VertebraLandmarksTrain(ModelStore(studies, both_weights), "cpu")
    task(ONE_EPOCH, Folder(studies))
    stats = task.stats()
    for name, facts in stats["stages"].items():
        error = facts["validation"]["corner_mean"]  # null where a spoiled network finds nothing
        is_worse = error is None or error > facts["before"]["corner_mean"]
        assert is_worse == (name == stage.name)
        assert facts["kept"] == ("former" if is_worse else "new")
    assert (stats["state"], stats["version_before"], stats["version_after"][:3]) == ("done", "0", "1 (")
    assert stats["message"].startswith(f"{words} on the held-out images (mean corner error ")
    assert " px after) and stays as it was. The error on 1 held-out image " in stats["message"]
    new, old = load_weights(ModelStore(studies, both_weights).served), load_weights(both_weights)
    assert are_equal([new.state, old.state]) == (stage.name == LANDMARKS)
    assert new.refiner is not None
    assert old.refiner is not None
    assert are_equal([new.refiner.state, old.refiner.state]) == (stage.name == CORNERS)
    assert new.facts.get("radiographs") == (old.facts["radiographs"] if stage.name == LANDMARKS else 1)


def test_nothing_is_published_where_both_networks_do_worse(studies: Path, both_weights: Path) -> None:
    """What was learnt is kept all the same, and one command publishes it."""
    task = VertebraLandmarksTrain(ModelStore(studies, both_weights), "cpu")
    task({**GATED, **SPOILING}, Folder(studies))
    stats = task.stats()
    assert (stats["state"], stats["percent"], stats["version_after"]) == ("done", 100, None)
    assert stats["message"].startswith("Nothing was published: the network that finds the vertebrae did worse ")
    assert " and the second network did worse " in stats["message"]
    assert (stats["gate"]["films"], stats["gate"]["is_passed"], stats["gate"]["is_weak"]) == (1, False, True)
    assert stats["gate"]["after"] > stats["gate"]["before"] > 0
    models = ModelStore(studies, both_weights)
    assert models.served == both_weights
    kept, before = load_weights(models.path_of(1)), load_weights(both_weights)
    assert stats["version_kept"] == models.version(1).name == version_name(kept.facts)
    assert kept.refiner is not None
    assert before.refiner is not None
    assert not are_equal([kept.state, before.state])
    assert not are_equal([kept.refiner.state, before.refiner.state])
    models.serve(1)
    assert models.served == models.path_of(1)


@pytest.mark.parametrize("publish", ["always", "never"])
def test_the_gate_can_be_overridden(task: VertebraLandmarksTrain, studies: Path, weights: Path, publish: str) -> None:
    learning_rate = SPOILS if publish == "always" else 1e-3
    task({**ONE_EPOCH, "publish": publish, "learning_rate": learning_rate}, Folder(studies))
    models, gate = ModelStore(studies, weights), task.stats()["gate"]
    assert models.served_number == int(publish == "always")
    assert (gate["publish"], gate["is_published"]) == (publish, publish == "always")
    assert (task.stats()["version_after"] is None) == (publish == "never")
    assert [version.number for version in models.versions()] == [1]


def test_a_model_that_was_rolled_back_meanwhile_is_not_replaced(
    task: VertebraLandmarksTrain, studies: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever takes a model back does not want its child."""
    task(UNCHECKED, Folder(studies))
    models, fit = ModelStore(studies, weights), training_stages.LandmarkTrainer.fit

    def interrupted(run: training_stages.LandmarkTrainer, *args: Any, **named: Any) -> Path | None:
        models.roll_back()
        return fit(run, *args, **named)

    monkeypatch.setattr(training_stages.LandmarkTrainer, "fit", interrupted)
    task(UNCHECKED, Folder(studies))
    assert models.served == weights
    assert models.version(2).parent == 1
    assert "another model was served meanwhile" in task.stats()["message"]


def test_what_random_networks_learn_is_compared_with_the_served_ones(studies: Path, both_weights: Path) -> None:
    """And not with the random ones, against which every training does better."""
    task = VertebraLandmarksTrain(ModelStore(studies, both_weights), "cpu")
    task(ONE_EPOCH, Folder(studies))
    before = [stage["before"] for stage in task.stats()["stages"].values()]
    shutil.rmtree(ModelStore(studies, both_weights).folder)
    task({**ONE_EPOCH, "pretrained": False}, Folder(studies))
    assert [stage["before"] for stage in task.stats()["stages"].values()] == before


@pytest.mark.parametrize("after", [0.2, 0.4])
def test_without_held_out_images_the_result_is_evaluated_on_training_images(
    studies: Path, weights: Path, monkeypatch: pytest.MonkeyPatch, after: float
) -> None:
    checked: list[list[str]] = []

    def measured(weights: Path, items: list[dict[str, Any]], _: torch.device) -> np.ndarray:
        checked.append([Path(item[IMAGE]).name for item in items])
        return np.full(len(items), 0.3 if len(checked) == 1 else after)

    monkeypatch.setattr(training_round, "measure", measured)
    task = VertebraLandmarksTrain(ModelStore(studies, weights), "cpu")
    task({**UNCHECKED, "publish": "gate"}, Folder(studies))
    assert checked == [["phantom_0.png", "phantom_1.png"]] * 2
    stats = task.stats()
    assert (stats["gate"]["are_held_out"], stats["gate"]["films"], stats["gate"]["is_passed"]) == (
        False,
        2,
        after < 0.3,
    )
    assert "No labelled image is held out" in stats["message"]
    stage = stats["stages"][LANDMARKS]
    assert (stage["before"], stage["validation"], stage["kept"]) == (None, None, "new")
    assert (stats["version_after"] is not None) == (after < 0.3)
    assert stats["version_kept"]


def test_the_check_without_held_out_images_is_a_real_measurement(studies: Path, weights: Path) -> None:
    task = VertebraLandmarksTrain(ModelStore(studies, weights), "cpu")
    task({**UNCHECKED, "publish": "gate"}, Folder(studies))
    gate = task.stats()["gate"]
    assert gate["is_passed"] == gate["is_published"] == (gate["after"] <= gate["before"])


def test_labels_of_centers_alone_can_be_trained_on(studies: Path, weights: Path) -> None:
    """There is no corner error to choose the best epoch by, then."""
    with_centers_alone(studies, 0, 1)
    task = VertebraLandmarksTrain(ModelStore(studies, weights), "cpu")
    task(ONE_EPOCH, Folder(studies))
    stats = task.stats()
    assert stats["state"] == "done"
    assert stats["validation"]["corner_mean"] is None
    assert stats["before"]["center_mean"] > stats["validation"]["center_mean"] > 0
    task({**GATED, **SPOILING}, Folder(studies))
    assert "mean center error" in task.stats()["message"]
    assert task.stats()["version_after"] is None
