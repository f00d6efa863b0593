"""A training that two processes share, as on a machine with two devices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lib.learning.config import DEFAULT_WEIGHTS_FILE
from lib.learning.data.labelled_items import read_item
from lib.learning.data.rehearsal import Rehearsal
from lib.learning.weights.weight_files import Weights, load_weights
from lib.phantoms import random_spec, render_phantom
from lib.server.training import shared_stage
from lib.server.training.run_files import TrainReport
from lib.server.training.shared_stage import process_count, train_stage
from lib.server.training.train_request import TrainRequest
from lib.server.training.training_stages import LandmarkStage, Stage, StageResult
from lib.spine.labels.markups import write_markups

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


def test_two_processes_train_and_report_as_one(weights: Weights, items: list[dict[str, Any]], tmp_path: Path) -> None:
    """Image by image, the last of which leaves one of them without work."""
    results = {}
    for processes in (1, 2):
        folder = tmp_path / str(processes)
        folder.mkdir()
        stage = LandmarkStage(weights, items, Rehearsal(), items[:2])
        results[processes] = trained(stage, folder, processes=processes)
        assert not torch.distributed.is_initialized()
    (one, told_by_one), (two, told_by_two) = results[1], results[2]
    assert told_by_two["images"] == told_by_one["images"] == {"training": 3, "validation": 2}
    for key in ("before", "validation"):
        assert told_by_two[key] == pytest.approx(told_by_one[key], rel=0.05)  # bfloat16 where the processor has it
    moved = [(one.weights.state[name].float() - tensor.float()).abs().max() for name, tensor in weights.state.items()]
    assert max(moved) > 5e-5
    for name, tensor in one.weights.state.items():
        np.testing.assert_allclose(two.weights.state[name].float(), tensor.float(), rtol=2e-3, atol=4e-4, err_msg=name)


def test_what_ends_another_process_is_told(
    weights: Weights, items: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child finds no work."""
    monkeypatch.setattr(shared_stage, "_write_work", lambda *_: None)
    stage = LandmarkStage(weights, items, Rehearsal(), [])
    with pytest.raises(
        ConnectionError, match=r"process 2 of 2 of the training has ended: FileNotFoundError: .*work\.pickle"
    ):
        trained(stage, tmp_path, processes=2)
    assert not torch.distributed.is_initialized()


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
