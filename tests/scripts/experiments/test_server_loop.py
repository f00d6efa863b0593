"""``scripts/simulate_annotation.py loop``: the figures of a round by hand, what is refused, and a real server."""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.annotation import command, server_loop
from experiments.annotation.server_loop import LabelledImage, Loop
from lib.spine.schema import POINTS, VERTEBRAE

STEP = 16.0


class Stub:
    """A server that is off by half a step everywhere, and by a tenth of what is left after each fixed point."""

    def __init__(self, images: list[LabelledImage]) -> None:
        self.images = {image.name: image for image in images}
        self.waiting, self.submitted, self.asked = [image.name for image in images], dict[str, Any](), list[int]()

    def add(self, image: LabelledImage) -> None:
        """Known already."""

    def info(self) -> dict[str, Any]:
        """A version that rises with every training."""
        return {
            "datastore": {"total": len(self.images)},
            "models": {"vertebra_landmarks": {"model_version": "7"}},
        }

    def scored(self) -> float:
        """At once."""
        return 1.5

    def next(self, strategy: str) -> str:
        """In turn."""
        return self.waiting.pop(0)

    def predict(self, name: str, fixed: np.ndarray | None = None) -> tuple[np.ndarray, str]:
        """Points and version."""
        count = 0 if fixed is None else int(np.isfinite(fixed[..., 0]).sum())
        self.asked.append(count)
        points = self.images[name].labelled + np.array([STEP / 2 / 10**count, 0.0])
        return (points if fixed is None else np.where(np.isfinite(fixed), fixed, points)), "7"

    def glance(self, image: LabelledImage) -> np.ndarray:
        """Off by a quarter of a step."""
        return image.labelled + np.array([0.0, STEP / 4])

    def submit(self, image: LabelledImage, facts: dict[str, Any]) -> None:
        """Remembered."""
        self.submitted[image.name] = facts

    def trained(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Published."""
        assert settings == {"max_epochs": 2, "publish": "always"}
        return {"gate": {"before": 0.3, "after": 0.2, "is_published": True}}


def test_a_round_is_measured_before_and_after_the_clicks(ladder: np.ndarray) -> None:
    images = [LabelledImage(Path(f"{name}.png"), ladder) for name in "abcd"]
    stub = Stub(images)
    given = ["loop", "--output", "x", "--rounds", "2", "--films", "2", "--clicks", "2", "--checked", "1"]
    given += ["--train", "max_epochs", "2", "--train", "publish", "always"]
    arguments = command.parse_arguments(given)
    told = Loop(stub, images, [LabelledImage(Path("e.png"), ladder)], arguments).run()  # type: ignore[arg-type]
    assert [(row.number, row.labels, row.version) for row in told] == [(0, 0, "7"), (1, 2, "7"), (2, 4, "7")]
    assert {row.error_checked for row in told} == {0.25}
    last, points = told[-1], len(VERTEBRAE) * len(POINTS)
    assert last.error_first == pytest.approx(0.5)
    assert last.error_clicked == pytest.approx(0.005, rel=0.05)
    assert (last.moves_first, last.moves_clicked) == (points, 0)
    assert (last.scoring_s, last.gate_before, last.gate_after, last.is_published) == (1.5, 0.3, 0.2, True)
    assert stub.asked == [0, 1, 2] * 4
    assert stub.submitted["d"] == {"user": "simulation", "model_version": "7", "edits": 2}


def run(*given: str) -> argparse.Namespace:
    arguments = command.parse_arguments(["loop", *given])
    server_loop.run(arguments)
    return arguments


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "loop.csv").write_text("mine")
    with pytest.raises(ValueError, match="is not empty; the loop begins with an empty folder"):
        run("--output", str(tmp_path))
    assert (tmp_path / "loop.csv").read_text() == "mine"


def test_images_that_the_weights_know_are_refused(folders: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="was trained on fold 0"):
        run("--data", str(folders.data), "--output", str(tmp_path / "out"))


def test_too_few_images_are_named(folders: Any, tmp_path: Path) -> None:
    held_out = str(server_loop.DEFAULT_WEIGHTS_FILE.with_name("vertebra_landmarks_fold0.pt"))
    with pytest.raises(ValueError, match="30 and 20 are asked for"):
        run("--data", str(folders.data), "--weights", held_out, "--output", str(tmp_path / "out"))


@pytest.mark.parametrize("wrong", [("--clicks", "-3"), ("--films", "0"), ("--strategy", "cleverest")])
def test_wrong_arguments_are_refused(wrong: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        run("--output", str(tmp_path / "out"), *wrong)


def test_a_parameter_that_the_training_does_not_know_is_refused_before_anything_begins(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown parameter 'epochz'"):
        run("--output", str(tmp_path / "out"), "--train", "epochz", "3")
    assert not (tmp_path / "out").exists()


@pytest.mark.integration
@pytest.mark.slow
def test_the_whole_loop_on_a_real_server(tmp_path: Path, quick_weights: Path) -> None:
    quick = ["--weights", str(quick_weights), "--rounds", "1", "--films", "3", "--checked", "1", "--clicks", "1"]
    train = ["--train", "max_epochs", "1", "--train", "phantoms", "2", "--train", "publish", "always"]
    run("--output", str(tmp_path / "out"), *quick, *train)
    with (tmp_path / "out" / "loop.csv").open() as stream:
        before, after = csv.DictReader(stream)
    assert (before["version"], before["labels"], after["labels"], after["is_published"]) == ("0", "0", "3", "True")
    assert after["version"].startswith("1 (")
    assert 0 < float(after["error_clicked"]) < 1
    assert json.loads((tmp_path / "out" / "loop.json").read_text())[1]["version"] == after["version"]
    labels = sorted((tmp_path / "out" / "studies" / "labels" / "final").glob("*.mrk.json"))
    assert len(labels) == 3
