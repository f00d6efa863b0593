"""What the tests of a training share: labelled phantoms, and parameters that are quick to train with."""

from __future__ import annotations

import functools
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from lib.phantoms import Phantom, random_spec, render_phantom
from lib.server.training.run_files import TrainReport
from lib.server.training.train_task import VertebraLandmarksTrain
from lib.spine.labels.markups import write_markups
from lib.spine.schema import Spine


@functools.cache
def phantom(number: int) -> Phantom:
    """A phantom of 480 x 220 pixels."""
    return render_phantom(random_spec(number, 480, 220))


def make_studies(folder: Path, count: int) -> None:
    """Phantoms with final labels, and one whose label is cut off."""
    labels = folder / "labels" / "final"
    labels.mkdir(parents=True)
    for number in range(count):
        Image.fromarray(phantom(number).pixels).save(folder / f"phantom_{number}.png")
        write_markups(labels / f"phantom_{number}.mrk.json", phantom(number).spine)
    Image.fromarray(phantom(90).pixels).save(folder / "damaged.png")
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


FAST = {"learning_rate": 1e-2, "corner_learning_rate": 1e-2}
ONE_EPOCH = {"max_epochs": 1, "batch_size": 1, "publish": "always", **FAST}
"""So fast that both networks do clearly better on the other phantom, each by its own measure; what comes of them
together at 64 x 64 pixels is chance."""
GATED = {**ONE_EPOCH, "publish": "gate"}
UNCHECKED = {**ONE_EPOCH, "val_split": 0}
SPOILS = 0.1
"""A learning rate with which one step makes a network useless."""
SPOILING = {"learning_rate": SPOILS, "corner_learning_rate": SPOILS}


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
        xy = phantom(number).spine.xy.copy()
        xy[:, 1:] = float("nan")
        write_markups(studies / "labels" / "final" / f"phantom_{number}.mrk.json", Spine.from_arrays(xy))


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
