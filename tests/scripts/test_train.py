"""``scripts/train.py``: what it hands to the trainer."""

from __future__ import annotations

import csv
import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import train
from lib.learning.codec import ABSENT, PRESENT, UNKNOWN, UNNAMED
from lib.learning.config import NetworkConfig, load_config
from lib.learning.data import IMAGE, LABEL
from lib.learning.weights.provenance import BOXED, trained_on
from lib.learning.weights.weight_files import file_digest, save_weights


class Recorder:
    """Keeps what the trainer would have learnt from."""

    def __init__(self) -> None:
        self.facts: dict[str, Any] = {}
        self.initial: dict[str, torch.Tensor] | None = None
        self.learnt: dict[str, np.ndarray] = {}
        self.checked: dict[str, np.ndarray] = {}

    def __call__(self, config: object, output: Path, device: object, workers: int, *rest: Any, **_: Any) -> Recorder:
        """In the place of the trainer's class."""
        self.initial, self.facts, _ = rest
        return self

    def fit(self, training: list[dict[str, Any]], checked: list[dict[str, Any]], on_epoch: object = None) -> Path:
        """Learns nothing."""
        self.learnt = {Path(item[IMAGE]).name: item[LABEL] for item in training}
        self.checked = {Path(item[IMAGE]).name: item[LABEL] for item in checked}
        return Path("best.pt")


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """The trainer that ``main`` gets."""
    recorder = Recorder()
    monkeypatch.setattr(train, "LandmarkTrainer", recorder)
    return recorder


def run(monkeypatch: pytest.MonkeyPatch, folders: Any, output: Path, *arguments: object) -> int:
    """Call the command in this process, with the images of ``folders`` and no synthetic images."""
    fixed = ["--data", folders.data, "--boxes", folders.boxes, "--output", output, "--device", "cpu", "--fold", "0"]
    plain = ["--set", "training.phantoms", "0", "--set", "training.spineless", "0"]
    monkeypatch.setattr(sys, "argv", ["train.py", *map(str, [*fixed, *plain, *arguments])])
    return train.main()


def write(path: Path, uses: dict[str, str]) -> Path:
    """A table as ``scripts/audit_names.py`` writes it, as far as it is read."""
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("filename", "use"), *uses.items()])
    return path


def states(label: np.ndarray) -> list[float]:
    """States of the centers."""
    result: list[float] = label[:, 0, 2].tolist()
    return result


def test_without_a_table_labels_are_learnt_as_they_are(
    folders: Any, recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(monkeypatch, folders, tmp_path / "run") == 0
    expected = {
        **dict.fromkeys(("moved.png", "unclear.png"), [PRESENT] * 17),
        **dict.fromkeys(("doubted.png", "open.png"), [UNNAMED] * 17),
        "film_011.png": [UNNAMED] * 15 + [ABSENT] * 2,
    }
    assert {name: states(label) for name, label in recorder.learnt.items()} == expected
    assert set(recorder.checked) == {"fits.png"}
    assert recorder.facts == {"data": "AASCE training split", "fold": 0, "radiographs": 4, "boxed_radiographs": 1}


def test_names_of_a_table_are_moved_left_out_or_trusted(
    folders: Any,
    recorder: Recorder,
    ladder: np.ndarray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The held-out images keep their names, whatever a table says: they are what a model is measured by."""
    uses = {"moved.png": "1", "unclear.png": "none", "doubted.png": "0", "open.png": "", "film_011.png": "2"}
    names = write(tmp_path / "names.csv", {**uses, "fits.png": "1", "film_001.png": "1", "elsewhere.png": "1"})
    assert run(monkeypatch, folders, tmp_path / "run", "--names", names) == 0
    assert {name: states(label) for name, label in recorder.learnt.items()} == {
        "moved.png": [UNKNOWN] + [PRESENT] * 16,
        "unclear.png": [UNNAMED] * 17,
        "doubted.png": [PRESENT] * 17,
        "open.png": [UNNAMED] * 17,
        "film_011.png": [UNKNOWN] * 2 + [PRESENT] * 15,
    }
    np.testing.assert_allclose(recorder.learnt["moved.png"][1:, :, :2], ladder[:-1])
    np.testing.assert_allclose(recorder.learnt["film_011.png"][2:, 0, :2], ladder[:15, 0])
    assert (recorder.learnt["film_011.png"][2:, 1:, 2] == ABSENT).all()
    assert {name: states(label) for name, label in recorder.checked.items()} == {"fits.png": [PRESENT] * 17}
    assert recorder.facts["renamed_radiographs"] == 4
    assert recorder.facts["names"] == file_digest(names)
    assert "training on 5 radiographs and 0 synthetic images" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("filename,levels\na.png,1\n", "names.csv has no columns 'filename' and 'use'"),
        ("filename,use\nmoved.png,one\n", "names.csv: 'use' must be empty, 'none' or a number of levels"),
    ],
    ids=["older table", "no number"],
)
def test_a_table_that_cannot_be_used_is_named_before_the_work(
    folders: Any,
    recorder: Recorder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    content: str,
    words: str,
) -> None:
    (tmp_path / "names.csv").write_text(content)
    assert run(monkeypatch, folders, tmp_path / "run", "--names", tmp_path / "names.csv") == 1
    said = capsys.readouterr().err
    assert said.startswith("train: ")
    assert words in said
    assert recorder.learnt == {}


def weights(path: Path, **facts: Any) -> Path:
    """A weight file with a network of one number, trained on the AASCE layout unless told otherwise."""
    config = dataclasses.replace(load_config(), network=NetworkConfig("w18_small", 8))
    save_weights(path, {"a": torch.ones(1)}, config, {"data": "AASCE training split", **facts})
    return path


def test_without_a_fold_everything_is_learnt_and_nothing_checked(
    folders: Any,
    recorder: Recorder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, folders, tmp_path / "run", "--fold", "none") == 0
    assert set(recorder.learnt) == set(folders.grays) - {"broken.png"}
    assert recorder.checked == {}
    assert recorder.facts == {"data": "AASCE training split", "fold": None, "radiographs": 5, "boxed_radiographs": 2}
    assert trained_on(recorder.facts).of(BOXED) == set(range(5))
    assert "0 synthetic images, holding out no fold" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "boxed", "fact"),
    [
        pytest.param(["--fold", "none", "--boxes-fold", "0"], {"film_011.png"}, {"boxes_fold": 0}, id="one of them"),
        pytest.param(["--boxes-fold", "none"], {"film_001.png", "film_011.png"}, {"boxes_fold": None}, id="none"),
        pytest.param(["--boxes-fold", "1"], {"film_001.png"}, {"boxes_fold": 1}, id="another"),
        pytest.param(["--boxes-fold", "0"], {"film_011.png"}, {}, id="the same"),
        pytest.param(["--fold", "1"], {"film_001.png"}, {}, id="left out"),
    ],
)
def test_another_fold_of_the_boxed_images_may_be_held_out(
    folders: Any,
    recorder: Recorder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    boxed: set[str],
    fact: dict[str, Any],
) -> None:
    """What facts say of it is what was learnt from; film_001 is of fold 0, film_011 of fold 1."""
    assert run(monkeypatch, folders, tmp_path / "run", *arguments) == 0
    assert {name for name in recorder.learnt if name.startswith("film_")} == boxed
    assert {name: value for name, value in recorder.facts.items() if name == "boxes_fold"} == fact
    seen = trained_on(recorder.facts).of(BOXED)
    assert {f"film_0{fold}1.png" for fold in (0, 1) if fold in seen} == boxed


def test_weights_to_start_from_are_handed_on_with_what_they_know(
    folders: Any, recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = weights(tmp_path / "a.pt", fold=0, boxed_radiographs=9)
    assert run(monkeypatch, folders, tmp_path / "run", "--init", path) == 0
    assert recorder.initial is not None
    assert set(recorder.initial) == {"a"}
    others = [1, 2, 3, 4]
    said = {"digest": file_digest(path), "folds": others, "box_folds": others, "is_known": True}
    assert recorder.facts["init"] == said


@pytest.mark.parametrize(
    ("facts", "arguments", "words"),
    [
        pytest.param({"fold": 1}, [], "a.pt was trained on fold 0 of the AASCE training split", id="another fold"),
        pytest.param({"fold": None}, [], "a.pt was trained on fold 0", id="no fold"),
        pytest.param({}, [], "a.pt does not say on which images it was trained", id="unknown"),
        pytest.param(
            {"fold": 1, "boxed_radiographs": 9},
            ["--fold", "none", "--boxes-fold", "0"],
            "a.pt was trained on fold 0 of the boxed",
            id="boxes",
        ),
    ],
)
def test_weights_that_know_the_held_out_images_are_refused(
    folders: Any,
    recorder: Recorder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    facts: dict[str, Any],
    arguments: list[str],
    words: str,
) -> None:
    path = weights(tmp_path / "a.pt", **facts)
    assert run(monkeypatch, folders, tmp_path / "run", "--init", path, *arguments) == 1
    assert capsys.readouterr().err.startswith(f"train: {words}")
    assert recorder.learnt == {}


@pytest.mark.parametrize("arguments", [["--fold", "none"], ["--assume-unseen"]])
def test_unknown_weights_are_taken_where_nothing_is_held_out_or_by_the_users_word(
    folders: Any, recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    """What comes of them is unknown too."""
    assert run(monkeypatch, folders, tmp_path / "run", "--init", weights(tmp_path / "a.pt"), *arguments) == 0
    assert not trained_on(recorder.facts).is_known


@pytest.mark.parametrize(
    ("model_folds", "arguments", "words"),
    [
        ("1 2 3 4", [], ""),
        ("none", [], ""),
        ("0 1 2 3", [], "names.csv was made by a model that was trained on fold 0, which is held out;"),
        ("0 1 2 3 4", ["--fold", "3"], "names.csv was made by a model that was trained on fold 3"),
        ("", [], "names.csv does not say on which images its model was trained"),
        ("0 1 2 3", ["--fold", "none"], ""),
        ("", ["--fold", "none"], ""),
    ],
)
def test_names_by_a_model_that_knows_the_held_out_images_are_told(
    folders: Any,
    recorder: Recorder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    model_folds: str,
    arguments: list[str],
    words: str,
) -> None:
    """But used: they change what is learnt from only."""
    (tmp_path / "names.csv").write_text(f"filename,use,model_folds\nmoved.png,1,{model_folds}\n")
    assert run(monkeypatch, folders, tmp_path / "run", "--names", tmp_path / "names.csv", *arguments) == 0
    said = capsys.readouterr().err
    assert said.startswith(f"train: {words}") if words else said == ""
    assert recorder.facts["renamed_radiographs"] == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--fold", "5"], "argument --fold: invalid choice: 5 (choose from {0,1,2,3,4,none})"),
        (["--boxes", "b", "--boxes-fold", "all"], "argument --boxes-fold: invalid choice: all"),
        (["--boxes-fold", "0"], "--boxes-fold goes with --boxes only"),
        (["--init", __file__, "--imagenet", __file__], "not allowed with argument"),
    ],
)
def test_wrong_arguments_are_refused(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        train.parse_arguments(["--data", "d", "--output", "o", *arguments])
    assert words in capsys.readouterr().err
