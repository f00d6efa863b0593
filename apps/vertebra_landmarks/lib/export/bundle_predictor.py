"""What a MONAI bundle runs: images of a folder to landmarks, with all of the prediction of the project it came from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..image_io import UnreadableImageError, read_radiograph
from ..learning.data.input_files import find_images
from ..learning.models.devices import choose_device
from ..learning.prediction.predictor import LandmarkPredictor, NoSpineError
from ..learning.prediction.result import Prediction
from ..spine.labels.markups import SUFFIX, write_markups

RESULTS_FILE = "landmarks.json"


class BundlePredictor:
    """The prediction of a weight file, as MONAI's configuration instantiates it.

    Args:
        weights: weight file of the bundle.
        device: auto, cpu or cuda.

    Raises:
        ValueError: the file is no weight file, or there is no such device.
        OSError: the file cannot be read.
    """

    def __init__(self, weights: str, device: str = "auto") -> None:
        self.predictor = LandmarkPredictor(Path(weights), choose_device(device))

    def write(self, images: str, output: str) -> Path:
        """Predict every image and write what was found.

        Args:
            images: an image, or a folder that is searched with its subfolders.
            output: folder, made if missing: a file for 3D Slicer per image, and ``landmarks.json`` with the result of
                every image: ``landmarks`` in pixels by vertebra and point, ``score`` and ``warnings``, or ``error``.

        Returns:
            The file with all results.

        Raises:
            FileNotFoundError: there is no such folder or image.
            ValueError: the folder has no image.
            OSError: a file cannot be written.
        """
        if not Path(images).exists():
            raise FileNotFoundError(f"there is no image or folder {images}; --dataset_dir names what is predicted")
        folder = Path(output)
        found = find_images([Path(images)], excluded=folder)
        if not found:
            raise ValueError(f"{images} has no image; --dataset_dir names a folder of radiographs")
        folder.mkdir(parents=True, exist_ok=True)
        results = {image.name: self._result(image.path, folder / f"{image.stem}{SUFFIX}") for image in found}
        path = folder / RESULTS_FILE
        path.write_text(json.dumps(results, indent=1), encoding="utf-8")
        return path

    def _result(self, path: Path, markups: Path) -> dict[str, Any]:
        try:
            radiograph = read_radiograph(path)
            prediction = self.predictor.predict(radiograph)
        except (UnreadableImageError, NoSpineError, OSError) as error:
            return {"error": str(error)}
        write_markups(markups, prediction.spine, radiograph.geometry)
        return _facts(prediction)


def _facts(prediction: Prediction) -> dict[str, Any]:
    landmarks: dict[str, dict[str, list[float]]] = {}
    for vertebra, name, point in prediction.spine.points():
        if point is not None:
            landmarks.setdefault(vertebra, {})[name] = [point.x, point.y]
    return {
        "landmarks": landmarks,
        "score": prediction.spine_score,
        "warnings": [warning.as_dict() for warning in prediction.warnings],
    }
