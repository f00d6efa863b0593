"""A training that two processes share, as on a machine with two devices."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from lib.learning.config import DEFAULT_WEIGHTS_FILE
from lib.learning.data import IMAGE, LABEL
from lib.learning.data.formats.data_set import DataImage, DataSet
from lib.learning.data.labelled_items import read_item
from lib.learning.data.rehearsal import Rehearsal
from lib.learning.models import devices
from lib.learning.training.trainer import CHECKPOINT
from lib.learning.weights.provenance import IMAGES, trained_on
from lib.learning.weights.weight_files import Weights, load_weights
from lib.phantoms import random_spec, render_phantom
from lib.server.training import shared_stage
from lib.server.training.learnt_images import LearntImages
from lib.server.training.run_files import TrainReport
from lib.server.training.shared_stage import process_count, train_stage
from lib.server.training.train_request import TrainRequest
from lib.server.training.training_stages import LandmarkStage, Stage, StageResult
from lib.spine.labels.markups import write_markups

from . import stage_child

pytestmark = pytest.mark.usefixtures("torch_as_before")


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Three labelled phantoms."""
    folder, result = tmp_path_factory.mktemp("images"), []
    for number in range(3):
        phantom = render_phantom(random_spec(number, 240, 110))
        image, label = folder / f"{number}.png", folder / f"{number}.mrk.json"
        Image.fromarray(phantom.pixels).save(image)
        write_markups(label, phantom.spine)
        result.append(read_item(image, label))
    return result


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    """The shipped landmark network for an input of 64 x 64 pixels."""
    content = torch.load(DEFAULT_WEIGHTS_FILE, weights_only=True)
    content["config"]["input"] = {"height": 64, "width": 64}
    content.pop("refiner", None)
    path = tmp_path_factory.mktemp("weights") / "small.pt"
    torch.save(content, path)
    return load_weights(path)


def settings(**values: Any) -> TrainRequest:
    """One epoch of two steps, the last with a single image."""
    return TrainRequest(**{"max_epochs": 1, "batch_size": 2, "learning_rate": 1e-4, "device": "cpu", **values})


def trained(stage: Stage, folder: Path, **values: Any) -> tuple[StageResult, dict[str, Any]]:
    """Train; the result, and the report of the stage."""
    report = TrainReport(folder / "report.json")
    report.begin(total_epochs=1)
    result = train_stage(stage, settings(**values), folder / "run", report, 0)
    content: dict[str, Any] = report.content["stages"][stage.name]
    return result, content


@pytest.fixture
def in_single_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here and in the other process, so that rounding hides nothing."""
    monkeypatch.setattr(devices, "has_fast_bfloat16", lambda _: False)
    monkeypatch.setattr(shared_stage, "_COMMAND", (sys.executable, stage_child.__file__))


@pytest.mark.usefixtures("in_single_precision")
def test_two_processes_train_and_report_as_one(weights: Weights, items: list[dict[str, Any]], tmp_path: Path) -> None:
    """Of the last batch, a single image, one of them gets nothing."""
    images = [DataImage(Path(one[IMAGE]), "", one[LABEL], None, "", file_digest=str(n)) for n, one in enumerate(items)]
    before = {"folds": [], "box_folds": [], "is_known": True, IMAGES: "before", "data_sets": ["others"]}
    learnt = LearntImages(DataSet("spines", tuple(images)), {LandmarkStage.name: before})
    results = {}
    for processes in (1, 2):
        folder = tmp_path / str(processes)
        folder.mkdir()
        stage = LandmarkStage(weights, items, Rehearsal(), items[:2], learnt)
        results[processes] = trained(stage, folder, processes=processes)
        assert not torch.distributed.is_initialized()
    (by_one, told_by_one), (by_two, told_by_two) = results[1], results[2]
    for facts in (by_one.weights.facts, by_two.weights.facts):
        assert trained_on(facts).images == {"0", "1", "2", "before"}
    assert told_by_two["images"] == told_by_one["images"] == {"training": 3, "validation": 2}
    for key in ("before", "validation"):
        assert told_by_two[key] == pytest.approx(told_by_one[key], rel=1e-3)
    one, two = (torch.load(tmp_path / name / "run" / CHECKPOINT, weights_only=True)["network"] for name in "12")
    far = max(float((two[name] - tensor).abs().max()) for name, tensor in one.items())
    moved = max(float((one[name] - tensor).abs().max()) for name, tensor in weights.state.items())
    assert far < moved / 10


@pytest.mark.usefixtures("in_single_precision")
def test_why_another_process_failed_is_told(
    weights: Weights, items: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It alone cannot find an image."""
    gone = [*items[:2], {**items[2], IMAGE: str(tmp_path / "gone.png")}]
    write_work, of_the_other = shared_stage._write_work, LandmarkStage(weights, gone, Rehearsal(), [])
    monkeypatch.setattr(shared_stage, "_write_work", lambda place, _, *rest: write_work(place, of_the_other, *rest))
    with pytest.raises(ConnectionError, match=r"^process 2 of 2 of the training has ended: .*gone\.png") as told:
        trained(LandmarkStage(weights, items, Rehearsal(), []), tmp_path, processes=2)
    assert "applying transform" not in str(told.value)
    assert not torch.distributed.is_initialized()


def test_a_process_that_does_not_start_is_told(
    weights: Weights, items: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = LandmarkStage(weights, items, Rehearsal(), [])
    plain = (sys.executable, "-I", "-S", "-c")
    monkeypatch.setattr(shared_stage, "_COMMAND", (*plain, "raise SystemExit('no memory is left')"))
    with pytest.raises(ConnectionError, match=r"^process 2 of 2 of the training has ended: no memory is left$"):
        trained(stage, tmp_path, processes=2)
    monkeypatch.setattr(shared_stage, "_COMMAND", (*plain, "import sys; sys.stdin.read()"))
    monkeypatch.setattr(shared_stage, "_START_TIMEOUT_S", 0.0)
    with pytest.raises(TimeoutError, match="1 of 2 processes of the training have not started within 0 s"):
        trained(stage, tmp_path, processes=2)


def test_the_process_that_began_it_is_told(tmp_path: Path) -> None:
    """The first two ended because the third was killed."""
    statuses = (3, 3, "os.kill(os.getpid(), 9)")
    children = [
        subprocess.Popen([sys.executable, "-I", "-S", "-c", f"import os; os._exit({status})"]) for status in statuses
    ]
    for number in (1, 2, 3):
        (tmp_path / f"errors-{number}.txt").touch()
    (tmp_path / "reason-1.txt").write_text("another process of the training has ended")
    status = 1 if sys.platform == "win32" else -9
    assert shared_stage._reason(tmp_path, children) == (
        f"process 4 of 4 of the training has ended: exit status {status}"
    )


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
def test_a_process_ends_with_its_parent_and_removes_the_work(tmp_path: Path) -> None:
    """A killed parent closes the pipe, and can do nothing else."""
    place = tmp_path / "training"
    place.mkdir()
    (place / "work.pickle").touch()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.dup2(reading, 0)
            os.close(writing)
            shared_stage._end_with_parent(place)
        finally:
            os._exit(2)
    os.close(reading)
    assert place.exists()
    os.close(writing)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    assert not place.exists()


@pytest.mark.parametrize(
    ("device", "devices", "asked", "batch_size", "count"),
    [
        ("cpu", 0, 0, 4, 1),
        ("cpu", 0, 2, 4, 2),
        ("cpu", 0, 8, 2, 2),
        ("cpu", 0, 8, 8, 3),
        ("auto", 2, 0, 4, 2),
        ("auto", 2, 1, 4, 1),
        ("auto", 4, 0, 2, 2),
        ("cuda:1", 2, 0, 4, 1),
    ],
    ids=["one", "as-asked", "as-images-in-a-batch", "as-images", "as-devices", "fewer", "small-batch", "one-device"],
)
def test_how_many_processes_share_a_stage(
    weights: Weights,
    items: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    devices: int,
    asked: int,
    batch_size: int,
    count: int,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: devices > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: devices)
    stage = LandmarkStage(weights, items, Rehearsal(), [])
    assert process_count(settings(device=device, processes=asked, batch_size=batch_size), stage) == count


def test_more_processes_than_devices_are_refused(
    weights: Weights, items: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ValueError, match="processes must be 2 at most here, one per CUDA device, got 3"):
        process_count(settings(device="cuda", processes=3), LandmarkStage(weights, items, Rehearsal(), []))
