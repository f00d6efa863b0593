"""Everything that one export writes, checked before anybody sees it."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .. import __version__
from ..learning.prediction.predictor import LandmarkPredictor
from ..learning.weights.weight_files import file_digest
from .bundle import TEXTS, write_bundle
from .comparison import MAX_DIFFERENCE_PX, largest_difference
from .network_files import FORMATS
from .networks import CORNER, ExportableNetwork, NetworkFunction, exportable_networks
from .source_copy import LIB, copy_flat

BUNDLE = "bundle"
KINDS = (*FORMATS, BUNDLE)
"""What can be written, each into a folder of its name."""
FACTS_FILE = "export.json"
_EXAMPLE = (
    *("export/predict_onnx.py", "image_io/window.py", "image_io/raster/luminance.py"),
    *("spine/geometry.py", "spine/schema.py"),
)
_CORNER_ROW = (
    "| `corner_network.onnx` | `patches` {shape}: around each vertebra, the spine running down through its middle, "
    "two neighbours {step:g} pixels apart, each patch (x - mean) / (deviation + 0.03) | `corners` (N, 17, 4, 2) "
    "TL, TR, BL, BR, x and y in pixels of the patch; `log_errors` (N, 17, 5) logarithm of expected errors of center "
    "and corners in pixels of the patch, before calibration |\n"
)


class ExportError(Exception):
    """What was written does not predict what the weights predict."""


def export(
    predictor: LandmarkPredictor, weights: Path, folder: Path, kinds: Sequence[str], phantoms: int
) -> dict[str, Any]:
    """Write files into a new folder and compare them with the networks.

    Args:
        predictor: of the weights, on the CPU.
        weights: the weight file.
        folder: must exist and be empty.
        kinds: some of ``KINDS``.
        phantoms: images on which points are compared.

    Returns:
        Facts that ``export.json`` holds: versions, sizes in bytes and largest differences in pixels by kind.

    Raises:
        ExportError: points differ by more than ``MAX_DIFFERENCE_PX``.
        OSError: a file cannot be written.
    """
    networks = exportable_networks(predictor)
    functions = {kind: _write_networks(networks, folder / kind, kind) for kind in kinds if kind in FORMATS}
    differences = largest_difference(predictor, functions, phantoms)
    for kind, difference in differences.items():
        if not difference <= MAX_DIFFERENCE_PX:
            raise ExportError(
                f"points of the {kind} networks lie up to {difference:.3f} px from those of the weights on "
                f"{phantoms} phantoms; {MAX_DIFFERENCE_PX} px are allowed, so nothing was written"
            )
    if "onnx" in kinds:
        _write_example(predictor, networks, folder / "onnx")
    if BUNDLE in kinds:
        write_bundle(predictor, weights, folder / BUNDLE)
    facts = {
        "version": __version__,
        "weights": file_digest(weights),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in ("torch", *needed_packages(kinds))},
        "phantoms": phantoms,
        "largest_difference_px": differences,
        "bytes": {
            path.relative_to(folder).as_posix(): path.stat().st_size
            for kind in kinds
            for path in sorted((folder / kind).rglob("*"))
            if path.suffix in (".pt", *(form.suffix for form in FORMATS.values()))
        },
    }
    (folder / FACTS_FILE).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return facts


def needed_packages(kinds: Sequence[str]) -> tuple[str, ...]:
    """Packages on top of ``requirements.txt`` that writing these kinds needs."""
    return tuple(name for kind in kinds if kind in FORMATS for name in FORMATS[kind].packages)


def _write_networks(networks: Sequence[ExportableNetwork], folder: Path, kind: str) -> dict[str, NetworkFunction]:
    """Write each network, and open what was written."""
    folder.mkdir()
    form, functions = FORMATS[kind], {}
    for network in networks:
        path = folder / f"{network.name}{form.suffix}"
        form.write(network, path)
        functions[network.name] = form.load(path)
    return functions


def _write_example(predictor: LandmarkPredictor, networks: Sequence[ExportableNetwork], folder: Path) -> None:
    """The numpy example and the description of inputs and outputs."""
    copy_flat([LIB / name for name in _EXAMPLE], folder)
    shapes = {network.name: f"(N, {', '.join(map(str, network.shape))})" for network in networks}
    row = ""
    if predictor.refinement is not None:
        row = _CORNER_ROW.format(shape=shapes[CORNER], step=predictor.refinement.config.step)
    text = (TEXTS / "onnx_readme.md").read_text(encoding="utf-8")
    text = text.replace("{landmark_shape}", shapes[networks[0].name]).replace("{corner_row}\n", f"{row}\n")
    (folder / "README.md").write_text(text, encoding="utf-8")
