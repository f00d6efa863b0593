"""Vertebra Landmarks: 17 centers and 68 corners of T1-L5 on anteroposterior spine radiographs.

Installed as a package (``pip install --no-deps -e .``) this folder is ``vertebra_landmarks``; the names below are its
public API and are imported when they are first used. docs/API.md shows them at work.
"""

from __future__ import annotations

__version__ = "0.15.0"

_PUBLIC = {
    "DEFAULT_WEIGHTS_FILE": "learning.config.DEFAULT_WEIGHTS_FILE",
    "FixedLandmarks": "spine.fixed_landmarks.FixedLandmarks",
    "LandmarkPredictor": "learning.prediction.predictor.LandmarkPredictor",
    "NoSpineError": "learning.prediction.predictor.NoSpineError",
    "Prediction": "learning.prediction.result.Prediction",
    "PredictionCache": "learning.prediction.request.PredictionCache",
    "PredictionRequest": "learning.prediction.request.PredictionRequest",
    "Radiograph": "image_io.Radiograph",
    "UnreadableImageError": "image_io.UnreadableImageError",
    "choose_device": "learning.models.devices.choose_device",
    "draw_overlay": "learning.prediction.overlay.draw_overlay",
    "find_images": "learning.data.input_files.find_images",
    "read_radiograph": "image_io.read_radiograph",
    "ImageFrame": "spine.imaging.image_frame.ImageFrame",
    "ImageGeometry": "spine.imaging.image_geometry.ImageGeometry",
    "ImageWarning": "spine.measurement.image_warnings.ImageWarning",
    "Landmark": "spine.schema.Landmark",
    "Spine": "spine.schema.Spine",
    "VERTEBRAE": "spine.schema.VERTEBRAE",
    "Vertebra": "spine.schema.Vertebra",
    "anatomy_report": "spine.measurement.report.anatomy_report",
    "cobb_angles": "spine.measurement.report.curves_of",
    "cobb_report": "spine.measurement.report.cobb_report",
    "measurement_warnings": "spine.measurement.image_warnings.measurement_warnings",
    "read_markups": "spine.labels.markups.read_markups",
    "write_markups": "spine.labels.markups.write_markups",
}
"""Where every public name is."""

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> object:
    """Import a public name when it is first used, so that nobody waits for PyTorch in vain."""
    from importlib import import_module

    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _PUBLIC[name].rpartition(".")
    return getattr(import_module(f".{module}", __name__), attribute)
