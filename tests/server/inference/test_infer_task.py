"""The inference task, with a stub for the networks."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import HTTPException
from PIL import Image

from lib.image_io import Radiograph
from lib.learning.config import DEFAULT_WEIGHTS_FILE
from lib.learning.prediction.predictor import NoSpineError
from lib.learning.prediction.request import PredictionRequest
from lib.learning.prediction.result import Prediction
from lib.server.inference import infer_task
from lib.server.inference.infer_task import VertebraLandmarksInfer
from lib.server.models import ModelStore
from lib.server.store.images import StatedSide
from lib.spine.labels.markups import read_markups
from lib.spine.measurement.image_warnings import measurement_warnings
from lib.spine.schema import Spine

ERRORS = 1 + np.arange(85.0).reshape(17, 5) / 8
ERRORS[11, 0] = np.nan  # the center of T12, as if a person had put it there
WIDTHS = np.full(17, 3.0)


class Stub:
    """Sees the same straight spine on every image but black ones."""

    def __init__(self, xy: np.ndarray) -> None:
        self.xy, self.is_calibrated, self.looks = xy, True, 0

    def __call__(self, weights: Path, device: object) -> Stub:
        """In the place of the predictor's class."""
        return self

    def _see(self) -> Any:
        self.looks += 1
        return object(), object()

    def predict(self, radiograph: Radiograph, request: PredictionRequest) -> Prediction:
        """The spine."""
        assert request.cache is not None
        request.cache.best_view(self._see)
        if not radiograph.pixels.any():
            raise NoSpineError("no spine was found")
        about = 0.75, request.decoder, {"forward": 0.5}, radiograph.frame
        if not self.is_calibrated:
            return Prediction(Spine.from_arrays(self.xy), *about)
        spine = Spine.from_arrays(self.xy, errors=ERRORS).cut_to(radiograph.width, radiograph.height)
        warnings = measurement_warnings(spine, radiograph.frame)
        return Prediction(spine, *about, names_right=0.9375, tilt_half_widths=WIDTHS, warnings=warnings)


@pytest.fixture
def stub(ladder: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> Stub:
    """The predictor that the task gets."""
    stub = Stub(ladder)
    monkeypatch.setattr(infer_task, "LandmarkPredictor", stub)
    return stub


@pytest.fixture
def task(stub: Stub, tmp_path: Path) -> VertebraLandmarksInfer:
    """The task on a folder without trained weights."""
    return VertebraLandmarksInfer(ModelStore(tmp_path, DEFAULT_WEIGHTS_FILE), "cpu")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """An image of 100 x 300 pixels."""
    Image.new("L", (100, 300), 99).save(tmp_path / "image.png")
    return tmp_path / "image.png"


def ask(task: VertebraLandmarksInfer, image: Path, **params: Any) -> tuple[Spine, dict[str, Any]]:
    """What the file holds, and the answer."""
    file, answer = task({"image": str(image), **params})
    spine = read_markups(Path(file))
    Path(file).unlink()
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer
    return spine, answer


def test_every_landmark_has_its_expected_error(task: VertebraLandmarksInfer, image: Path) -> None:
    spine, answer = ask(task, image)
    errors = [landmark["error_px"] for landmark in answer["landmarks"]]
    assert errors == [None if np.isnan(error) else error for error in ERRORS.ravel()]
    assert answer["landmarks"][55]["name"] == "T12"
    assert answer["landmarks"][55]["error_px"] is None
    np.testing.assert_allclose(spine.errors, ERRORS)


def test_the_response_has_the_uncertainty_of_names_and_angles(task: VertebraLandmarksInfer, image: Path) -> None:
    """Both ends of an angle have 3 degrees, so it has 3 times the root of 2."""
    answer = ask(task, image)[1]
    assert answer["names_right"] == 0.9375
    assert [curve["half_width_deg"] for curve in answer["cobb"]["curves"]] == pytest.approx([3 * 2**0.5])


def test_a_model_without_error_model_responds_with_null_errors(
    task: VertebraLandmarksInfer, stub: Stub, image: Path
) -> None:
    told = ask(task, image)[1]
    stub.is_calibrated = False
    spine, answer = ask(task, image)
    assert set(answer) == set(told)
    assert {landmark["error_px"] for landmark in answer["landmarks"]} == {None}
    assert answer["names_right"] is None
    assert [curve["half_width_deg"] for curve in answer["cobb"]["curves"]] == [None]
    assert np.isnan(spine.errors).all()


def test_an_error_hides_no_landmark(task: VertebraLandmarksInfer, image: Path) -> None:
    """Visible is what has the score, however far off it may be."""
    answer = ask(task, image, min_score=1.0)[1]
    assert all(landmark["visible"] for landmark in answer["landmarks"])


def test_background_predictions_do_not_touch_the_image_cache(task: VertebraLandmarksInfer, image: Path) -> None:
    file, answer = task.predict_uncached({"image": str(image)})
    Path(file).unlink()
    assert len(answer["landmarks"]) == 85
    assert len(task._cache) == 0
    ask(task, image)
    assert len(task._cache) == 1


def test_the_other_parts_of_the_response(task: VertebraLandmarksInfer, image: Path) -> None:
    answer = ask(task, image, decoder="parallel")[1]
    assert set(answer) == {
        "landmarks", "cobb", "names_right", "anatomy", "image", "decoder", "spine_score", "schema_version", "timings",
        "tilt_half_widths_deg", "model_version", "model_digest", "errors_measured", "orientation", "warnings",
    }  # fmt: skip
    assert set(answer["landmarks"][0]) == {"name", "x", "y", "score", "error_px", "visible"}
    assert (answer["decoder"], answer["spine_score"], answer["schema_version"]) == ("parallel", 0.75, 1)
    assert set(answer["timings"]) == {"read", "forward", "total"}
    assert answer["timings"]["forward"] == 0.5
    known = task.info()
    assert answer["model_version"] == known["model_version"] == "0"
    assert answer["errors_measured"] is known["errors_measured"] is not None
    assert (answer["image"]["width"], answer["image"]["height"]) == (100, 300)


def test_the_network_runs_once_per_image_and_weights(stub: Stub, image: Path, tmp_path: Path) -> None:
    weights = Path(shutil.copy(DEFAULT_WEIGHTS_FILE, tmp_path / "weights.pt"))
    task = VertebraLandmarksInfer(ModelStore(tmp_path, weights), "cpu")
    for _ in range(2):
        ask(task, image)
        ask(task, image, fixed={"T1": {"center": [50, 20]}})
    assert stub.looks == 1
    Image.new("L", (100, 300), 98).save(image)
    ask(task, image)
    assert stub.looks == 2
    os.utime(weights, ns=(0, 0))
    ask(task, image)
    assert stub.looks == 3


@pytest.mark.parametrize(
    ("value", "params", "status", "words"),
    [
        (0, {}, 422, "no spine was found"),
        (99, {"decoder": "best"}, 400, "decoder must be one of"),
        (99, {"fixed": {"T1": {"center": [9000, 1]}}}, 400, "far outside the image of 100 x 300 pixels"),
        (None, {}, 415, "image.png"),
    ],
    ids=["black", "decoder", "fixed", "text"],
)
def test_errors_have_a_status_and_a_sentence(
    task: VertebraLandmarksInfer, tmp_path: Path, value: int | None, params: dict[str, Any], status: int, words: str
) -> None:
    path = tmp_path / "image.png"
    if value is None:
        path.write_text("not an image")
    else:
        Image.new("L", (100, 300), value).save(path)
    with pytest.raises(HTTPException) as caught:
        task({"image": str(path), **params})
    assert caught.value.status_code == status
    assert words in str(caught.value.detail)


def test_points_off_the_image_are_not_visible_and_warned_of(task: VertebraLandmarksInfer, tmp_path: Path) -> None:
    Image.new("L", (100, 240), 99).save(tmp_path / "cut.png")  # L3, centered on row 244, and what lies below are off
    spine, answer = ask(task, tmp_path / "cut.png")
    hidden = {landmark["name"].split()[0] for landmark in answer["landmarks"] if not landmark["visible"]}
    assert hidden == {"L3", "L4", "L5"}
    assert all(np.isfinite([landmark["x"], landmark["y"]]).all() for landmark in answer["landmarks"])
    assert not spine.visible[14:].any()
    off = [warning for warning in answer["warnings"] if warning["code"] == "bodies_off_image"]
    assert [(warning["vertebrae"], warning["message"].split(":")[0]) for warning in off] == [
        (["L3", "L4", "L5"], "L3 to L5 lie off the image")
    ]
    assert answer["orientation"] == {"turn_deg": 0, "mirrored": False, "source": "not stated"}
    assert all(isinstance(curve["open_ends"], list) for curve in answer["cobb"]["curves"])


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_side_that_a_person_stated_counts_where_the_file_says_nothing(
    task: VertebraLandmarksInfer, image: Path, side: str
) -> None:
    answer = ask(task, image, stated_side=StatedSide(side, "ada", 1, ""))[1]
    assert answer["cobb"]["sides_of"] == "patient"
    assert (answer["image"]["image_left_is"], answer["image"]["image_left_is_source"]) == (side, "stated by a person")
    unknown = ask(task, image)[1]
    assert (unknown["cobb"]["sides_of"], unknown["image"]["image_left_is"]) == ("image", None)
