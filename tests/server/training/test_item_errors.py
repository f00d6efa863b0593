"""How far off the whole prediction is on labelled images."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image

from lib.image_io import Radiograph, UnreadableImageError
from lib.learning.codec import ABSENT, PRESENT
from lib.learning.data.transforms import IMAGE, LABEL
from lib.learning.prediction.predictor import LandmarkPredictor
from lib.learning.prediction.result import Prediction
from lib.server.training.publish_gate import item_errors
from lib.spine.schema import Spine


class Says:
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
    predictor = cast(LandmarkPredictor, Says(off))
    items = [item(tmp_path, ladder, present), item(tmp_path, ladder, centers_only), item(tmp_path, ladder, present, 40)]
    assert item_errors(predictor, items) == pytest.approx([0.25, 0.5, np.nan], nan_ok=True)


def test_absent_vertebrae_do_not_count(tmp_path: Path, ladder: np.ndarray) -> None:
    state = np.full((17, 5, 1), PRESENT)
    state[5:] = ABSENT
    off = ladder.copy()
    off[:5, 1:] += [3.2, 0.0]
    off[5:] += 1000.0
    assert item_errors(cast(LandmarkPredictor, Says(off)), [item(tmp_path, ladder, state)]) == pytest.approx([0.2])
