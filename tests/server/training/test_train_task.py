"""Training on the labels of the studies folder: the task by itself, and in a real server over HTTP."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from filelock import FileLock
from monailabel.utils.async_tasks import utils as async_tasks
from PIL import Image

from harness.ports import free_port
from lib.learning.config import DEFAULT_WEIGHTS_FILE, CornerConfig
from lib.learning.data.rehearsal import Rehearsal
from lib.learning.data.transforms import IMAGE
from lib.learning.models.corner_net import CornerNet
from lib.learning.uncertainty.error_model import ErrorModel
from lib.learning.weights.provenance import OWN, public_facts
from lib.learning.weights.weight_files import (
    ERRORS_MEASURED_ON,
    build_corner_net,
    load_weights,
    networks_digest,
    save_weights,
)
from lib.phantoms import random_spec, render_phantom
from lib.server.inference.response import read_model_info
from lib.server.models import HELD_OUT, POINTER, TRAINED_ON, ModelStore, version_name
from lib.server.training import train_task, training_round, training_stages
from lib.server.training.run_files import CHECK, PROCESSES, TrainReport, read_plan
from lib.server.training.train_request import TrainRequest
from lib.server.training.train_task import BUSY, LOCK, REPORT, RUN, TASK_MODULE, WAITS, VertebraLandmarksTrain
from lib.server.training.training_stages import CORNERS, LANDMARKS
from lib.spine.labels.markups import write_markups
from lib.spine.schema import Spine

pytestmark = pytest.mark.usefixtures("torch_as_before")

ROOT = Path(__file__).resolve().parents[3]
APP = ROOT / "apps" / "vertebra_landmarks"
MODEL = "vertebra_landmarks"
LIMIT_S = 180
LABELLED = 8


PATCH = CornerConfig(40, 48, 16.0, 4, 1)


def smaller_weights(path: Path, height: int, width: int, with_refiner: bool = False) -> Path:
    """The shipped weights for a smaller input, so that a step takes a fraction of a second.

    The second network, where one is asked for, is a small random one.
    """
    content = torch.load(DEFAULT_WEIGHTS_FILE, weights_only=True)
    content["config"]["input"] = {"height": height, "width": width}
    content.pop("refiner", None)
    if with_refiner:
        torch.manual_seed(0)
        state = {n: t.half() if t.is_floating_point() else t for n, t in CornerNet(PATCH).state_dict().items()}
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
    (labels / "damaged.mrk.json").write_text('{"markups": 3}')


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
    """Two labelled phantoms, of which the second is held out, and the damaged label."""
    make_studies(tmp_path, 2)
    return tmp_path


@pytest.fixture
def task(studies: Path, weights: Path) -> VertebraLandmarksTrain:
    return VertebraLandmarksTrain(ModelStore(studies, weights), "cpu")


FAST = {"learning_rate": 1e-3, "corner_learning_rate": 1e-3}
ONE_EPOCH = {"max_epochs": 1, "batch_size": 1, "publish": "always", **FAST}
"""So fast that both networks do clearly better on the other phantom, each by its own measure; what comes of them
together at 64 x 64 pixels is chance."""
GATED = {**ONE_EPOCH, "publish": "gate"}
UNCHECKED = {**ONE_EPOCH, "val_split": 0}
SPOILS = 0.1
"""A learning rate with which one step makes a network useless."""
SPOILING = {"learning_rate": SPOILS, "corner_learning_rate": SPOILS}


def test_a_training_publishes_and_reports(task: VertebraLandmarksTrain, studies: Path, weights: Path) -> None:
    before = weights.read_bytes()
    result = task(ONE_EPOCH, Folder(studies))
    stats = task.stats()
    assert stats["state"] == "done"
    assert (stats["epoch"], stats["total_epochs"], stats["percent"]) == (1, 1, 100)
    assert stats["images"] == {"training": 1, "validation": 1, "new": 1, "patients": 2, "phantoms": 0}
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
    assert stats["message"] == stats["gate"]["why"]  # one image is a weak check
    assert stats["loss"] > 0
    assert {"heatmap", "corner"} <= set(stats["terms"])
    assert list(stats["skipped"]) == ["damaged"]
    assert "damaged.mrk.json: expected a Slicer Markups file" in stats["skipped"]["damaged"]
    assert "damaged" not in json.dumps(result)  # MONAI Label logs it
    served = ModelStore(studies, weights).served
    assert served != weights
    assert weights.read_bytes() == before
    published, initial = load_weights(served), load_weights(weights)
    assert published.config == initial.config
    assert published.facts["radiographs"] == published.facts["held_out"] == 1
    assert published.facts["validation"] == pytest.approx(stats["validation"])
    assert sorted(path.name for path in served.parent.iterdir()) == [".lock", "1.json", "1.pt", POINTER]
    assert sorted(path.name for path in studies.joinpath(".vertebra_landmarks").iterdir()) == sorted(
        [served.parent.name, REPORT, LOCK]
    )
    version = ModelStore(studies, weights).version(1)
    assert list(version.images(TRAINED_ON)) == ["phantom_0"]
    assert list(version.images(HELD_OUT)) == ["phantom_1"]
    assert version.facts["gate"] == stats["gate"]
    assert version.facts["stages"] == stats["stages"]
    assert version.facts["settings"] == stats["settings"]
    assert stats["stage"] == LANDMARKS
    assert published.refiner is None
    assert (stats["version_before"], stats["version_after"]) == ("0", version_name(published.facts))


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()], ids=["disk", "ctrl-c"])
def test_a_failed_training_can_be_resumed(
    task: VertebraLandmarksTrain, studies: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    add = ModelStore.add

    def failing(*_: Any) -> None:
        raise error

    monkeypatch.setattr(ModelStore, "add", failing)
    with pytest.raises(type(error)):
        task(ONE_EPOCH, Folder(studies))
    assert task.stats()["state"] == ("failed" if isinstance(error, OSError) else "interrupted")
    label = studies / "labels" / "final" / "phantom_0.mrk.json"
    before = label.read_bytes()
    write_markups(label, render_phantom(random_spec(7, 480, 220)).spine)
    with pytest.raises(ValueError, match="came, went or changed"):
        task({"resume": True}, Folder(studies))
    label.write_bytes(before)
    monkeypatch.setattr(ModelStore, "add", add)
    task({"resume": True, "publish": "never"}, Folder(studies))
    stats = task.stats()
    assert (stats["state"], stats["resumed_from"]) == ("done", 1)
    assert (stats["settings"]["max_epochs"], stats["settings"]["publish"]) == (1, "never")
    assert stats["version_after"] is None
    assert not (ModelStore(studies, task._models.path_of(0)).folder / RUN).exists()


def test_only_old_temporary_files_are_removed(task: VertebraLandmarksTrain, studies: Path) -> None:
    folder = studies / ".vertebra_landmarks"
    (folder / "models").mkdir(parents=True, exist_ok=True)
    versions = task._models.versions_folder
    versions.mkdir(parents=True, exist_ok=True)
    old, new = versions / ".1.pt.x.tmp", folder / ".given.json.y.tmp"
    for place in (old, new):
        place.write_text("half")
    os.utime(old, (1, 1))
    task(UNCHECKED, Folder(studies))
    assert (old.exists(), new.exists()) == (False, True)
    new.unlink()


HOLD = """
import json, os, sys, time
from filelock import FileLock
folder = sys.argv[1]
os.makedirs(folder, exist_ok=True)
with FileLock(f"{folder}/training.lock"):
    with open(f"{folder}/training.json", "w") as report:
        json.dump({"state": "running", "processes": [os.getpid(), os.getppid()]}, report)
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the process that is started there is the parent of this one")
def test_a_training_that_another_server_has_begun_is_seen_and_can_be_ended(
    task: VertebraLandmarksTrain, studies: Path
) -> None:
    command = [sys.executable, "-c", HOLD, str(studies / ".vertebra_landmarks"), TASK_MODULE, "train"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(ValueError, match=BUSY):
            task.check({}, Folder(studies))
        task.check({}, Folder(studies), is_waiting=True)
        assert task.stats()["state"] == "running"
        task.discard()
        assert not psutil.pid_exists(other.pid)
    assert task.stats()["state"] == "stopped"
    task.check({}, Folder(studies))


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


def test_while_the_whole_model_is_measured_the_training_is_not_done(
    studies: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = VertebraLandmarksTrain(ModelStore(studies, weights), "cpu")
    seen: list[tuple[str, float]] = []
    measure = training_round.measure

    def watched(*given: Any) -> Any:
        seen.append((task.stats()["stage"], task.stats()["percent"]))
        return measure(*given)

    monkeypatch.setattr(training_round, "measure", watched)
    task(ONE_EPOCH, Folder(studies))
    assert seen == [(CHECK, 99.0), (CHECK, 99.0)]
    assert (task.stats()["stage"], task.stats()["percent"]) == (LANDMARKS, 100.0)


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


# --- a network that does worse than before ---


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


def test_a_label_that_is_none_of_a_spine_is_reported_and_skipped(task: VertebraLandmarksTrain, studies: Path) -> None:
    image = Image.fromarray(render_phantom(random_spec(7, 480, 220)).pixels)
    image.save(studies / "slip.png")
    write_markups(studies / "labels" / "final" / "slip.mrk.json", Spine.from_arrays(np.full((17, 5, 2), 100.0)))
    task(UNCHECKED, Folder(studies))
    stats = task.stats()
    assert stats["skipped"]["slip"] == "slip.mrk.json: the centers lie in one place"
    assert (stats["state"], stats["images"]["training"]) == ("done", 2)


def test_a_failure_in_a_transform_is_reported_by_its_cause(
    task: VertebraLandmarksTrain, studies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        try:
            raise ValueError("the image is too dark")
        except ValueError as error:
            raise RuntimeError("applying transform <lib.Cut object at 0x7f57>") from error

    monkeypatch.setattr(training_stages.LandmarkTrainer, "fit", broken)
    with pytest.raises(RuntimeError):
        task(UNCHECKED, Folder(studies))
    assert task.stats()["error"] == "the image is too dark"


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
    fit = training_stages.LandmarkTrainer.fit

    def watched(run: training_stages.LandmarkTrainer, *args: Any, **named: Any) -> Path | None:
        starts.append({name: value.clone() for name, value in run.network.state_dict().items()})
        return fit(run, *args, **named)

    monkeypatch.setattr(training_stages.LandmarkTrainer, "fit", watched)
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
    task({**GATED, **SPOILING}, Folder(studies))
    assert "mean center error" in task.stats()["message"]
    assert task.stats()["version_after"] is None


@pytest.mark.parametrize(
    ("request_", "labels", "words"),
    [
        pytest.param({"max_epochs": 0}, 2, "max_epochs must be", id="parameter"),
        pytest.param({}, 0, "that may be learnt from, the studies folder has 0", id="no-labels"),
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

    def broken(*_: object, **__: object) -> None:
        raise FloatingPointError("the loss is no longer finite")

    monkeypatch.setattr(training_stages.LandmarkTrainer, "fit", broken)
    with pytest.raises(FloatingPointError):
        task(ONE_EPOCH, Folder(studies))
    assert task.stats()["error"] == "the loss is no longer finite"
    assert served.read_bytes() == before
    assert not (task._models.folder / RUN).exists()


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


def test_one_that_waits_begins_when_the_other_is_over(
    task: VertebraLandmarksTrain, studies: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server whose own line is empty starts its process at once, while that of another server trains."""
    monkeypatch.setattr(train_task, "_LOCK_TIMEOUT_S", 0.1)
    begun: list[str] = []

    def ask(*_: object) -> list[str]:
        begun.append("yes")
        return []

    folder = Folder(studies)
    folder.get_labeled_images = ask  # type: ignore[method-assign]
    second = VertebraLandmarksTrain(ModelStore(studies, weights), "cpu")
    with ThreadPoolExecutor(1) as pool:
        with FileLock(studies / ".vertebra_landmarks" / LOCK):
            with pytest.raises(ValueError, match=BUSY):
                task(ONE_EPOCH, folder)
            waiting = pool.submit(second, {**ONE_EPOCH, WAITS: True}, folder)
            time.sleep(0.5)
            assert begun == []
        with pytest.raises(ValueError, match="has 0"):
            waiting.result(60)
    assert begun == ["yes"]
    with pytest.raises(ValueError, match=f"unknown parameter '{WAITS}'"):
        task.check({WAITS: True}, Folder(studies))


def test_the_defaults_are_what_clients_see(task: VertebraLandmarksTrain) -> None:
    assert task.config()["device"] == "cpu"
    assert task.config()["max_epochs"] >= 1
    json.dumps(task.info())


def test_the_report_is_empty_before_the_first_training(task: VertebraLandmarksTrain) -> None:
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
def test_a_killed_training_is_recognized_by_its_process(
    task: VertebraLandmarksTrain, studies: Path, monkeypatch: pytest.MonkeyPatch, alive: list[int], state: str
) -> None:
    (studies / ".vertebra_landmarks").mkdir()
    TrainReport(studies / ".vertebra_landmarks" / REPORT).begin(epoch=3)
    monkeypatch.setitem(async_tasks.background_processes, "train", {str(pid): Alive(pid) for pid in alive})
    assert task.stats()["state"] == state
    assert PROCESSES not in task.stats()


def test_a_training_of_another_server_is_recognized_by_its_lock(task: VertebraLandmarksTrain, studies: Path) -> None:
    folder = studies / ".vertebra_landmarks"
    folder.mkdir()
    TrainReport(folder / REPORT).begin(epoch=3)
    with FileLock(folder / LOCK):
        assert task.stats()["state"] == "running"
    assert task.stats()["state"] == "stopped"


# --- a training that was interrupted ---


class PowerCutError(BaseException):
    """Ends a training so that none of its own words follow, as far as a process can do that to itself."""


LONG = {**ONE_EPOCH, "max_epochs": 3}


def interrupt(
    monkeypatch: pytest.MonkeyPatch, task: VertebraLandmarksTrain, studies: Path, after: int, **changes: Any
) -> None:
    """Let a training of three epochs a stage end after so many, and leave all that it has written."""
    told = 0
    update = TrainReport.update

    def cut(report: TrainReport, **facts: Any) -> None:
        nonlocal told
        update(report, **facts)
        told += bool(facts.get("loss"))
        if told == after:
            raise PowerCutError

    with monkeypatch.context() as patch:
        patch.setattr(TrainReport, "update", cut)
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(PowerCutError):
            task({**LONG, **changes}, Folder(studies))


@pytest.mark.parametrize(
    ("after", "how"),
    [(2, {**LONG}), (4, {"resume": True})],
    ids=["first-network-same-settings", "second-network-resume"],
)
def test_a_training_that_was_killed_goes_on_where_it_was(
    studies: Path, both_weights: Path, monkeypatch: pytest.MonkeyPatch, after: int, how: dict[str, Any]
) -> None:
    """The served model is untouched meanwhile; a label that came in between waits for the next round."""
    models = ModelStore(studies, both_weights)
    task = VertebraLandmarksTrain(models, "cpu")
    interrupt(monkeypatch, task, studies, after)
    assert models.served == both_weights
    stats = VertebraLandmarksTrain(models, "cpu").stats()  # of a server that started since
    assert (stats["state"], stats["epoch"], stats["version_after"]) == ("interrupted", after, None)
    if how == {"resume": True}:
        shutil.copy(studies / "phantom_0.png", studies / "phantom_7.png")
        shutil.copy(
            studies / "labels" / "final" / "phantom_0.mrk.json", studies / "labels" / "final" / "phantom_7.mrk.json"
        )
    told = watch(monkeypatch)
    task(how, Folder(studies))
    assert [t["epoch"] for t in told] == list(range(after + 1, 7))
    stats = task.stats()
    assert (stats["state"], stats["percent"], stats["resumed_from"]) == ("done", 100, after)
    assert f"It was resumed from epoch {after} of an interrupted training." in stats["message"]
    assert {name: stage["best_epoch"] for name, stage in stats["stages"].items()} == {LANDMARKS: 3, CORNERS: 3}
    assert stats["settings"]["max_epochs"] == 3
    assert models.served_number == 1
    assert list(models.version(1).images(TRAINED_ON)) == ["phantom_0"]
    assert not (models.folder / RUN).exists()


def test_what_was_random_is_compared_with_the_served_network_after_an_interruption_too(
    studies: Path, both_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = VertebraLandmarksTrain(ModelStore(studies, both_weights), "cpu")
    task({**ONE_EPOCH, "publish": "never"}, Folder(studies))
    before = task.stats()["stages"][LANDMARKS]["before"]
    interrupt(monkeypatch, task, studies, 1, pretrained=False)
    task({"resume": True}, Folder(studies))
    assert task.stats()["resumed_from"] == 1
    assert task.stats()["stages"][LANDMARKS]["before"] == before


def test_with_other_settings_it_starts_anew(
    task: VertebraLandmarksTrain, studies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(monkeypatch, task, studies, 2)
    task({**LONG, "seed": 1}, Folder(studies))
    assert "resumed_from" not in task.stats()
    assert task.stats()["stages"][LANDMARKS]["best_epoch"] == 3


def test_what_changed_since_is_said_where_it_cannot_go_on(
    task: VertebraLandmarksTrain, studies: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="there is no interrupted training to resume"):
        task.check({"resume": True}, Folder(studies))
    interrupt(monkeypatch, task, studies, 1)
    assert task.check({"resume": True}, Folder(studies)).resume
    label = studies / "labels" / "final" / "phantom_0.mrk.json"
    label.write_text(label.read_text() + " ")
    for ask in (task.check, task):
        with pytest.raises(
            ValueError, match="the interrupted training cannot be resumed: 1 labelled images came, went or"
        ):
            ask({"resume": True}, Folder(studies))
    assert task.stats()["state"] == "failed"


def test_a_training_that_is_stopped_on_purpose_does_not_go_on(
    task: VertebraLandmarksTrain, studies: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(monkeypatch, task, studies, 2)
    run = studies / ".vertebra_landmarks" / RUN
    assert read_plan(run) is not None
    task.discard()
    assert task.stats()["state"] == "stopped"
    assert task.stats()["epoch"] == 2
    assert not run.exists()
    assert ModelStore(studies, weights).served == weights
    task(UNCHECKED, Folder(studies))
    task.discard()
    assert task.stats()["state"] == "done"


# --- new labels and old ones ---


def test_new_labels_are_mixed_with_old_ones_and_phantoms(
    task: VertebraLandmarksTrain, studies: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int, float]] = []
    fit = training_stages.LandmarkTrainer.fit

    def watched(
        run: training_stages.LandmarkTrainer, items: Any, *args: Any, rehearsal: Rehearsal, **named: Any
    ) -> Path | None:
        images = sum(isinstance(item[IMAGE], str) for item in rehearsal.items)
        seen.append((len(items), images, rehearsal.share))
        return fit(run, items, *args, rehearsal=rehearsal, **named)

    monkeypatch.setattr(training_stages.LandmarkTrainer, "fit", watched)
    mixed = {**UNCHECKED, "batch_size": 2, "phantoms": 4}
    task(mixed, Folder(studies))
    assert seen == [(2, 0, 0.5)]  # all is new
    assert task.stats()["images"] == {"training": 2, "validation": 0, "new": 2, "patients": 2, "phantoms": 5}
    label = studies / "labels" / "final" / "phantom_1.mrk.json"
    label.write_text(label.read_text() + " ")  # labelled again
    task(mixed, Folder(studies))
    task(mixed, Folder(studies))
    task({**mixed, "rehearsal": 0}, Folder(studies))
    assert seen[1:] == [(1, 1, 0.5), (2, 0, 0.5), (2, 0, 0.0)]  # nothing new: all is learnt once more
    assert load_weights(ModelStore(studies, weights).served).facts["radiographs"] == 2


def test_an_image_that_an_earlier_version_was_trained_on_makes_the_check_weak(
    task: VertebraLandmarksTrain, studies: Path
) -> None:
    task(UNCHECKED, Folder(studies))
    assert task.stats()["gate"]["seen"] == 0
    task(ONE_EPOCH, Folder(studies))
    assert task.stats()["gate"]["seen"] == 1


def test_patients_and_not_images_are_held_out(task: VertebraLandmarksTrain, studies: Path) -> None:
    with pytest.raises(ValueError, match="all 2 labelled images belong to patients that are held out"):
        task({**ONE_EPOCH, "patient_pattern": "(phantom)_.*", "val_split": 0.5}, Folder(studies))
    task({**ONE_EPOCH, "patient_pattern": "(phantom)_.*"}, Folder(studies))
    assert task.stats()["images"]["validation"] == 0


# --- the server ---

QUICK = {**FAST, "phantoms": 2}


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
    port = free_port()
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
    assert server.train(max_epochs=500, **QUICK)[0] == 200
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

    status, task = server.train(max_epochs=4, publish="always", **QUICK)
    assert status == 200
    assert task["status"] in ("SUBMITTED", "RUNNING")
    seen: list[int] = []
    while server.is_running():
        stats = server.stats()
        if stats["state"] == "running" and "epoch" in stats:
            assert stats["percent"] == min(12.5 * stats["epoch"], 99)
            stages = {LANDMARKS} if stats["epoch"] < 4 else {CORNERS} if stats["epoch"] > 4 else {LANDMARKS, CORNERS}
            assert stats.get("stage", LANDMARKS) in (stages | {CHECK} if stats["epoch"] == 8 else stages)
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
    assert now["model"] == public_facts(load_weights(published).facts) != facts["model"]
    assert stats["version_before"] == facts["model_version"] == "0"
    assert stats["version_after"] == now["model_version"] == version_name(now["model"])
    kept = {stage: told["kept"] for stage, told in stats["stages"].items()}  # a network that did worse stays
    assert "new" in kept.values()
    for stage, known in ((LANDMARKS, now["model"]), (CORNERS, now["second_network"])):
        assert (known["data"] == OWN) == (kept[stage] == "new")
    new, old = load_weights(published).refiner, load_weights(initial).refiner
    assert new is not None
    assert old is not None
    assert not torch.equal(new.state["heatmap.weight"], old.state["heatmap.weight"])
    assert server.landmarks() != before

    content, after = published.read_bytes(), server.landmarks()
    assert cancel_in_the_middle(server)["state"] == "stopped"
    assert published.read_bytes() == content
    assert server.landmarks() == after


@pytest.mark.integration
def test_a_training_whose_process_is_killed_goes_on_and_its_model_is_taken_back_by_one_request(server: Server) -> None:
    before, answer = server.models.served, server.landmarks()
    number = server.models.served_number
    assert server.train(resume=True)[0] == 400
    assert server.train(max_epochs=4, publish="always", **QUICK)[0] == 200
    server.wait(lambda: server.stats().get("state") == "running" and server.stats().get("epoch", 0) >= 1)
    process = json.loads((server.models.folder / REPORT).read_text())[PROCESSES][0]
    os.kill(process, signal.SIGKILL)
    server.wait(lambda: not server.is_running())
    stats = server.stats()
    assert (stats["state"], server.models.served, server.landmarks()) == ("interrupted", before, answer)

    assert server.train(resume=True)[0] == 200
    server.wait(lambda: server.stats()["state"] == "done")
    told = server.stats()
    assert told["resumed_from"] >= stats["epoch"] >= 1
    assert told["gate"]["films"] == 3
    assert told["version_after"] == server.task()["model_version"]
    status, listed = server.ask("/model/versions")
    assert (status, listed["served"]) == (200, number + 1)
    assert listed["versions"][-1]["facts"]["gate"] == told["gate"]
    assert listed["versions"][-1]["facts"][TRAINED_ON] == LABELLED - 3
    assert "phantom_" not in json.dumps(listed)
    assert server.landmarks() != answer

    assert server.ask("/model/publish", "POST", {})[0] == 400
    assert server.ask("/model/publish", "POST", {"version": 99})[0] == 400
    assert server.ask("/model/rollback", "POST", {})[1]["served"] == number
    assert server.landmarks() == answer
    assert server.ask("/info/")[1]["served_version"] == number
    assert server.ask("/model/publish", "POST", {"version": number + 1})[1]["served"] == number + 1
