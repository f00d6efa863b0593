"""Which images weights were trained on, as their files tell, so that nothing is measured on images that they know.

A training on the AASCE training split holds one of its folds out, or none, and says so in the facts of the network that
it trains: ``fold``, ``None`` where no fold is held out. With boxed images it says ``boxed_radiographs`` too, and
``boxes_fold`` where another fold of them is held out than ``fold``. What weights were trained on that a training began
with stands in ``init``. Facts without a fold, such as those of a training on a studies folder, leave it unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..data.aasce import FOLDS
from ..decoders import DEFAULT_DECODER
from .weight_files import ERRORS_MEASURED_ON, Weights, file_digest, load_weights, networks_digest

AASCE = "AASCE training split"
"""What facts call it under ``data``."""
BOXED = "boxed images"


@dataclass(frozen=True)
class TrainedOn:
    """What weights were trained on.

    Attributes:
        folds: of the AASCE training split.
        box_folds: of the boxed images.
        is_known: whether that is all; else there were other images, which may be any.
    """

    folds: frozenset[int]
    box_folds: frozenset[int]
    is_known: bool

    def __or__(self, other: TrainedOn) -> TrainedOn:
        """The images of both."""
        is_known = self.is_known and other.is_known
        return TrainedOn(self.folds | other.folds, self.box_folds | other.box_folds, is_known)

    def of(self, dataset: str) -> frozenset[int]:
        """Folds of ``AASCE`` or of ``BOXED``."""
        return self.folds if dataset == AASCE else self.box_folds

    def check_unseen(self, fold: int | None, name: str, dataset: str = AASCE, assume_unseen: bool = False) -> None:
        """Refuse to measure weights, or to choose them, by images that they were trained on.

        Args:
            fold: of the images; ``None`` where none is held out, which is never refused.
            name: of the weights, for the message.
            dataset: ``AASCE`` or ``BOXED``.
            assume_unseen: take the user's word where it is not known which images the weights were trained on.

        Raises:
            ValueError: the weights were trained on that fold, or that is not known and not assumed.
        """
        if fold is None:
            return
        if fold in self.of(dataset):
            unseen = sorted(set(range(FOLDS)) - self.of(dataset))
            held_out = f"fold {', '.join(map(str, unseen))}" if unseen else "none"
            raise ValueError(
                f"{name} was trained on fold {fold} of the {dataset} (it holds out {held_out}): that fold can "
                "serve neither to measure weights nor to choose them"
            )
        if not (self.is_known or assume_unseen):
            raise ValueError(
                f"{name} does not say on which images it was trained, so that fold {fold} of the {dataset} may be "
                "among them; --assume-unseen says that it is not"
            )


_NOTHING = TrainedOn(frozenset(), frozenset(), True)
_UNKNOWN = TrainedOn(frozenset(), frozenset(), False)


def trained_on(facts: Mapping[str, Any]) -> TrainedOn:
    """What one network was trained on, by the facts of its weights."""
    fold, boxes_fold = facts.get("fold"), facts.get("boxes_fold", facts.get("fold"))
    is_known = facts.get("data") == AASCE and "fold" in facts
    if not (is_known and _is_fold(fold) and _is_fold(boxes_fold)):
        return _UNKNOWN | _before(facts)
    boxed = _others(boxes_fold) if "boxed_radiographs" in facts else frozenset[int]()
    return TrainedOn(_others(fold), boxed, True) | _before(facts)


def file_trained_on(weights: Weights) -> TrainedOn:
    """What the networks of a weight file were trained on, both together."""
    second = trained_on(weights.refiner.facts) if weights.refiner is not None else _NOTHING
    return trained_on(weights.facts) | second


@dataclass(frozen=True, eq=False)
class KnownImages:
    """What a weight file says of the images that it knows.

    Attributes:
        path: the file.
        seen: what both networks were trained on.
        errors_on: what the expected errors were measured on, see ``weight_files.ERRORS_MEASURED_ON``, empty where it
            is not said; ``None`` where there are none.
        has_own_errors: whether they were measured with these very networks.
    """

    path: Path
    seen: TrainedOn
    errors_on: dict[str, Any] | None
    has_own_errors: bool

    @property
    def decoder(self) -> str:
        """The decoder with which expected errors were measured."""
        name: str = (self.errors_on or {}).get("decoder", DEFAULT_DECODER)
        return name

    def was_trained_on(self, fold: int | None, dataset: str = AASCE) -> bool | None:
        """Whether it was trained on images of a fold, or of none; ``None`` where that is not known."""
        if fold in self.seen.of(dataset):
            return True
        return False if self.seen.is_known else None

    def was_calibrated_on(self, fold: int | None) -> bool | None:
        """Whether its expected errors were measured on a fold of the AASCE training split; ``None`` if not known."""
        return fold == self.errors_on["fold"] if self.errors_on and "fold" in self.errors_on else None


def read_known_images(path: Path) -> KnownImages:
    """What a weight file says of the images that it knows.

    Raises:
        ValueError: it is no weight file of this project.
        OSError: it cannot be read.
    """
    weights = load_weights(path)
    refiner, errors_on, digest = weights.refiner, None, None
    if refiner is not None and refiner.errors is not None:
        errors_on = dict(refiner.facts.get(ERRORS_MEASURED_ON) or {})
        digest = errors_on.get("networks")
    return KnownImages(path, file_trained_on(weights), errors_on, digest == networks_digest(weights))


def init_facts(path: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What a training says under ``init`` of the weights that it begins with.

    Args:
        path: their file.
        facts: of the network that is trained on.

    Raises:
        OSError: the file cannot be read.
    """
    before = trained_on(facts)
    images = {"folds": sorted(before.folds), "box_folds": sorted(before.box_folds), "is_known": before.is_known}
    return {"digest": file_digest(path), **images}


def file_of_each_fold(
    files: Sequence[tuple[str, TrainedOn]], folds: Iterable[int], dataset: str = AASCE
) -> dict[int, int]:
    """Which of several weight files is to be measured on which fold: the one that was not trained on it.

    Args:
        files: their names and what they were trained on.
        folds: that are to be measured on.
        dataset: ``AASCE`` or ``BOXED``.

    Returns:
        Fold to index of the file.

    Raises:
        ValueError: it is not known what a file was trained on, a fold has no file or several, or a file has no fold.
    """
    for name, seen in files:
        if not seen.is_known:
            raise ValueError(f"{name} does not say on which images it was trained: it cannot be one of several files")
    chosen = {}
    for fold in folds:
        unseen = [number for number, (_, seen) in enumerate(files) if fold not in seen.of(dataset)]
        if len(unseen) != 1:
            names = ", ".join(files[number][0] for number in unseen) or "none"
            raise ValueError(
                f"of several weight files exactly one must hold out fold {fold} of the {dataset}, here it is {names}"
            )
        chosen[fold] = unseen[0]
    for number, (name, _) in enumerate(files):
        if number not in chosen.values():
            raise ValueError(f"{name} holds out none of the folds {', '.join(map(str, chosen))} of the {dataset}")
    return chosen


def _before(facts: Mapping[str, Any]) -> TrainedOn:
    """What weights were trained on that a training began with."""
    if "init" not in facts:
        return _NOTHING
    try:
        init = facts["init"]
        return TrainedOn(frozenset(init["folds"]), frozenset(init["box_folds"]), init["is_known"] is True)
    except (KeyError, TypeError):  # as no version of this project writes it
        return _UNKNOWN


def _is_fold(fold: object) -> bool:
    return fold is None or (type(fold) is int and fold in range(FOLDS))


def _others(fold: int | None) -> frozenset[int]:
    return frozenset(range(FOLDS)) - {fold}
