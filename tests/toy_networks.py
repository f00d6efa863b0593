"""Toy networks that have learnt a little, for trainings that go on from them."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lib.learning.codec import PRESENT
from lib.learning.config import CornerConfig, InputConfig, NetworkConfig, load_config
from lib.learning.data import IMAGE, LABEL
from lib.learning.models.corner_net import CornerNet
from lib.learning.training.landmark_trainer import LandmarkTrainer
from lib.learning.weights.weight_files import CornerWeights, save_weights
from lib.phantoms import random_spec, render_phantom

PATCH = CornerConfig(40, 48, 16.0, 4, 1)
"""Of a small second network."""
SEES_ALL = 3.0
_SPINES = range(10, 14)
_EPOCHS = 20


def write_toy_weights(path: Path, raised: float = 0.0) -> None:
    """Write two networks which one more step makes better.

    The first has learnt a little of four phantoms at 64 x 64 pixels, the second one nothing yet.

    Args:
        path: of the weight file.
        raised: what is added to the logits of the scores; with ``SEES_ALL`` a spine is found in every image, somewhere.
    """
    config = load_config()
    quick = {"epochs": _EPOCHS, "batch_size": len(_SPINES), "learning_rate": 1e-2, "warmup_epochs": 1.0}
    config = dataclasses.replace(
        config,
        network=NetworkConfig("tiny", 8),
        input=InputConfig(64, 64),
        training=dataclasses.replace(config.training, validate_every=_EPOCHS, **quick),
    )
    options: dict[str, Any] = {"resumable": False, "show_bars": False, "full_precision": True}
    with tempfile.TemporaryDirectory() as folder:
        trainer = LandmarkTrainer(config, Path(folder), torch.device("cpu"), 0, **options)
        trainer.fit([_item(number) for number in _SPINES], [])
    network = trainer.average.module
    with torch.no_grad():
        network.heatmap[-1].bias.add_(raised)
    torch.manual_seed(0)
    refiner = CornerWeights(CornerNet(PATCH).state_dict(), PATCH, {})
    facts = {"radiographs": len(_SPINES)}
    save_weights(path, network.state_dict(), config, facts, refiner=refiner)


def _item(number: int) -> dict[str, Any]:
    """A phantom with its label."""
    phantom = render_phantom(random_spec(number, 480, 220))
    state = np.full((*phantom.spine.xy.shape[:2], 1), float(PRESENT))
    return {IMAGE: phantom.pixels, LABEL: np.concatenate([phantom.spine.xy, state], -1)}
