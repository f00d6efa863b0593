"""The MONAI Label app "Vertebra Landmarks": wiring of configuration, datastore, tasks, workers and web application."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import psutil
from monailabel.config import settings
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.infer_v2 import InferTask
from monailabel.interfaces.tasks.strategy import Strategy
from monailabel.interfaces.tasks.train import TrainTask
from monailabel.utils.async_tasks.utils import processes

from lib import __version__
from lib.image_io import Radiograph
from lib.server.active_learning.prelabel_worker import PrelabelWorker
from lib.server.active_learning.scoring_worker import ScoringWorker
from lib.server.active_learning.strategies import all_strategies
from lib.server.annotation.readings.plan_file import PlanError, PlanFile
from lib.server.config import parse_conf
from lib.server.filenames import check_studies, is_dicomweb
from lib.server.inference.image_reading import ReadableImages
from lib.server.inference.infer_task import MODEL, VertebraLandmarksInfer
from lib.server.inference.inference_service import InferenceService
from lib.server.log_privacy import install_log_redaction
from lib.server.models import ModelStore
from lib.server.pacs.pacs_images import open_pacs_store
from lib.server.pacs.reports.report_worker import ReportWorker
from lib.server.pacs.reports.summary import with_summary
from lib.server.pacs.settings import pacs_settings
from lib.server.pacs.watcher import PacsWatcher
from lib.server.store.datastore import StudiesDatastore
from lib.server.store.images import ImageHeader
from lib.server.training.train_task import VertebraLandmarksTrain
from lib.server.web.app import serve
from lib.server.web.task_registry import TRAIN, TaskRegistry
from lib.spine.schema import VERTEBRAE


class VertebraLandmarksApp(MONAILabelApp):
    """Serves landmark inference, training and the choice of the next image for a folder of spine radiographs."""

    def __init__(self, app_dir: str, studies: str, conf: dict[str, str]) -> None:
        install_log_redaction()
        try:
            check_studies(studies)
            self.config = parse_conf(conf or {})
            self._pacs = pacs_settings(studies, self.config) if is_dicomweb(studies) else None
        except ValueError as error:
            _exit(str(error))
        if self._pacs is not None:
            studies = str(self._pacs.folder)  # of all that is not an image
        self.models = ModelStore(Path(studies), self.config.weights)
        self._prelabelling: PrelabelWorker | None = None
        self._scoring: ScoringWorker | None = None
        self._task_registry: TaskRegistry | None = None
        self._pacs_watcher: PacsWatcher | None = None
        self._pacs_reports: ReportWorker | None = None
        settings.MONAI_LABEL_AUTO_UPDATE_SCORING = False  # else it starts a process after each image, for nothing
        settings.MONAI_LABEL_TRACKING_ENABLED = False  # else training asks for mlflow, which is not installed
        super().__init__(
            app_dir,
            studies,
            conf or {},
            name="Vertebra Landmarks",
            description="Centers and corners of T1 to L5 on anteroposterior spine radiographs",
            version=__version__,
            labels=list(VERTEBRAE),
        )

    def init_datastore(self) -> Datastore:
        """The studies folder and its database, with the images in the folder or in a PACS."""
        reload, read_only = settings.MONAI_LABEL_DATASTORE_AUTO_RELOAD, settings.MONAI_LABEL_DATASTORE_READ_ONLY
        try:
            PlanFile(Path(self.studies)).read()
        except PlanError as error:
            _exit(str(error))
        if self._pacs is not None:
            return open_pacs_store(self._pacs, self.config.database, reload, read_only)[0]
        return StudiesDatastore(self.studies, self.config.database, reload, read_only, rescan_s=self.config.rescan_s)

    def init_infers(self) -> dict[str, InferTask]:
        """The inference task."""
        task = VertebraLandmarksInfer(self.models, self.config.device)
        self.inference = InferenceService(task, self.datastore())
        return {MODEL: task}

    def init_trainers(self) -> dict[str, TrainTask]:
        """The training task."""
        return {MODEL: VertebraLandmarksTrain(self.models, self.config.device, self._training_processes)}

    def _training_processes(self) -> set[int]:
        if self._task_registry is not None:
            return self._task_registry.process_ids(TRAIN)
        return {process.pid for process in processes(TRAIN).values()}

    def init_strategies(self) -> dict[str, Strategy]:
        """Strategies that choose the next image."""
        store, readable = self.datastore(), ReadableImages()
        store.on_prefetched = partial(readable.check_ahead, store)
        return all_strategies(lambda: self.inference.task.model_key, readable)

    def info(self) -> dict[str, Any]:
        """MONAI Label's description of the app, with the served version and the state of the background workers."""
        description: dict[str, Any] = super().info()
        description["served_version"] = self.models.served_number
        description["prelabel"] = self._prelabelling.status() if self._prelabelling else {"state": "off"}
        description["scoring"] = self._scoring.status() if self._scoring else {"state": "off"}
        description["pacs"] = {"state": "off"}
        if self._pacs_watcher and self._pacs_reports:
            description["pacs"] = with_summary({**self._pacs_watcher.status(), **self._pacs_reports.status()})
        return description

    def infer(self, request: dict[str, Any], datastore: Datastore | None = None) -> dict[str, Any]:
        """Predict on an image of the app's own datastore or an upload; see ``InferenceService.infer``."""
        return self.inference.infer(request)

    def batch_infer(self, request: dict[str, Any], datastore: Datastore | None = None) -> dict[str, Any]:
        """Predict on many images of the app's own datastore; one that fails has ``{"error": sentence}``."""
        fixed = {"multi_gpu": False, "device": "cpu", "max_workers": 1}  # multi_gpu would divide by no GPUs
        results: dict[str, Any] = self._batch_infer(
            {**request, **fixed}, self.datastore(), lambda one, _=None: self.inference.infer_or_error(one)
        )
        return results

    def read_image(self, image: str) -> Radiograph:
        """An image of the folder; see ``InferenceService.read``."""
        return self.inference.read(image)

    def image_header(self, image: str) -> ImageHeader:
        """Size and geometry of an image of the folder; see ``InferenceService.header``."""
        return self.inference.header(image)

    def check_training(self, request: dict[str, Any], is_waiting: bool = False) -> None:
        """Raise ``ValueError`` unless a training can begin; see ``VertebraLandmarksTrain.check``."""
        self._trainers[MODEL].check(request, self.datastore(), is_waiting)

    def discard_training(self, is_ended: bool) -> None:
        """Discard the training that was cancelled; see ``VertebraLandmarksTrain.discard``."""
        self._trainers[MODEL].discard(is_ended)

    def _load_sessions(self, load: bool = False) -> None:
        """Override: MONAI Label's sessions lie in the home folder and open arbitrary paths."""

    def on_init_complete(self) -> None:
        """Called by the running server before its first request: start the workers and the web application."""
        super().on_init_complete()
        task = self.inference.task
        task.info()  # loads the weights, so that no request waits for them
        shutdown_hooks: list[Callable[[], None]] = []
        if self._pacs is not None:
            store = self.datastore()
            self._pacs_watcher = PacsWatcher(store.context.source, store, self._pacs)
            self._pacs_watcher.start()
            self._pacs_reports = ReportWorker(store.context.source, store, self._pacs)
            self._pacs_reports.start()
            shutdown_hooks += [self._pacs_watcher.stop, self._pacs_reports.stop]
        if self.config.prelabel:
            self._prelabelling = PrelabelWorker(
                self.datastore(),
                self.inference.predict_in_background,
                lambda: task.model_version,
                lambda: task.model_key,
                self.models.folder,
            )
            self._prelabelling.start()
            shutdown_hooks.append(self._prelabelling.stop)
        if self.config.scoring:
            self._scoring = ScoringWorker(
                self.datastore(),
                self.inference.describe,
                lambda: task.model_key,
                self.models.folder,
                lambda: task.model_version,
            )
            self._scoring.start()
            shutdown_hooks.append(self._scoring.stop)
        service = serve(self, self.config, shutdown_hooks)
        self._sessions, self._task_registry = service.sessions, service.task_registry


def _exit(sentence: str) -> NoReturn:
    """End the server with a sentence; an exception would print a traceback, and the parent restart its workers."""
    print(sentence, file=sys.stderr, flush=True)
    parent = multiprocessing.parent_process()
    if parent is not None and parent.pid is not None:
        psutil.Process(parent.pid).kill()
    os._exit(1)
