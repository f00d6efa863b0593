"""The MONAI Label app "Vertebra Landmarks": wiring only."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

from fastapi import HTTPException
from monailabel.config import settings
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.datastore import Datastore, DefaultLabelTag
from monailabel.interfaces.tasks.infer_v2 import InferTask
from monailabel.interfaces.tasks.strategy import Strategy
from monailabel.tasks.activelearning.first import First
from monailabel.tasks.activelearning.random import Random

from lib import __version__
from lib.server.config import parse_conf
from lib.server.datastore import StudiesDatastore
from lib.server.infer import VertebraLandmarksInfer
from lib.spine.schema import VERTEBRAE

MODEL = "vertebra_landmarks"


class VertebraLandmarksApp(MONAILabelApp):
    """Serves landmark inference and the choice of the next image for a folder of spine radiographs."""

    def __init__(self, app_dir: str, studies: str, conf: dict[str, str]) -> None:
        self.config = parse_conf(conf or {})
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
        return {MODEL: VertebraLandmarksInfer(self.config)}

    def init_strategies(self) -> dict[str, Strategy]:
        """Ways to choose the next image."""
        return {"random": Random(), "first": First()}

    def infer(self, request: dict[str, Any], datastore: Datastore | None = None) -> dict[str, Any]:
        """Run inference on an image of the datastore, of a session, or of this upload.

        Raises:
            HTTPException: 400 for a label tag that is no plain name; 404 for an unknown model or image; 415 or 422
                from the model.
        """
        if request.get("model") not in self._infers:
            raise HTTPException(404, detail=f"there is no model {request.get('model')!r}; use {MODEL!r}")
        tag = request.get("label_tag", DefaultLabelTag.ORIGINAL)
        tag = tag.value if isinstance(tag, DefaultLabelTag) else str(tag)
        if not re.fullmatch(r"[\w-]+", tag):  # it becomes the name of a folder
            raise HTTPException(400, detail=f"label_tag must be letters, digits, '_' and '-', got {tag!r}")
        image = str(request.get("image", ""))
        store = datastore or self.datastore()
        path = store.get_image_uri(image) or self._uploaded(image)
        if not path:
            raise HTTPException(404, detail=f"there is no image {image!r} in the studies folder")
        # An id that is also a name in the working directory would be taken for that file: hand over the path.
        result = super().infer({**request, "image": path}, datastore)
        if request.get("save_label") and image != path:
            result["label"] = store.save_label(image, result["file"], tag, {"model": request["model"]})
        return result

    def batch_infer(self, request: dict[str, Any], datastore: Datastore | None = None) -> dict[str, Any]:
        """Run inference on many images; one that fails has the reason in its place."""
        answer: dict[str, Any] = self._batch_infer(
            {**request, "multi_gpu": False}, datastore or self.datastore(), self._infer_or_reason
        )
        return answer

    def _infer_or_reason(self, request: dict[str, Any], datastore: Datastore | None = None) -> dict[str, Any]:
        try:
            return self.infer(request, datastore)
        except HTTPException as error:
            return {"error": error.detail}

    def _uploaded(self, image: str) -> str | None:
        """The path, if MONAI Label stored it for this request or for an upload session."""
        path = Path(image).resolve()
        is_upload = path.parent == Path(tempfile.gettempdir()).resolve()
        is_session = self._sessions is not None and Path(self._sessions.store_path).resolve() in path.parents
        return str(path) if path.is_file() and (is_upload or is_session) else None
