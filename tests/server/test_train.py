"""Training on the labels of the studies folder: the task by itself, and in the real server over HTTP."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from monailabel.utils.async_tasks import utils as async_tasks
from PIL import Image

from lib.learning.config import DEFAULT_WEIGHTS_FILE, RefinerConfig
from lib.learning.labelled import split
from lib.learning.refiner import CornerRefiner
from lib.learning.uncertainty import ErrorModel
from lib.learning.weights import ERRORS_MEASURED_ON, build_refiner, load_weights, networks_digest, save_weights
from lib.server import train_stages
from lib.server.model_facts import read_model_facts
from lib.server.models import ModelStore, version_of
from lib.server.train import REPORT, RUN, VertebraLandmarksTrain
from lib.server.train_report import PROCESSES, TrainReport
from lib.server.train_request import TrainRequest
from lib.server.train_stages import CORNERS, LANDMARKS
from lib.spine.markups import write_markups
from lib.spine.phantoms import random_spec, render_phantom
from lib.spine.schema import Spine

pytestmark = pytest.mark.usefixtures("torch_as_before")

ROOT = Path(__file__).resolve().parents[2]
APP = ROOT / "apps" / "vertebra_landmarks"
MODEL = "vertebra_landmarks"
LIMIT_S = 180
LABELLED = 8


PATCH = RefinerConfig(40, 48, 16.0, 4, 1)


def smaller_weights(path: Path, height: int, width: int, with_refiner: bool = False) -> Path:
    """The shipped weights for a smaller input, so that a step takes a fraction of a second.

    The second network, where one is asked for, is a small random one.
    """
    content = torch.load(DEFAULT_WEIGHTS_FILE, weights_only=True)
    content["config"]["input"] = {"height": height, "width": width}
    content.pop("refiner", None)
    if with_refiner:
        torch.manual_seed(0)
        state = {n: t.half() if t.is_floating_point() else t for n, t in CornerRefiner(PATCH).state_dict().items()}
        content["refiner"] = {"model": state, "config": dataclasses.asdict(PATCH), "facts": {}, "errors": None}
    torch.save(content, path)
    return path


def make_studies(folder: Path, count: int) -> None:
    """Phantoms of 480 x 220 pixels with final labels, and one whose label is cut off."""
    labels = folder / "labels" / "final"
    labels.mkdir(parents=True)
    for number in range(count):
        phantom = render_phantom(random_spec(number, 480, 220))
        Image.fromarray(phantom.pixels).save(folder / f"phantom_{number}.png")
        write_markups(labels / f"phantom_{number}.mrk.json", phantom.spine)
    Image.fromarray(render_phantom(random_spec(90, 480, 220)).pixels).save(folder / "damaged.png")
    (labels / "damaged.mrk.json").write_text('{"markups": [')


class Folder:
    """As much of a datastore as a training asks for."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def get_labeled_images(self, tag: str) -> list[str]:
        return sorted(file.name.split(".")[0] for file in (self.path / "labels" / tag).glob("*.mrk.json"))

    def get_image_uri(self, name: str) -> str:
        return str(self.path / f"{name}.png")

    def get_label_uri(self, name: str, tag: str) -> str:
        return str(self.path / "labels" / tag / f"{name}.mrk.json")


# --- the task by itself ---


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weight file for an input of 64 x 64 pixels."""
    return smaller_weights(tmp_path_factory.mktemp("weights") / "small.pt", 64, 64)


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    """Two labelled phantoms and the damaged label."""
    make_studies(tmp_path, 2)
    return tmp_path


@pytest.fixture
def task(studies: Path, weights: Path) -> VertebraLandmarksTrain:
    return VertebraLandmarksTrain(ModelStore(studies, weights), "cpu")


ONE_EPOCH = {"max_epochs": 1, "batch_size": 1, "learning_rate": 1e-3}
"""So fast that both networks do clearly better on the other phantom: 342 -> 273 px and 16.06 -> 15.96 px."""
UNCHECKED = {**ONE_EPOCH, "val_split": 0}
SPOILS = 0.1
"""A learning rate with which one step makes a network useless."""


def test_a_training_publishes_and_tells(task: VertebraLandmarksTrain, studies: Path, weights: Path) -> None:
    before = weights.read_bytes()
    result = task(ONE_EPOCH, Folder(studies))
    stats = task.stats()
    assert stats["state"] == "done"
    assert (stats["epoch"], stats["total_epochs"], stats["percent"]) == (1, 1, 100)
    assert stats["images"] == {"training": 1, "validation": 1}
    assert stats["before"]["images"] == stats["validation"]["images"] == 1
    assert stats["before"]["corner_mean"] > stats["validation"]["corner_mean"]
    assert stats["stages"] == {
        LANDMARKS: {
            "epoch": 1,
            "epochs": 1,
            "images": {"training": 1, "validation": 1},
            "before": stats["before"],
            "validation": stats["validation"],
            "best_epoch": 1,
            "kept": "new",
        }
    }
    assert stats["message"] is None
    assert stats["loss"] > 0
    assert {"heatmap", "corner"} <= set(stats["terms"])
    assert list(stats["skipped"]) == ["damaged"]
    assert "damaged.mrk.json: expected JSON" in stats["skipped"]["damaged"]
    assert "damaged" not in json.dumps(result)  # MONAI Label logs it
    served = ModelStore(studies, weights).served
    assert served != weights
    assert weights.read_bytes() == before
    published, initial = load_weights(served), load_weights(weights)
    assert published.config == initial.config
    assert published.facts["radiographs"] == published.facts["held_out"] == 1
    assert published.facts["validation"] == pytest.approx(stats["validation"])
    assert sorted(path.name for path in served.parent.iterdir()) == sorted([served.name, REPORT])
    assert stats["stage"] == LANDMARKS
    assert published.refiner is None
    assert (stats["version_before"], stats["version_after"]) == ("0", version_of(published.facts))


# --- with a second network ---


@pytest.fixture(scope="module")
def both_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weight file for an input of 64 x 64 pixels, with a small second network."""
    return smaller_weights(tmp_path_factory.mktemp("weights") / "both.pt", 64, 64, with_refiner=True)


def watch(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the report is told about epochs, in the order of time."""
    told: list[dict[str, Any]] = []
    update = TrainReport.update

    def watched(report: TrainReport, **facts: Any) -> None:
        update(report, **facts)
        if facts.get("loss"):
            told.append(json.loads(report.path.read_text()))

    monkeypatch.setattr(TrainReport, "update", watched)
    return told


def with_centers_alone(studies: Path, *numbers: int) -> None:
    """Take the corners from the labels of some phantoms."""
    for number in numbers:
        xy = render_phantom(random_spec(number, 480, 220)).spine.xy
        xy[:, 1:] = float("nan")
        write_markups(studies / "labels" / "final" / f"phantom_{number}.mrk.json", Spine.from_arrays(xy))


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
        (CORNERS, 4, 100.0),
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
    build_refiner(new, both_weights)
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
    assert [(t["stage"], t["epoch"], t["total_epochs"], t["percent"]) for t in told] == [(LANDMARKS, 1, 1, 100.0)]
    assert task.stats()["state"] == "done"
    new, old = (load_weights(path).refiner for path in (ModelStore(studies, both_weights).served, both_weights))
    assert new is not None
    assert old is not None
    assert all(torch.equal(new.state[name], old.state[name]) for name in old.state)


def test_one_label_with_corners_is_enough_for_the_second_network(
    studies: Path, both_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that is learnt from; nothing is left to check it on, so that its last weights are kept."""
    kept, held_out = split(["phantom_0", "phantom_1"], 0.2)
    with_centers_alone(studies, *(int(name[-1]) for name in held_out))
    told = watch(monkeypatch)
    VertebraLandmarksTrain(ModelStore(studies, both_weights), "cpu")(ONE_EPOCH, Folder(studies))
    assert len(kept) == 1
    assert [(t["stage"], t["percent"]) for t in told] == [(LANDMARKS, 50.0), (CORNERS, 100.0)]
    assert told[1]["validation"] is None
    refiner = load_weights(ModelStore(studies, both_weights).served).refiner
    assert refiner is not None
    assert (refiner.facts["epoch"], refiner.facts["validation"]) == (1, {})


def test_both_networks_start_from_the_served_weights_unless_told_otherwise(
    studies: Path, both_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learnt: list[tuple[Any, bool]] = []
    fit = train_stages.RefinerTrainer.fit

    def watched(run: train_stages.RefinerTrainer, *args: Any) -> Path | None:
        learnt.append((run.network.state_dict()["heatmap.weight"].clone(), run.freeze_norm))
        return fit(run, *args)

    monkeypatch.setattr(train_stages.RefinerTrainer, "fit", watched)
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

    def broken(*_: object) -> None:
        raise FloatingPointError("the loss is no longer finite")

    monkeypatch.setattr(train_stages.RefinerTrainer, "fit", broken)
    task = VertebraLandmarksTrain(ModelStore(studies, both_weights), "cpu")
    with pytest.raises(FloatingPointError):
        task(ONE_EPOCH, Folder(studies))
    assert (task.stats()["state"], task.stats()["epoch"], task.stats()["percent"]) == ("failed", 1, 50)
    assert task.stats()["version_after"] is None
    models = ModelStore(studies, both_weights)
    assert models.served == both_weights
    assert not (models.folder / RUN).exists()


# --- a network that does worse than before ---


def spoil(monkeypatch: pytest.MonkeyPatch, stage: type[train_stages.Stage]) -> None:
    """Let a stage learn much too fast."""
    run = stage.run

    def spoilt(self: Any, settings: TrainRequest, *args: Any) -> Any:
        return run(self, dataclasses.replace(settings, learning_rate=SPOILS), *args)

    monkeypatch.setattr(stage, "run", spoilt)


def are_equal(states: list[dict[str, torch.Tensor]]) -> bool:
    first, second = states
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        pytest.param(train_stages.LandmarkStage, "The network that finds the vertebrae did worse", id="landmarks"),
        pytest.param(train_stages.CornerStage, "The second network did worse", id="corners"),
    ],
)
def test_one_network_that_does_worse_stays_while_the_other_is_published(
    studies: Path, both_weights: Path, monkeypatch: pytest.MonkeyPatch, stage: type[train_stages.Stage], words: str
) -> None:
    spoil(monkeypatch, stage)
    task = VertebraLandmarksTrain(ModelStore(studies, both_weights), "cpu")
    task(ONE_EPOCH, Folder(studies))
    stats = task.stats()
    for name, facts in stats["stages"].items():
        is_worse = facts["validation"]["corner_mean"] > facts["before"]["corner_mean"]
        assert is_worse == (name == stage.name)
        assert facts["kept"] == ("former" if is_worse else "new")
    assert (stats["state"], stats["version_before"], stats["version_after"][:3]) == ("done", "0", "1 (")
    assert stats["message"].startswith(f"{words} on the held-out images (mean corner error ")
    assert stats["message"].endswith(" px after) and stays as it was.")
    new, old = load_weights(ModelStore(studies, both_weights).served), load_weights(both_weights)
    assert are_equal([new.state, old.state]) == (stage.name == LANDMARKS)
    assert new.refiner is not None
    assert old.refiner is not None
    assert are_equal([new.refiner.state, old.refiner.state]) == (stage.name == CORNERS)
    assert new.facts.get("radiographs") == (old.facts["radiographs"] if stage.name == LANDMARKS else 1)


def test_nothing_is_published_where_both_networks_do_worse(studies: Path, both_weights: Path) -> None:
    task = VertebraLandmarksTrain(ModelStore(studies, both_weights), "cpu")
    task({**ONE_EPOCH, "learning_rate": SPOILS}, Folder(studies))
    stats = task.stats()
    assert (stats["state"], stats["percent"], stats["version_after"]) == ("done", 100, None)
    assert stats["message"].startswith("Nothing was published: the network that finds the vertebrae did worse ")
    assert " and the second network did worse " in stats["message"]
    models = ModelStore(studies, both_weights)
    assert models.served == both_weights
    assert [path.name for path in models.folder.iterdir()] == [REPORT]


def test_what_random_networks_learn_is_compared_with_the_served_ones(studies: Path, both_weights: Path) -> None:
    """And not with the random ones, against which every training does better."""
    task = VertebraLandmarksTrain(ModelStore(studies, both_weights), "cpu")
    task(ONE_EPOCH, Folder(studies))
    before = [stage["before"] for stage in task.stats()["stages"].values()]
    shutil.rmtree(ModelStore(studies, both_weights).folder)
    task({**ONE_EPOCH, "pretrained": False}, Folder(studies))
    assert [stage["before"] for stage in task.stats()["stages"].values()] == before


def test_without_held_out_images_the_result_is_published_as_it_is(studies: Path, weights: Path) -> None:
    task = VertebraLandmarksTrain(ModelStore(studies, weights), "cpu")
    task(UNCHECKED, Folder(studies))
    stage = task.stats()["stages"][LANDMARKS]
    assert (stage["before"], stage["validation"], stage["kept"]) == (None, None, "new")
    assert task.stats()["version_after"] is not None


# --- expected errors ---


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
    assert read_model_facts(models.served).errors_measured is True
    VertebraLandmarksTrain(models, "cpu")(ONE_EPOCH, Folder(studies))
    new, old = load_weights(models.served).refiner, load_weights(measured_weights).refiner
    assert models.served != measured_weights
    assert new is not None
    assert old is not None
    assert new.errors == old.errors
    assert new.facts[ERRORS_MEASURED_ON] == old.facts[ERRORS_MEASURED_ON]
    assert read_model_facts(models.served).errors_measured is False


def test_a_second_network_from_random_weights_has_no_expected_errors(studies: Path, measured_weights: Path) -> None:
    models = ModelStore(studies, measured_weights)
    VertebraLandmarksTrain(models, "cpu")({**UNCHECKED, "pretrained": False}, Folder(studies))
    refiner = load_weights(models.served).refiner
    assert refiner is not None
    assert refiner.errors is None
    assert read_model_facts(models.served).errors_measured is None


# --- from whichever weights ---


def test_statistics_of_the_batch_norms_stay_when_it_goes_on_from_the_served_weights(
    task: VertebraLandmarksTrain, studies: Path, weights: Path
) -> None:
    task(ONE_EPOCH, Folder(studies))
    new, old = load_weights(ModelStore(studies, weights).served).state, load_weights(weights).state
    kept = [name for name in old if name.endswith(("running_mean", "running_var"))]
    assert kept
    assert all(torch.equal(new[name], old[name]) for name in kept)
    assert not all(torch.equal(new[name], old[name]) for name in old)


def test_a_second_training_goes_on_from_the_first(
    task: VertebraLandmarksTrain, studies: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[dict[str, torch.Tensor]] = []
    fit = train_stages.Trainer.fit

    def watched(run: train_stages.Trainer, *args: Any) -> Path | None:
        starts.append({name: value.clone() for name, value in run.network.state_dict().items()})
        return fit(run, *args)

    monkeypatch.setattr(train_stages.Trainer, "fit", watched)
    task(UNCHECKED, Folder(studies))
    first = load_weights(ModelStore(studies, weights).served).state
    task(UNCHECKED, Folder(studies))
    task({**UNCHECKED, "pretrained": False}, Folder(studies))
    same = [all(torch.equal(start[name], first[name].to(start[name].dtype)) for name in first) for start in starts]
    assert same == [False, True, False]
    assert task.stats()["version_after"].startswith("3 (")


def test_labels_of_centers_alone_can_be_trained_on(studies: Path, weights: Path) -> None:
    """There is no corner error to choose the best epoch by, then."""
    with_centers_alone(studies, 0, 1)
    task = VertebraLandmarksTrain(ModelStore(studies, weights), "cpu")
    task(ONE_EPOCH, Folder(studies))
    stats = task.stats()
    assert stats["state"] == "done"
    assert stats["validation"]["corner_mean"] is None
    assert stats["before"]["center_mean"] > stats["validation"]["center_mean"] > 0
    task({**ONE_EPOCH, "learning_rate": SPOILS}, Folder(studies))
    assert "mean center error" in task.stats()["message"]
    assert task.stats()["version_after"] is None


@pytest.mark.parametrize(
    ("request_", "labels", "words"),
    [
        pytest.param({"max_epochs": 0}, 2, "max_epochs must be", id="parameter"),
        pytest.param({}, 0, "at least 2 images with a label of tag 'final', the studies folder has 0", id="no-labels"),
        pytest.param({}, 1, "at least 2 labels that can be used, 1 of 2 can", id="one-usable"),
    ],
)
def test_what_cannot_be_trained_fails_with_a_sentence(
    task: VertebraLandmarksTrain, studies: Path, weights: Path, request_: dict[str, Any], labels: int, words: str
) -> None:
    for file in sorted((studies / "labels" / "final").glob("phantom_*"))[labels:]:
        file.unlink()
    if not labels:
        (studies / "labels" / "final" / "damaged.mrk.json").unlink()
    with pytest.raises(ValueError, match=words):
        task(request_, Folder(studies))
    stats = task.stats()
    assert stats["state"] == "failed"
    assert words in stats["error"]
    assert ModelStore(studies, weights).served == weights


def test_a_training_that_breaks_leaves_the_old_weights(
    task: VertebraLandmarksTrain, studies: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task(ONE_EPOCH, Folder(studies))
    served = ModelStore(studies, weights).served
    before = served.read_bytes()

    def broken(*_: object) -> None:
        raise FloatingPointError("the loss is no longer finite")

    monkeypatch.setattr(train_stages.Trainer, "fit", broken)
    with pytest.raises(FloatingPointError):
        task(ONE_EPOCH, Folder(studies))
    assert task.stats()["error"] == "the loss is no longer finite"
    assert served.read_bytes() == before
    assert not (served.parent / RUN).exists()


def test_one_training_at_a_time(task: VertebraLandmarksTrain, studies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that was asked to train in its own process must not do it beside the process that it started."""
    with monkeypatch.context() as patch:
        patch.setitem(async_tasks.background_processes, "train", {"1": Alive(1)})
        with pytest.raises(ValueError, match="runs already"):
            task(ONE_EPOCH, Folder(studies))
        assert task.check(ONE_EPOCH, Folder(studies)).max_epochs == 1  # it may wait in line
    refused: list[str] = []

    def ask(*_: object) -> list[str]:
        for start in (task, task.check):
            with pytest.raises(ValueError, match="runs already"):
                start(ONE_EPOCH, Folder(studies))
            refused.append("yes")
        return []

    busy = Folder(studies)
    busy.get_labeled_images = ask  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="has 0"):
        task(ONE_EPOCH, busy)
    assert refused == ["yes", "yes"]
    assert task.stats()["state"] == "failed"


def test_the_defaults_are_what_clients_see(task: VertebraLandmarksTrain) -> None:
    assert task.config()["device"] == "cpu"
    assert task.config()["max_epochs"] >= 1
    json.dumps(task.info())


def test_there_is_nothing_to_tell_before_the_first_training(task: VertebraLandmarksTrain) -> None:
    assert task.stats() == {}


class Alive:
    """A process that MONAI Label started and that did not end yet."""

    def __init__(self, pid: int) -> None:
        self.pid = pid


@pytest.mark.parametrize(
    ("alive", "state"),
    [
        pytest.param([os.getpid()], "running", id="trains"),
        pytest.param([os.getppid()], "running", id="trains-below-a-launcher"),
        pytest.param([-1], "starting", id="the-next-one"),
        pytest.param([], "stopped", id="killed"),
    ],
)
def test_a_training_without_a_last_word_is_told_by_its_process(
    task: VertebraLandmarksTrain, studies: Path, monkeypatch: pytest.MonkeyPatch, alive: list[int], state: str
) -> None:
    run = studies / ".vertebra_landmarks" / RUN
    run.mkdir(parents=True)
    TrainReport(run.parent / REPORT).begin(epoch=3)
    monkeypatch.setitem(async_tasks.background_processes, "train", {str(pid): Alive(pid) for pid in alive})
    assert task.stats()["state"] == state
    assert PROCESSES not in task.stats()
    assert run.exists()  # perhaps another server's
    monkeypatch.setitem(async_tasks.background_tasks, "train", [{"id": "1", "status": "STOPPED"}])
    assert task.stats()["state"] == state
    assert run.exists() == (state != "stopped")


# --- the server ---


class Server:
    """A running server and the folder that it serves."""

    def __init__(self, url: str, studies: Path, weights: Path) -> None:
        self.url, self.studies = url, studies
        self.models = ModelStore(studies, weights)

    def ask(self, path: str, method: str = "GET", content: object = None) -> tuple[int, Any]:
        """Status and JSON of an answer, whatever the status."""
        body = json.dumps(content).encode() if content is not None else None
        headers = {"Content-Type": "application/json"} if content is not None else {}
        request = urllib.request.Request(self.url + path, data=body, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def train(self, **parameters: Any) -> tuple[int, Any]:
        return self.ask(f"/train/{MODEL}", "POST", parameters)

    def stats(self) -> dict[str, Any]:
        facts: dict[str, Any] = self.ask("/info/")[1]["train_stats"][MODEL]
        return facts

    def task(self) -> dict[str, Any]:
        facts: dict[str, Any] = self.ask("/info/")[1]["models"][MODEL]
        return facts

    def landmarks(self) -> Any:
        query = urllib.parse.urlencode({"image": "phantom_0", "output": "json"})
        status, answer = self.ask(f"/infer/{MODEL}?{query}", "POST")
        assert status == 200, answer
        return answer["landmarks"]

    def wait(self, until: Callable[[], Any]) -> Any:
        """What ``until`` returns as soon as that is true."""
        end = time.monotonic() + LIMIT_S
        while time.monotonic() < end:
            result = until()
            if result:
                return result
            time.sleep(0.1)
        return pytest.fail(f"waited in vain; {self.ask('/train/')}, {self.stats()}")

    def is_running(self) -> bool:
        return self.ask("/train/?check_if_running=true")[0] == 200


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The app on eight labelled phantoms, with the shipped weights for a smaller input and a small second network."""
    studies = tmp_path_factory.mktemp("studies")
    make_studies(studies, LABELLED)
    weights = smaller_weights(tmp_path_factory.mktemp("weights") / "smaller.pt", 256, 128, with_refiner=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "monailabel.main", "start_server", "--app", str(APP), "--studies", str(studies)]
    command += ["--host", "127.0.0.1", "--port", str(port), "--conf", "weights", str(weights)]
    log = tmp_path_factory.mktemp("log") / "server.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, cwd=studies.parent)
        running = Server(f"http://127.0.0.1:{port}", studies, weights)
        try:
            _wait_for_start(running, process, log)
            yield running
        finally:
            if running.is_running():
                running.ask("/train/", "DELETE")
            process.terminate()
            process.wait(30)


def _wait_for_start(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end and process.poll() is None:
        try:
            if server.ask("/info/")[0] == 200:
                return
        except OSError:
            time.sleep(0.3)
    pytest.fail("the server did not start:\n" + log.read_text(errors="replace")[-3000:])


def cancel_in_the_middle(server: Server) -> dict[str, Any]:
    """Start a long training, see that no second one starts, and cancel after the first epoch; the stats thereafter."""
    assert server.train(max_epochs=500)[0] == 200
    server.wait(lambda: server.stats().get("state") == "running" and server.stats().get("epoch", 0) >= 1)
    assert server.train(max_epochs=1)[0] == 429
    status, task = server.ask("/train/", "DELETE")
    assert (status, task["status"]) == (200, "STOPPED")
    server.wait(lambda: not server.is_running())
    return server.stats()


@pytest.mark.integration
@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        pytest.param({"max_epochs": -1}, "max_epochs must be a whole number", id="range"),
        pytest.param({"learning_rate": "fast"}, "learning_rate must be a number", id="kind"),
        pytest.param({"rounds": 3}, "max_epochs", id="unknown"),
        pytest.param({"device": "cuda:99"}, "not available here", id="device"),
    ],
)
def test_wrong_parameters_are_refused_before_anything_starts(
    server: Server, parameters: dict[str, Any], words: str
) -> None:
    status, answer = server.train(**parameters)
    assert status == 400
    assert words in answer["detail"]
    assert not server.is_running()


@pytest.mark.integration
def test_an_unknown_model_is_not_trained(server: Server) -> None:
    assert server.ask("/train/other", "POST", {})[0] == 404


@pytest.mark.integration
def test_a_training_runs_to_the_end_and_inference_uses_the_new_weights(server: Server) -> None:
    initial, facts, before = server.models.served, server.task(), server.landmarks()
    content = initial.read_bytes()
    stats = cancel_in_the_middle(server)
    assert stats["state"] == "stopped"
    assert (server.models.served, server.landmarks()) == (initial, before)
    assert not (server.models.folder / RUN).exists()

    status, task = server.train(max_epochs=4, learning_rate=1e-3)
    assert status == 200
    assert task["status"] in ("SUBMITTED", "RUNNING")
    seen: list[int] = []
    while server.is_running():
        stats = server.stats()
        if stats["state"] == "running" and "epoch" in stats:
            assert stats["percent"] == 12.5 * stats["epoch"]
            stages = {LANDMARKS} if stats["epoch"] < 4 else {CORNERS} if stats["epoch"] > 4 else {LANDMARKS, CORNERS}
            assert stats.get("stage", LANDMARKS) in stages
            seen.append(stats["epoch"])
        time.sleep(0.05)
    assert server.ask("/train/")[1]["status"] == "DONE", server.ask("/train/")
    assert seen == sorted(seen)
    assert set(seen) & {1, 2, 3}
    stats = server.stats()
    assert (stats["state"], stats["epoch"], stats["total_epochs"], stats["percent"]) == ("done", 8, 8, 100)
    assert stats["images"]["training"] + stats["images"]["validation"] == LABELLED
    assert stats["validation"]["corner_mean"] > 0
    assert stats["before"]["corner_mean"] > 0
    assert list(stats["skipped"]) == ["damaged"]

    published = server.models.served
    assert published != initial
    assert initial.read_bytes() == content
    now = server.task()
    assert now["model"] == load_weights(published).facts != facts["model"]
    assert stats["version_before"] == facts["model_version"] == "0"
    assert stats["version_after"] == now["model_version"] == version_of(now["model"])
    assert now["second_network"]["data"] == now["model"]["data"]
    new, old = load_weights(published).refiner, load_weights(initial).refiner
    assert new is not None
    assert old is not None
    assert not torch.equal(new.state["heatmap.weight"], old.state["heatmap.weight"])
    assert server.landmarks() != before

    content, after = published.read_bytes(), server.landmarks()
    assert cancel_in_the_middle(server)["state"] == "stopped"
    assert published.read_bytes() == content
    assert server.landmarks() == after
