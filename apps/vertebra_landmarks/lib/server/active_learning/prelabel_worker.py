"""Predictions in the background for the images that nobody has labelled yet, so that they wait for no one."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from fastapi import HTTPException
from monailabel.interfaces.datastore import DefaultLabelTag

from ..background_worker import POLL_INTERVAL_S, BackgroundWorker
from ..inference.response import MODEL_VERSION
from ..log_privacy import redacted_traceback
from ..store.datastore import StudiesDatastore
from ..store.image_queries import predicted_by
from ..store.studies_folder import FileState

logger = logging.getLogger(__name__)

PREDICTED_BY = "predicted_by"
"""In the facts of a predicted label: which model has predicted which file."""
_PIECE = 500

_FINAL, _PREDICTED = DefaultLabelTag.FINAL.value, DefaultLabelTag.ORIGINAL.value


class PrelabelWorker(BackgroundWorker):
    """Keeps a prediction of the served model beside every image without a final label.

    A label ``original`` that a person has made or changed stays as it is. An image whose file was replaced is
    predicted again.

    Images are predicted one at a time, so that whoever asks for another one waits for one image at most. What is done
    stands in the facts of the labels: after a restart it goes on with the rest. Of several workers of a server one
    does the work.

    Args:
        datastore: the studies folder.
        predict: predicts an image by its id and returns a Markups file, which is deleted, and facts about it.
        version: says which version of the model is served, for people.
        key: says which weights these are, so that they differ from all others.
        folder: for the file by which workers agree on one of them.
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

    def status(self) -> dict[str, Any]:
        """How far it is.

        Returns:
            ``state``: "working", "idle" when all is done, "waiting" before the first look, or where another worker of
            this server does it; ``model_version``; ``total`` images without a label of a person, of which ``done`` have
            a prediction of that model, and ``failed`` show no spine or cannot be read.
        """
        return super().status()

    def catch_up(self) -> None:
        """Predict all images that lack a prediction of the served model, until it is another one or it is stopped."""
        key = self._key()
        total, missing, failed = len(self._datastore.get_unlabeled_images(_FINAL)), [], 0
        for image, file, facts in self._unpredicted(key):
            if facts is not None and _is_of_person(facts):
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
            outcome = None if self._is_taken(image) else self._predicted(image, file, key)
            if outcome is None:  # labelled meanwhile
                self._status["total"] -= 1
            else:
                self._status[outcome] += 1
        self._status["state"] = "idle"

    def _unpredicted(self, key: str) -> Iterator[tuple[str, FileState, dict[str, Any] | None]]:
        after = ""
        while some := self._datastore.score_queries.unpredicted(_PREDICTED, key, _PIECE, after):
            for row in some:
                yield row.id, (row.size, row.mtime_ns), None if row.facts is None else json.loads(row.facts)
            after = some[-1].id

    def _is_taken(self, image: str) -> bool:
        """Whether a person has labelled the image."""
        tags = self._datastore.get_labels_by_image_id(image)
        return _FINAL in tags or (
            _PREDICTED in tags and _is_of_person(self._datastore.get_label_info(image, _PREDICTED))
        )

    def _predicted(self, image: str, file: FileState, key: str) -> str | None:
        """Predict an image, and say under what it counts; ``None`` where a person has labelled it meanwhile."""
        try:
            label, facts = self._predict(image)
            try:
                if self._is_taken(image):
                    return None
                noted = {**facts, PREDICTED_BY: predicted_by(key, *map(str, file))}
                self._datastore.save_label(image, str(label), _PREDICTED, noted)
            finally:
                label.unlink(missing_ok=True)
        except HTTPException as error:
            if error.status_code < 500:  # it will not go better next time
                self._failed[image] = key, file
            return "failed"
        except Exception as error:  # the other images are still done
            logger.error("An image could not be predicted in the background\n%s", redacted_traceback(error))
            self._failed[image] = key, file
            return "failed"
        return "done"


def _is_of_person(facts: Mapping[str, Any]) -> bool:
    """Whether a label with these facts is more than what a model has found."""
    return not facts.get(MODEL_VERSION) or bool(facts.get("user")) or bool(facts.get("edits"))
