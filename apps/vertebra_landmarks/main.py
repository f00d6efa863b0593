"""The MONAI Label app "Vertebra Landmarks": wiring only."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from fastapi import HTTPException
from monailabel.config import settings
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.datastore import Datastore
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
            HTTPException: 404 for an unknown model or image; 415 or 422 from the model.
        """
        if request.get("model") not in self._infers:
            raise HTTPException(404, detail=f"there is no model {request.get('model')!r}; use {MODEL!r}")
        image = str(request.get("image", ""))
        store = datastore or self.datastore()
        if "session" not in request and not store.get_image_uri(image) and not _is_upload(image):
            raise HTTPException(404, detail=f"there is no image {image!r} in the studies folder")
        return super().infer(request, datastore)

    def batch_infer(self, request: dict[str, Any], datastore: Datastore | None = None) -> dict[str, Any]:
        """Run inference on many images, one after the other."""
        return super().batch_infer({"multi_gpu": False, **request}, datastore)


def _is_upload(image: str) -> bool:
    """Whether the path is a file that MONAI Label stored for the request at hand."""
    path = Path(image).resolve()
    return path.is_file() and path.parent == Path(tempfile.gettempdir()).resolve()
