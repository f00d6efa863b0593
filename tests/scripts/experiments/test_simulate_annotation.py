"""``scripts/simulate_annotation.py clicks``: a person who corrects the worst point, and what that amounts to."""

from __future__ import annotations

import csv
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from experiments.annotation import click_figures, clicks, command
from lib.image_io import Radiograph
from lib.learning.config import DEFAULT_WEIGHTS_FILE
from lib.learning.decoders import FixedLandmarks
from lib.learning.models.landmark_net import Maps
from lib.learning.prediction.network_view import NetworkView
from lib.learning.prediction.request import PredictionRequest
from lib.learning.prediction.result import Prediction
from lib.learning.prediction.upright import AS_STORED, UprightImage
from lib.learning.uncertainty.error_model import ErrorModel
from lib.spine.schema import Spine

MODEL = ErrorModel(((0.01, 0.02), (0.1, 0.2)), ((0.01, 0.01), (0.1, 0.1)), 0.0, 0.0, 1.0, 3.0)
MAPS = Maps(
    torch.arange(17.0).reshape(1, 17, 1, 1).expand(1, 17, 2, 2), torch.zeros(1, 2, 2, 2), torch.zeros(1, 8, 2, 2)
)


@dataclasses.dataclass
class Limits:
    """What is switched."""

    propagation: bool = True


class Stub:
    """Finds a spine with some points off; names go by what channel 1 of the maps holds; fixed points stay."""

    def __init__(self, points: np.ndarray) -> None:
        self.points, self.error_model, self.limits = points, MODEL, Limits()
        self.asked: list[FixedLandmarks] = []

    def __call__(self, weights: Path, device: object) -> Stub:
        """In the place of the predictor's class."""
        return self

    @staticmethod
    def fail() -> Any:
        """Computing the view again would be wrong: it was computed at the start."""
        raise AssertionError

    def run_network(self, radiograph: Radiograph) -> tuple[UprightImage, NetworkView]:
        """The same of every image."""
        return UprightImage(radiograph, AS_STORED), NetworkView(MAPS, np.eye(3), 0.5)

    def predict(self, radiograph: Radiograph, request: PredictionRequest) -> Prediction:
        """A fixed point that is far off repairs the names; with propagation the other corners come halfway."""
        fixed = request.fixed
        self.asked.append(fixed)
        assert request.cache is not None
        _, view = request.cache.best_view(self.fail)
        level = 0 if fixed.mask.any() else int(view.maps.heatmap[0, 8, 0, 0]) - 8
        points = self.points + np.array([0.0, 16.0 * level])
        if self.limits.propagation and fixed.mask.any():
            points = points - (self.points - TRUTH) / 2
        spine = Spine.from_arrays(fixed.applied_to(points), errors=np.full((17, 5), 1.6))
        return Prediction(spine, 0.5, "map", {}, radiograph.frame)


TRUTH = np.empty(0)


@pytest.fixture
def stub(ladder: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> Stub:
    """Off by up to 3 px, and by 5 px at T3 BR."""
    monkeypatch.setattr(sys.modules[__name__], "TRUTH", ladder)
    off = np.random.default_rng(0).uniform(-2, 2, ladder.shape)
    off[2, 4] = (3.0, 4.0)
    stub = Stub(ladder + off)
    monkeypatch.setattr(clicks, "LandmarkPredictor", stub)
    return stub


def start(ladder: np.ndarray, stub: Stub) -> clicks.Start:
    """An image of which nothing was changed."""
    radiograph = Radiograph(np.zeros((300, 100), np.uint8))
    image, view = stub.run_network(radiograph)
    return clicks.Start("image.png", 0, radiograph, image.turn, view, ladder)


def test_the_worst_point_is_put_where_it_belongs(ladder: np.ndarray, stub: Stub) -> None:
    rows = list(clicks.correct(start(ladder, stub), stub, 0.0, False, 3, 0))  # type: ignore[arg-type]
    error = np.linalg.norm(stub.points - ladder, axis=-1)
    assert [row.clicks for row in rows] == [0, 1, 2, 3]
    assert [row.point for row in rows[:2]] == ["", "T3 BR"]
    assert rows[0].corner_px == pytest.approx(error[:, 1:].mean())
    assert rows[1].corner_px == pytest.approx((error[:, 1:].sum() - 5) / 68)
    assert rows[0].corner_steps == pytest.approx(rows[0].corner_px / 16)
    assert not rows[0].is_gross
    worst = np.unravel_index(np.argsort(-error.ravel())[:3], error.shape)
    expected = np.zeros((17, 5), dtype=bool)
    expected[worst] = True
    np.testing.assert_array_equal(stub.asked[-1].mask, expected)
    np.testing.assert_array_equal(stub.asked[-1].xy[expected], ladder[expected])


def test_a_person_who_misses_does_so_by_the_noise(ladder: np.ndarray, stub: Stub) -> None:
    off = []
    for seed in range(100):
        list(clicks.correct(start(ladder, stub), stub, 2.0, True, 1, seed))  # type: ignore[arg-type]
        off.append(stub.asked[-1].xy[2, 4] - ladder[2, 4])
    assert np.isfinite(off).all()
    assert np.std(off) == pytest.approx(2.0, abs=0.4)
    assert np.mean(off) == pytest.approx(0.0, abs=0.5)


@pytest.mark.parametrize("by", [-1, 1])
def test_names_are_moved_in_the_maps(ladder: np.ndarray, stub: Stub, by: int) -> None:
    """Channel v shows what channel v + 1 showed: T8 is said of the body that is T9."""
    moved = start(ladder, stub).shifted(by)
    heatmap = moved.view.maps.heatmap[0, :, 0, 0].numpy()
    np.testing.assert_array_equal(heatmap[1:16], np.arange(1, 16) + by)
    rows = list(clicks.correct(moved, stub, 0.0, False, 1, 0))  # type: ignore[arg-type]
    assert rows[0].is_gross
    assert (rows[0].name_shift, rows[1].name_shift) == (by, 0)


def test_everything_is_written(
    folders: Any, stub: Stub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three images are clean and taken for held out; the table has 11 counts of each and 3 of each with moved names."""
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(
        clicks, "folds", lambda records, count=5: [n % 2 if count == 2 else 0 for n in range(len(records))]
    )
    output = tmp_path / "out"
    held_out = DEFAULT_WEIGHTS_FILE.with_name("vertebra_landmarks_fold0.pt")
    given = ["--data", str(folders.data), "--weights", str(held_out), "--output", str(output)]
    monkeypatch.setattr(sys, "argv", ["x", "clicks", *given])
    assert command.main() == 0
    with (output / clicks.CSV).open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 3 * 4 * (11 + 2 * 3)
    found = json.loads((output / clicks.FIGURES).read_text())
    one = next(row for row in found if (row["group"], row["noise_px"], row["clicks"]) == ("elsewhere", 0.0, 1))
    assert one["starts"] == 3
    assert one["corner_px"] < one["without_px"]
    assert one["gain_px"] == pytest.approx(one["without_px"] - one["corner_px"])
    assert (output / clicks.PLOT).stat().st_size > 10_000
    assert "names moved by one, clicks off by 2 px" in capsys.readouterr().out


def test_intervals_are_drawn_by_image() -> None:
    """Ten copies of each of two images are two images."""
    values, images = np.repeat([0.0, 1.0], 10), np.repeat(["a", "b"], 10)
    assert click_figures.interval(values, images, 0) == (0.0, 1.0)
    low, high = click_figures.interval(np.full(5, 3.0), np.arange(5), 0)
    assert (low, high) == (3.0, 3.0)


def test_images_that_were_trained_on_are_refused(
    folders: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    pytest.importorskip("matplotlib")
    arguments = ["x", "clicks", "--data", str(folders.data), "--fold", "1", "--output", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", arguments)
    assert command.main() == 1
    assert "was trained on fold 1" in capsys.readouterr().err
