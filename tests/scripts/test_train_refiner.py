"""``scripts/train_refiner.py``: what it hands to the trainer."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import train_refiner
from lib.learning.config import Config, CornerConfig, NetworkConfig, load_config
from lib.learning.data import IMAGE
from lib.learning.data.patches import can_be_patched
from lib.learning.models.corner_net import CornerNet
from lib.learning.weights.weight_files import ERRORS_MEASURED_ON, CornerWeights, Weights, file_digest, save_weights

PATCH = CornerConfig(16, 24, 8.0, 4, 0)


class Recorder:
    """Keeps what the trainer would have got."""

    def __init__(self) -> None:
        self.config: Config | None = None
        self.base: Weights | None = None
        self.output: Path | None = None
        self.workers = -1
        self.initial: dict[str, torch.Tensor] | None = None
        self.facts: dict[str, Any] = {}
        self.learnt: list[str] = []
        self.checked: list[str] = []

    def __call__(self, *arguments: Any, **_: Any) -> Recorder:
        """In the place of the trainer's class."""
        self.config, self.base, self.output, _, self.workers, self.initial, self.facts = arguments
        return self

    def fit(self, training: list[dict[str, Any]], checked: list[dict[str, Any]], on_epoch: object = None) -> Path:
        """Learns nothing."""
        assert all(can_be_patched(item) for item in [*training, *checked])
        self.learnt, self.checked = ([Path(item[IMAGE]).name for item in part] for part in (training, checked))
        return Path("best.pt")


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """The trainer that ``main`` gets."""
    recorder = Recorder()
    monkeypatch.setattr(train_refiner, "CornerTrainer", recorder)
    return recorder


def facts(fold: int | None) -> dict[str, Any]:
    """What a training on the AASCE layout stores."""
    return {"data": "AASCE training split", "fold": fold}


def weights(path: Path, first: dict[str, Any], second: dict[str, Any] | None = None) -> Path:
    """A weight file with a network of one number, and with a second one where there are facts of it."""
    config = dataclasses.replace(load_config(), network=NetworkConfig("w18_small", 8))
    refiner = CornerWeights(CornerNet(PATCH).state_dict(), PATCH, second) if second is not None else None
    save_weights(path, {"a": torch.ones(1)}, config, first, refiner=refiner)
    return path


def run(monkeypatch: pytest.MonkeyPatch, folders: Any, tmp_path: Path, *arguments: object) -> int:
    """Call the command in this process; what it goes into is ``base.pt``, of fold 0, unless told otherwise."""
    base = weights(tmp_path / "base.pt", facts(0))
    fixed = ["--data", folders.data, "--output", tmp_path / "run", "--device", "cpu", "--weights", base]
    monkeypatch.setattr(sys, "argv", ["train_refiner.py", *map(str, [*fixed, *arguments])])
    return train_refiner.main()


def test_images_of_other_folds_are_learnt_and_those_of_the_fold_checked(
    folders: Any,
    recorder: Recorder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Images with doubted names too, since corners need none, but none with wrong geometry."""
    base = weights(tmp_path / "other.pt", facts(1))
    assert run(monkeypatch, folders, tmp_path, "--fold", "1", "--workers", "3", "--weights", base) == 0
    assert recorder.checked == ["moved.png"]
    assert recorder.learnt == ["fits.png", "unclear.png", "doubted.png", "open.png"]
    assert recorder.facts == {**facts(1), "radiographs": 4, "base": file_digest(base)}
    assert recorder.base is not None
    assert recorder.base.facts == facts(1)
    assert (recorder.output, recorder.workers, recorder.initial) == (tmp_path / "run", 3, None)
    said = capsys.readouterr().out
    assert "training on 4 radiographs, checking on 1 of fold 1" in said
    assert said.endswith("best.pt\n")


def test_settings_and_weights_to_start_from_are_handed_on(
    folders: Any, recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = weights(tmp_path / "start.pt", facts(3), facts(0))  # the first network is not taken
    settings = ["--set", "refiner_training.epochs", "3", "--set", "refiner.channels", "4"]
    assert run(monkeypatch, folders, tmp_path, "--init", start, *settings) == 0
    assert recorder.config is not None
    assert (recorder.config.refiner_training.epochs, recorder.config.refiner.channels) == (3, 4)
    assert recorder.initial is not None
    assert recorder.initial.keys() == CornerNet(PATCH).state_dict().keys()
    said = {"digest": file_digest(start), "folds": [1, 2, 3, 4], "box_folds": [], "is_known": True}
    assert recorder.facts["init"] == said


def test_without_a_fold_everything_is_learnt_and_nothing_checked(
    folders: Any,
    recorder: Recorder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whatever the weights know that it goes into and begins with."""
    start = weights(tmp_path / "start.pt", {}, {})
    assert run(monkeypatch, folders, tmp_path, "--fold", "none", "--init", start) == 0
    assert recorder.learnt == ["fits.png", "moved.png", "unclear.png", "doubted.png", "open.png"]
    assert recorder.checked == []
    assert recorder.facts["fold"] is None
    assert "training on 5 radiographs, holding out no fold\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("base", "start", "words"),
    [
        pytest.param(facts(1), None, "base2.pt was trained on fold 0", id="base of another fold"),
        pytest.param(facts(None), None, "base2.pt was trained on fold 0", id="base of all"),
        pytest.param({}, None, "base2.pt does not say", id="base unknown"),
        pytest.param(facts(0), facts(1), "start.pt was trained on fold 0", id="start of another fold"),
        pytest.param(facts(0), {}, "start.pt does not say", id="start unknown"),
    ],
)
def test_weights_that_know_the_held_out_images_are_refused(
    folders: Any,
    recorder: Recorder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    base: dict[str, Any],
    start: dict[str, Any] | None,
    words: str,
) -> None:
    arguments: list[object] = ["--weights", weights(tmp_path / "base2.pt", base)]
    if start is not None:
        arguments += ["--init", weights(tmp_path / "start.pt", facts(0), start)]
    assert run(monkeypatch, folders, tmp_path, *arguments) == 1
    assert capsys.readouterr().err.startswith(f"train_refiner: {words}")
    assert recorder.learnt == []
    if "does not say" in words:
        assert run(monkeypatch, folders, tmp_path, *arguments, "--assume-unseen") == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["--init", "base.pt"], "base.pt holds no corner network to start from", id="no-refiner"),
        pytest.param(["--set", "refiner.width", "25"], "refiner.width must be a positive multiple of 8", id="setting"),
        pytest.param(["--weights", "text.pt"], "text.pt: not a weight file of this project", id="no-weights"),
        pytest.param(["--device", "cuda:77"], "device 'cuda:77' is not available here", id="device"),
    ],
)
def test_what_cannot_be_used_is_named_before_the_work(
    folders: Any,
    recorder: Recorder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("text.pt").write_text("no weights")
    assert run(monkeypatch, folders, tmp_path, *arguments) == 1
    said = capsys.readouterr().err
    assert said.startswith("train_refiner: ")
    assert words in said
    assert recorder.learnt == []


@pytest.mark.slow
def test_a_run_of_one_epoch_writes_both_networks(folders: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from monai.data import set_track_meta
    from monai.utils import set_determinism

    from lib.learning.weights.weight_files import build_corner_net, load_weights

    small = {"height": "40", "width": "48", "step": "16", "channels": "4", "context_layers": "0"}
    settings = [part for name, value in small.items() for part in ("--set", f"refiner.{name}", value)]
    try:
        assert (
            run(monkeypatch, folders, tmp_path, *settings, "--set", "refiner_training.epochs", "1", "--workers", "0")
            == 0
        )
    finally:
        set_determinism(None)
        set_track_meta(True)
    written = load_weights(tmp_path / "run" / "best.pt")
    assert written.facts == facts(0)
    assert written.refiner is not None
    assert written.refiner.facts["validation"]["images"] == 1
    assert (written.refiner.errors, written.refiner.facts[ERRORS_MEASURED_ON]) == (None, None)
    assert build_corner_net(written.refiner, tmp_path / "run" / "best.pt").cells.shape == (2, 10 * 12)
