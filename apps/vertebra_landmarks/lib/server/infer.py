"""The inference task ``vertebra_landmarks``."""

from __future__ import annotations

import logging
import os
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from fastapi import HTTPException
from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType

from ..learning.devices import choose_device
from ..learning.prediction import DECODER, LandmarkPredictor, NoSpineError, Prediction
from ..learning.reading import Radiograph, UnreadableImageError, read_radiograph
from ..spine.markups import SUFFIX, label_of, write_markups
from ..spine.schema import SCHEMA_VERSION, VERTEBRAE
from .config import ServerConfig

logger = logging.getLogger(__name__)

UNREADABLE, NO_SPINE = 415, 422


class VertebraLandmarksInfer(InferTask):
    """Finds the 85 landmarks of one radiograph and returns them as JSON and as a Markups file.

    A weight file that changes on disk is loaded again before the next request.

    Args:
        config: device and weight file.
    """

    def __init__(self, config: ServerConfig) -> None:
        super().__init__(
            type=InferType.DETECTION,
            labels=list(VERTEBRAE),
            dimension=2,
            description="17 centers and 68 corners of T1 to L5 on an anteroposterior spine radiograph",
            config={"label_extension": SUFFIX},
        )
        self._weights = config.weights
        self._device = choose_device(config.device)
        self._lock = threading.Lock()
        self._loaded: tuple[float, LandmarkPredictor] | None = None

    def is_valid(self) -> bool:
        """Whether there is a model to use."""
        return self._weights.is_file()

    def get_path(self, validate: bool = True) -> str | None:
        """The weight file; ``None`` when ``validate`` and it is missing."""
        return None if validate and not self.is_valid() else str(self._weights)

    def info(self) -> dict[str, Any]:
        """MONAI Label's facts about the task and ours about the model."""
        return {**super().info(), "schema_version": SCHEMA_VERSION, "model": self._predictor().facts}

    def _predictor(self) -> LandmarkPredictor:
        changed = self._weights.stat().st_mtime
        with self._lock:
            if self._loaded is None or self._loaded[0] != changed:
                logger.info("Loading %s", self._weights.name)
                self._loaded = changed, LandmarkPredictor(self._weights, self._device)
            return self._loaded[1]

    def __call__(self, request: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Predict.

        Args:
            request: ``image`` is the path of the radiograph.

        Returns:
            A temporary Markups file, which the caller deletes, and the answer.

        Raises:
            HTTPException: 415 where the image cannot be read, 422 where it shows no spine.
        """
        begin = time.perf_counter()
        path = Path(request["image"])
        try:
            radiograph = read_radiograph(path)
            read = time.perf_counter() - begin
            prediction = self._predictor().predict(radiograph)
        except UnreadableImageError as error:
            raise HTTPException(UNREADABLE, detail=str(error)) from error
        except NoSpineError as error:
            raise HTTPException(NO_SPINE, detail=str(error)) from error
        file = _temporary_markups(prediction, radiograph)
        seconds = {"read": read, **prediction.seconds, "total": time.perf_counter() - begin}
        return file, _answer(prediction, radiograph, seconds)


def _temporary_markups(prediction: Prediction, radiograph: Radiograph) -> str:
    handle, file = tempfile.mkstemp(prefix="landmarks_", suffix=SUFFIX)
    os.close(handle)
    write_markups(Path(file), prediction.spine, radiograph.spacing)
    return file


def _answer(prediction: Prediction, radiograph: Radiograph, seconds: dict[str, float]) -> dict[str, Any]:
    landmarks = [
        {"name": label_of(vertebra, point), "x": landmark.x, "y": landmark.y, "score": landmark.score}
        for vertebra, point, landmark in prediction.spine.points()
        if landmark is not None
    ]
    image = {
        "width": radiograph.width,
        "height": radiograph.height,
        "spacing": list(radiograph.spacing),
        "spacing_source": radiograph.spacing_source,
    }
    return {
        "landmarks": landmarks,
        "image": image,
        "decoder": DECODER,
        "spine_score": prediction.spine_score,
        "schema_version": SCHEMA_VERSION,
        "timings": {name: round(value, 4) for name, value in seconds.items()},
    }
