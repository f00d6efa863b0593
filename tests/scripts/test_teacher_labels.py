"""``scripts/teacher_labels.py``: what it asks and what it writes."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import teacher_labels
from lib.image_io import Radiograph
from lib.learning.codec import PRESENT, STATE
from lib.learning.prediction.predictor import LandmarkPredictor
from lib.learning.training.teaching.teacher import IMAGES_FILE, TeacherPrediction, read_taught_labels
from lib.learning.training.teaching.unnamed_images import UnnamedImage

from ..toy_model import tiny_preset, write_weights


class Predictor:
    """In the place of the model."""

    class limits:  # an attribute of the predictor
        """What is asked of the configuration."""

        min_spine_score = 0.25

    def __init__(self, *_: object) -> None:
        pass


@pytest.fixture
def run(folders: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ladder: np.ndarray) -> Path:
    """The folder written for two images, on the second of which the model is off below the tenth body."""

    def predictions(image: UnnamedImage, _: object) -> tuple[TeacherPrediction, TeacherPrediction]:
        xy = ladder.copy()
        if image.path.name == "film_011.png":
            xy[10:] += np.array([0.0, 9.0])
        return TeacherPrediction(xy, 0.9, 30.0), TeacherPrediction(xy, 0.9, 30.0)

    monkeypatch.setattr(teacher_labels, "LandmarkPredictor", Predictor)
    monkeypatch.setattr(teacher_labels, "predictions_of", predictions)
    output = tmp_path / "taught"
    arguments = ["--boxes", folders.boxes, "--output", output, "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", ["teacher_labels.py", *map(str, arguments)])
    assert teacher_labels.main() == 0
    return output


def test_images_are_kept_or_left_out_with_a_reason(run: Path) -> None:
    taught = read_taught_labels(run)
    label, kept = taught["boxes", "film_001.png"]
    assert kept == "points"
    assert (label[:16, :, STATE] == PRESENT).sum() >= 15 * 5
    with (run / IMAGES_FILE).open(newline="", encoding="utf-8") as stream:
        rows = {row["image"]: row for row in csv.DictReader(stream)}
    assert rows["film_001.png"]["reason"] == ""
    assert rows["film_001.png"]["model_folds"]
    assert rows["film_011.png"]["named"] == "0"
    assert rows["film_011.png"]["kept"] == ""
    assert rows["film_011.png"]["reason"] == "10 of 15 marks are matched"
    assert ("boxes", "film_011.png") not in taught


def test_a_prediction_in_a_larger_field_is_in_pixels_of_the_image(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (300, 120), dtype=np.uint8)
    with tiny_preset():
        predictor = LandmarkPredictor(write_weights(tmp_path / "toy.pt"), torch.device("cpu"))
    found = teacher_labels.predict(Radiograph(pixels), predictor, np.zeros(2))
    moved = teacher_labels.predict(Radiograph(pixels), predictor, np.array([5.0, 7.0]))
    np.testing.assert_allclose(found.xy - moved.xy, np.broadcast_to([5.0, 7.0], found.xy.shape))
    assert found.score > 0.25
    assert np.isfinite(found.lead)
    assert found.lead == moved.lead


@pytest.mark.parametrize("words", [(), ("--quads", "DIR", "--count", "0")])
def test_a_source_and_a_count_are_needed(words: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        teacher_labels.parse_arguments(["--output", str(tmp_path), *words])
