"""``scripts/teacher_labels.py``: what it asks and what it writes."""

from __future__ import annotations

import csv
import sys
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

import teacher_labels
from lib.image_io import Radiograph, read_radiograph
from lib.learning.codec import PRESENT, STATE
from lib.learning.data.synthetic import padded
from lib.learning.models.corner_net import CornerNet
from lib.learning.prediction.request import PredictionCache, PredictionRequest
from lib.learning.training.teaching.teacher import IMAGES_FILE, TeacherPrediction, read_taught_labels, read_teacher
from lib.learning.training.teaching.unnamed_images import UnnamedImage
from lib.learning.weights.provenance import AASCE, TrainedOn, init_facts, stated
from lib.learning.weights.weight_files import CornerWeights, load_weights, save_weights

from ..toy_model import PATCH, write_weights

FACTS = {"data": AASCE, "fold": 0}
OTHERS = TrainedOn(frozenset({0}), frozenset(), True, frozenset({"aa"}), frozenset({"spines"}))
"""What the corner network began with."""


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

    torch.manual_seed(0)
    corners = {**FACTS, "boxed_radiographs": 3, "boxes_fold": 2, "init": init_facts("0123", OTHERS)}
    weights = tmp_path / "toy.pt"
    begun = load_weights(write_weights(weights, facts=FACTS))
    refiner = CornerWeights(CornerNet(PATCH).state_dict(), PATCH, corners)
    save_weights(weights, begun.state, begun.config, begun.facts, begun.prior, refiner)
    monkeypatch.setattr(teacher_labels, "LandmarkPredictor", Predictor)
    monkeypatch.setattr(teacher_labels, "predictions_of", predictions)
    output = tmp_path / "taught"
    arguments = ["--boxes", folders.boxes, "--output", output, "--device", "cpu", "--weights", weights]
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
    assert rows["film_001.png"]["model_folds"] == "0 1 2 3 4"  # by both networks
    assert rows["film_001.png"]["model_box_folds"] == "0 1 3 4"
    teacher = stated(read_teacher(run))
    assert (teacher.folds, teacher.box_folds) == (frozenset(range(5)), frozenset({0, 1, 3, 4}))
    assert (teacher.is_known, teacher.images, teacher.data_sets) == (True, {"aa"}, {"spines"})
    assert rows["film_011.png"]["named"] == "0"
    assert rows["film_011.png"]["kept"] == ""
    assert rows["film_011.png"]["reason"] == "10 of 15 marks are matched"
    assert ("boxes", "film_011.png") not in taught


class Spots:
    """In the place of the model: all points lie where it is brightest."""

    def predict(self, radiograph: Radiograph, request: PredictionRequest) -> SimpleNamespace:
        """Where a square of 7 pixels is brightest."""
        bright = ndimage.uniform_filter(radiograph.pixels.astype(float), 7)
        y, x = np.unravel_index(int(bright.argmax()), bright.shape)
        return SimpleNamespace(spine=SimpleNamespace(xy=np.full((17, 5, 2), (x, y), float)), spine_score=0.9)

    def run_network(self, radiograph: Radiograph, cache: PredictionCache) -> tuple[SimpleNamespace, SimpleNamespace]:
        """The image is upright, and one heatmap is for all names."""
        return SimpleNamespace(matrix=np.eye(3)), SimpleNamespace(scores_at=lambda xy: np.zeros((1, len(xy))))


@pytest.mark.parametrize("name", ["a.png", "b.png"])
def test_a_prediction_in_a_larger_field_is_in_pixels_of_the_image(tmp_path: Path, name: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 120, (300, 120), dtype=np.uint8)
    pixels[200:207, 40:47] = 255
    Image.fromarray(pixels).save(tmp_path / name)
    radiograph = read_radiograph(tmp_path / name)
    assert padded(radiograph, zlib.crc32(name.encode()))[1].any()
    image = UnnamedImage(tmp_path / name, np.zeros((2, 2)), None)
    for found in teacher_labels.predictions_of(image, Spots()):  # type: ignore[arg-type]
        np.testing.assert_array_equal(found.xy, np.full((17, 5, 2), (43.0, 203.0)))
        assert (found.score, found.lead) == (0.9, 0.0)


@pytest.mark.parametrize("words", [(), ("--quads", "DIR", "--count", "0")])
def test_a_source_and_a_count_are_needed(words: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        teacher_labels.parse_arguments(["--output", str(tmp_path), *words])
