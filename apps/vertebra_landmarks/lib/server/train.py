"""The training task ``vertebra_landmarks``: learns from the labels of the studies folder."""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeVar

from monailabel.interfaces.datastore import Datastore, DefaultLabelTag
from monailabel.interfaces.tasks.train import TrainTask
from monailabel.utils.async_tasks.utils import processes, tasks

from ..learning.config import Config, ModelConfig, ScheduleConfig, load_config
from ..learning.devices import choose_device
from ..learning.labelled import read_items, split
from ..learning.patch_views import can_be_patched
from ..learning.refiner_training import RefinerTrainer
from ..learning.runs import Progress, describe
from ..learning.training import Trainer
from ..learning.weights import RefinerWeights, Weights, load_weights
from .models import ModelStore
from .train_report import DONE, FAILED, PROCESSES, RUNNING, STARTING, STOPPED, TrainReport, read_report
from .train_request import TrainRequest, read_request

logger = logging.getLogger(__name__)

LEAST_LABELLED = 2
BUSY = "a training runs already"
LANDMARKS, CORNERS = "landmarks", "corners"
"""The stages of a training: the network that finds the vertebrae, and the one that refines their corners."""
REPORT, RUN = "training.json", "training"
"""In the store's folder: how the newest training is getting on, and its files while it runs."""


class VertebraLandmarksTrain(TrainTask):
    """Goes on training the served weights on the images with a ``final`` label, then has the result served.

    MONAI Label calls it in a process of its own and kills that process to cancel: until the last step, in which the
    finished weights take their place, nothing changes for inference.

    Args:
        models: where the weights come from and go to.
        device: where to train unless a request says otherwise: auto, cpu or cuda.
    """

    def __init__(self, models: ModelStore, device: str) -> None:
        super().__init__("Learns from the images of the studies folder that have a final label")
        self._models, self._device = models, device
        self._run = models.folder / RUN
        self._is_here = False

    def config(self) -> dict[str, Any]:
        """The parameters with their defaults, as clients show them and send them back."""
        return asdict(TrainRequest(device=self._device))

    def check(self, request: Mapping[str, Any], datastore: Datastore) -> TrainRequest:
        """See whether a training can begin; quick enough to be asked before its process is started.

        Args:
            request: parameters as sent.
            datastore: the studies folder.

        Raises:
            ValueError: a parameter is wrong, there are too few images with a final label, or a training runs in this
                very process.
        """
        if self._is_here:
            raise ValueError(BUSY)
        return self._settings(request, datastore)

    def _settings(self, request: Mapping[str, Any], datastore: Datastore) -> TrainRequest:
        settings = read_request(request, self._device)
        count = len(_labelled(datastore))
        if count < LEAST_LABELLED:
            raise ValueError(
                f"training needs at least {LEAST_LABELLED} images with a label of tag 'final', the studies folder has "
                f"{count}"
            )
        return settings

    def stats(self) -> dict[str, Any]:
        """How the newest training is getting on, or how it ended.

        Returns:
            Nothing before the first one; else ``state`` (starting, running, done, failed or stopped) and what the
            training process reported.
        """
        report = read_report(self._models.folder / REPORT)
        own = set(report.pop(PROCESSES, []))
        alive = {process.pid for process in processes("train").values()}
        if self._is_here or alive & own:
            return report
        if alive:
            return {"state": STARTING}
        if report.get("state") == RUNNING:
            report["state"] = STOPPED
            if tasks("train"):  # started by this server, so that it is not another one's
                shutil.rmtree(self._run, ignore_errors=True)
        return report

    def __call__(self, request: dict[str, Any], datastore: Datastore) -> dict[str, Any]:
        """Train and publish.

        Args:
            request: parameters as sent.
            datastore: the studies folder.

        Returns:
            The last report, without what names images.

        Raises:
            ValueError: a parameter is wrong, too few labels can be used, or a training runs already.
            OSError: a file cannot be written.
            FloatingPointError: the loss is no longer finite.
        """
        if self._is_here or processes("train"):  # the latter where the server was asked to train in its own process
            raise ValueError(BUSY)
        self._is_here = True
        report = TrainReport(self._models.folder / REPORT)
        try:
            self._models.folder.mkdir(exist_ok=True)
            _remove_leftovers(self._models.folder)
            report.begin()
            self._train(self._settings(request, datastore), datastore, report)
        except Exception as error:
            with contextlib.suppress(OSError):
                report.end(FAILED, error=str(error))
            raise
        finally:
            shutil.rmtree(self._run, ignore_errors=True)
            self._is_here = False
        return {name: value for name, value in report.content.items() if name not in (PROCESSES, "skipped")}

    def _train(self, settings: TrainRequest, datastore: Datastore, report: TrainReport) -> None:
        served = load_weights(self._models.served)
        report.update(settings=asdict(settings), epoch=0, percent=0)
        items = _usable_items(datastore, report)
        kept, held_out = ([items[name] for name in names] for names in split(items, settings.val_split))
        patched = [item for item in kept if can_be_patched(item)] if served.refiner is not None else []
        facts = _facts(settings, len(kept), len(held_out))
        trainer = self._trainer(served, settings, facts)
        before = trainer.check(held_out)
        report.update(
            device=str(trainer.device),
            total_epochs=(2 if patched else 1) * settings.max_epochs,
            images={"training": len(kept), "validation": len(held_out)},
            before=asdict(before) if before is not None else None,
        )
        logger.info("Training on %d radiographs, checking on %d", len(kept), len(held_out))
        best = _finished(trainer.fit(kept, held_out, _teller(report, LANDMARKS, 0)))
        learnt = load_weights(best)
        if patched and served.refiner is not None:
            checked = [item for item in held_out if can_be_patched(item)]
            refining = self._refiner_trainer(learnt, served.refiner, settings, facts)
            best = _finished(refining.fit(patched, checked, _teller(report, CORNERS, settings.max_epochs)))
        self._models.publish(best)
        epoch = learnt.facts["epoch"]
        report.end(DONE, best_epoch=epoch, percent=100.0, validation=learnt.facts["validation"] or None)
        logger.info("Published the weights of epoch %d", epoch)

    def _trainer(self, served: Weights, settings: TrainRequest, facts: dict[str, Any]) -> Trainer:
        return Trainer(
            _configuration(served.config, settings),
            self._run / LANDMARKS,
            choose_device(settings.device),
            workers=0,  # a spawned one would not find the app
            initial=served.state if settings.pretrained else None,
            facts=facts,
            prior=served.prior,
            refiner=served.refiner,
            freeze_norm=settings.pretrained,
            resumable=False,
            show_bars=False,
        )

    def _refiner_trainer(
        self, learnt: Weights, refiner: RefinerWeights, settings: TrainRequest, facts: dict[str, Any]
    ) -> RefinerTrainer:
        config = load_config()
        schedule = _schedule(config.refiner_training, settings)
        return RefinerTrainer(
            replace(config, refiner=refiner.config, refiner_training=schedule),
            learnt,
            self._run / CORNERS,
            choose_device(settings.device),
            workers=0,
            initial=refiner.state if settings.pretrained else None,
            facts=facts,
            freeze_norm=settings.pretrained,
            resumable=False,
            show_bars=False,
        )


def _usable_items(datastore: Datastore, report: TrainReport) -> dict[str, dict[str, Any]]:
    """Training items by image id; which labels cannot be used, and why, goes to the report.

    Raises:
        ValueError: too few can be used.
        OSError: the report cannot be written.
    """
    items, skipped = read_items(_labelled(datastore))
    report.update(skipped=skipped)
    if skipped:
        logger.warning("%d labels cannot be used; the report says which and why", len(skipped))
    if len(items) < LEAST_LABELLED:
        raise ValueError(
            f"training needs at least {LEAST_LABELLED} labels that can be used, {len(items)} of "
            f"{len(items) + len(skipped)} can"
        )
    return items


def _labelled(datastore: Datastore) -> dict[str, tuple[Path, Path]]:
    """Image and label file of every image with a final label, by image id."""
    tag = DefaultLabelTag.FINAL.value
    return {
        name: (Path(datastore.get_image_uri(name)), Path(datastore.get_label_uri(name, tag)))
        for name in datastore.get_labeled_images(tag)
    }


def _configuration(model: ModelConfig, settings: TrainRequest) -> Config:
    """The app's tunables, for the network that the weights are for and with the request's schedule."""
    config = load_config()
    schedule = _schedule(config.training, settings)
    return replace(config, network=model.network, input=model.input, codec=model.codec, training=schedule)


ScheduleT = TypeVar("ScheduleT", bound=ScheduleConfig)


def _schedule(schedule: ScheduleT, settings: TrainRequest) -> ScheduleT:
    return replace(
        schedule,
        epochs=settings.max_epochs,
        batch_size=settings.batch_size,
        learning_rate=float(settings.learning_rate),
        warmup_epochs=1.0,
        validate_every=1,
        seed=settings.seed,
    )


def _facts(settings: TrainRequest, kept: int, held_out: int) -> dict[str, Any]:
    return {
        "data": "labels of the studies folder",
        "radiographs": kept,
        "held_out": held_out,
        "pretrained": settings.pretrained,
        "trained": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def _finished(best: Path | None) -> Path:
    if best is None:
        raise ValueError("the training wrote no weights")
    return best


def _teller(report: TrainReport, stage: str, done: int) -> Callable[[Progress], None]:
    """What tells the report about every epoch of a stage, before which ``done`` epochs of others lie."""

    def tell(progress: Progress) -> None:
        logger.info("Epoch %d of %d of the %s: %s", progress.epoch, progress.epochs, stage, describe(progress))
        epoch = done + progress.epoch
        report.update(
            stage=stage,
            epoch=epoch,
            percent=round(100 * epoch / report.content["total_epochs"], 1),
            loss=progress.loss,
            terms=progress.terms,
            validation=asdict(progress.validation) if progress.validation is not None else None,
        )

    return tell


def _remove_leftovers(folder: Path) -> None:
    """Delete what a training left that was killed."""
    shutil.rmtree(folder / RUN, ignore_errors=True)
    for file in folder.glob(".*.tmp"):
        file.unlink(missing_ok=True)
