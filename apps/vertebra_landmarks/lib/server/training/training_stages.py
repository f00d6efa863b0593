"""Training stages: each fine-tunes one network, and compares it with the former one."""

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
from ...learning.data import IMAGE
from ...learning.data.patches import can_be_patched
from ...learning.data.rehearsal import Rehearsal
from ...learning.training.corner_trainer import CornerTrainer
from ...learning.training.distributed import own_device
from ...learning.training.landmark_trainer import LandmarkTrainer
from ...learning.training.trainer import Item, Progress, Trainer, describe
from ...learning.weights.weight_files import CornerWeights, Weights, load_weights
from .learnt_images import NO_IMAGES, LearntImages
from .run_files import FORMER, NEW, TrainReport
from .train_request import TrainRequest

logger = logging.getLogger(__name__)

LANDMARKS, CORNERS = "landmarks", "corners"
"""Names of the stages: the network that finds the vertebrae, and the one that refines their corners."""

_MAX_STAGE_PERCENT = 99.0
"""The rest is the evaluation of the whole model."""

State = dict[str, torch.Tensor]


class StageResult(NamedTuple):
    """Result of a stage.

    Attributes:
        weights: with the new network.
        worse: in what it did worse than the former network, in words; empty if it did not.
    """

    weights: Weights
    worse: str


class Stage(ABC):
    """Fine-tuning of one of the two networks.

    Args:
        weights: of both networks; the other one stays.
        items: to train on; those that the network cannot use are left out.
        rehearsal: items to rehearse, likewise.
        held_out: items to evaluate on, likewise.
        learnt_images: the images of all these, as the weights will name them; only who writes them needs it.
    """

    name: ClassVar[str]
    network: ClassVar[str]

    def __init__(
        self,
        weights: Weights,
        items: Sequence[Item],
        rehearsal: Rehearsal,
        held_out: Sequence[Item],
        learnt_images: LearntImages = NO_IMAGES,
    ) -> None:
        self.weights, self.learnt_images = weights, learnt_images
        self.items, self.held_out = ([item for item in some if self.can_use(item)] for some in (items, held_out))
        rehearsed = [item for item in rehearsal.items if self.can_use(item) and self.can_rehearse(item)]
        self.rehearsal = Rehearsal(rehearsed, rehearsal.share)

    def can_use(self, item: Mapping[str, Any]) -> bool:
        """Whether the network can be trained on an item."""
        return True

    def can_rehearse(self, item: Mapping[str, Any]) -> bool:
        """Whether an item may be rehearsed."""
        return True

    @abstractmethod
    def former_state(self) -> State:
        """State of the former network."""

    @abstractmethod
    def trainer(self, settings: TrainRequest, folder: Path, initial: State | None) -> Trainer:
        """A trainer that starts from a network state, or from a random one."""

    @abstractmethod
    def facts_of(self, weights: Weights) -> dict[str, Any]:
        """Metadata of the network in weights."""

    def train(self, settings: TrainRequest, folder: Path, report: TrainReport, epochs_done: int) -> StageResult:
        """Train, and compare with the former network by the mean corner error on the held-out items.

        Args:
            settings: parameters of the training.
            folder: for the files of the run.
            report: of the progress.
            epochs_done: by earlier stages.

        Raises:
            ValueError: there is no item to train on.
            OSError: a file cannot be written.
            FloatingPointError: the loss is no longer finite.
        """
        # In another folder, since a trainer resumes from checkpoints in its own.
        evaluator = self.trainer(settings, folder.with_name(f"{folder.name}-before"), self.former_state())
        before = evaluator.check(self.held_out)
        trainer = self.trainer(settings, folder, self.former_state() if settings.pretrained else None)
        images = {"training": self.radiographs, "validation": len(self.held_out)}
        own = {"epochs": settings.max_epochs, "epoch": trainer.epoch, "images": images, "before": _plain(before)}
        own.update(validation=None, best_epoch=None, kept=None)
        if trainer.epoch:
            report.update(resumed_from=epochs_done + trainer.epoch)
        report.update_stage(self.name, own, loss=None, terms=None)
        on_epoch = self._progress_callback(report, epochs_done)
        best = trainer.fit(self.items, self.held_out, on_epoch, rehearsal=self.rehearsal, keeps_last=True)
        if best is None:
            raise ValueError("the training wrote no weights")
        trained = load_weights(best)
        facts = self.facts_of(trained)
        after = Localisation(**facts["validation"]) if facts["validation"] else None
        worse = _describe_increase(before, after)
        own = {"validation": _plain(after), "best_epoch": facts["epoch"], "kept": FORMER if worse else NEW}
        report.update_stage(self.name, own)
        return StageResult(trained, f"{self.network} did worse on the held-out images ({worse})" if worse else "")

    @property
    def radiographs(self) -> int:
        """Number of training images, rehearsed ones included; phantoms, which have no file, do not count."""
        return sum(isinstance(item[IMAGE], str) for item in [*self.items, *self.rehearsal.items])

    def facts(self, settings: TrainRequest) -> dict[str, Any]:
        """Metadata of the training for the weights."""
        items = [*self.items, *self.rehearsal.items]
        learnt = self.learnt_images.facts(self.name, items, settings.pretrained)
        return {**learnt, "held_out": len(self.held_out), "pretrained": settings.pretrained}

    def _progress_callback(self, report: TrainReport, epochs_done: int) -> Callable[[Progress], None]:
        def on_epoch(progress: Progress) -> None:
            logger.info("Epoch %d of %d of the %s: %s", progress.epoch, progress.epochs, self.name, describe(progress))
            epoch = epochs_done + progress.epoch
            report.update_stage(
                self.name,
                {"epoch": progress.epoch, "validation": _plain(progress.validation)},
                epoch=epoch,
                percent=min(round(100 * epoch / report.content["total_epochs"], 1), _MAX_STAGE_PERCENT),
                loss=progress.loss,
                terms=progress.terms,
            )

        return on_epoch


class LandmarkStage(Stage):
    """Fine-tuning of the network that finds the vertebrae, on whole images."""

    name = LANDMARKS
    network = "the network that finds the vertebrae"

    def former_state(self) -> State:
        """State of the former network."""
        return self.weights.state

    def trainer(self, settings: TrainRequest, folder: Path, initial: State | None) -> LandmarkTrainer:
        """A trainer with the settings of ``model.yaml``, the network of the weights and the schedule of the request."""
        config, model = load_config(), self.weights.config
        schedule = _schedule(config.training, settings, settings.learning_rate)
        return LandmarkTrainer(
            replace(config, network=model.network, input=model.input, codec=model.codec, training=schedule),
            folder,
            own_device(settings.device),
            workers=0,  # a spawned process would not find the app
            initial=initial,
            facts=self.facts(settings),
            prior=self.weights.prior,
            refiner=self.weights.refiner,
            freeze_norm=initial is not None,
            show_bars=False,
        )

    def facts_of(self, weights: Weights) -> dict[str, Any]:
        """Metadata of the network in weights."""
        return weights.facts


class CornerStage(Stage):
    """Fine-tuning of the second network, on patches around the labelled centers, independent of the first network.

    Raises:
        ValueError: the weights have no second network.
    """

    name = CORNERS
    network = "the second network"

    def can_use(self, item: Mapping[str, Any]) -> bool:
        """Whether patches can be cut from it."""
        return can_be_patched(item)

    def can_rehearse(self, item: Mapping[str, Any]) -> bool:
        """Images of patients alone: the corners of phantoms lie where no person would put them."""
        return isinstance(item[IMAGE], str)

    def former_state(self) -> State:
        """State of the former network."""
        return _refiner(self.weights).state

    def trainer(self, settings: TrainRequest, folder: Path, initial: State | None) -> CornerTrainer:
        """A trainer with the settings of ``model.yaml``, the network of the weights and the schedule of the request."""
        config, refiner = load_config(), _refiner(self.weights)
        schedule = _schedule(config.refiner_training, settings, settings.corner_learning_rate)
        return CornerTrainer(
            replace(config, refiner=refiner.config, refiner_training=schedule),
            self.weights,
            folder,
            own_device(settings.device),
            workers=0,
            initial=initial,
            facts=self.facts(settings),
            errors_of=refiner if initial is not None else None,
            freeze_norm=initial is not None,
            show_bars=False,
        )

    def facts_of(self, weights: Weights) -> dict[str, Any]:
        """Metadata of the network in weights."""
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


def _describe_increase(before: Localisation | None, after: Localisation | None) -> str:
    """The increase of the mean corner error, in words; empty where it did not increase, or nothing was held out.

    Of labels without corners, that of the mean center error.
    """
    if before is None or after is None:
        return ""
    measure = "corner" if math.isfinite(before.corner_mean) else "center"
    old, new = (getattr(figures, f"{measure}_mean") for figures in (before, after))
    return "" if new <= old else f"mean {measure} error {old:.5g} px before, {new:.5g} px after"


def _plain(figures: Localisation | None) -> dict[str, Any] | None:
    return asdict(figures) if figures is not None else None
