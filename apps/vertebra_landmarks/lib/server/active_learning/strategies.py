"""MONAI Label strategies that choose the next image by queries of the datastore."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from fastapi import HTTPException
from monailabel.interfaces.tasks.strategy import Strategy

from ...learning.active_learning import DEFAULT, STRATEGIES
from ..inference.image_reading import ReadableImages
from ..store.datastore import StudiesDatastore
from .assignments import Assignments
from .scored_versions import ScoredVersions


class Assigner:
    """Assigns readable images; others are marked as unreadable and skipped.

    Args:
        readable: cache of those that are.
    """

    def __init__(self, readable: ReadableImages) -> None:
        self._readable = readable

    def next(self, pick: Callable[[Collection[str]], str | None], datastore: StudiesDatastore) -> dict[str, Any] | None:
        """The result of a strategy: the id of the picked image, ``None`` if there is none.

        Args:
            pick: see ``Assignments.assign``.
            datastore: of the images.

        Raises:
            HTTPException: 503, no image can be fetched now.
        """
        tried: set[str] = set()
        assignments = Assignments(datastore.context)
        while True:
            image = assignments.assign(pick)
            if image is None or image in tried:
                return None
            if self._is_readable(datastore, image, is_first=not tried):
                return {"id": image}
            tried.add(image)

    def _is_readable(self, datastore: StudiesDatastore, image: str, is_first: bool) -> bool:
        """Whether an image can be read; the first that cannot be fetched now is skipped, since others may be here."""
        try:
            return self._readable.is_readable(datastore, image)
        except HTTPException:
            if not is_first:
                raise
            return False


class Unscored(Strategy):
    """An unlabelled image that is not assigned, picked without a model.

    Args:
        description: of the strategy.
        pick: picks an image of a datastore that is not among some ids.
        assigner: assigns it.
    """

    def __init__(
        self,
        description: str,
        pick: Callable[[StudiesDatastore, Collection[str]], str | None],
        assigner: Assigner,
    ) -> None:
        super().__init__(description)
        self._pick, self._assigner = pick, assigner

    def __call__(self, request: dict[str, Any], datastore: StudiesDatastore) -> dict[str, Any] | None:
        """Id of the image; ``None`` when all are labelled."""
        return self._assigner.next(lambda assigned: self._pick(datastore, assigned), datastore)


class ByScore(Strategy):
    """The unlabelled image with the highest score that is not assigned.

    Scores of the served model count if they are complete, else those of the model before it, else those that exist;
    without any score, a random image.

    Args:
        name: one of ``active_learning.STRATEGIES``.
        version: returns the key of the served weights.
        assigner: assigns it.
    """

    def __init__(self, name: str, version: Callable[[], str], assigner: Assigner) -> None:
        super().__init__(STRATEGIES[name].description)
        self._name, self._version, self._assigner = name, version, assigner

    def __call__(self, request: dict[str, Any], datastore: StudiesDatastore) -> dict[str, Any] | None:
        """Id of the image; ``None`` when all are labelled."""
        order = ScoredVersions(datastore.context).in_order_of_use(self._version())

        def pick(assigned: Collection[str]) -> str | None:
            for version in order:
                image = datastore.pick_by_score(self._name, version, assigned)
                if image is not None:
                    return image
            return datastore.pick_random(assigned)

        return self._assigner.next(pick, datastore)


def all_strategies(version: Callable[[], str], readable: ReadableImages | None = None) -> dict[str, Strategy]:
    """All strategies by name, the default first.

    Args:
        version: returns the key of the served weights.
        readable: cache of readable images, where others fill it as well.
    """
    assigner = Assigner(readable or ReadableImages())
    names = sorted(STRATEGIES, key=lambda name: name != DEFAULT)
    return {
        **{name: ByScore(name, version, assigner) for name in names},
        "random": Unscored("An image at random", lambda store, assigned: store.pick_random(assigned), assigner),
        "first": Unscored("The first image by name", lambda store, assigned: store.pick_first(assigned), assigner),
    }
