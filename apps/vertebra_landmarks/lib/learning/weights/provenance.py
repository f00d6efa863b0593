"""Which images weights were trained on, as their files tell, so that nothing is measured on images that they know.

A training on the AASCE training split holds one of its folds out, or none, and says so in the facts of the network that
it trains: ``fold``, ``None`` where no fold is held out. With boxed images it says ``boxed_radiographs`` too, and
``boxes_fold`` where another fold of them is held out than ``fold``. A training on a user's data says in ``data_set``
which they are, and lists under ``IMAGES`` the digests of the images that it learnt from: these are known again in any
data set, under any name and in any fold. What weights were trained on that a training began with stands in ``init``,
what a model was trained on whose points were learnt in ``teacher``.
The server says the same of the studies folder, as data of which no fold is held out: its held-out images are not in
the list. Facts without a fold, such as those of a server's training up to release 0.11.0, leave it unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

from ..data.formats.aasce_layout import AASCE as AASCE
from ..data.formats.data_set import DataImage, DataSet
from ..data.formats.folds import FOLDS, FOLDS_FILE
from .weight_files import ERRORS_MEASURED_ON, Weights, load_weights, networks_digest

BOXED = "boxed images"
OWN = "own data"
"""What facts say under ``data`` of a user's data."""
IMAGES = "image_digests"
"""In facts: digests of a user's images that were learnt from, in one text; for nobody's eyes."""
DATA_SET = "data_set"
INIT, TEACHER = "init", "teacher"
"""In facts: what the weights that a training began with, and a model whose points it learnt, were trained on."""
MODEL_FOLDS = "model_folds"
"""In facts: folds of the training split known to the model that has named vertebrae for a training."""
_BOXED_COUNTS = ("boxed_radiographs", "boxed_strips")
_MISSING = "missing"


@dataclass(frozen=True)
class TrainedOn:
    """What weights were trained on.

    Attributes:
        folds: of the AASCE training split.
        box_folds: of the boxed images.
        is_known: whether that is all; else there were other images, which may be any.
        images: digests of images of users.
        data_sets: names of the data sets that these are of.
    """

    folds: frozenset[int]
    box_folds: frozenset[int]
    is_known: bool
    images: frozenset[str] = frozenset()
    data_sets: frozenset[str] = frozenset()

    def __or__(self, other: TrainedOn) -> TrainedOn:
        """The images of both."""
        return TrainedOn(
            self.folds | other.folds,
            self.box_folds | other.box_folds,
            self.is_known and other.is_known,
            self.images | other.images,
            self.data_sets | other.data_sets,
        )

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

    def patients_of(self, data: DataSet) -> frozenset[str]:
        """Patients of a data set of whom an image was learnt from, whatever the data set was called then.

        Raises:
            OSError: an image cannot be read.
        """
        return frozenset(image.patient for image in data.images if self.images and image.digest in self.images)

    def folds_of(self, data: DataSet) -> frozenset[int]:
        """Folds of a data set with patients of whom an image was learnt from.

        Raises:
            OSError: an image cannot be read.
        """
        patients = self.patients_of(data)
        return frozenset(image.fold for image in data.images if image.patient in patients)

    def held_out_of(self, data: DataSet) -> str:
        """Folds of a user's data without such patients, in words.

        Raises:
            OSError: an image cannot be read.
        """
        unseen = sorted({image.fold for image in data.images} - self.folds_of(data))
        if unseen:
            return f"fold {', '.join(map(str, unseen))}"
        return f"no fold as they are dealt here: --folds names the {FOLDS_FILE} of a training"

    @property
    def owners(self) -> str:
        """Whose images were learnt from besides those of this project, in words."""
        return f"your data {', '.join(sorted(self.data_sets)) or 'of unknown name'}"

    def check_held_out(self, data: DataSet, fold: int | None, name: str, assume_unseen: bool = False) -> None:
        """As ``check_unseen``, of a fold of any data set.

        Args:
            data: with its folds.
            fold: of the images; ``None`` where none is held out, which is never refused.
            name: of the weights, for the message.
            assume_unseen: take the user's word where it is not known which images the weights were trained on.

        Raises:
            ValueError: the weights were trained on an image of that fold, or on another one of the same patient, or
                that is not known and not assumed.
            OSError: an image cannot be read.
        """
        if fold is None:
            return
        patients, chosen = self.patients_of(data), data.in_fold(fold)
        known = [image for image in chosen if image.patient in patients]
        if known:
            raise ValueError(
                f"{name} was trained on {self.owners}: it knows {len(known)} of the {len(chosen)} images in fold "
                f"{fold} of {data.name}, or other images of their patients (it holds out {self.held_out_of(data)}); "
                "that fold can serve neither to measure weights nor to choose them"
            )
        if not data.is_own:
            self.check_unseen(fold, name, AASCE, assume_unseen)
        elif not (self.is_known or assume_unseen):
            raise ValueError(
                f"{name} does not say on which images it was trained, so that those of fold {fold} of {data.name} may "
                "be among them; --assume-unseen says that they are not"
            )


_NOTHING = TrainedOn(frozenset(), frozenset(), True)
_UNKNOWN = TrainedOn(frozenset(), frozenset(), False)


def trained_on(facts: Mapping[str, Any]) -> TrainedOn:
    """What one network was trained on, by the facts of its weights."""
    fold, boxes_fold = facts.get("fold"), facts.get("boxes_fold", facts.get("fold"))
    is_known = facts.get("data") in (AASCE, OWN) and "fold" in facts
    if not (is_known and _is_fold(fold) and _is_fold(boxes_fold)):
        return _UNKNOWN | _before(facts)
    boxed = _others(boxes_fold) if any(name in facts for name in _BOXED_COUNTS) else frozenset[int]()
    if facts["data"] == AASCE:
        return TrainedOn(_others(fold), boxed, True) | _before(facts)
    images, data_set = facts.get(IMAGES), facts.get(DATA_SET)
    if not (isinstance(images, str) and isinstance(data_set, Mapping)):
        return _UNKNOWN | _before(facts)
    names = frozenset([str(data_set.get("name"))])
    return TrainedOn(frozenset(), boxed, True, frozenset(images.split()), names) | _before(facts)


def facts_of(data: DataSet, fold: int | None, learnt: Sequence[DataImage]) -> dict[str, Any]:
    """What a training says of the images that it learns from.

    Args:
        data: all of them and those that are held out.
        fold: that is held out; ``None`` for none.
        learnt: images that are learnt from.

    Raises:
        OSError: an image cannot be read.
    """
    if not data.is_own:
        return {"data": AASCE, "fold": fold, "radiographs": len(learnt)}
    return {"fold": fold, "radiographs": len(learnt), **own_facts(data, learnt)}


def own_facts(data: DataSet, images: Iterable[DataImage]) -> dict[str, Any]:
    """Which data of a user, and which images of them, as facts hold them.

    Raises:
        OSError: an image cannot be read.
    """
    known = {"name": data.name, "digest": data.digest, "images": len(data.images)}
    return {"data": OWN, DATA_SET: known, IMAGES: " ".join(sorted({image.digest for image in images}))}


def public_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts without the digests of images, which only the programs need."""
    plain = {name: value for name, value in facts.items() if name != IMAGES}
    return {name: public_facts(value) if isinstance(value, Mapping) else value for name, value in plain.items()}


def differences(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Facts or settings of two trainings that differ, in words, digests of images left out; empty where none does."""
    first, second = public_facts(stored), public_facts(wanted)
    names = [name for name in {**first, **second} if first.get(name) != second.get(name)]
    return ", ".join(f"{name} is {first.get(name, _MISSING)}, not {second.get(name, _MISSING)}" for name in names)


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

    def was_trained_on(self, fold: int | None, dataset: str = AASCE) -> bool | None:
        """Whether it was trained on images of a fold, or of none; ``None`` where that is not known."""
        if fold in self.seen.of(dataset):
            return True
        return False if self.seen.is_known else None

    def was_calibrated_on(self, fold: int | None) -> bool | None:
        """Whether its expected errors were measured on a fold of the AASCE training split; ``None`` if not known."""
        if not self.errors_on or "fold" not in self.errors_on:
            return None
        return bool(self.errors_on.get("data") != OWN and fold == self.errors_on["fold"])

    def was_calibrated_on_image(self, digest: str) -> bool | None:
        """Whether its expected errors were measured on an image of a user, by its digest; ``None`` if not known."""
        if not self.errors_on or "fold" not in self.errors_on:
            return None
        return digest in str(self.errors_on.get(IMAGES, "")).split()


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


def init_facts(digest: str, before: TrainedOn) -> dict[str, Any]:
    """What a training says under ``INIT`` of the weights that it begins with, and under ``TEACHER`` of a teacher's.

    Args:
        digest: of their file.
        before: what they were trained on; ``stated`` is the inverse.
    """
    images: dict[str, Any] = {"folds": sorted(before.folds), "box_folds": sorted(before.box_folds)}
    images["is_known"] = before.is_known
    if before.images:
        images |= {IMAGES: " ".join(sorted(before.images)), "data_sets": sorted(before.data_sets)}
    return {"digest": digest, **images}


def file_of_each_fold(
    files: Sequence[tuple[str, TrainedOn]], folds: Iterable[int], dataset: str = AASCE, own: DataSet | None = None
) -> dict[int, int]:
    """Which of several weight files is to be measured on which fold: the one that was not trained on it.

    Args:
        files: their names and what they were trained on.
        folds: that are to be measured on.
        dataset: ``AASCE`` or ``BOXED``.
        own: a user's data, which the folds are of then.

    Returns:
        Fold to index of the file.

    Raises:
        ValueError: it is not known what a file was trained on, a fold has no file or several, or a file has no fold.
    """
    for name, seen in files:
        if not seen.is_known:
            raise ValueError(f"{name} does not say on which images it was trained: it cannot be one of several files")
    dataset = dataset if own is None else f"data {own.name}"
    known = [seen.of(dataset) if own is None else seen.folds_of(own) for _, seen in files]
    chosen = {}
    for fold in folds:
        unseen = [number for number, known_folds in enumerate(known) if fold not in known_folds]
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


def stated(values: Any) -> TrainedOn:
    """What ``init_facts`` states; unknown where no version of this project has written the values."""
    try:
        own = frozenset(values.get(IMAGES, "").split()), frozenset(values.get("data_sets", ()))
        folds, box_folds = frozenset(values["folds"]), frozenset(values["box_folds"])
        return TrainedOn(folds, box_folds, values["is_known"] is True, *own)
    except (KeyError, TypeError, AttributeError):
        return _UNKNOWN


def _before(facts: Mapping[str, Any]) -> TrainedOn:
    """What weights were trained on that a training began with, and a teacher that it learnt from."""
    return reduce(TrainedOn.__or__, (stated(facts[name]) for name in (INIT, TEACHER) if name in facts), _NOTHING)


def _is_fold(fold: object) -> bool:
    return fold is None or (type(fold) is int and fold in range(FOLDS))


def _others(fold: int | None) -> frozenset[int]:
    return frozenset(range(FOLDS)) - {fold}
