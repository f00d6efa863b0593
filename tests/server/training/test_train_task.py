"""The task that trains on the labels of the studies folder, by itself: what it publishes, refuses and reports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from filelock import FileLock
from monailabel.utils.async_tasks import utils as async_tasks
from PIL import Image

from lib.learning.weights.weight_files import load_weights
from lib.phantoms import random_spec, render_phantom
from lib.server.models import HELD_OUT, POINTER, TRAINED_ON, ModelStore, version_name
from lib.server.training import train_task, training_round, training_stages
from lib.server.training.run_files import CHECK, PROCESSES, TrainReport
from lib.server.training.train_task import BUSY, LOCK, REPORT, RUN, TASK_MODULE, WAITS, VertebraLandmarksTrain
from lib.server.training.training_stages import LANDMARKS
from lib.spine.labels.markups import write_markups
from lib.spine.schema import Spine

from .rounds import ONE_EPOCH, UNCHECKED, Folder

pytestmark = pytest.mark.usefixtures("torch_as_before")


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
