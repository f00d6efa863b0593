"""Versions of the model on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import models
from lib.learning.config import DEFAULT_WEIGHTS_FILE, load_config
from lib.learning.models.landmark_net import LandmarkNet
from lib.learning.weights.weight_files import load_weights, save_weights
from lib.server.models import HELD_OUT, TRAINED_ON, ModelStore

GATE = {"before": 0.25, "after": 0.125, "films": 2, "is_passed": True}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path, config = tmp_path_factory.mktemp("weights") / "initial.pt", load_config()
    save_weights(path, LandmarkNet(config.network).state_dict(), config, {})
    return path


@pytest.fixture
def store(weights: Path, tmp_path: Path) -> ModelStore:
    """One version that is served, and one that is not."""
    store = ModelStore(tmp_path, weights)
    store.serve(store.add(load_weights(weights), 0, {}).number)
    store.add(
        load_weights(weights), 1, {"gate": GATE, TRAINED_ON: {"a": {"image": "aa"}, "b": {}}, HELD_OUT: {"c": {}}}
    )
    return store


def run(
    store: ModelStore,
    weights: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    *arguments: str,
) -> tuple[int, str]:
    """Exit status and all that was printed."""
    studies = str(store.folder.parent)
    given = ["models.py", command, "--studies", studies, "--weights", str(weights), *arguments]
    monkeypatch.setattr("sys.argv", given)
    status = models.main()
    printed = capsys.readouterr()
    return status, printed.out + printed.err


def test_versions_are_listed_shown_published_and_taken_back(
    store: ModelStore, weights: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, text = run(store, weights, monkeypatch, capsys, "list")
    lines = [line.split() for line in text.splitlines()]
    assert status == 0
    assert [line[0] for line in lines[1:]] == ["0", ">", "2"]
    assert lines[3][2:] == ["1", "2", "2", "0.2500", "0.1250", "passed"]

    status, text = run(store, weights, monkeypatch, capsys, "show", "2")
    assert (status, json.loads(text)["facts"]["gate"]) == (0, GATE)
    assert run(store, weights, monkeypatch, capsys, "folds", "2") == (0, "image,digest,fold\nc,,0\na,aa,1\nb,,1\n")

    assert run(store, weights, monkeypatch, capsys, "publish", "2")[0] == 0
    assert store.served_number == 2
    status, text = run(store, weights, monkeypatch, capsys, "rollback")
    assert (status, store.served_number) == (0, 1)
    assert "\n>  1 " in text
    assert run(store, weights, monkeypatch, capsys, "rollback", "0")[0] == 0
    assert store.served_number == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("publish", "7"), "models: there is no version 7 of the model; there are 0, 1, 2"),
        (("show", "-1"), "models: there is no version -1"),
        (("folds", "1"), "models: version 1 does not say which images it was trained on"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    store: ModelStore,
    weights: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    words: str,
) -> None:
    status, text = run(store, weights, monkeypatch, capsys, *arguments)
    assert status == 1
    assert words in text


def test_a_folder_that_is_not_there_is_not_made(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        "sys.argv", ["models.py", "list", "--studies", str(tmp_path / "gone"), "--weights", str(weights)]
    )
    assert models.main() == 1
    assert "there is no folder" in capsys.readouterr().err
    assert not (tmp_path / "gone").exists()


def test_versions_of_other_weights_are_not_passed_over(
    store: ModelStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, text = run(store, DEFAULT_WEIGHTS_FILE, monkeypatch, capsys, "list")
    assert status == 1
    assert "were not trained from vertebra_landmarks.pt; name the server's first weights" in text
