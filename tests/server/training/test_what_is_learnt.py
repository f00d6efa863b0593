"""From which weights a training starts, and on which images it goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from lib.learning.data import IMAGE
from lib.learning.data.rehearsal import Rehearsal
from lib.learning.weights.weight_files import load_weights
from lib.server.models import ModelStore
from lib.server.training import training_stages
from lib.server.training.train_task import VertebraLandmarksTrain

from .rounds import ONE_EPOCH, UNCHECKED, Folder

pytestmark = pytest.mark.usefixtures("torch_as_before")


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
