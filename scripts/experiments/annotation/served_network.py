"""The served network in simulated rounds: fine-tuned by the server's own trainer, and asked as the server asks it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from experiments.annotation.kinds import PLAIN, phantom_items
from lib.image_io import Radiograph
from lib.learning.active_learning import ImageDescriptor
from lib.learning.active_learning.descriptors import describe_image
from lib.learning.codec import STATE
from lib.learning.config import InputConfig, load_config
from lib.learning.data import IMAGE, LABEL
from lib.learning.data.rehearsal import Rehearsal
from lib.learning.prediction.predictor import LandmarkPredictor
from lib.learning.training.landmark_trainer import LandmarkTrainer
from lib.learning.weights.weight_files import Weights, load_weights, save_weights
from lib.server.training.train_request import TrainRequest
from lib.server.training.training_stages import LandmarkStage
from lib.spine.geometry import center_distances

INPUT = InputConfig(height=256, width=128)
"""Half of what the served network is shown, along each side: what a processor core trains in minutes."""
_START_BATCH, _START_RATE = 8, 1e-3
_REHEARSED_SEED = 1
_CPU = torch.device("cpu")

Item = dict[str, Any]


@dataclass(frozen=True)
class Fit:
    """What was learnt.

    Attributes:
        weights: after a round.
        labelled: places of the images whose labels were learnt.
    """

    weights: Weights
    labelled: tuple[int, ...]


class ServedLearner:
    """Learns from some images of a pool as ``POST /train`` does, and is tried on others as ``POST /infer`` does.

    New labels are learnt beside those learnt before and phantoms, by the landmark network alone; every result is
    served.

    Args:
        start: weights to begin with.
        pool: images to learn from.
        held_out: images to be tried on.
        request: parameters of every training but its seed.
    """

    def __init__(self, start: Weights, pool: Sequence[Item], held_out: Sequence[Item], request: TrainRequest) -> None:
        self._start, self._pool, self._held_out, self._request = start, pool, held_out, request
        self._phantoms = phantom_items(PLAIN, request.phantoms, _REHEARSED_SEED)

    def learn(self, chosen: Sequence[int], before: Fit | None, seed: int) -> Fit:
        """The network after some images of the pool, from what it was before."""
        before = before or Fit(self._start, ())
        new = [self._pool[place] for place in chosen if place not in before.labelled]
        old = [self._pool[place] for place in before.labelled]
        rehearsal = Rehearsal([*old, *self._phantoms], self._request.rehearsal)
        stage = LandmarkStage(before.weights, new, rehearsal, [])
        with TemporaryDirectory() as folder:
            trainer = stage.trainer(replace(self._request, seed=seed), Path(folder), stage.former_state())
            path = trainer.fit(stage.items, [], rehearsal=stage.rehearsal, keeps_last=True)
            if path is None:
                raise ValueError("the training wrote no weights")
            return Fit(load_weights(path), tuple(chosen))

    def keep(self, fit: Fit, path: Path) -> None:
        """Write what was learnt."""
        _save(path, fit.weights)

    def taken_up(self, path: Path, chosen: Sequence[int]) -> Fit:
        """What was learnt from some images before."""
        return Fit(load_weights(path), tuple(chosen))

    def errors(self, fit: Fit) -> np.ndarray:
        """``(N, V, K)`` distances of the corners of the held-out images from their labels, in steps."""
        with _predictor(fit) as predictor, np.errstate(invalid="ignore", over="ignore"):
            found = np.stack([predictor.locate(Radiograph(item[IMAGE])).spine.xy for item in self._held_out])
        labelled = np.stack([item[LABEL][..., :STATE] for item in self._held_out])
        away: np.ndarray = np.linalg.norm(found - labelled, axis=-1)[:, :, 1:]
        return away / np.array([center_distances(spine[:, 0]).mean() for spine in labelled])[:, None, None]

    def opinions(self, fit: Fit) -> list[ImageDescriptor]:
        """About all images of the pool."""
        with _predictor(fit) as predictor:
            return [describe_image(predictor, Radiograph(item[IMAGE])) for item in self._pool]


def train_start(path: Path, phantoms: int, epochs: int) -> None:
    """Write weights that have learnt from plain phantoms alone; an interrupted training goes on.

    Args:
        path: of the weight file.
        phantoms: how many.
        epochs: how often each is seen.

    Raises:
        OSError: a file cannot be written.
    """
    config = load_config()
    schedule = replace(
        config.training, epochs=epochs, batch_size=_START_BATCH, learning_rate=_START_RATE, ema_decay=0.99
    )
    trainer = LandmarkTrainer(
        replace(config, input=INPUT, training=schedule), path.with_suffix(".run"), _CPU, workers=0, show_bars=False
    )
    best = trainer.fit(phantom_items(PLAIN, phantoms, 0), [])
    if best is None:
        raise ValueError("the training wrote no weights")
    _save(path, load_weights(best))


def _save(path: Path, weights: Weights) -> None:
    save_weights(path, weights.state, weights.config, weights.facts, weights.prior, weights.refiner)


@contextmanager
def _predictor(fit: Fit) -> Iterator[LandmarkPredictor]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "weights.pt"
        _save(path, fit.weights)
        yield LandmarkPredictor(path, _CPU)
