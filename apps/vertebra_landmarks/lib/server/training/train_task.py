"""The training task ``vertebra_landmarks``: trains on the labels of the studies folder."""

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
from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.train import TrainTask
from monailabel.utils.async_tasks.utils import processes

from ..models import ModelStore
from .dataset import MIN_LABELLED, LabelledImages, changed_labels
from .run_files import (
    DONE,
    FAILED,
    INTERRUPTED,
    PROCESSES,
    RUNNING,
    STARTING,
    STOPPED,
    TrainReport,
    read_plan,
    read_report,
    reason_of,
)
from .train_request import TrainRequest, read_request
from .training_round import TrainingRound

logger = logging.getLogger(__name__)

BUSY = "a training runs already"
WAITS = "waits"
"""Request key of a process that waits for the training before it."""
NOT_INTERRUPTED = "there is no interrupted training to resume"
REPORT, RUN, LOCK = "training.json", "training", "training.lock"
"""In the model folder: the progress report, the files of a running or interrupted training, and its lock."""
TASK_MODULE = "monailabel.interfaces.utils.app"
"""Module in the command line of MONAI Label's task processes."""
_LEFTOVER_AGE_S = 3600.0
_LOCK_TIMEOUT_S, _NO_TIMEOUT = 5.0, -1.0
"""A server that checks whether a training runs holds the lock for less."""


class VertebraLandmarksTrain(TrainTask):
    """Fine-tunes the served weights on the images with a ``final`` label, and publishes the result through the gate.

    MONAI Label runs it in a process of its own, and kills that process to cancel: until the last step, which publishes
    the new version, inference is not affected. A training whose process was killed otherwise can be resumed from its
    last epoch.

    Args:
        models: source and destination of the weights.
        device: default of the request: auto, cpu or cuda.
        process_ids: returns the processes that train on the studies or are about to; by default those of this server.
    """

    def __init__(self, models: ModelStore, device: str, process_ids: Callable[[], set[int]] | None = None) -> None:
        super().__init__("Trains on the images of the studies folder that have a final label")
        self._models, self._device = models, device
        self._process_ids = process_ids or _own_process_ids
        self._run = models.folder / RUN
        self._is_running = False

    def config(self) -> dict[str, Any]:
        """The parameters with their defaults, as clients display and send them."""
        return asdict(TrainRequest(device=self._device))

    def check(self, request: Mapping[str, Any], datastore: Datastore, is_waiting: bool = False) -> TrainRequest:
        """Check whether a training can begin; quick enough to run before its process is started.

        Args:
            request: parameters as sent.
            datastore: the studies folder.
            is_waiting: it begins after the running one.

        Raises:
            ValueError: a parameter is wrong, there are too few images with a final label, there is nothing to resume,
                or a training runs already (``BUSY``).
        """
        if self._is_running or (not is_waiting and self._is_locked()):
            raise ValueError(BUSY)
        return self._settings(request, datastore)

    def _settings(self, request: Mapping[str, Any], datastore: Datastore) -> TrainRequest:
        settings = read_request(request, self._device)
        plan = read_plan(self._run) if settings.resume else None
        if settings.resume and plan is None:
            raise ValueError(NOT_INTERRUPTED)
        pattern = plan.settings.get("patient_pattern", "") if plan is not None else settings.patient_pattern
        sources = LabelledImages(datastore, None, pattern)
        count = len(sources)
        if count < MIN_LABELLED:
            raise ValueError(
                f"training needs at least {MIN_LABELLED} images with a label of tag 'final' that may be learnt from, "
                f"the studies folder has {count}"
            )
        if plan is not None and (changed := changed_labels(sources, plan.films)):
            raise ValueError(
                f"the interrupted training cannot be resumed: {changed} labelled images came, went or changed"
            )
        return settings

    def stats(self) -> dict[str, Any]:
        """Progress or end of the newest training.

        Returns:
            Empty before the first one; else ``state`` (starting, running, done, failed, stopped or interrupted) and the
            report, see ``TrainReport``.
        """
        report = read_report(self._models.folder / REPORT)
        own = set(report.pop(PROCESSES, []))
        alive = self._process_ids()
        if self._is_running or alive & own:
            return report
        if report.get("state") == RUNNING and self._is_locked():  # by the process of another server of this folder
            return report
        if alive:
            return {"state": STARTING}
        if report.get("state") == RUNNING:
            report["state"] = INTERRUPTED if read_plan(self._run) is not None else STOPPED
        return report

    def discard(self, is_ended: bool = False) -> None:
        """Discard the training that was cancelled, so that it cannot be resumed.

        Args:
            is_ended: its process was ended; else the running one, if any, is ended here.

        Raises:
            OSError: the report cannot be written.
        """
        if not is_ended:
            self._end_other()
        with contextlib.suppress(Timeout), self._locked():
            report = TrainReport(self._models.folder / REPORT)
            report.load()
            if report.content.get("state") == RUNNING:
                report.end(STOPPED)
            shutil.rmtree(self._run, ignore_errors=True)

    def __call__(self, request: dict[str, Any], datastore: Datastore) -> dict[str, Any]:
        """Train, store the result as a version, and serve it if the gate or the request says so.

        Args:
            request: parameters as sent.
            datastore: the studies folder.

        Returns:
            The final report, without image ids.

        Raises:
            ValueError: a parameter is wrong, too few labels can be used, a training runs already, or the interrupted
                one cannot be resumed.
            OSError: a file cannot be written.
            FloatingPointError: the loss is no longer finite.
        """
        if self._is_running or processes("train"):  # the latter for a synchronous request in the server's own process
            raise ValueError(BUSY)
        self._is_running = True
        try:
            with self._locked(_NO_TIMEOUT if request.get(WAITS) else _LOCK_TIMEOUT_S):
                return self._train({name: value for name, value in request.items() if name != WAITS}, datastore)
        except Timeout as error:
            raise ValueError(BUSY) from error
        finally:
            self._is_running = False

    def _train(self, request: dict[str, Any], datastore: Datastore) -> dict[str, Any]:
        report = TrainReport(self._models.folder / REPORT)
        self._remove_temporary_files()
        report.begin()
        try:
            settings = self._settings(request, datastore)
            sources = LabelledImages(datastore, None, settings.patient_pattern)
            round_ = TrainingRound(self._models, self._run, sources, report)
            result = round_.run(settings, request)
            report.end(DONE, percent=100.0, **result)
            logger.info("The training is done; published: %s", result["version_after"] or "nothing")
        except Exception as error:
            with contextlib.suppress(OSError):
                report.end(FAILED, error=reason_of(error))
            if isinstance(error, FloatingPointError):  # resuming would fail again
                shutil.rmtree(self._run, ignore_errors=True)
            raise
        shutil.rmtree(self._run, ignore_errors=True)
        return {name: value for name, value in report.content.items() if name not in (PROCESSES, "skipped")}

    def _remove_temporary_files(self) -> None:
        """Remove temporary files of killed writers."""
        for folder in (self._models.folder, self._models.versions_folder):
            for leftover in folder.glob(".*.tmp"):
                with contextlib.suppress(OSError):
                    if time.time() - leftover.stat().st_mtime > _LEFTOVER_AGE_S:
                        leftover.unlink()

    @contextlib.contextmanager
    def _locked(self, timeout_s: float = _LOCK_TIMEOUT_S) -> Iterator[None]:
        """Hold the lock of trainings on this folder; the system releases that of a killed process."""
        self._models.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self._models.folder / LOCK, timeout=timeout_s):
            yield

    def _end_other(self) -> None:
        """End a training of this folder that no living server has started."""
        if not self._is_locked():
            return
        for pid in read_report(self._models.folder / REPORT).get(PROCESSES, [])[:1]:
            with contextlib.suppress(psutil.Error, ValueError, TypeError):
                process = psutil.Process(pid)
                command = process.cmdline()
                if TASK_MODULE in command and "train" in command:
                    process.kill()
                    process.wait(_LOCK_TIMEOUT_S)

    def _is_locked(self) -> bool:
        self._models.folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(self._models.folder / LOCK, timeout=0):
                return False
        except Timeout:
            return True


def _own_process_ids() -> set[int]:
    return {process.pid for process in processes("train").values()}
