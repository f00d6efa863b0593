"""Ways to choose the next image; the datastore finds it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from monailabel.interfaces.tasks.strategy import Strategy

from ...learning.active_learning import DEFAULT, STRATEGIES
from ..inference.image_reading import ReadableImages
from ..store.datastore import StudiesDatastore
from .assignments import GivenFilms
from .scored_versions import ScoredVersions


class Assigner:
    """Gives out images that can be read; others are noted as unreadable, and passed over.

    Args:
        given: which images were just given.
    """

    def __init__(self, given: GivenFilms) -> None:
        self._given, self._readable = given, ReadableImages()

    def next(self, pick: Callable[[Collection[str]], str | None], datastore: StudiesDatastore) -> dict[str, Any] | None:
        """The answer of a strategy: the id of the picked image, ``None`` where there is none.

        Args:
            pick: see ``GivenFilms.give``.
            datastore: of the images.
        """
        tried: set[str] = set()
        while True:
            image = self._given.give(pick)
            if image is None or image in tried:
                return None
            if self._readable.holds(datastore, image):
                return {"id": image}
            tried.add(image)


class Random(Strategy):
    """Any image without a label ``final`` that was not just given to somebody, each one once before any comes again.

    Args:
        assigner: gives it out.
    """

    def __init__(self, assigner: Assigner) -> None:
        super().__init__("An image at random")
        self._assigner = assigner

    def __call__(self, request: dict[str, Any], datastore: StudiesDatastore) -> dict[str, Any] | None:
        """Its id; ``None`` when all are labelled."""
        return self._assigner.next(datastore.pick_random, datastore)


class First(Strategy):
    """The image without a label ``final`` that comes first by name of those that were not just given to somebody.

    Args:
        assigner: gives it out.
    """

    def __init__(self, assigner: Assigner) -> None:
        super().__init__("The first image by name")
        self._assigner = assigner

    def __call__(self, request: dict[str, Any], datastore: StudiesDatastore) -> dict[str, Any] | None:
        """Its id; ``None`` when all are labelled."""
        return self._assigner.next(datastore.pick_first, datastore)


class ByScore(Strategy):
    """The image without a label ``final`` with the highest score that is known.

    Scores of the served model count where all images have them, else those of the model before it, else those that
    are there; without any score it is an image at random. An image that was just given to somebody is passed over.

    Args:
        name: one of ``STRATEGIES``.
        version: says which weights are served.
        versions: of which models all images have scores.
        assigner: gives it out.
    """

    def __init__(self, name: str, version: Callable[[], str], versions: ScoredVersions, assigner: Assigner) -> None:
        super().__init__(STRATEGIES[name].description)
        self._name, self._version, self._versions, self._assigner = name, version, versions, assigner

    def __call__(self, request: dict[str, Any], datastore: StudiesDatastore) -> dict[str, Any] | None:
        """Its id; ``None`` when all are labelled."""
        served, complete = self._version(), self._versions.complete()
        order = [served, *complete] if served in complete else [*complete, served]

        def pick(given: Collection[str]) -> str | None:
            for version in dict.fromkeys(order):
                image = datastore.pick_by_score(self._name, version, given)
                if image is not None:
                    return image
            return datastore.pick_random(given)

        return self._assigner.next(pick, datastore)


def all_strategies(version: Callable[[], str], versions: ScoredVersions, given: GivenFilms) -> dict[str, Strategy]:
    """Every strategy by its name, the default one first."""
    assigner = Assigner(given)
    names = sorted(STRATEGIES, key=lambda name: name != DEFAULT)
    scored = {name: ByScore(name, version, versions, assigner) for name in names}
    return {**scored, "random": Random(assigner), "first": First(assigner)}
