"""Inference on images of the studies folder and on uploads, queued, with results saved as labels on request."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from fastapi import HTTPException
from monailabel.interfaces.datastore import DefaultLabelTag
from sqlalchemy.exc import DBAPIError

from ...image_io import Radiograph, read_radiograph
from ...learning.active_learning.descriptors import ImageDescriptor, describe_image
from ..filenames import check_tag
from ..log_privacy import redacted_traceback
from ..store.datastore import StudiesDatastore
from ..store.images import STATED_SIDE, ImageHeader
from ..store.studies_folder import FileState
from .image_reading import header_of, reading
from .infer_request import InferRequest
from .infer_task import MODEL, VertebraLandmarksInfer
from .inference_queue import InferenceQueue
from .response import label_provenance

logger = logging.getLogger(__name__)

MAX_NOTED = 100_000
"""Images of which is remembered that their headers are in the database."""


class InferenceService:
    """Runs the inference task, one image at a time, for requests, batches and background workers.

    Args:
        task: the inference task.
        store: the studies folder.
    """

    def __init__(self, task: VertebraLandmarksInfer, store: StudiesDatastore) -> None:
        self.task, self._store = task, store
        self._queue = InferenceQueue()
        self._noted: dict[str, FileState] = {}

    def infer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Predict on an image: the id of one in the store, or the ``Path`` of an uploaded file.

        Returns:
            ``file``, a temporary Markups file which the caller deletes; ``params``, the response; ``tag`` and
            ``label``, the id of the saved label, or the file if none was to be saved.

        Raises:
            HTTPException: 400 for an invalid label tag; 404 for an unknown model or image; 503 when the inference does
                not finish in time; what the task raises.
        """
        if request.get("model") != MODEL:
            raise HTTPException(404, detail=f"there is no model {request.get('model')!r:.80}; use {MODEL!r}")
        tag = request.get("label_tag") or DefaultLabelTag.ORIGINAL
        try:
            tag = check_tag(tag.value if isinstance(tag, DefaultLabelTag) else str(tag))
        except ValueError as error:
            raise HTTPException(400, detail=str(error)) from error
        image = request.get("image", "")
        if isinstance(image, Path):  # set by the server alone: JSON has no paths
            file, response = self._queue.run(self.task, {**request, "image": str(image), STATED_SIDE: None})
        else:
            with reading(self._store, str(image)) as path:
                stated = self._store.stated_side(str(image))
                file, response = self._queue.run(self.task, {**request, "image": str(path), STATED_SIDE: stated})
        result = {"label": file, "tag": tag, "file": file, "params": response}
        if request.get("save_label") and not isinstance(image, Path):
            try:
                fixed = int(InferRequest.parse(request).fixed.mask.sum())
                noted = {**label_provenance(MODEL, response), **({"edits": fixed} if fixed else {})}
                result["label"] = self._store.save_label(image, file, tag, noted)
            except Exception as error:
                Path(file).unlink(missing_ok=True)
                raise (HTTPException(400, str(error)) if isinstance(error, ValueError) else error) from error
        return result

    def infer_or_error(self, request: dict[str, Any]) -> dict[str, Any]:
        """The same for one image of a batch: a failure becomes ``{"error": sentence}``."""
        try:
            return self.infer(request)
        except HTTPException as error:
            return {"error": error.detail}
        except Exception as error:  # the other images are still processed
            logger.error("One image of a batch failed\n%s", redacted_traceback(error))
            return {"error": "the server failed on this image; its log says where"}

    def read(self, image: str) -> Radiograph:
        """An image of the store.

        Raises:
            HTTPException: 404, there is none of that id.
            UnreadableImageError: it cannot be read.
        """
        state = self._store.file_state(image)
        with reading(self._store, image) as path:
            radiograph = self.task.read(path)
        self._note_header(image, radiograph, state)
        return radiograph

    def header(self, image: str) -> ImageHeader:
        """Size and geometry of an image of the store; only one that nobody has read before is read for it.

        Raises:
            HTTPException: 404, there is none of that id.
            UnreadableImageError: it cannot be read.
        """
        return self._store.header(image) or header_of(self.read(image))

    def _note_header(self, image: str, radiograph: Radiograph, state: FileState) -> None:
        """Tell all servers, so that those without the image in memory need not read it to save a label."""
        if self._noted.get(image) == state:
            return
        if len(self._noted) >= MAX_NOTED:
            self._noted.clear()
        try:
            self._store.note_header(image, header_of(radiograph), state)
            self._noted[image] = state
        except DBAPIError as error:  # whoever reads the image can go on
            logger.warning("The size of an image could not be noted: %s", type(error).__name__)

    def predict_in_background(self, image: str) -> tuple[Path, dict[str, Any]]:
        """Predict for a background worker; returns a temporary Markups file and the metadata of the label."""
        with reading(self._store, image) as path:
            file, response = self._queue.run_background(lambda: self.task.predict_uncached({"image": str(path)}))
        return Path(file), label_provenance(MODEL, response)

    def describe(self, image: str) -> ImageDescriptor:
        """What the served model says about an image, for scoring in the background."""
        state = self._store.file_state(image)
        with reading(self._store, image) as path:
            radiograph = read_radiograph(path)
        self._note_header(image, radiograph, state)
        return self._queue.run_background(lambda: describe_image(self.task.predictor, radiograph))
