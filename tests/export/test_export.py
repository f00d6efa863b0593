"""Exported networks, and the MONAI bundle where this repository cannot be imported."""

from __future__ import annotations

import ast
import csv
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lib.export import bundle_predictor, exporter, predict_onnx
from lib.export.comparison import MAX_DIFFERENCE_PX, largest_difference, phantoms
from lib.export.exporter import ExportError
from lib.export.network_files import FORMATS, missing_packages
from lib.export.networks import LANDMARK, exportable_networks, with_functions
from lib.export.source_copy import LIB, imported_sources
from lib.image_io import read_radiograph
from lib.learning.data.image_views import fitting_matrix, spine_view, view
from lib.learning.models.landmark_net import Maps
from lib.learning.prediction.predictor import LandmarkPredictor
from lib.phantoms import random_spec, render_phantom
from lib.spine.geometry import transform_points
from lib.spine.schema import POINTS, VERTEBRAE

from ..toy_model import write_weights
from .conftest import CPU, Exported


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small phantom."""
    path = tmp_path_factory.mktemp("images") / "a.png"
    Image.fromarray(render_phantom(random_spec(1, 500, 240)).pixels).save(path)
    return path


def run_elsewhere(folder: Path, *arguments: str) -> str:
    """Output of a Python that is started in a folder and knows no path of this repository."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, *arguments]
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_points_are_those_of_the_weights_in_all_formats(exported: Exported) -> None:
    differences = exported.facts["largest_difference_px"]
    assert set(differences) == set(FORMATS)
    assert max(differences.values()) <= MAX_DIFFERENCE_PX


@pytest.mark.parametrize("kind", FORMATS)
def test_batches_of_any_size_go_through(exported: Exported, kind: str) -> None:
    for network in exportable_networks(exported.predictor):
        function = FORMATS[kind].load(exported.folder / kind / f"{network.name}{FORMATS[kind].suffix}")
        for count in (1, 3):
            batch = network.example(count).numpy()
            for output, expected in zip(function(batch), network.run(batch), strict=True):
                np.testing.assert_allclose(output, expected, atol=1e-4)


def test_a_network_that_differs_is_noticed(exported: Exported) -> None:
    functions = {network.name: network.run for network in exportable_networks(exported.predictor)}

    def shifted(batch: np.ndarray) -> list[np.ndarray]:
        heatmap, offset, corners = exportable_networks(exported.predictor)[0].run(batch)
        return [heatmap, offset + 0.5, corners]

    moved = largest_difference(exported.predictor, {"moved": {**functions, LANDMARK: shifted}}, 1)
    assert moved["moved"] > MAX_DIFFERENCE_PX


def test_files_that_predict_otherwise_are_refused(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporter, "largest_difference", lambda *arguments: {"torchscript": 0.06})
    with pytest.raises(ExportError, match=r"up to 0\.060 px"):
        exporter.export(exported.predictor, exported.weights, tmp_path, ("bundle",), 1)
    assert list(tmp_path.iterdir()) == []


def test_the_bundle_predicts_the_same_points_without_this_repository(
    exported: Exported, image: Path, tmp_path: Path
) -> None:
    if find_spec("fire") is None:
        pytest.skip(str(missing_packages(("fire",))))
    configs = ("--config_file", "configs/inference.json", "--meta_file", "configs/metadata.json")
    folders = ("--dataset_dir", str(image.parent), "--output_dir", str(tmp_path))
    run_elsewhere(exported.folder / "bundle", "-m", "monai.bundle", "run", *configs, *folders, "--device", "cpu")
    written = json.loads((tmp_path / "landmarks.json").read_text())["a.png"]
    expected = exported.predictor.predict(read_radiograph(image)).spine.xy
    points = [[written["landmarks"][vertebra][point] for point in POINTS] for vertebra in VERTEBRAE]
    np.testing.assert_allclose(points, expected, atol=MAX_DIFFERENCE_PX)
    assert (tmp_path / "a.mrk.json").is_file()


def test_the_bundle_has_what_monai_expects(exported: Exported) -> None:
    bundle = exported.folder / "bundle"
    for name in ("configs/inference.json", "models/model.pt", "docs/README.md", "LICENSE"):
        assert (bundle / name).stat().st_size > 0
    metadata = json.loads((bundle / "configs" / "metadata.json").read_text())
    assert metadata["network_data_format"]["inputs"]["image"]["spatial_shape"] == [128, 64]
    assert metadata["network_data_format"]["outputs"]["heatmap"]["num_channels"] == 17


def test_sources_are_followed_and_no_others_copied() -> None:
    names = {path.relative_to(LIB).as_posix() for path in imported_sources(Path(bundle_predictor.__file__))}
    assert {"__init__.py", "learning/prediction/predictor.py", "image_io/dicom/pixels.py"} <= names
    assert not {name.split("/")[0] for name in names} & {"server", "archive", "phantoms", "evaluation"}
    for name in names:
        ast.parse((LIB / name).read_text(encoding="utf-8"))


def test_the_numpy_example_sees_and_decodes_as_the_project_does(exported: Exported, image: Path) -> None:
    predictor, pixels = exported.predictor, read_radiograph(image).pixels
    network, size, limits = exportable_networks(predictor)[0], predictor.config.input, predictor.limits
    points, scores = predict_onnx.predict(pixels, network.run, (size.height, size.width))
    matrix = fitting_matrix(*pixels.shape, size)
    for _ in range(2):
        maps = Maps(*map(torch.from_numpy, network.run(view(pixels, matrix, size)[None].numpy())))
        decoded = predictor.codec.decode(maps)
        expected = transform_points(np.linalg.inv(matrix), decoded.xy[0].double().numpy())
        matrix = spine_view(expected[:, 0], limits.second_look_span, limits.second_look_margin, size)
    np.testing.assert_allclose(points, expected, atol=MAX_DIFFERENCE_PX)
    np.testing.assert_allclose(scores, decoded.scores[0], atol=1e-3)
    spoilt = pixels.astype(np.float32)
    spoilt.flat[pixels.argmin()] = np.nan
    found, _ = predict_onnx.predict(spoilt, network.run, (size.height, size.width))
    np.testing.assert_allclose(found, points, atol=MAX_DIFFERENCE_PX)


def test_the_numpy_example_runs_without_torch_and_this_repository(exported: Exported, image: Path) -> None:
    folder = exported.folder / "onnx"
    without = "import sys, runpy; sys.modules.update(torch=None, lib=None); sys.path.insert(0, '.'); "
    start = f"sys.argv = ['', {str(image)!r}]; runpy.run_path('predict_onnx.py', run_name='__main__')"
    command = f"{without}\ntry:\n    {start}\nexcept SystemExit as end:\n    assert not end.code"
    rows = list(csv.DictReader(run_elsewhere(folder, "-c", command).splitlines()))
    network, size = exportable_networks(exported.predictor)[0], exported.predictor.config.input
    with Image.open(image) as opened:
        expected, _ = predict_onnx.predict(np.asarray(opened), network.run, (size.height, size.width))
    points = np.array([[float(row["x"]), float(row["y"])] for row in rows]).reshape(17, 5, 2)
    np.testing.assert_allclose(points, expected, atol=MAX_DIFFERENCE_PX)


def test_weights_without_a_second_network_are_exported(tmp_path: Path) -> None:
    weights = write_weights(tmp_path / "one.pt", has_corner_network=False)
    (tmp_path / "out").mkdir()
    facts = exporter.export(LandmarkPredictor(weights, CPU), weights, tmp_path / "out", ("torchscript",), 1)
    assert list(facts["bytes"]) == ["torchscript/landmark_network.ts"]


def test_an_exported_corner_network_corrects_nothing(exported: Exported) -> None:
    functions = {network.name: network.run for network in exportable_networks(exported.predictor)}
    other = with_functions(exported.predictor, functions)
    assert other.refinement is not None
    with pytest.raises(ValueError, match="corrects no prediction"):
        other.refinement.network.among(torch.zeros(1, 2, 24, 32), object())  # type: ignore[arg-type]
    assert len(list(phantoms(2))) == 2
