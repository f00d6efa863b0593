"""The publish gate, and the errors on labelled images that it compares."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from lib.image_io import Radiograph, UnreadableImageError
from lib.learning.codec import ABSENT, PRESENT
from lib.learning.data import IMAGE, LABEL
from lib.learning.prediction.predictor import LandmarkPredictor
from lib.learning.prediction.result import Prediction
from lib.server.training.publish_gate import ALWAYS, GATE, NEVER, decide, item_errors
from lib.spine.schema import Spine

OLD = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
UNSEEN = [False] * 5


@pytest.mark.parametrize(
    ("change", "publish", "is_passed", "is_published"),
    [
        pytest.param(-0.01, GATE, True, True, id="better"),
        pytest.param(0.0, GATE, True, True, id="equal"),
        pytest.param(0.01, GATE, False, False, id="worse"),
        pytest.param(0.01, ALWAYS, False, True, id="worse-and-wanted"),
        pytest.param(-0.01, NEVER, True, False, id="better-and-not-wanted"),
    ],
)
def test_the_gate_lets_through_what_did_not_get_worse(
    change: float, publish: str, is_passed: bool, is_published: bool
) -> None:
    gate = decide(OLD, OLD + change, UNSEEN, publish)
    assert (gate.is_passed, gate.is_published, gate.films) == (is_passed, is_published, 5)
    assert (gate.before, gate.after) == pytest.approx((0.3, 0.3 + change))
    assert gate.films_better == (5 if change < 0 else 0)
    assert not gate.is_weak
    asked = {(False, True): "it was asked to publish in any case.", (True, False): "asked to publish nothing."}
    assert gate.why.endswith(asked.get((is_passed, is_published), " after."))
    assert gate.to_dict()["unit"] == "steps"


def test_the_mean_decides_and_not_the_number_of_images() -> None:
    after = OLD + np.array([-0.01, -0.01, -0.01, -0.01, 0.5])
    gate = decide(OLD, after, UNSEEN, GATE)
    assert (gate.films_better, gate.is_passed) == (4, False)


def test_without_held_out_images_a_model_that_is_worse_on_training_images_is_held_back() -> None:
    better = decide(OLD, OLD - 0.05, [False] * 5, GATE, are_held_out=False)
    assert (better.is_passed, better.is_published, better.is_weak) == (True, True, True)
    assert better.why == (
        "No labelled image is held out; the error on 5 training images did not grow: mean 0.3000 steps before, 0.2500 "
        "after; images that it was trained on are a weak check."
    )
    broken = decide(OLD, OLD + 5, [True] * 5, GATE, are_held_out=False)
    assert (broken.is_passed, broken.is_published) == (False, False)
    assert "the error on 5 training images grew" in broken.why
    assert "earlier version" not in broken.why


@pytest.mark.parametrize("are_held_out", [True, False])
def test_what_was_not_measured_at_all_does_not_pass(are_held_out: bool) -> None:
    gate = decide(np.zeros(0), np.zeros(0), [], GATE, are_held_out=are_held_out)
    assert (gate.before, gate.after, gate.films, gate.is_passed, gate.is_published) == (None, None, 0, False, False)
    assert gate.is_weak


def test_few_images_and_earlier_training_images_are_a_weak_check() -> None:
    few = decide(OLD[:1], OLD[:1], [False], GATE)
    assert few.is_weak
    assert few.why == (
        "The error on 1 held-out image did not grow: mean 0.1000 steps before, 0.1000 after; so few images are a weak "
        "check."
    )
    seen = decide(OLD, OLD, [True, False, False, False, False], GATE)
    assert (seen.seen, seen.is_weak) == (1, True)
    assert "was trained on 1 of them" in seen.why


def test_images_that_the_served_model_cannot_predict_do_not_count() -> None:
    before, after = OLD + np.array([math.nan, 0, 0, 0, 0]), OLD + np.array([math.nan, 0, 0, 0, 0])
    gate = decide(before, after, [True, False, False, False, False], GATE)
    assert (gate.films, gate.seen, gate.before) == (4, 0, pytest.approx(0.35))


def test_a_trained_model_that_says_nothing_does_not_pass() -> None:
    assert not decide(OLD, OLD + np.array([math.nan, 0, 0, 0, 0]), UNSEEN, GATE).is_published


def test_unmeasurable_images_do_not_pass_the_gate() -> None:
    before = np.array([np.nan, np.nan, np.nan, 0.2])
    gate = decide(before, np.array([np.nan, np.nan, np.nan, 0.1]), [False] * 4, GATE)
    assert not gate.is_published
    assert gate.why == "Only 1 of 4 held-out images could be measured."
    gate = decide(np.full(8, np.nan), np.full(8, np.nan), [False] * 8, GATE)
    assert not gate.is_published
    assert gate.why == "Only 0 of 8 held-out images could be measured."
    assert decide(np.full(8, np.nan), np.full(8, np.nan), [False] * 8, ALWAYS).is_published


def test_networks_that_all_did_worse_by_their_own_measure_are_published_on_demand_alone() -> None:
    gate = decide(OLD, OLD - 0.01, UNSEEN, GATE, all_worse=True)
    assert (gate.is_passed, gate.is_published) == (False, False)
    assert "did not grow" in gate.why
    assert "yet every network did worse by its own measure" in gate.why
    assert decide(OLD, OLD - 0.01, UNSEEN, ALWAYS, all_worse=True).is_published


class FixedPredictor:
    """Predicts the same points for every image but a small one, as the app's predictor would."""

    def __init__(self, xy: np.ndarray) -> None:
        self.xy = xy

    def locate(self, radiograph: Radiograph) -> Prediction:
        """The points."""
        if radiograph.height < 300:
            raise UnreadableImageError("too small")
        return Prediction(Spine.from_arrays(self.xy), 1.0, "map", {}, radiograph.frame)


def item(folder: Path, xy: np.ndarray, state: np.ndarray, height: int = 320) -> dict[str, Any]:
    path = folder / f"{height}.png"
    Image.fromarray(np.zeros((height, 100), np.uint8)).save(path)
    return {IMAGE: str(path), LABEL: np.concatenate([xy, state], -1)}


def test_errors_are_steps_of_the_labelled_corners(tmp_path: Path, ladder: np.ndarray) -> None:
    """The ladder has a vertebra every 16 pixels."""
    present = np.full((17, 5, 1), PRESENT)
    centers_only = present.copy()
    centers_only[:, 1:] = ABSENT
    off = ladder + np.array([0.0, 4.0])
    off[:, 0] += [0.0, 4.0]  # centers are off by 8, corners by 4
    predictor = cast(LandmarkPredictor, FixedPredictor(off))
    items = [item(tmp_path, ladder, present), item(tmp_path, ladder, centers_only), item(tmp_path, ladder, present, 40)]
    assert item_errors(predictor, items) == pytest.approx([0.25, 0.5, np.nan], nan_ok=True)


def test_absent_vertebrae_do_not_count(tmp_path: Path, ladder: np.ndarray) -> None:
    state = np.full((17, 5, 1), PRESENT)
    state[5:] = ABSENT
    off = ladder.copy()
    off[:5, 1:] += [3.2, 0.0]
    off[5:] += 1000.0
    assert item_errors(cast(LandmarkPredictor, FixedPredictor(off)), [item(tmp_path, ladder, state)]) == pytest.approx(
        [0.2]
    )
