"""What ``pacs.py`` does without a server: infer, send and status."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import _app_path  # noqa: F401
from lib.server.active_learning.prelabel_worker import PrelabelWorker
from lib.server.config import ServerConfig
from lib.server.inference.infer_task import VertebraLandmarksInfer
from lib.server.inference.inference_service import InferenceService
from lib.server.models import ModelStore
from lib.server.pacs.client import PacsError
from lib.server.pacs.pacs_images import PacsImages, open_pacs_store
from lib.server.pacs.reports.delivery import PAUSED, RETRYING
from lib.server.pacs.reports.report_worker import ReportWorker
from lib.server.pacs.settings import PacsSettings
from lib.server.pacs.watcher import PacsWatcher
from lib.server.store.datastore import StudiesDatastore

DONE, SOME_REFUSED, UNREACHABLE = 0, 1, 2
"""Exit statuses."""
SHOW_INTERVAL_S = 5.0
ELSEWHERE_INTERVAL_S = 2.0
"""Between two looks at what a server does that works on the same folder."""


@contextlib.contextmanager
def opened(settings: PacsSettings, config: ServerConfig) -> Iterator[tuple[StudiesDatastore, PacsImages]]:
    """The working folder, with the images that the PACS has now.

    Raises:
        PacsError: the PACS does not answer as it should.
    """
    store, source = open_pacs_store(settings, config.database)
    try:
        PacsWatcher(source, store, settings).compare()
        yield store, source
    finally:
        store.close()


def infer(settings: PacsSettings, config: ServerConfig) -> int:
    """Predict all images without a label of a person that the served model has not predicted; returns the exit status.

    Raises:
        PacsError: the PACS does not answer as it should.
    """
    with opened(settings, config) as (store, source):
        models = ModelStore(settings.folder, config.weights)
        task = VertebraLandmarksInfer(models, config.device)
        task.info()  # loads the weights
        predict = InferenceService(task, store).predict_in_background
        worker = PrelabelWorker(store, predict, lambda: task.model_version, lambda: task.model_key, models.folder)
        with _shown(lambda: _predicted(worker.status())):
            while not worker.work_once():  # a server predicts
                time.sleep(ELSEWHERE_INTERVAL_S)
        status = worker.status()
        print(_predicted(status))
        if source.failure is not None:
            raise PacsError(source.failure)
        return SOME_REFUSED if status["failed"] else DONE


def _predicted(status: dict[str, Any]) -> str:
    failed = f", {status['failed']:,} show no spine or cannot be read" if status["failed"] else ""
    return f"{status['done']:,} of {status['total']:,} images are predicted{failed}."


def send(settings: PacsSettings, config: ServerConfig, is_again: bool) -> int:
    """Send all labels that wait, after reading what others have reported; returns the exit status.

    Args:
        settings: of the PACS.
        config: of the server.
        is_again: also what the PACS has refused.

    Raises:
        PacsError: the PACS does not answer as it should, or does not let this login store anything.
    """
    with opened(settings, config) as (store, source):
        worker = ReportWorker(source, store, settings)
        if is_again:
            print(f"{worker.outbox.retry_refused():,} refused objects are sent again.")
        with _shown(lambda: _sent(worker.status())):
            while not worker.work_once() and worker.status()["waiting"]:  # a server sends
                time.sleep(ELSEWHERE_INTERVAL_S)
        status = worker.status()
        _print(status)
        if status["waiting"] or status["sending"] in (RETRYING, PAUSED):
            raise PacsError(status["last_error"] or "not all could be sent")
        return SOME_REFUSED if status["refused"] else DONE


def show_status(settings: PacsSettings, config: ServerConfig) -> int:
    """Print how much is waiting, sent and refused, without asking the PACS; returns the exit status."""
    store, source = open_pacs_store(settings, config.database, read_only=True)
    try:
        status = ReportWorker(source, store, settings).status()
    finally:
        store.close()
    _print(status)
    return SOME_REFUSED if status["refused"] else DONE


def _print(status: dict[str, Any]) -> None:
    print(_sent(status))
    if status["last_error"] is not None:
        print(f"Last error: {status['last_error']}")
    for one in status["refusals"]:
        print(f"Refused: {one['kind']} of image {one['image']}, {one['tag']} {one['version']}: {one['reason']}")


def _sent(status: dict[str, Any]) -> str:
    return f"{status['sent']:,} objects are sent, {status['waiting']:,} wait, {status['refused']:,} are refused."


@contextlib.contextmanager
def _shown(line: Callable[[], str]) -> Iterator[None]:
    """Context manager: print a line every few seconds."""
    is_done = threading.Event()

    def show() -> None:
        while not is_done.wait(SHOW_INTERVAL_S):
            print(line(), file=sys.stderr, flush=True)

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_done.set()
        thread.join()
