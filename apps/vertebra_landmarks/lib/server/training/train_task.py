"""The training task ``vertebra_landmarks``: learns from the labels of the studies folder."""

from __future__ import annotations

import contextlib
import logging
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import psutil
from filelock import FileLock, Timeout
from monailabel.interfaces.datastore import Datastore, DefaultLabelTag
from monailabel.interfaces.tasks.train import TrainTask
from monailabel.utils.async_tasks.utils import processes

from ..models import ModelStore
from .dataset import LEAST_LABELLED, changed_labels, labelled_films
from .train_request import TrainRequest, read_request
from .training_plan import read_plan
from .training_report import DONE, FAILED, INTERRUPTED, PROCESSES, RUNNING, STARTING, STOPPED, TrainReport, read_report
from .training_round import Round

logger = logging.getLogger(__name__)

BUSY = "a training runs already"
WAITS = "waits"
"""In the request of a process that begins when the training before it is over."""
NOT_INTERRUPTED = "there is no interrupted training to go on with"
REPORT, RUN, LOCK = "training.json", "training", "training.lock"
"""In the store's folder: how the newest training is getting on, its files while it runs, and what it holds then."""
TRAINING = "monailabel.interfaces.utils.app"
"""Module that MONAI Label runs tasks with, in the command of their processes."""
_OF_A_TRANSFORM = "applying transform"
_LEFT_S = 3600.0
_GLANCE_S, _FOREVER = 5.0, -1.0
"""A server that only looks whether a training runs holds the lock for less."""


class VertebraLandmarksTrain(TrainTask):
    """Goes on training the served weights on the images with a ``final`` label, then has the result served.

    MONAI Label calls it in a process of its own and kills that process to cancel: until the last step, in which the
    finished weights take their place, nothing changes for inference. A training whose process was killed otherwise can
    go on from its last epoch.

    Args:
        models: where the weights come from and go to.
        device: where to train unless a request says otherwise: auto, cpu or cuda.
        process_ids: tells the processes that train on the studies or are about to; those of this server if left out.
    """

    def __init__(self, models: ModelStore, device: str, process_ids: Callable[[], set[int]] | None = None) -> None:
        super().__init__("Learns from the images of the studies folder that have a final label")
        self._models, self._device = models, device
        self._process_ids = process_ids or _own_process_ids
        self._run = models.folder / RUN
        self._is_here = False

    def config(self) -> dict[str, Any]:
        """The parameters with their defaults, as clients show them and send them back."""
        return asdict(TrainRequest(device=self._device))

    def check(self, request: Mapping[str, Any], datastore: Datastore, is_waiting: bool = False) -> TrainRequest:
        """See whether a training can begin; quick enough to be asked before its process is started.

        Args:
            request: parameters as sent.
            datastore: the studies folder.
            is_waiting: it begins after the one that runs.

        Raises:
            ValueError: a parameter is wrong, there are too few images with a final label, there is nothing to go on
                with, or a training runs already.
        """
        if self._is_here or (not is_waiting and self._is_held()):
            raise ValueError(BUSY)
        return self._settings(request, datastore)

    def _settings(self, request: Mapping[str, Any], datastore: Datastore) -> TrainRequest:
        settings = read_request(request, self._device)
        left = read_plan(self._run) if settings.resume else None
        if settings.resume and left is None:
            raise ValueError(NOT_INTERRUPTED)
        count = len(datastore.get_labeled_images(DefaultLabelTag.FINAL.value))
        if count < LEAST_LABELLED:
            raise ValueError(
                f"training needs at least {LEAST_LABELLED} images with a label of tag 'final', the studies folder has "
                f"{count}"
            )
        if left is not None and (changed := changed_labels(labelled_films(datastore), left.films)):
            raise ValueError(f"the interrupted training cannot go on: {changed} labelled images came, went or changed")
        return settings

    def stats(self) -> dict[str, Any]:
        """How the newest training is getting on, or how it ended.

        Returns:
            Nothing before the first one; else ``state`` (starting, running, done, failed, stopped or interrupted) and
            what the training process reported, see ``TrainReport``.
        """
        report = read_report(self._models.folder / REPORT)
        own = set(report.pop(PROCESSES, []))
        alive = self._process_ids()
        if self._is_here or alive & own:
            return report
        if report.get("state") == RUNNING and self._is_held():  # by the process of another server of this folder
            return report
        if alive:
            return {"state": STARTING}
        if report.get("state") == RUNNING:
            report["state"] = INTERRUPTED if read_plan(self._run) is not None else STOPPED
        return report

    def discard(self, is_ended: bool = False) -> None:
        """Give up the training that was killed: it is stopped for good, and not to go on later.

        Args:
            is_ended: it was killed just now; else the one that runs is, if there is one.

        Raises:
            OSError: that cannot be noted.
        """
        if not is_ended:
            self._end_other()
        with contextlib.suppress(Timeout), self._alone():
            report = TrainReport(self._models.folder / REPORT)
            report.take_up()
            if report.content.get("state") == RUNNING:
                report.end(STOPPED)
            shutil.rmtree(self._run, ignore_errors=True)

    def __call__(self, request: dict[str, Any], datastore: Datastore) -> dict[str, Any]:
        """Train, keep the result as a version of the model, and serve it where the gate or the request says so.

        Args:
            request: parameters as sent.
            datastore: the studies folder.

        Returns:
            The last report, without what names images.

        Raises:
            ValueError: a parameter is wrong, too few labels can be used, a training runs already, or the interrupted
                one cannot go on.
            OSError: a file cannot be written.
            FloatingPointError: the loss is no longer finite.
        """
        if self._is_here or processes("train"):  # the latter where the server was asked to train in its own process
            raise ValueError(BUSY)
        self._is_here = True
        try:
            with self._alone(_FOREVER if request.get(WAITS) else _GLANCE_S):
                return self._report_on({name: value for name, value in request.items() if name != WAITS}, datastore)
        except Timeout as error:
            raise ValueError(BUSY) from error
        finally:
            self._is_here = False

    def _report_on(self, request: dict[str, Any], datastore: Datastore) -> dict[str, Any]:
        report = TrainReport(self._models.folder / REPORT)
        self._remove_leftovers()
        report.begin()
        try:
            settings = self._settings(request, datastore)
            told = Round(self._models, self._run, labelled_films(datastore), report).learn(settings, request)
            report.end(DONE, percent=100.0, **told)
            logger.info("The training is done; published: %s", told["version_after"] or "nothing")
        except Exception as error:
            with contextlib.suppress(OSError):
                report.end(FAILED, error=_reason(error))
            if isinstance(error, FloatingPointError):  # it would go on from there
                shutil.rmtree(self._run, ignore_errors=True)
            raise
        shutil.rmtree(self._run, ignore_errors=True)
        return {name: value for name, value in report.content.items() if name not in (PROCESSES, "skipped")}

    def _remove_leftovers(self) -> None:
        """What writers that were killed have left."""
        for folder in (self._models.folder, self._models.versions_folder):
            for leftover in folder.glob(".*.tmp"):
                with contextlib.suppress(OSError):
                    if time.time() - leftover.stat().st_mtime > _LEFT_S:
                        leftover.unlink()

    @contextlib.contextmanager
    def _alone(self, timeout_s: float = _GLANCE_S) -> Iterator[None]:
        """While no process trains on this folder; the system releases what a killed one has held."""
        self._models.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self._models.folder / LOCK, timeout=timeout_s):
            yield

    def _end_other(self) -> None:
        """End a training of this folder that no living server answers for."""
        if not self._is_held():
            return
        for pid in read_report(self._models.folder / REPORT).get(PROCESSES, [])[:1]:
            with contextlib.suppress(psutil.Error, ValueError, TypeError):
                process = psutil.Process(pid)
                words = process.cmdline()
                if TRAINING in words and "train" in words:
                    process.kill()
                    process.wait(_GLANCE_S)

    def _is_held(self) -> bool:
        self._models.folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self._models.folder / LOCK, timeout=0):
                return False
        except Timeout:
            return True


def _own_process_ids() -> set[int]:
    return {process.pid for process in processes("train").values()}


def _reason(error: BaseException) -> str:
    """What an error says; MONAI names its transform instead of what went wrong there."""
    while str(error).startswith(_OF_A_TRANSFORM) and error.__cause__ is not None:
        error = error.__cause__
    return str(error)
