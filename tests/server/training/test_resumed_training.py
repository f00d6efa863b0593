"""A training that was interrupted goes on where it was, or says why it cannot."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from lib.phantoms import random_spec, render_phantom
from lib.server.models import TRAINED_ON, ModelStore
from lib.server.training.run_files import read_plan
from lib.server.training.train_task import RUN, VertebraLandmarksTrain
from lib.server.training.training_stages import CORNERS, LANDMARKS
from lib.spine.labels.markups import write_markups

from .rounds import LONG, ONE_EPOCH, UNCHECKED, Folder, interrupt, watch

pytestmark = pytest.mark.usefixtures("torch_as_before")


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
