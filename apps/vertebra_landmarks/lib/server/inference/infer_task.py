"""The inference task ``vertebra_landmarks``."""

from __future__ import annotations

import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from fastapi import HTTPException
from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType

from ...image_io import Radiograph, UnreadableImageError, read_radiograph
from ...learning.decoders import FixedLandmarks
from ...learning.models.devices import choose_device
from ...learning.prediction.predictor import LandmarkPredictor, NoSpineError
from ...learning.prediction.request import PredictionCache, PredictionRequest
from ...learning.prediction.result import Prediction
from ...spine.labels.markups import SUFFIX, write_markups
from ...spine.schema import POINTS, SCHEMA_VERSION, VERTEBRAE
from ..models import FileSignature, ModelStore, file_signature
from ..store.images import STATED_SIDE
from .image_cache import CachedImage, ImageCache
from .infer_request import InferRequest
from .response import ModelInfo, prediction_response, read_model_info

logger = logging.getLogger(__name__)

MODEL = "vertebra_landmarks"
BAD_PARAMETER, UNREADABLE, NO_SPINE = 400, 415, 422


class _LoadedModel(NamedTuple):
    """The served weights, loaded."""

    signature: FileSignature
    predictor: LandmarkPredictor
    info: ModelInfo


class VertebraLandmarksInfer(InferTask):
    """Predicts the 85 landmarks of one radiograph, as JSON and as a Markups file.

    Newly published weights are loaded before the next request. Network output of recent images is cached, so that
    corrections are fast.

    Args:
        models: says which weights are served.
        device: auto, cpu or cuda.
    """

    def __init__(self, models: ModelStore, device: str) -> None:
        super().__init__(
            type=InferType.DETECTION,
            labels=list(VERTEBRAE),
            dimension=2,
            description="17 centers and 68 corners of T1 to L5 on an anteroposterior spine radiograph",
            config={"label_extension": SUFFIX, **InferRequest.defaults()},
        )
        self._models = models
        self._device = choose_device(device)
        self._lock = threading.Lock()
        self._loaded: _LoadedModel | None = None
        self._cache = ImageCache()

    def is_valid(self) -> bool:
        """Whether the served weight file exists."""
        return self._models.served.is_file()

    def get_path(self, validate: bool = True) -> str | None:
        """The weight file; ``None`` when ``validate`` and it is missing."""
        return None if validate and not self.is_valid() else str(self._models.served)

    def info(self) -> dict[str, Any]:
        """MONAI Label's description of the task, with that of the model."""
        model = self._served().info
        return {
            **super().info(),
            "schema_version": SCHEMA_VERSION,
            "model_version": model.version,
            "errors_measured": model.errors_measured,
            "model": model.landmarks,
            "second_network": model.corners,
        }

    @property
    def model_version(self) -> str:
        """Display name of the served version, see ``models.version_name``."""
        return self._served().info.version

    @property
    def model_key(self) -> str:
        """Digest that identifies the served weights, with or without a version."""
        return self._served().info.digest

    @property
    def predictor(self) -> LandmarkPredictor:
        """Predictor of the served weights."""
        return self._served().predictor

    def _served(self) -> _LoadedModel:
        with self._lock:
            weights = self._models.served
            signature = file_signature(weights)
            if self._loaded is None or self._loaded.signature != signature:
                logger.info("Loading the model")
                predictor = LandmarkPredictor(weights, self._device)
                self._loaded = _LoadedModel(signature, predictor, read_model_info(weights))
            return self._loaded

    def __call__(self, request: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Predict.

        Args:
            request: ``image`` is the path of the radiograph, ``STATED_SIDE`` its ``StatedSide`` or ``None``; the rest
                as in ``InferRequest``.

        Returns:
            A temporary Markups file, which the caller deletes, and the response.

        Raises:
            HTTPException: 400 for a bad parameter, 415 where the image cannot be read, 422 where it shows no spine.
        """
        return self._predict(request, self._cache.load)

    def read(self, path: Path) -> Radiograph:
        """An image in work, from the cache where its file has not changed.

        Raises:
            UnreadableImageError: it cannot be read.
        """
        return self._cache.load(path).radiograph

    def predict_uncached(self, request: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Predict in the background, without touching the image cache."""
        return self._predict(request, lambda path: CachedImage(read_radiograph(path)))

    def _predict(self, request: dict[str, Any], load: Callable[[Path], CachedImage]) -> tuple[str, dict[str, Any]]:
        begin = time.perf_counter()
        try:
            params = InferRequest.parse(request)
        except ValueError as error:
            raise HTTPException(BAD_PARAMETER, detail=str(error)) from error
        try:
            image = load(Path(request["image"]))
            radiograph = image.radiograph
            read_s = time.perf_counter() - begin
            _check_inside(params.fixed, radiograph)
            image.is_corrected = image.is_corrected or bool(params.fixed.mask.any())
            weights, predictor, model = self._served()
            cache = image.output_of(weights) or PredictionCache()
            image.store_output(weights, cache)
            prediction = predictor.predict(radiograph, PredictionRequest(params.decoder, params.fixed, cache))
        except UnreadableImageError as error:
            raise HTTPException(UNREADABLE, detail=str(error)) from error
        except NoSpineError as error:
            raise HTTPException(NO_SPINE, detail=str(error)) from error
        file = _temporary_markups(prediction, radiograph)
        timings_s = {"read": read_s, **prediction.seconds, "total": time.perf_counter() - begin}
        response = prediction_response(prediction, radiograph, request.get(STATED_SIDE), params.min_score, timings_s)
        return file, {**response, **model.as_response()}


def _check_inside(fixed: FixedLandmarks, radiograph: Radiograph) -> None:
    """Raise unless fixed landmarks lie on the image, or beside it by less than its size."""
    size = np.array([radiograph.width, radiograph.height])
    is_far = fixed.mask & ((fixed.xy < -size) | (fixed.xy > 2 * size)).any(-1)
    for v, p in np.argwhere(is_far):
        x, y = fixed.xy[v, p]
        raise HTTPException(
            BAD_PARAMETER,
            detail=f"fixed: {VERTEBRAE[v]} {POINTS[p]} at [{x:g}, {y:g}] is far outside the image of "
            f"{radiograph.width} x {radiograph.height} pixels",
        )


def _temporary_markups(prediction: Prediction, radiograph: Radiograph) -> str:
    handle, file = tempfile.mkstemp(prefix="landmarks_", suffix=SUFFIX)
    os.close(handle)
    write_markups(Path(file), prediction.spine, radiograph.geometry)
    return file
