"""The commands of docs/TRAINING.md on own data, run as they stand, with a tiny network and few phantoms."""

from __future__ import annotations

import csv
import json
import re
import shlex
import sys
from importlib import import_module
from pathlib import Path

import pytest

from lib.learning.weights.provenance import public_facts, trained_on
from lib.learning.weights.weight_files import load_weights

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "TRAINING.md"
COUNT = "7"
_LANDMARKS = {"input.height": 64, "input.width": 32, "network.head_channels": 8}
_LANDMARKS |= {f"training.{name}": value for name, value in (("phantoms", 0), ("spineless", 0), ("batch_size", 4))}
_LANDMARKS |= {"training.epochs": 1, "training.cache_longest": 128}
_CORNERS = {"refiner.height": 24, "refiner.width": 32, "refiner.step": 10, "refiner.channels": 4}
_CORNERS |= {"refiner_training.epochs": 1, "refiner_training.batch_size": 4}
TINY = {"train": _LANDMARKS, "train_refiner": _CORNERS}
"""Settings of the commands that train."""


def commands() -> list[list[str]]:
    """The commands of the section, without the interpreter: script and arguments."""
    section = DOCUMENT.read_text(encoding="utf-8").split("## Your own data\n")[1].split("\n## ")[0]
    blocks = re.findall(r"^```\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    return [shlex.split(line)[1:] for block in blocks for line in block.splitlines()]


def call(monkeypatch: pytest.MonkeyPatch, script: str, arguments: list[str]) -> int:
    """Run a command in this process; returns its exit status."""
    name = Path(script).stem
    if name in TINY:
        for setting, value in TINY[name].items():
            arguments = [*arguments, "--set", setting, str(value)]
        arguments += ["--workers", "0", "--log", "tensorboard"]
    if name in (*TINY, "calibrate", "evaluate"):
        arguments = [*arguments, "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", [script, *arguments])
    status: int = import_module(name).main()
    return status


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("torch_as_before")
def test_the_commands_for_own_data_work_as_they_stand(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for script, *arguments in commands():
        name = Path(script).stem
        if name == "make_phantoms":
            arguments[arguments.index("--count") + 1] = COUNT
            arguments += ["--size", "320x160"]
        status = call(monkeypatch, script, arguments)
        errors = capsys.readouterr().err
        if name == "calibrate":  # of a network that has learnt nothing and of one image there is no error model
            assert (status, "needs 20 held-out images" in errors) == (1, True)
            continue
        assert status == 0, (script, arguments, errors)
    tables = [Path(run, "folds.csv").read_text() for run in ("run", "run2", "run3", "run4")]
    assert len(set(tables)) == 1
    rows = list(csv.DictReader(tables[0].splitlines()))
    facts = [load_weights(Path(run, "best.pt")).facts for run in ("run", "run3", "run4")]
    assert len({public_facts(one)["data_set"]["digest"] for one in facts}) == 1
    held_out = {row["digest"] for row in rows if row["fold"] == "0"}
    assert held_out
    assert not held_out & trained_on(facts[0]).images
    figures = json.loads(Path("evaluation.json").read_text())["map"]["complete"]
    assert (figures["images"], figures["trained_on"]) == (len(held_out), False)
    assert call(monkeypatch, "scripts/train.py", commands()[1][1:]) == 0  # goes on: it is done
    for run in ("run", "run2"):
        assert [path for path in Path(run, "tensorboard").iterdir() if path.stat().st_size > 1000]
    arguments = ["--data", "labels.json", "--image-folder", "spines", "--fold", "1", "--weights", "run3/best.pt"]
    assert call(monkeypatch, "scripts/evaluate.py", arguments) == 1
    assert "best.pt was trained on your data labels.csv" in capsys.readouterr().err
