"""Scores of all images in the background, so that no request for the next image waits for the network."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ...image_io import UnreadableImageError
from ...learning.active_learning import STRATEGIES, ImageDescriptor, ScoreStrategy
from ..background_worker import POLL_INTERVAL_S, BackgroundWorker
from ..log_privacy import redacted_traceback
from ..store.datastore import StudiesDatastore
from .descriptor_store import DescriptorStore
from .scored_versions import ScoredVersions

logger = logging.getLogger(__name__)

FOLDER = "opinions"
MAX_COMPARED = 1500
"""Films without a label, and images with one, that are compared with each other at once."""
AHEAD = 60
"""How many next images the strategies that compare images choose in order; the others follow by their uncertainty."""
_PIECE = 50
_FINAL = "final"


class ScoringWorker(BackgroundWorker):
    """Keeps scores of the served model for every image without a final label, and what it says about labelled ones.

    Images are looked at one at a time, so that whoever asks for a prediction waits for one image at most. What is done
    stands in the datastore and in a file: after a restart it goes on with the rest. Scores of the model before stay
    until those of a new one are complete. Of several workers of a server one does the work.

    Args:
        datastore: the studies folder.
        ask: what the served model says about an image, by its id.
        version: says which weights are served, so that they differ from all others.
        folder: for the files.
        shown: the same for people, who hear of it in ``status``.
        interval_s: seconds between two rounds.
    """

    def __init__(
        self,
        datastore: StudiesDatastore,
        ask: Callable[[str], ImageDescriptor],
        version: Callable[[], str],
        folder: Path,
        shown: Callable[[], str] | None = None,
        interval_s: float = POLL_INTERVAL_S,
    ) -> None:
        super().__init__("scoring", folder, interval_s, {"model_version": None, "scored": 0, "failed": 0})
        self._shown = shown or version
        self._datastore, self._ask, self._version = datastore, ask, version
        self._versions = ScoredVersions(datastore.context)
        self._opinions: tuple[str, DescriptorStore] | None = None
        self._failed: set[tuple[str, str, tuple[int, int]]] = set()
        self._ordered: object = None

    def status(self) -> dict[str, Any]:
        """How far it is.

        Returns:
            ``state``: "working", "idle" when all is done, "waiting" before the first look, or where another worker of
            this server does it; ``model_version``; how many images that version has ``scored``; ``failed``, how many
            could not be read.
        """
        return super().status()

    def catch_up(self) -> None:
        """Score all images that lack a score of the served model, until it is another one or it is stopped."""
        version = self._version()
        opinions = self._opinions_of(version)
        if opinions.catch_up():  # another worker has done some of it, and may have chosen an order
            self._ordered = None
        self._tell("working", version, opinions)
        for done, image in enumerate(self._missing(version, opinions), 1):
            if self.is_stopping or self._version() != version:
                return
            self._look_at(image, version, opinions)
            self._tell("working", version, opinions)
            if done % _PIECE == 0:
                self._order(version, opinions)
        self._order(version, opinions)
        if self._versions.complete()[:1] != [version]:
            kept = self._versions.note(version)
            for strategy in STRATEGIES:
                self._datastore.score_queries.delete_scores(strategy, kept)
            opinions.delete_others(kept)
        self._tell("idle", version, opinions)

    def _opinions_of(self, version: str) -> DescriptorStore:
        if self._opinions is None or self._opinions[0] != version:
            self._opinions = version, DescriptorStore(self._folder / FOLDER, version)
        return self._opinions[1]

    def _tell(self, state: str, version: str, opinions: DescriptorStore) -> None:
        failed = len({image for image, of, _ in self._failed if of == version})
        self._status = {"state": state, "model_version": self._shown(), "scored": len(opinions), "failed": failed}

    def _missing(self, version: str, opinions: DescriptorStore) -> Iterator[str]:
        """Films without a label that lack a score, then labelled ones that the model has said nothing about."""
        strategy, after = next(name for name, one in STRATEGIES.items() if isinstance(one, ScoreStrategy)), ""
        while some := self._datastore.score_queries.without_score(strategy, version, _PIECE, after):
            yield from (image for image in some if not self._has_failed(image, version))
            after = some[-1]
        for image in self._datastore.get_labeled_images(_FINAL):
            if image not in opinions and not self._has_failed(image, version):
                yield image

    def _look_at(self, image: str, version: str, opinions: DescriptorStore) -> None:
        try:
            opinion = self._ask(image)  # one of before was of other pixels, since its score is gone
        except Exception as error:  # the other images are still scored
            if not isinstance(error, UnreadableImageError):
                logger.error("A image could not be scored\n%s", redacted_traceback(error))
            self._failed.add((image, version, self._stamp(image)))
            return
        opinions.add(image, opinion)
        self._ordered = None
        for name, strategy in STRATEGIES.items():
            if isinstance(strategy, ScoreStrategy):
                self._datastore.score_queries.set_scores(name, version, {image: strategy.score(opinion)})

    def _stamp(self, image: str) -> tuple[int, int]:
        """Size and time of an image's file; another one may be readable where this is not."""
        try:
            state = Path(self._datastore.get_image_uri(image)).stat()
        except OSError:
            return 0, 0
        return state.st_size, state.st_mtime_ns

    def _has_failed(self, image: str, version: str) -> bool:
        return (image, version, self._stamp(image)) in self._failed

    def _order(self, version: str, opinions: DescriptorStore) -> None:
        """Scores of the strategies that compare images: the next ones in order, then the others."""
        labelled = [image for image in self._datastore.get_labeled_images(_FINAL) if image in opinions]
        state = version, len(opinions), frozenset(labelled)
        if state == self._ordered:
            return
        known = set(labelled)
        pool = sorted((i for i in self._datastore.get_unlabeled_images(_FINAL) if i in opinions), key=_shuffled)
        pool, beside = pool[:MAX_COMPARED], sorted(known, key=_shuffled)[:MAX_COMPARED]
        found = opinions.read([*pool, *beside])
        asked, seen = [found[image] for image in pool], [found[image] for image in beside]
        rest = np.argsort([-opinion.uncertainty for opinion in asked], kind="stable").tolist()
        for name, strategy in STRATEGIES.items():
            if not isinstance(strategy, ScoreStrategy):
                order = dict.fromkeys([*strategy.choose(asked, seen, AHEAD), *rest])
                ranks = {pool[index]: -float(rank) for rank, index in enumerate(order)}
                self._datastore.score_queries.set_scores(name, version, ranks)
        self._ordered = state


def _shuffled(image: str) -> bytes:
    """A place by chance, always the same: a image that is compared stays so until it is labelled."""
    return hashlib.sha256(image.encode()).digest()
