"""Background worker that predicts images without a final label ahead of time."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from fastapi import HTTPException
from monailabel.interfaces.datastore import DefaultLabelTag

from ..inference.response import MODEL_VERSION
from ..log_privacy import redacted_traceback
from ..store.datastore import StudiesDatastore
from ..store.image_queries import predicted_by
from ..store.store_context import ImageUnavailableError
from ..store.studies_folder import FileState
from .background_worker import POLL_INTERVAL_S, BackgroundWorker

logger = logging.getLogger(__name__)

PREDICTED_BY = "predicted_by"
"""Metadata key of a predicted label: the model and the file that it has predicted."""
_BATCH = 500

_FINAL, _PREDICTED = DefaultLabelTag.FINAL.value, DefaultLabelTag.ORIGINAL.value


class PrelabelWorker(BackgroundWorker):
    """Keeps a prediction of the served model beside every image without a final label.

    A label ``original`` that a person has made or changed stays as it is. An image whose file was replaced is
    predicted again.

    Images are predicted one at a time, so that a request waits for one image at most. Progress is in the metadata of
    the labels: after a restart the worker continues with the rest.

    ``status()`` has, beside ``state``, the ``model_version`` and how many images are without a label of a person
    (``total``), have a prediction of that model (``done``), or show no spine or cannot be read (``failed``).

    Args:
        datastore: the studies folder.
        predict: predicts an image by its id; returns a Markups file, which is deleted, and the metadata of the label.
        version: returns the display name of the served model version.
        key: returns the key that identifies the served weights.
        folder: of the lock file.
        interval_s: seconds between two rounds.
    """

    def __init__(
        self,
        datastore: StudiesDatastore,
        predict: Callable[[str], tuple[Path, dict[str, Any]]],
        version: Callable[[], str],
        key: Callable[[], str],
        folder: Path,
        interval_s: float = POLL_INTERVAL_S,
    ) -> None:
        super().__init__("prelabel", folder, interval_s, {MODEL_VERSION: None, "total": 0, "done": 0, "failed": 0})
        self._datastore, self._predict = datastore, predict
        self._version, self._key = version, key
        self._failed: dict[str, tuple[str, FileState]] = {}

    def catch_up(self) -> None:
        """Predict all images that lack a prediction of the served model, as long as it is served."""
        key = self._key()
        total, missing, failed = len(self._datastore.get_unlabeled_images(_FINAL)), [], 0
        for image, file, metadata in self._unpredicted(key):
            if metadata is not None and is_of_person(metadata):
                total -= 1
            elif self._failed.get(image) == (key, file):
                failed += 1
            else:
                missing.append((image, file))
        self._status = {
            "state": "working" if missing else "idle",
            MODEL_VERSION: self._version(),
            "total": total,
            "done": total - len(missing) - failed,
            "failed": failed,
        }
        for image, file in missing:
            if self.is_stopping or self._key() != key:
                return
            try:
                outcome = None if self._is_labelled(image) else self._predict_one(image, file, key)
            except HTTPException:  # the images cannot be fetched now
                return
            if outcome is None:  # labelled meanwhile
                self._status["total"] -= 1
            else:
                self._status[outcome] += 1
        self._status["state"] = "idle"

    def _unpredicted(self, key: str) -> Iterator[tuple[str, FileState, dict[str, Any] | None]]:
        after = ""
        while batch := self._datastore.score_queries.unpredicted(_PREDICTED, key, _BATCH, after):
            for row in batch:
                yield row.id, (row.size, row.mtime_ns), None if row.facts is None else json.loads(row.facts)
            after = batch[-1].id

    def _is_labelled(self, image: str) -> bool:
        """Whether a person has labelled the image."""
        tags = self._datastore.get_labels_by_image_id(image)
        return _FINAL in tags or (
            _PREDICTED in tags and is_of_person(self._datastore.get_label_info(image, _PREDICTED))
        )

    def _predict_one(self, image: str, file: FileState, key: str) -> str | None:
        """Predict an image; returns its key in ``status``, ``None`` where a person has labelled it meanwhile.

        Raises:
            HTTPException: it cannot be fetched now.
        """
        try:
            label, metadata = self._predict(image)
            try:
                if self._is_labelled(image):
                    return None
                metadata = {**metadata, PREDICTED_BY: predicted_by(key, *map(str, file))}
                self._datastore.save_label(image, str(label), _PREDICTED, metadata)
            finally:
                label.unlink(missing_ok=True)
        except HTTPException as error:
            if isinstance(error.__cause__, ImageUnavailableError):
                raise
            if error.status_code < 500:  # a retry would fail as well
                self._failed[image] = key, file
            return "failed"
        except Exception as error:  # the other images are still done
            logger.error("An image could not be predicted in the background\n%s", redacted_traceback(error))
            self._failed[image] = key, file
            return "failed"
        return "done"


def is_of_person(metadata: Mapping[str, Any]) -> bool:
    """Whether a person has made or changed the label with this metadata."""
    return not metadata.get(MODEL_VERSION) or bool(metadata.get("user")) or bool(metadata.get("edits"))
