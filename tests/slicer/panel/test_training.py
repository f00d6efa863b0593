"""A training from the panel: progress, stop in the middle, start again, and another model at the end."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from harness.fake_slicer.desktop import desktop
from harness.local_server import own_server

from ...server.training.rounds import FAST

pytestmark = [pytest.mark.slicer, pytest.mark.integration, pytest.mark.slow]


def test_a_training_is_stopped_begun_again_and_published(
    studies: Path, phantoms: Path, toy_server_weights: Path, tmp_path: Path
) -> None:
    final = studies / "labels" / "final"
    final.mkdir(parents=True)
    for name in ("phantom_000", "phantom_001", "phantom_002"):  # of whom none is held out: no gate can close
        shutil.copy(phantoms / "labels" / "final" / f"{name}.mrk.json", final)
    conf = ("scoring", "false"), ("weights", str(toy_server_weights))
    with (
        own_server(studies, tmp_path / "server.log", *conf) as server,
        desktop(tmp_path / "slicer") as opened,
    ):
        ui = opened.ui
        ui.serverLineEdit.text = server.url
        ui.connectButton.click()
        opened.wait(lambda: opened.state.is_connected and opened.state.images)
        assert ui.countsLabel.text == "4 in all, 3 labelled, 1 left"
        opened.controller.open_image("phantom_003")
        opened.wait(lambda: opened.state.current and opened.state.current.label == "prediction", 120)
        first, points = opened.state.current.model_version, opened.logic.editor.xy

        ui.epochsSpinBox.value = 500  # more than are done between two looks at it
        ui.trainButton.click()
        opened.wait(lambda: opened.state.training and opened.state.training.percent >= 1, 240, "the first epochs")
        opened.settle()
        training = opened.state.training
        assert training.state == "running"
        assert 0 < training.epoch < training.total_epochs
        assert 0 < training.percent < 100
        assert ui.trainStateLabel.text.startswith("running, epoch ")
        assert " of 1000 (" in ui.trainStateLabel.text
        assert "loss " in ui.trainErrorLabel.text
        assert 0 < ui.trainProgressBar.value < 100
        assert not ui.trainButton.enabled
        ui.stopTrainButton.click()
        opened.wait(lambda: not opened.state.training.is_ongoing, 60, "stopping")
        opened.settle()
        assert ui.trainStateLabel.text == "stopped; the model is unchanged"
        assert "model is unchanged" in opened.state.notice
        assert opened.state.info.model_version == first

        opened.controller.start_training({"max_epochs": 1, "phantoms": 2, "publish": "always", **FAST})
        opened.wait(lambda: opened.state.training.state == "done", 300, "the training")
        opened.wait(lambda: opened.state.current.model_version != first, 60, "another prediction")
        opened.settle()
        training = opened.state.training
        assert (training.percent, training.epoch, training.version_before) == (100, training.total_epochs, first)
        assert training.loss is not None
        assert training.version_after == opened.state.info.model_version == opened.state.current.model_version
        assert not np.array_equal(opened.logic.editor.xy, points)
        assert ui.trainModelLabel.text == f"version {first} → {training.version_after}"
        assert ui.trainProgressBar.value == 100
        assert ui.modelLabel.text.endswith(f"version {training.version_after}")
