"""The MONAI Label app "Vertebra Landmarks": wiring only."""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import psutil
from fastapi import HTTPException
from monailabel.config import settings
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.datastore import Datastore, DefaultLabelTag
from monailabel.interfaces.tasks.infer_v2 import InferTask
from monailabel.interfaces.tasks.strategy import Strategy
from monailabel.interfaces.tasks.train import TrainTask
from monailabel.utils.async_tasks.utils import processes

from lib import __version__
from lib.learning.choosing.film import opinion_about
from lib.learning.choosing.opinion import Opinion
from lib.learning.image_io import Radiograph, read_radiograph
from lib.server.config import parse_conf
from lib.server.image_reading import reading
from lib.server.infer import VertebraLandmarksInfer
from lib.server.models import ModelStore
from lib.server.names import check_tag
from lib.server.prelabel import MODEL_VERSION, Prelabelling
from lib.server.privacy import keep_patients_out_of_logs, outline
from lib.server.scoring import Scoring
from lib.server.stated_side import STATED_SIDE
from lib.server.store.datastore import StudiesDatastore
from lib.server.strategies import all_strategies
from lib.server.studies_path import check_studies
from lib.server.train import BUSY, VertebraLandmarksTrain
from lib.server.turns import Turns
from lib.server.web.application import serve
from lib.server.web.task_board import TRAIN, TaskBoard
from lib.spine.schema import VERTEBRAE

logger = logging.getLogger(__name__)

MODEL = "vertebra_landmarks"
ORIGIN = (MODEL_VERSION, "model_digest", "names_right", "tilt_half_widths_deg")
"""Of an answer, what is noted about a label that is stored from it."""


class VertebraLandmarksApp(MONAILabelApp):
    """Serves landmark inference and the choice of the next image for a folder of spine radiographs."""

    def __init__(self, app_dir: str, studies: str, conf: dict[str, str]) -> None:
        keep_patients_out_of_logs()
        try:
            check_studies(studies)
        except ValueError as error:
            _end(str(error))
        self.config = parse_conf(conf or {})
        self.models = ModelStore(Path(studies), self.config.weights)
        self._prelabelling: Prelabelling | None = None
        self._scoring: Scoring | None = None
        self._board: TaskBoard | None = None
        self._turns = Turns()
        settings.MONAI_LABEL_AUTO_UPDATE_SCORING = False  # else a process at start and after each image, for nothing
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
        """The studies folder and its database."""
        return StudiesDatastore(
            self.studies,
            self.config.database,
            auto_reload=settings.MONAI_LABEL_DATASTORE_AUTO_RELOAD,
            read_only=settings.MONAI_LABEL_DATASTORE_READ_ONLY,
        )

    def init_infers(self) -> dict[str, InferTask]:
        """The one model."""
        return {MODEL: VertebraLandmarksInfer(self.models, self.config.device)}

    def init_trainers(self) -> dict[str, TrainTask]:
        """The way in which it learns."""
        return {MODEL: VertebraLandmarksTrain(self.models, self.config.device, self._training_processes)}

    def _training_processes(self) -> set[int]:
        if self._board is not None:
            return self._board.process_ids(TRAIN)
        return {process.pid for process in processes(TRAIN).values()}

    def check_training(self, request: dict[str, Any], is_waiting: bool = False) -> None:
        """See whether a training can begin, before a process is started for it.

        Args:
            request: parameters as sent.
            is_waiting: it begins after the one that runs.

        Raises:
            HTTPException: 400, a parameter is wrong or there are too few labels; 429, a training runs already.
        """
        try:
            self._trainers[MODEL].check(request, self.datastore(), is_waiting)
        except ValueError as error:
            raise HTTPException(429 if str(error) == BUSY else 400, detail=str(error)) from error

    def discard_training(self, is_ended: bool) -> None:
        """Give up the training on purpose, whose process was just ended or is ended now."""
        self._trainers[MODEL].discard(is_ended)

    def info(self) -> dict[str, Any]:
        """MONAI Label's facts, which version of the model is served, and how the work in the background goes."""
        told: dict[str, Any] = super().info()
        told["served_version"] = self.models.served_number
        told["prelabel"] = self._prelabelling.status() if self._prelabelling else {"state": "off"}
        told["scoring"] = self._scoring.status() if self._scoring else {"state": "off"}
        return told

    def init_strategies(self) -> dict[str, Strategy]:
        """Ways to choose the next image."""
        return all_strategies(lambda: str(self._infers[MODEL].model_key))

    def infer(self, request: dict[str, Any], datastore: Datastore | None = None) -> dict[str, Any]:
        """Run inference on an image: the id of one in the datastore, or the ``Path`` of a file that a client sent.

        Images get their turn in the order of the requests.

        Raises:
            HTTPException: 400 for a label tag that is no plain name; 404 for an unknown model or image; 503 when
                the turn does not come in time; what the model raises.
        """
        if request.get("model") not in self._infers:
            raise HTTPException(404, detail=f"there is no model {request.get('model')!r:.80}; use {MODEL!r}")
        tag = request.get("label_tag") or DefaultLabelTag.ORIGINAL
        try:
            tag = check_tag(tag.value if isinstance(tag, DefaultLabelTag) else str(tag))
        except ValueError as error:
            raise HTTPException(400, detail=str(error)) from error
        image, store = request.get("image", ""), datastore or self.datastore()
        if isinstance(image, Path):  # JSON holds none
            file, answer = self._take_turn({**request, "image": str(image), STATED_SIDE: None})
        else:
            with reading(store, str(image)) as path:
                stated = store.stated_side(str(image))
                file, answer = self._take_turn({**request, "image": str(path), STATED_SIDE: stated})
        result = {"label": file, "tag": tag, "file": file, "params": answer}
        if request.get("save_label") and not isinstance(image, Path):
            try:
                result["label"] = store.save_label(image, file, tag, _origin(answer))
            except Exception as error:
                Path(file).unlink(missing_ok=True)
                raise (HTTPException(400, str(error)) if isinstance(error, ValueError) else error) from error
        return result

    def _take_turn(self, request: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        result: tuple[str, dict[str, Any]] = self._turns.take(self._infers[request["model"]], request)
        return result

    def read_image(self, image: str) -> Radiograph:
        """An image of the folder.

        Raises:
            HTTPException: 404, there is none of that id.
            UnreadableImageError: it cannot be read.
        """
        task: VertebraLandmarksInfer = self._infers[MODEL]
        with reading(self.datastore(), image) as path:
            return task.read(path)

    def batch_infer(self, request: dict[str, Any], datastore: Datastore | None = None) -> dict[str, Any]:
        """Run inference on many images; one that fails has the reason in its place."""
        settled = {"multi_gpu": False, "device": "cpu", "max_workers": 1}  # the first would divide by no GPUs
        answer: dict[str, Any] = self._batch_infer(
            {**request, **settled}, datastore or self.datastore(), self._infer_or_reason
        )
        return answer

    def _infer_or_reason(self, request: dict[str, Any], datastore: Datastore | None = None) -> dict[str, Any]:
        try:
            return self.infer(request, datastore)
        except HTTPException as error:
            return {"error": error.detail}
        except Exception as error:  # the other images are still done
            logger.error("One image of a batch failed\n%s", outline(error))
            return {"error": "the server failed on this image; its log says where"}

    def _load_sessions(self, load: bool = False) -> None:
        """None but those of the running server; MONAI Label's own lie in the home folder and open other paths."""

    def on_init_complete(self) -> None:
        """Called by the running server only, before its first request: take the place of its web application."""
        super().on_init_complete()
        for task in self._infers.values():
            task.info()  # loads the weights, so that no request waits for them
        ends: list[Callable[[], None]] = []
        if self.config.prelabel:
            self._prelabelling = self._make_prelabelling()
            self._prelabelling.start()
            ends.append(self._prelabelling.stop)
        if self.config.scoring:
            self._scoring = self._make_scoring()
            self._scoring.start()
            ends.append(self._scoring.stop)
        service = serve(self, self.config, ends)
        self._sessions, self._board = service.sessions, service.board

    def _make_prelabelling(self) -> Prelabelling:
        task: VertebraLandmarksInfer = self._infers[MODEL]

        def predict(image: str) -> tuple[Path, dict[str, Any]]:
            with reading(self.datastore(), image) as path:
                file, answer = self._turns.run(lambda: task.in_passing({"image": str(path)}))
            return Path(file), _origin(answer)

        return Prelabelling(
            self.datastore(), predict, lambda: task.model_version, lambda: task.model_key, self.models.folder
        )

    def _make_scoring(self) -> Scoring:
        task: VertebraLandmarksInfer = self._infers[MODEL]

        def ask(image: str) -> Opinion:
            with reading(self.datastore(), image) as path:
                radiograph = read_radiograph(path)
            return self._turns.run(lambda: opinion_about(task.predictor, radiograph))

        return Scoring(self.datastore(), ask, lambda: task.model_key, self.models.folder, lambda: task.model_version)


def _end(sentence: str) -> NoReturn:
    """End the server with a sentence; the web server would print a traceback, and go on where it has workers."""
    print(sentence, file=sys.stderr, flush=True)
    parent = multiprocessing.parent_process()
    if parent is not None and parent.pid is not None:
        psutil.Process(parent.pid).kill()
    os._exit(1)


def _origin(answer: dict[str, Any]) -> dict[str, Any]:
    """What is noted about a label that is stored from an answer."""
    return {"model": MODEL, **{name: answer.get(name) for name in ORIGIN}}
