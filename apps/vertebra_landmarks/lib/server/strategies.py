"""Ways to choose the next image; the datastore finds it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from monailabel.interfaces.tasks.strategy import Strategy

from ..learning.choosing import DEFAULT, STRATEGIES
from .given import GivenFilms
from .image_reading import ReadableImages
from .scored_versions import ScoredVersions
from .store.datastore import StudiesDatastore

DESCRIPTIONS = {
    "uncertainty": "The image that the model is least sure of",
    "anatomy": "The image in which the model's own answer is farthest from a plausible spine",
    "diverse": "An uncertain image that resembles none of the labelled ones",
    "informative": "An image whose label tells most about the others",
}


class Assigner:
    """Gives out images that can be read; others are noted as unreadable, and passed over."""

    def __init__(self) -> None:
        self._readable = ReadableImages()

    def next(self, pick: Callable[[Collection[str]], str | None], datastore: StudiesDatastore) -> dict[str, Any] | None:
        """The answer of a strategy: the id of the picked image, ``None`` where there is none.

        Args:
            pick: see ``GivenFilms.give``.
            datastore: of the images.
        """
        tried: set[str] = set()
        given = GivenFilms(datastore.holding)
        while True:
            image = given.give(pick)
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
        name: one of ``choosing.STRATEGIES``.
        version: says which weights are served.
        assigner: gives it out.
    """

    def __init__(self, name: str, version: Callable[[], str], assigner: Assigner) -> None:
        super().__init__(DESCRIPTIONS[name])
        self._name, self._version, self._assigner = name, version, assigner

    def __call__(self, request: dict[str, Any], datastore: StudiesDatastore) -> dict[str, Any] | None:
        """Its id; ``None`` when all are labelled."""
        served, complete = self._version(), ScoredVersions(datastore.holding).complete()
        order = [served, *complete] if served in complete else [*complete, served]

        def pick(given: Collection[str]) -> str | None:
            for version in dict.fromkeys(order):
                image = datastore.pick_by_score(self._name, version, given)
                if image is not None:
                    return image
            return datastore.pick_random(given)

        return self._assigner.next(pick, datastore)


def all_strategies(version: Callable[[], str]) -> dict[str, Strategy]:
    """Every strategy by its name, the default one first."""
    assigner = Assigner()
    names = sorted(STRATEGIES, key=lambda name: name != DEFAULT)
    scored = {name: ByScore(name, version, assigner) for name in names}
    return {**scored, "random": Random(assigner), "first": First(assigner)}
