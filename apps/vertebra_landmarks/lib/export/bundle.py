"""A MONAI bundle: the weight file, the sources that predict with it, and what MONAI's tools read about it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .. import __version__
from ..learning.config import DEFAULT_CONFIG_FILE
from ..learning.prediction.predictor import LandmarkPredictor
from ..spine.schema import CORNERS, VERTEBRAE
from . import bundle_predictor
from .source_copy import LIB, copy_sources

TEXTS = Path(__file__).resolve().parent / "texts"
_PACKAGES = (
    "scipy",
    "pydantic",
    "pyyaml",
    "pillow",
    "SimpleITK",
    "nibabel",
    "pydicom",
    "tifffile",
    "imagecodecs",
    "tqdm",
)
_SCHEMA = "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"
_INFERENCE: Mapping[str, Any] = {
    "bundle_root": ".",
    "dataset_dir": "$@bundle_root + '/images'",
    "output_dir": "$@bundle_root + '/eval'",
    "device": "auto",
    "predictor": {
        "_target_": "scripts.lib.export.bundle_predictor.BundlePredictor",
        "weights": "$@bundle_root + '/models/model.pt'",
        "device": "@device",
    },
    "network_def": "$@predictor.predictor.network",
    "run": ["$print(@predictor.write(@dataset_dir, @output_dir))"],
}


def write_bundle(predictor: LandmarkPredictor, weights: Path, folder: Path) -> None:
    """Write a bundle into a new folder.

    Args:
        predictor: of the weights.
        weights: the weight file.
        folder: of the bundle; it must not exist.

    Raises:
        OSError: a file cannot be written, or the folder exists.
    """
    for part in ("configs", "models", "docs", "scripts"):
        (folder / part).mkdir(parents=True)
    _write_json(folder / "configs" / "metadata.json", metadata(predictor))
    _write_json(folder / "configs" / "inference.json", _INFERENCE)
    shutil.copyfile(weights, folder / "models" / "model.pt")
    shutil.copyfile(TEXTS / "bundle_readme.md", folder / "docs" / "README.md")
    shutil.copyfile(LIB.parents[2] / "LICENSE.txt", folder / "LICENSE")
    shutil.copyfile(DEFAULT_CONFIG_FILE, folder / "scripts" / DEFAULT_CONFIG_FILE.name)
    (folder / "scripts" / "__init__.py").write_text('"""Sources that the bundle runs."""\n', encoding="utf-8")
    copy_sources(Path(bundle_predictor.__file__), folder / "scripts")


def metadata(predictor: LandmarkPredictor) -> dict[str, Any]:
    """What ``configs/metadata.json`` says, by MONAI's metadata schema."""
    size = predictor.config.input
    cells = [size.height // 4, size.width // 4]
    channels = {
        "heatmap": list(VERTEBRAE[: predictor.config.network.heatmap_channels]),
        "offset": ["x", "y"],
        "corner_offset": [f"{corner} {axis}" for corner in CORNERS for axis in "xy"],
    }
    image = {"type": "image", "format": "radiograph", "modality": "DX", **_tensor(["gray"], [size.height, size.width])}
    outputs = {name: {"type": "image", "format": "map", **_tensor(of, cells)} for name, of in channels.items()}
    return {
        "schema": _SCHEMA,
        "version": __version__,
        "changelog": {__version__: f"exported by Vertebra Landmarks {__version__}"},
        "monai_version": version("monai"),
        "pytorch_version": version("torch").partition("+")[0],
        "numpy_version": version("numpy"),
        "required_packages_version": {name: version(name) for name in _PACKAGES},
        "name": "Vertebra landmarks",
        "task": "Landmarks of the vertebrae T1 to L5 on anteroposterior spine radiographs",
        "description": "17 centers and 68 corners by a landmark network, MAP decoding and a corner network",
        "authors": "Vertebra Landmarks contributors",
        "copyright": "Vertebra Landmarks contributors, Apache-2.0",
        "intended_use": "For research. Not a medical device.",
        "data_type": "DICOM, PNG, JPEG, BMP, TIFF, NIfTI, NRRD",
        "network_data_format": {"inputs": {"image": image}, "outputs": outputs},
    }


def _tensor(channels: list[str], shape: list[int]) -> dict[str, Any]:
    return {
        "num_channels": len(channels),
        "spatial_shape": shape,
        "dtype": "float32",
        "value_range": [0, 1] if channels == ["gray"] else [],
        "is_patch_data": False,
        "channel_def": {str(number): name for number, name in enumerate(channels)},
    }


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=4) + "\n", encoding="utf-8")
