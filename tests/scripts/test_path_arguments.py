"""Files on the command line that are missing are named before any work begins."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

TRAINING = ["--data", "data", "--output", "run"]
COMMANDS = {
    "train": [[*TRAINING, option] for option in ("--names", "--imagenet", "--init", "--map", "--config")],
    "train_refiner": [[*TRAINING, option] for option in ("--weights", "--init", "--map", "--config")],
    "calibrate": [["--data", "data", "--output", "new.pt", "--weights"], ["--output", "new.pt", "--from"]],
    "evaluate": [["--data", "data", option] for option in ("--weights", "--audit", "--map")],
    "predict": [["image.png", "--output", "out", "--weights"]],
    "train_from_pack": [["--network", "corners", "--seconds", "9", "--output", "net.pt", "--pack"]],
    "join_networks": [["--output", "new.pt", "--base"]],
    "benchmark": [["--weights"], ["--image"]],
}


@pytest.mark.parametrize(
    ("command", "arguments"), [(command, line) for command, lines in COMMANDS.items() for line in lines]
)
@pytest.mark.parametrize(
    ("name", "words"), [("none.pt", "there is no file none.pt"), (".", ". is a folder, a file is expected")]
)
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    arguments: list[str],
    name: str,
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        importlib.import_module(command).parse_arguments([*arguments, name])
    assert stopped.value.code == 2
    assert words in capsys.readouterr().err
