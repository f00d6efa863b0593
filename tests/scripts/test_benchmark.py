"""``scripts/benchmark.py``: its arguments, its figures, and a run with a predictor that computes nothing."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import benchmark
from lib.image_io import Radiograph, read_radiograph
from lib.learning.prediction.result import Prediction
from lib.phantoms import PhantomSpec, render_phantom
from lib.spine.schema import Spine

SECONDS = {"prepare": 0.01, "forward": 0.2, "decode": 0.02, "refine": 0.1}


class Stub:
    """Answers every image with the same spine and claims to have taken ``SECONDS``; remembers what it was asked."""

    def __init__(self, spine: Spine) -> None:
        self.spine = spine
        self.asked: list[np.ndarray] = []
        self.bare: list[tuple[int, ...]] = []
        self.device = torch.device("cpu")
        self.config = SimpleNamespace(input=SimpleNamespace(height=64, width=32))

    def __call__(self, weights: Path, device: object) -> Stub:
        """In the place of the predictor's class."""
        return self

    def locate(self, radiograph: Radiograph, decoder: str) -> Prediction:
        """One request."""
        self.asked.append(radiograph.pixels)
        return Prediction(self.spine, 0.9, decoder, dict(SECONDS), radiograph.frame)

    def network(self, image: torch.Tensor) -> None:
        """The bare forward."""
        self.bare.append(tuple(image.shape))


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stub:
    """The predictor that ``main`` gets."""
    stub = Stub(render_phantom(PhantomSpec(height=300, width=120, seed=0)).spine)
    monkeypatch.setattr(benchmark, "LandmarkPredictor", stub)
    return stub


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Call the command in this process on small images."""
    monkeypatch.setattr(sys, "argv", ["benchmark.py", "--size", "300", "700", *map(str, arguments)])
    return benchmark.main()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--repeats", "0"], "--repeats must be at least 1"),
        (["--images", "0"], "--images must be at least 1"),
        (["--images", "many"], "invalid int value"),
        (["--size", "299", "900"], "--size must be at least 300 pixels each way"),
        (["--decoder", "best"], "invalid choice: 'best'"),
    ],
)
def test_wrong_arguments_are_refused(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        benchmark.parse_arguments(arguments)
    assert caught.value.code == 2
    assert words in capsys.readouterr().err


def test_stage_figures_by_hand() -> None:
    """Medians of each stage; ``other_s`` is the median of 1 - 0.6, 2 - 0.8 and 3 - 1.8, not that of medians."""
    runs = [
        {"read": 0.1, "forward": 0.5, "total": 1.0},
        {"read": 0.2, "forward": 0.6, "total": 2.0},
        {"read": 0.3, "forward": 0.7, "refine": 0.8, "new": 0.4, "total": 3.0},
    ]
    figures = benchmark.stage_figures(runs)
    assert figures == pytest.approx(
        {"read_s": 0.2, "forward_s": 0.6, "total_s": 2.0, "refine_s": 0.0, "new_s": 0.0, "other_s": 1.2}
    )


def test_stages_are_those_that_the_prediction_reports(stub: Stub, tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    benchmark.write_image(path, 300, 700)
    seconds = benchmark.one_request(path, stub, "map", tmp_path)  # type: ignore[arg-type]
    assert list(seconds) == ["read", *SECONDS, "measure", "total"]
    assert {name: seconds[name] for name in SECONDS} == SECONDS
    assert 0 < seconds["read"] + seconds["measure"] <= seconds["total"]


def test_images_are_of_the_size_and_differ_by_seed(tmp_path: Path) -> None:
    images = []
    for number, seed in enumerate((7, 8, 7)):
        benchmark.write_image(tmp_path / f"{number}.png", 300, 700, seed)
        images.append(read_radiograph(tmp_path / f"{number}.png").pixels)
    assert images[0].shape == (700, 300)
    assert images[0].max() > 255
    np.testing.assert_array_equal(images[0], images[2])
    assert (images[0] != images[1]).mean() > 0.9


def test_a_run_tells_every_figure(
    stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "figures.json"
    assert run(monkeypatch, "--repeats", 2, "--images", 3, "--json", out) == 0
    figures: dict[str, Any] = json.loads(out.read_text())
    assert list(figures) == [
        *(f"{name}_s" for name in ("read", *SECONDS, "measure", "total", "other")),
        *("bare_forward_s", "images_per_s", "peak_memory_gb", "threads"),
    ]
    assert (figures["forward_s"], figures["refine_s"]) == (0.2, 0.1)
    assert figures["images_per_s"] > 0
    assert figures["peak_memory_gb"] > 0.01
    assert stub.bare == [(1, 1, 64, 32)] * 3
    assert len(stub.asked) == 1 + 2 + 3
    assert all((pixels == stub.asked[0]).all() for pixels in stub.asked[:4])  # the batch begins with the same image
    assert not any((pixels == stub.asked[0]).all() for pixels in stub.asked[4:])
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(figures)


def test_images_per_second_are_those_of_the_batch(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that goes on by a second whenever a request ends: three of the batch take 3 s."""
    now = 0.0

    def request(*_: object) -> dict[str, float]:
        nonlocal now
        now += 1
        return {"read": 0.1, "forward": 0.5, "total": 1.0}

    monkeypatch.setattr(benchmark, "one_request", request)
    monkeypatch.setattr(benchmark.time, "perf_counter", lambda: now)
    arguments = benchmark.parse_arguments(["--size", "300", "700", "--images", "3", "--repeats", "2"])
    assert benchmark.measure(arguments)["images_per_s"] == 1


def test_an_own_image_is_timed(stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    benchmark.write_image(tmp_path / "own.png", 310, 720)
    assert run(monkeypatch, "--image", tmp_path / "own.png", "--repeats", 1, "--images", 1) == 0
    assert [pixels.shape for pixels in stub.asked] == [(720, 310), (720, 310), (700, 300)]


def test_a_broken_image_is_named_without_a_traceback(
    stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    assert run(monkeypatch, "--image", tmp_path / "broken.png", "--images", 1) == 1
    said = capsys.readouterr().err
    assert said.startswith("benchmark: ")
    assert "broken.png" in said
