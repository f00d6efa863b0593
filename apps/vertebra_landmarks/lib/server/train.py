"""The training task ``vertebra_landmarks``: learns from the labels of the studies folder."""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from monailabel.interfaces.datastore import Datastore, DefaultLabelTag
from monailabel.interfaces.tasks.train import TrainTask
from monailabel.utils.async_tasks.utils import processes, tasks

from ..learning.devices import choose_device
from ..learning.labelled import read_items, split
from ..learning.patch_views import can_be_patched
from ..learning.weights import load_weights
from .models import ModelStore, version_of
from .train_report import DONE, FAILED, PROCESSES, RUNNING, STARTING, STOPPED, TrainReport, read_report
from .train_request import TrainRequest, read_request
from .train_stages import CornerStage, LandmarkStage, Stage

logger = logging.getLogger(__name__)

LEAST_LABELLED = 2
BUSY = "a training runs already"
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
            training process reported, see ``TrainReport``.
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
        """Train, and publish unless both networks did worse on the held-out images than before.

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
        report.update(
            settings=asdict(settings), epoch=0, percent=0, version_before=version_of(served.facts), version_after=None
        )
        items = _usable_items(datastore, report)
        kept, held_out = ([items[name] for name in names] for names in split(items, settings.val_split))
        stages: list[type[Stage]] = [LandmarkStage]
        if served.refiner is not None and any(can_be_patched(item) for item in kept):
            stages.append(CornerStage)
        report.update(
            device=str(choose_device(settings.device)),
            total_epochs=len(stages) * settings.max_epochs,
            images={"training": len(kept), "validation": len(held_out)},
        )
        logger.info("Training on %d radiographs, checking on %d", len(kept), len(held_out))
        weights, reasons = served, []
        for number, stage in enumerate(stages):
            folder, done = self._run / stage.name, number * settings.max_epochs
            weights, reason = stage(weights, kept, held_out).learn(settings, folder, report, done)
            reasons += [reason] if reason else []
        version = self._models.publish(weights) if weights is not served else None
        message = _message(reasons, is_published=version is not None)
        report.end(DONE, percent=100.0, version_after=version, message=message)
        logger.info("The training is done; published: %s. %s", version or "nothing", message or "")


def _message(reasons: Sequence[str], is_published: bool) -> str | None:
    """Which networks stay as they were, and why; ``None`` where both are new."""
    if not reasons:
        return None
    found = " and ".join(reasons)
    return f"{found[0].upper()}{found[1:]} and stays as it was." if is_published else f"Nothing was published: {found}."


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


def _remove_leftovers(folder: Path) -> None:
    """Delete what a training left that was killed."""
    shutil.rmtree(folder / RUN, ignore_errors=True)
    for file in folder.glob(".*.tmp"):
        file.unlink(missing_ok=True)
