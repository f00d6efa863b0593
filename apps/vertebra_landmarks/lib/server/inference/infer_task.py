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
from ...spine.imaging.image_frame import ImageFrame
from ...spine.labels.markups import SUFFIX, label_of, write_markups
from ...spine.measurement.report import anatomy_report, cobb_report
from ...spine.schema import POINTS, SCHEMA_VERSION, VERTEBRAE
from ..active_learning.prelabel_worker import MODEL_VERSION
from ..models import ModelStore, Stamp, stamp
from .image_cache import OpenFilm, OpenFilms
from .image_info import image_facts
from .infer_request import InferRequest
from .model_info import ModelFacts, read_model_facts
from .stated_side import STATED_SIDE, with_stated_side

logger = logging.getLogger(__name__)

BAD_PARAMETER, UNREADABLE, NO_SPINE = 400, 415, 422


class _Served(NamedTuple):
    """The weights in use, by their file, and what they are."""

    stamp: Stamp
    predictor: LandmarkPredictor
    facts: ModelFacts


class VertebraLandmarksInfer(InferTask):
    """Finds the 85 landmarks of one radiograph and returns them as JSON and as a Markups file.

    Weights that were published meanwhile are loaded before the next request. What they saw of the films that people
    work on is kept, so that a correction is answered quickly.

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
        self._loaded: _Served | None = None
        self._films = OpenFilms()

    def is_valid(self) -> bool:
        """Whether there is a model to use."""
        return self._models.served.is_file()

    def get_path(self, validate: bool = True) -> str | None:
        """The weight file; ``None`` when ``validate`` and it is missing."""
        return None if validate and not self.is_valid() else str(self._models.served)

    def info(self) -> dict[str, Any]:
        """MONAI Label's facts about the task and ours about the model."""
        facts = self._served().facts
        return {
            **super().info(),
            "schema_version": SCHEMA_VERSION,
            "model_version": facts.version,
            "errors_measured": facts.errors_measured,
            "model": facts.landmarks,
            "second_network": facts.corners,
        }

    @property
    def model_version(self) -> str:
        """The version of the weights that are served, see ``versions.version_of``."""
        return self._served().facts.version

    @property
    def model_key(self) -> str:
        """What tells the weights that are served from all others, with a version or without."""
        return self._served().facts.digest

    @property
    def predictor(self) -> LandmarkPredictor:
        """What is served, loaded."""
        return self._served().predictor

    def _served(self) -> _Served:
        with self._lock:
            weights = self._models.served
            present = stamp(weights)
            if self._loaded is None or self._loaded.stamp != present:
                logger.info("Loading the model")
                self._loaded = _Served(present, LandmarkPredictor(weights, self._device), read_model_facts(weights))
            return self._loaded

    def __call__(self, request: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Predict.

        Args:
            request: ``image`` is the path of the radiograph, ``STATED_SIDE`` the ``StatedSide`` that a person has
                stated of it; the rest as ``InferRequest`` has it.

        Returns:
            A temporary Markups file, which the caller deletes, and the answer.

        Raises:
            HTTPException: 400 for a bad parameter, 415 where the image cannot be read, 422 where it shows no spine.
        """
        return self._predict(request, self._films.open)

    def read(self, path: Path) -> Radiograph:
        """An image that people work on, from memory where its file has not changed.

        Raises:
            UnreadableImageError: it cannot be read.
        """
        return self._films.open(path).radiograph

    def in_passing(self, request: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """The same for work in the background: the film takes no place among those that people work on."""
        return self._predict(request, lambda path: OpenFilm(read_radiograph(path)))

    def _predict(self, request: dict[str, Any], read_film: Callable[[Path], OpenFilm]) -> tuple[str, dict[str, Any]]:
        begin = time.perf_counter()
        try:
            asked = InferRequest.parse(request)
        except ValueError as error:
            raise HTTPException(BAD_PARAMETER, detail=str(error)) from error
        try:
            film = read_film(Path(request["image"]))
            radiograph = film.radiograph
            read = time.perf_counter() - begin
            _check_inside(asked.fixed, radiograph)
            film.is_corrected = film.is_corrected or bool(asked.fixed.mask.any())
            weights, predictor, facts = self._served()
            cache = film.seen_with(weights) or PredictionCache()
            film.keep(weights, cache)
            prediction = predictor.predict(radiograph, PredictionRequest(asked.decoder, asked.fixed, cache))
        except UnreadableImageError as error:
            raise HTTPException(UNREADABLE, detail=str(error)) from error
        except NoSpineError as error:
            raise HTTPException(NO_SPINE, detail=str(error)) from error
        file = _temporary_markups(prediction, radiograph)
        seconds = {"read": read, **prediction.seconds, "total": time.perf_counter() - begin}
        stated = request.get(STATED_SIDE)
        frame = with_stated_side(prediction.frame, radiograph, stated)
        answer = _answer(prediction, image_facts(radiograph, stated), frame, asked.min_score, seconds)
        return file, {**answer, **_known(facts)}


def _known(facts: ModelFacts) -> dict[str, Any]:
    """What answers say about the weights."""
    return {MODEL_VERSION: facts.version, "model_digest": facts.digest, "errors_measured": facts.errors_measured}


def _check_inside(fixed: FixedLandmarks, radiograph: Radiograph) -> None:
    """Raise unless fixed points lie on the image, or beside it by less than its size."""
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


def _answer(
    prediction: Prediction, facts: dict[str, Any], frame: ImageFrame, min_score: float, seconds: dict[str, float]
) -> dict[str, Any]:
    landmarks = [
        {
            "name": label_of(vertebra, point),
            "x": landmark.x,
            "y": landmark.y,
            "score": landmark.score,
            "error_px": landmark.error,
            "visible": landmark.is_visible and landmark.score >= min_score,
        }
        for vertebra, point, landmark in prediction.spine.points()
        if landmark is not None
    ]
    return {
        "landmarks": landmarks,
        "cobb": cobb_report(prediction.spine, frame, prediction.tilt_half_widths, prediction.names_right),
        "names_right": prediction.names_right,
        "tilt_half_widths_deg": _by_vertebra(prediction.tilt_half_widths),
        "anatomy": anatomy_report(prediction.spine, frame),
        "image": facts,
        "orientation": {**prediction.orientation.as_dict(), "source": prediction.orientation_source},
        "warnings": [warning.as_dict() for warning in prediction.warnings],
        "decoder": prediction.decoder,
        "spine_score": prediction.spine_score,
        "schema_version": SCHEMA_VERSION,
        "timings": {name: round(value, 4) for name, value in seconds.items()},
    }


def _by_vertebra(values: np.ndarray | None) -> dict[str, float | None] | None:
    """``(V,)`` numbers under the vertebrae's names, ``None`` for those that are not finite."""
    if values is None:
        return None
    return {name: float(v) if np.isfinite(v) else None for name, v in zip(VERTEBRAE, values, strict=True)}
