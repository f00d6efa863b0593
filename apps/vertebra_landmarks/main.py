"""The MONAI Label app "Vertebra Landmarks": wiring only."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from fastapi import HTTPException
from monailabel.config import settings
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.datastore import Datastore, DefaultLabelTag
from monailabel.interfaces.tasks.infer_v2 import InferTask
from monailabel.interfaces.tasks.strategy import Strategy
from monailabel.interfaces.tasks.train import TrainTask
from monailabel.tasks.activelearning.first import First
from monailabel.tasks.activelearning.random import Random

from lib import __version__
from lib.server.config import parse_conf
from lib.server.datastore import StudiesDatastore
from lib.server.infer import VertebraLandmarksInfer
from lib.server.models import ModelStore
from lib.server.names import check_tag
from lib.server.privacy import keep_patients_out_of_logs, outline
from lib.server.train import VertebraLandmarksTrain
from lib.server.turns import Turns
from lib.server.web.application import serve
from lib.spine.schema import VERTEBRAE

logger = logging.getLogger(__name__)

MODEL = "vertebra_landmarks"
ORIGIN = ("model_version", "names_right", "tilt_half_widths_deg")
"""Of an answer, what is noted about a label that is stored from it."""


class VertebraLandmarksApp(MONAILabelApp):
    """Serves landmark inference and the choice of the next image for a folder of spine radiographs."""

    def __init__(self, app_dir: str, studies: str, conf: dict[str, str]) -> None:
        keep_patients_out_of_logs()
        self.config = parse_conf(conf or {})
        self._models = ModelStore(Path(studies), self.config.weights)
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
        """The studies folder."""
        return StudiesDatastore(
            self.studies, settings.MONAI_LABEL_DATASTORE_AUTO_RELOAD, settings.MONAI_LABEL_DATASTORE_READ_ONLY
        )

    def init_infers(self) -> dict[str, InferTask]:
        """The one model."""
        return {MODEL: VertebraLandmarksInfer(self._models, self.config.device)}

    def init_trainers(self) -> dict[str, TrainTask]:
        """The way in which it learns."""
        return {MODEL: VertebraLandmarksTrain(self._models, self.config.device)}

    def check_training(self, request: dict[str, Any]) -> None:
        """See whether a training can begin, before a process is started for it.

        Raises:
            HTTPException: 400, a parameter is wrong or there are too few labels.
        """
        try:
            self._trainers[MODEL].check(request, self.datastore())
        except ValueError as error:
            raise HTTPException(400, detail=str(error)) from error

    def init_strategies(self) -> dict[str, Strategy]:
        """Ways to choose the next image."""
        return {"random": Random(), "first": First()}

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
        path = image if isinstance(image, Path) else store.get_image_uri(str(image))  # JSON holds no Path
        if not path:
            raise HTTPException(404, detail=f"there is no image {image!r:.80} in the studies folder")
        file, answer = self._turns.take(self._infers[request["model"]], {**request, "image": str(path)})
        result = {"label": file, "tag": tag, "file": file, "params": answer}
        if request.get("save_label") and not isinstance(image, Path):
            try:
                facts = {"model": request["model"], **{name: answer.get(name) for name in ORIGIN}}
                result["label"] = store.save_label(image, file, tag, facts)
            except Exception as error:
                Path(file).unlink(missing_ok=True)
                raise (HTTPException(400, str(error)) if isinstance(error, ValueError) else error) from error
        return result

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
        self._sessions = serve(self, self.config).sessions
