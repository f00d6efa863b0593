"""The stages of a training: each goes on training one network, and says if the former one did better."""

from __future__ import annotations

import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TypeVar

import torch

from ...evaluation.metrics import Localisation
from ...learning.config import ScheduleConfig, load_config
from ...learning.data.patches import can_be_patched
from ...learning.data.rehearsal import Rehearsal
from ...learning.data.transforms import IMAGE
from ...learning.models.devices import choose_device
from ...learning.training.corner_trainer import CornerTrainer
from ...learning.training.landmark_trainer import LandmarkTrainer
from ...learning.training.trainer import Item, Progress, Trainer, describe
from ...learning.weights.weight_files import CornerWeights, Weights, load_weights
from .train_request import TrainRequest
from .training_report import FORMER, NEW, TrainReport

logger = logging.getLogger(__name__)

LANDMARKS, CORNERS = "landmarks", "corners"
"""Names of the stages: of the network that finds the vertebrae, and of the one that refines their corners."""

_ALMOST = 99.0
"""Percent where all is learnt, but the whole model is not measured yet."""

State = dict[str, torch.Tensor]


class Learnt(NamedTuple):
    """What comes of a stage.

    Attributes:
        weights: with the new network.
        worse: how it did worse than the one before, in words; empty where it did not.
    """

    weights: Weights
    worse: str


class Stage(ABC):
    """Training of one of the two networks.

    Args:
        weights: both networks; the one that is not trained stays.
        kept: items to learn from; those that the network cannot use are left out.
        rehearsal: what is learnt once more beside them, likewise.
        held_out: items to check on, likewise.
    """

    name: ClassVar[str]
    network: ClassVar[str]

    def __init__(self, weights: Weights, kept: Sequence[Item], rehearsal: Rehearsal, held_out: Sequence[Item]) -> None:
        self.weights = weights
        self.kept, self.held_out = ([item for item in items if self.can_use(item)] for items in (kept, held_out))
        rehearsed = [item for item in rehearsal.items if self.can_use(item) and self.can_rehearse(item)]
        self.rehearsal = Rehearsal(rehearsed, rehearsal.share)

    @abstractmethod
    def can_use(self, item: Mapping[str, Any]) -> bool:
        """Whether the network can learn from an item."""

    def can_rehearse(self, item: Mapping[str, Any]) -> bool:
        """Whether it is one of those that keep the network as it is."""
        return True

    @abstractmethod
    def former(self) -> State:
        """The network before."""

    @abstractmethod
    def run(self, settings: TrainRequest, folder: Path, initial: State | None) -> Trainer:
        """A run that begins with a network, or with a random one."""

    @abstractmethod
    def facts_of(self, weights: Weights) -> dict[str, Any]:
        """What weights say about the network's training."""

    def learn(self, settings: TrainRequest, folder: Path, report: TrainReport, done: int) -> Learnt:
        """Train, and compare with before by one measure: the mean corner error on the held-out items.

        Args:
            settings: how long and how.
            folder: for the files of the run.
            report: told about every epoch, about the errors before and after, and about which network did better.
            done: epochs of the stages before.

        Raises:
            ValueError: there is no item to learn from.
            OSError: a file cannot be written.
            FloatingPointError: the loss is no longer finite.
        """
        # Elsewhere, since a run takes up what an interrupted one has left in its folder.
        before = self.run(settings, folder.with_name(f"{folder.name}-before"), self.former()).check(self.held_out)
        run = self.run(settings, folder, self.former() if settings.pretrained else None)
        images = {"training": self.radiographs, "validation": len(self.held_out)}
        own = {"epochs": settings.max_epochs, "epoch": run.epoch, "images": images, "before": _plain(before)}
        own.update(validation=None, best_epoch=None, kept=None)
        if run.epoch:
            report.update(resumed_from=done + run.epoch)
        report.tell_stage(self.name, own, loss=None, terms=None)
        best = run.fit(self.kept, self.held_out, self._teller(report, done), rehearsal=self.rehearsal, keeps_last=True)
        if best is None:
            raise ValueError("the training wrote no weights")
        learnt = load_weights(best)
        facts = self.facts_of(learnt)
        after = Localisation(**facts["validation"]) if facts["validation"] else None
        worse = _what_is_worse(before, after)
        own = {"validation": _plain(after), "best_epoch": facts["epoch"], "kept": FORMER if worse else NEW}
        report.tell_stage(self.name, own)
        return Learnt(learnt, f"{self.network} did worse on the held-out images ({worse})" if worse else "")

    @property
    def radiographs(self) -> int:
        """How many films it learns from; phantoms, which have no file, do not count."""
        return sum(isinstance(item[IMAGE], str) for item in [*self.kept, *self.rehearsal.items])

    def facts(self, settings: TrainRequest) -> dict[str, Any]:
        """What the weights are to say about the training."""
        return {
            "data": "labels of the studies folder",
            "radiographs": self.radiographs,
            "held_out": len(self.held_out),
            "pretrained": settings.pretrained,
        }

    def _teller(self, report: TrainReport, done: int) -> Callable[[Progress], None]:
        """What tells the report about every epoch."""

        def tell(progress: Progress) -> None:
            logger.info("Epoch %d of %d of the %s: %s", progress.epoch, progress.epochs, self.name, describe(progress))
            epoch = done + progress.epoch
            report.tell_stage(
                self.name,
                {"epoch": progress.epoch, "validation": _plain(progress.validation)},
                epoch=epoch,
                percent=min(round(100 * epoch / report.content["total_epochs"], 1), _ALMOST),
                loss=progress.loss,
                terms=progress.terms,
            )

        return tell


class LandmarkStage(Stage):
    """Training of the network that finds the vertebrae, on whole images."""

    name = LANDMARKS
    network = "the network that finds the vertebrae"

    def can_use(self, item: Mapping[str, Any]) -> bool:
        """Always."""
        return True

    def former(self) -> State:
        """The network before."""
        return self.weights.state

    def run(self, settings: TrainRequest, folder: Path, initial: State | None) -> LandmarkTrainer:
        """With the app's tunables, for the network that the weights are for and with the request's schedule."""
        config, model = load_config(), self.weights.config
        schedule = _schedule(config.training, settings, settings.learning_rate)
        return LandmarkTrainer(
            replace(config, network=model.network, input=model.input, codec=model.codec, training=schedule),
            folder,
            choose_device(settings.device),
            workers=0,  # a spawned one would not find the app
            initial=initial,
            facts=self.facts(settings),
            prior=self.weights.prior,
            refiner=self.weights.refiner,
            freeze_norm=initial is not None,
            show_bars=False,
        )

    def facts_of(self, weights: Weights) -> dict[str, Any]:
        """What weights say about the network's training."""
        return weights.facts


class CornerStage(Stage):
    """Training of the second network, in patches laid near the labelled centers.

    Whether it does better is so a matter of this network alone, whatever the other one has learnt.

    Raises:
        ValueError: the weights have no second network.
    """

    name = CORNERS
    network = "the second network"

    def can_use(self, item: Mapping[str, Any]) -> bool:
        """Whether patches can be laid on it."""
        return can_be_patched(item)

    def can_rehearse(self, item: Mapping[str, Any]) -> bool:
        """Films alone: it has never learnt from phantoms, whose corners lie where no person would put them."""
        return isinstance(item[IMAGE], str)

    def former(self) -> State:
        """The network before."""
        return _refiner(self.weights).state

    def run(self, settings: TrainRequest, folder: Path, initial: State | None) -> CornerTrainer:
        """With the app's tunables, for the network that the weights are for and with the request's schedule."""
        config, refiner = load_config(), _refiner(self.weights)
        schedule = _schedule(config.refiner_training, settings, settings.corner_learning_rate)
        return CornerTrainer(
            replace(config, refiner=refiner.config, refiner_training=schedule),
            self.weights,
            folder,
            choose_device(settings.device),
            workers=0,
            initial=initial,
            facts=self.facts(settings),
            errors_of=refiner if initial is not None else None,
            freeze_norm=initial is not None,
            show_bars=False,
        )

    def facts_of(self, weights: Weights) -> dict[str, Any]:
        """What weights say about the network's training."""
        return _refiner(weights).facts


def _refiner(weights: Weights) -> CornerWeights:
    if weights.refiner is None:
        raise ValueError("the weights have no second network")
    return weights.refiner


ScheduleT = TypeVar("ScheduleT", bound=ScheduleConfig)


def _schedule(schedule: ScheduleT, settings: TrainRequest, learning_rate: float) -> ScheduleT:
    return replace(
        schedule,
        epochs=settings.max_epochs,
        batch_size=settings.batch_size,
        learning_rate=float(learning_rate),
        warmup_epochs=1.0,
        validate_every=1,
        seed=settings.seed,
    )


def _what_is_worse(before: Localisation | None, after: Localisation | None) -> str:
    """The measure that has grown, in words; empty where it has not, or where nothing was held out.

    The mean corner error, by which a run chooses its best epoch; of labels without corners that of the centers.
    """
    if before is None or after is None:
        return ""
    measure = "corner" if math.isfinite(before.corner_mean) else "center"
    old, new = (getattr(figures, f"{measure}_mean") for figures in (before, after))
    return "" if new <= old else f"mean {measure} error {old:.5g} px before, {new:.5g} px after"


def _plain(figures: Localisation | None) -> dict[str, Any] | None:
    return asdict(figures) if figures is not None else None
