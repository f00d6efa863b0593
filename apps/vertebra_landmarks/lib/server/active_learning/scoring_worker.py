"""Background worker that scores all images, so that no request for the next image waits for the network."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from fastapi import HTTPException

from ...image_io import UnreadableImageError
from ...learning.active_learning import STRATEGIES, ImageDescriptor, ScoreStrategy
from ..inference.image_reading import UNAVAILABLE
from ..log_privacy import redacted_traceback
from ..store.datastore import StudiesDatastore
from ..store.studies_folder import FileState
from .background_worker import POLL_INTERVAL_S, BackgroundWorker
from .descriptor_store import DescriptorStore
from .scored_versions import ScoredVersions

logger = logging.getLogger(__name__)

FOLDER = "opinions"
MAX_COMPARED = 1500
"""Unlabelled images, and labelled ones, that are compared with each other at once."""
MAX_RANKED = 60
"""Images that ``OrderStrategy`` ranks; the others follow by their uncertainty."""
_BATCH = 50
_FINAL = "final"


class ScoringWorker(BackgroundWorker):
    """Keeps scores of all images without a final label, and descriptors of all images, by the served model.

    Images are described one at a time, so that a request waits for one image at most. Scores are in the datastore,
    descriptors in a file: after a restart the worker continues with the rest. Scores of the former model stay until
    those of a new one are complete.

    ``status()`` has, beside ``state``, the ``model_version`` and how many images it has ``scored`` or could not read
    (``failed``).

    Args:
        datastore: the studies folder.
        describe: describes an image by its id with the served model.
        version: returns the key that identifies the served weights.
        folder: for the files.
        version_name: returns their display name for ``status``; by default the key.
        interval_s: seconds between two rounds.
    """

    def __init__(
        self,
        datastore: StudiesDatastore,
        describe: Callable[[str], ImageDescriptor],
        version: Callable[[], str],
        folder: Path,
        version_name: Callable[[], str] | None = None,
        interval_s: float = POLL_INTERVAL_S,
    ) -> None:
        super().__init__("scoring", folder, interval_s, {"model_version": None, "scored": 0, "failed": 0})
        self._datastore, self._describe = datastore, describe
        self._version, self._version_name = version, version_name or version
        self._versions = ScoredVersions(datastore.context)
        self._store: tuple[str, DescriptorStore] | None = None
        self._failed: set[tuple[str, str, FileState]] = set()
        self._ranked: object = None

    def catch_up(self) -> None:
        """Score all images that lack a score of the served model, as long as it is served."""
        version = self._version()
        descriptors = self._descriptors_of(version)
        if descriptors.catch_up():  # another process has added some, and may have ranked the images
            self._ranked = None
        self._update_status("working", version, descriptors)
        for done, image in enumerate(self._missing(version, descriptors), 1):
            if self.is_stopping or self._version() != version:
                return
            if not self._score(image, version, descriptors):
                return
            self._update_status("working", version, descriptors)
            if done % _BATCH == 0:
                self._rank(version, descriptors)
        self._rank(version, descriptors)
        if self._versions.complete()[:1] != [version]:
            versions = self._versions.add(version)
            for strategy in STRATEGIES:
                self._datastore.score_queries.delete_scores(strategy, versions)
            descriptors.delete_others(versions)
        self._update_status("idle", version, descriptors)

    def _descriptors_of(self, version: str) -> DescriptorStore:
        if self._store is None or self._store[0] != version:
            self._store = version, DescriptorStore(self._folder / FOLDER, version)
        return self._store[1]

    def _update_status(self, state: str, version: str, descriptors: DescriptorStore) -> None:
        failed = {image for image, of, _ in self._failed if of == version}
        counts = {"scored": len(descriptors), "failed": len(failed)}
        self._status = {"state": state, "model_version": self._version_name(), **counts}

    def _missing(self, version: str, descriptors: DescriptorStore) -> Iterator[str]:
        """Unlabelled images without a score, then labelled ones without a descriptor."""
        strategy, after = next(name for name, one in STRATEGIES.items() if isinstance(one, ScoreStrategy)), ""
        while batch := self._datastore.score_queries.without_score(strategy, version, _BATCH, after):
            yield from (image for image in batch if not self._has_failed(image, version))
            after = batch[-1]
        for image in self._datastore.get_labeled_images(_FINAL):
            if image not in descriptors and not self._has_failed(image, version):
                yield image

    def _score(self, image: str, version: str, descriptors: DescriptorStore) -> bool:
        """Score an image; returns whether to go on, which is of no use while images cannot be fetched."""
        try:
            descriptor = self._describe(image)  # a former one was of other pixels, since its score is gone
        except Exception as error:  # the other images are still scored
            if isinstance(error, HTTPException) and error.status_code == UNAVAILABLE:
                return False
            if not isinstance(error, UnreadableImageError):
                logger.error("An image could not be scored\n%s", redacted_traceback(error))
            self._failed.add((image, version, self._datastore.file_state(image)))
            return True
        descriptors.add(image, descriptor)
        self._ranked = None
        for name, strategy in STRATEGIES.items():
            if isinstance(strategy, ScoreStrategy):
                self._datastore.score_queries.set_scores(name, version, {image: strategy.score(descriptor)})
        return True

    def _has_failed(self, image: str, version: str) -> bool:
        """Whether its present file could not be read."""
        return (image, version, self._datastore.file_state(image)) in self._failed

    def _rank(self, version: str, descriptors: DescriptorStore) -> None:
        """Set the scores of each ``OrderStrategy``: those that it ranks first, then the others."""
        labelled = [image for image in self._datastore.get_labeled_images(_FINAL) if image in descriptors]
        state = version, len(descriptors), frozenset(labelled)
        if state == self._ranked:
            return
        unlabelled = [image for image in self._datastore.get_unlabeled_images(_FINAL) if image in descriptors]
        pool, compared = (sorted(some, key=_shuffle_key)[:MAX_COMPARED] for some in (unlabelled, labelled))
        by_image = descriptors.read([*pool, *compared])
        of_pool, of_labelled = ([by_image[image] for image in some] for some in (pool, compared))
        rest = np.argsort([-descriptor.uncertainty for descriptor in of_pool], kind="stable").tolist()
        for name, strategy in STRATEGIES.items():
            if not isinstance(strategy, ScoreStrategy):
                order = dict.fromkeys([*strategy.choose(of_pool, of_labelled, MAX_RANKED), *rest])
                ranks = {pool[index]: -float(rank) for rank, index in enumerate(order)}
                self._datastore.score_queries.set_scores(name, version, ranks)
        self._ranked = state


def _shuffle_key(image: str) -> bytes:
    """Sort key for a fixed pseudorandom order: an image that is compared stays so until it is labelled."""
    return hashlib.sha256(image.encode()).digest()
