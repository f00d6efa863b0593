"""``scripts/train.py``: what it hands to the trainer."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import train
from lib.learning.codec import ABSENT, PRESENT, UNKNOWN, UNNAMED
from lib.learning.transforms import IMAGE, LABEL


class Recorder:
    """Keeps what the trainer would have learnt from."""

    def __init__(self) -> None:
        self.facts: dict[str, Any] = {}
        self.learnt: dict[str, np.ndarray] = {}
        self.checked: dict[str, np.ndarray] = {}

    def __call__(self, config: object, output: Path, device: object, workers: int, *rest: Any) -> Recorder:
        """In the place of the trainer's class."""
        _, self.facts, _ = rest
        return self

    def fit(self, training: list[dict[str, Any]], checked: list[dict[str, Any]]) -> Path:
        """Learns nothing."""
        self.learnt = {Path(item[IMAGE]).name: item[LABEL] for item in training}
        self.checked = {Path(item[IMAGE]).name: item[LABEL] for item in checked}
        return Path("best.pt")


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """The trainer that ``main`` gets."""
    recorder = Recorder()
    monkeypatch.setattr(train, "Trainer", recorder)
    return recorder


def run(monkeypatch: pytest.MonkeyPatch, films: Any, output: Path, *arguments: object) -> int:
    """Call the command in this process, with the films of ``films`` and no synthetic images."""
    fixed = ["--data", films.data, "--boxes", films.boxes, "--output", output, "--device", "cpu", "--fold", "0"]
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
    films: Any, recorder: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(monkeypatch, films, tmp_path / "run") == 0
    expected = {
        **dict.fromkeys(("moved.png", "unclear.png"), [PRESENT] * 17),
        **dict.fromkeys(("doubted.png", "open.png"), [UNNAMED] * 17),
        "film_011.png": [UNNAMED] * 15 + [ABSENT] * 2,
    }
    assert {name: states(label) for name, label in recorder.learnt.items()} == expected
    assert set(recorder.checked) == {"fits.png"}
    assert recorder.facts == {"data": "AASCE training split", "fold": 0, "radiographs": 4, "boxed_radiographs": 1}


def test_names_of_a_table_are_moved_left_out_or_trusted(
    films: Any,
    recorder: Recorder,
    ladder: np.ndarray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The held-out films keep their names, whatever a table says: they are what a model is measured by."""
    uses = {"moved.png": "1", "unclear.png": "none", "doubted.png": "0", "open.png": "", "film_011.png": "2"}
    names = write(tmp_path / "names.csv", {**uses, "fits.png": "1", "film_001.png": "1", "elsewhere.png": "1"})
    assert run(monkeypatch, films, tmp_path / "run", "--names", names) == 0
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
    assert "training on 5 radiographs and 0 synthetic images" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("filename,levels\na.png,1\n", "names.csv has no columns 'filename' and 'use'"),
        ("filename,use\nmoved.png,one\n", "names.csv: 'use' must be empty, 'none' or a number of levels"),
        (None, "names.csv"),
    ],
    ids=["older table", "no number", "missing"],
)
def test_a_table_that_cannot_be_used_is_named_before_the_work(
    films: Any,
    recorder: Recorder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    content: str | None,
    words: str,
) -> None:
    if content is not None:
        (tmp_path / "names.csv").write_text(content)
    assert run(monkeypatch, films, tmp_path / "run", "--names", tmp_path / "names.csv") == 1
    said = capsys.readouterr().err
    assert said.startswith("train: ")
    assert words in said
    assert recorder.learnt == {}
