"""The response of an inference: landmarks, measurements, and information about image and model, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...image_io import Radiograph
from ...learning.prediction.result import Prediction
from ...learning.weights.provenance import public_facts, read_known_images
from ...learning.weights.weight_files import file_digest, load_weights
from ...spine.imaging.image_frame import ImageFrame
from ...spine.labels.markups import label_of
from ...spine.measurement.report import anatomy_report, cobb_report
from ...spine.schema import SCHEMA_VERSION, VERTEBRAE
from ..models import version_name, without_nan
from ..store.images import StatedSide

MODEL_VERSION = "model_version"
"""Name of the version of the weights, in responses and in the metadata of labels."""
_PROVENANCE = (MODEL_VERSION, "model_digest", "names_right", "tilt_half_widths_deg")
BY_PERSON, BY_FILE, UNKNOWN = "stated by a person", "header of the file", "none"
_DIGITS = 16


@dataclass(frozen=True)
class ModelInfo:
    """A weight file in plain values.

    Attributes:
        version: see ``models.version_name``.
        errors_measured: whether the expected errors were calibrated with these very networks, rather than with others
            or on images that the file does not state. ``None`` where it predicts no errors.
        digest: of the file, which identifies weights without a version.
        landmarks: metadata of the network that finds the vertebrae.
        corners: the same of the second network; ``None`` where there is none.
    """

    version: str
    errors_measured: bool | None
    digest: str
    landmarks: dict[str, Any]
    corners: dict[str, Any] | None

    def as_response(self) -> dict[str, Any]:
        """The part of a response that identifies the weights."""
        return {MODEL_VERSION: self.version, "model_digest": self.digest, "errors_measured": self.errors_measured}


def read_model_info(path: Path) -> ModelInfo:
    """Read it from a weight file.

    Raises:
        ValueError: it is no weight file of this project.
        OSError: it cannot be read.
    """
    weights, provenance = load_weights(path), read_known_images(path)
    return ModelInfo(
        version_name(weights.facts),
        None if provenance.errors_on is None else provenance.has_own_errors,
        file_digest(path, _DIGITS),
        without_nan(public_facts(weights.facts)),
        without_nan(public_facts(weights.refiner.facts)) if weights.refiner is not None else None,
    )


def image_info(radiograph: Radiograph, stated: StatedSide | None = None) -> dict[str, Any]:
    """Size, geometry, orientation, patient sides and warnings of an image in plain values.

    Args:
        radiograph: the image.
        stated: the patient's side as stated by a person.
    """
    orientation = None if radiograph.orientation is None else radiograph.orientation.as_dict()
    return {
        "width": radiograph.width,
        "height": radiograph.height,
        "spacing": list(radiograph.geometry.spacing),
        "spacing_source": radiograph.geometry.source,
        "millimetres": None if radiograph.millimetres is None else asdict(radiograph.millimetres),
        **side_info(radiograph, stated),
        "geometry": radiograph.geometry.as_dict(),
        "pixel_aspect": radiograph.geometry.pixel_aspect,
        "orientation": None if orientation is None else {**orientation, "source": radiograph.orientation_source},
        "warnings": [warning.as_dict() for warning in radiograph.warnings],
    }


def side_info(radiograph: Radiograph, stated: StatedSide | None) -> dict[str, Any]:
    """The patient's side at the left of the upright image, and its source; the file takes precedence."""
    if radiograph.image_left_is is not None:
        source = radiograph.orientation_source if radiograph.orientation_source != UNKNOWN else BY_FILE
        return {"image_left_is": radiograph.image_left_is, "image_left_is_source": source}
    if stated is not None:
        return {"image_left_is": stated.image_left_is, "image_left_is_source": BY_PERSON}
    return {"image_left_is": None, "image_left_is_source": UNKNOWN}


def with_stated_side(frame: ImageFrame, radiograph: Radiograph, stated: StatedSide | None) -> ImageFrame:
    """The frame of an image with the patient's side as stated by a person, where its file states none.

    Args:
        frame: of the image, with the orientation in use.
        radiograph: the image.
        stated: the statement.
    """
    if stated is None or radiograph.image_left_is is not None:
        return frame
    return replace(frame, image_left_is=stated.image_left_is)


def prediction_response(
    prediction: Prediction,
    radiograph: Radiograph,
    stated: StatedSide | None,
    min_score: float,
    timings_s: Mapping[str, float],
) -> dict[str, Any]:
    """Landmarks and measurements of a prediction in plain values.

    Args:
        prediction: of the image.
        radiograph: the image.
        stated: the patient's side as stated by a person.
        min_score: landmarks with a lower score are marked as not visible.
        timings_s: seconds by stage.
    """
    frame = with_stated_side(prediction.frame, radiograph, stated)
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
        "image": image_info(radiograph, stated),
        "orientation": {**prediction.orientation.as_dict(), "source": prediction.orientation_source},
        "warnings": [warning.as_dict() for warning in prediction.warnings],
        "decoder": prediction.decoder,
        "spine_score": prediction.spine_score,
        "schema_version": SCHEMA_VERSION,
        "timings": {name: round(value, 4) for name, value in timings_s.items()},
    }


def _by_vertebra(values: np.ndarray | None) -> dict[str, float | None] | None:
    """``(V,)`` numbers by vertebra name, ``None`` for those that are not finite."""
    if values is None:
        return None
    return {name: float(v) if np.isfinite(v) else None for name, v in zip(VERTEBRAE, values, strict=True)}


def label_provenance(model: str, response: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata of a label that is saved from a response of a model."""
    return {"model": model, **{name: response.get(name) for name in _PROVENANCE}}
