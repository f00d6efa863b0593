"""Predictions in the background for the images that nobody has labelled yet, so that they wait for no one."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import HTTPException
from filelock import FileLock, Timeout
from monailabel.interfaces.datastore import Datastore, DefaultLabelTag

from .privacy import outline

logger = logging.getLogger(__name__)

MODEL_VERSION = "model_version"
MODEL_KEY = "model_digest"
"""In answers, and in the facts of a predicted label: which weights found it, for people and for certain."""
LOOK_EVERY_S = 10.0
"""How often it is seen whether there is another model, or another image."""
LOCK = "prelabel.lock"

_FINAL, _PREDICTED = DefaultLabelTag.FINAL.value, DefaultLabelTag.ORIGINAL.value


class Prelabelling:
    """Keeps a prediction of the served model beside every image without a final label.

    Images are predicted one at a time, so that whoever asks for another one waits for one image at most. What is done
    stands in the facts of the labels: after a restart it goes on with the rest. Of several workers of a server one
    does the work.

    Args:
        datastore: the studies folder.
        predict: predicts an image by its id and saves the result as its label.
        version: says which version of the model is served, for people.
        key: says which weights these are, so that they differ from all others.
        folder: for the file by which workers agree on one of them.
        every_s: seconds between two looks.
    """

    def __init__(
        self,
        datastore: Datastore,
        predict: Callable[[str], object],
        version: Callable[[], str],
        key: Callable[[], str],
        folder: Path,
        every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._datastore, self._predict, self._folder = datastore, predict, folder
        self._version, self._key = version, key
        self._every_s = every_s
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="prelabel", daemon=True)
        self._failed: set[tuple[str, str]] = set()
        self._done: set[tuple[str, str]] = set()
        self._status: dict[str, Any] = {"state": "waiting", MODEL_VERSION: None, "total": 0, "done": 0, "failed": 0}

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the image that is being predicted; does not wait for it."""
        self._is_over.set()

    def status(self) -> dict[str, Any]:
        """How far it is.

        Returns:
            ``state``: "working", "idle" when all is done, "waiting" before the first look, or where another worker of
            this server does it; ``model_version``; ``total`` images without a final label, of which ``done`` have a
            prediction of that version, and ``failed`` show no spine or cannot be read.
        """
        return dict(self._status)

    def _work(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._folder / LOCK, timeout=0)
        while not self._is_over.is_set():
            try:
                with lock:
                    self.catch_up()
            except Timeout:
                self._status["state"] = "waiting"
            except Exception as error:  # such as a datastore that is closed; the next look may go better
                logger.error("Predicting in the background failed\n%s", outline(error))
            self._is_over.wait(self._every_s)

    def catch_up(self) -> None:
        """Predict all images that lack a prediction of the served model, until it is another one or it is stopped."""
        version, key = self._version(), self._key()
        self._done = {(image, of) for image, of in self._done if of == key}
        images = self._datastore.get_unlabeled_images(_FINAL)
        failed = {image for image, of in self._failed if of == key}.intersection(images)
        missing = [image for image in images if image not in failed and not self._is_done(image, key)]
        self._status = {
            "state": "working" if missing else "idle",
            MODEL_VERSION: version,
            "total": len(images),
            "done": len(images) - len(missing) - len(failed),
            "failed": len(failed),
        }
        for image in missing:
            if self._is_over.is_set() or self._key() != key:
                return
            if _FINAL in self._datastore.get_labels_by_image_id(image):  # somebody was quicker
                self._status["total"] -= 1
            elif self._is_done(image, key):
                self._status["done"] += 1
            else:
                self._status["done" if self._has_predicted(image, key) else "failed"] += 1
        self._status["state"] = "idle"

    def _is_done(self, image: str, key: str) -> bool:
        """Whether there is a prediction by these weights, or a label that is none of the server's predictions."""
        if (image, key) in self._done:
            return True
        facts = self._datastore.get_label_info(image, _PREDICTED)
        if not facts:
            return False
        is_own = MODEL_VERSION in facts and not facts.get("user") and "edits" not in facts
        is_done: bool = not is_own or facts.get(MODEL_KEY) == key
        if is_done:
            self._done.add((image, key))
        return is_done

    def _has_predicted(self, image: str, key: str) -> bool:
        try:
            self._predict(image)
        except HTTPException as error:
            if error.status_code < 500:  # it will not go better next time
                self._failed.add((image, key))
            return False
        except Exception as error:  # the other images are still done
            logger.error("An image could not be predicted in the background\n%s", outline(error))
            self._failed.add((image, key))
            return False
        return True
