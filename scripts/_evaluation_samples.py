"""Images that ``evaluate.py`` compares, their sets, and which of them each weight file was trained on."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

import _app_path  # noqa: F401
from lib.image_io import Radiograph, read_radiograph
from lib.learning.data.aasce import FOLDS, SPLITS, Record, folds, read_aasce
from lib.learning.data.boxed_images import BoxRecord
from lib.learning.data.formats.data_set import DataImage, DataSet, digest_of
from lib.learning.data.label_audit import read_doubted
from lib.learning.weights.provenance import AASCE, BOXED, KnownImages, file_of_each_fold
from lib.phantoms import random_spec, render_phantom
from lib.spine.geometry import with_centers

PHANTOM_SEED = 1_000_000
TRAINING, TEST = SPLITS
KINDS = ("film", "trunk")
"""Prefixes of the file names of boxed images: whole radiographs, and crops of the trunk."""
OTHER_KIND = "other"


@dataclass(frozen=True, eq=False)
class Sample:
    """One image of an evaluation.

    Attributes:
        path: the file; for a phantom its number.
        sets: names of the sets that it belongs to.
        fold: of the training split or of the boxed images; of a test image that is also in the training split its fold
            there; ``None`` of others.
    """

    path: Path | int
    sets: tuple[str, ...]
    fold: int | None

    @property
    def name(self) -> str:
        """Name of the image in tables, independent of the folder of the data set."""
        return self.path.name if isinstance(self.path, Path) else str(self.path)

    def upright(self, xy: np.ndarray) -> np.ndarray:
        """Points ``(..., 2)`` in pixels of the upright image; all but those of users are stored upright."""
        return xy

    def upright_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Width and height of the upright image."""
        return size

    def read(self) -> Radiograph:
        """Read the image."""
        if isinstance(self.path, Path):
            return read_radiograph(self.path)
        return Radiograph(phantom(self.path)[0])


@dataclass(frozen=True, eq=False)
class LabelledSample(Sample):
    """An image with all its landmarks.

    Attributes:
        points: ``(V, P, 2)`` labelled pixels.
        angles: ``(3,)`` official angles in degrees; ``None`` without any.
    """

    points: np.ndarray
    angles: np.ndarray | None


@dataclass(frozen=True, eq=False)
class BoxedSample(Sample):
    """An image whose vertebrae are boxed but not named.

    Attributes:
        boxes: ``(N, 2)`` middles from top to bottom, pixels.
    """

    boxes: np.ndarray


@dataclass(frozen=True, eq=False)
class OwnSample(LabelledSample):
    """An image of a user.

    Attributes:
        image: of the data.
        data: all images of the user.
    """

    image: DataImage
    data: DataSet

    @property
    def name(self) -> str:
        """Name of the image in tables."""
        return self.image.name

    def upright(self, xy: np.ndarray) -> np.ndarray:
        """Points ``(..., 2)`` in pixels of the upright image."""
        return self.image.upright(xy)

    def upright_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Width and height of the upright image."""
        return self.image.upright_size(size)


SampleType = TypeVar("SampleType", bound=Sample)


def sets_of(samples: Sequence[SampleType]) -> Iterator[tuple[str, list[SampleType]]]:
    """Every set by name with its samples, in order of first occurrence."""
    for name in dict.fromkeys(name for sample in samples for name in sample.sets):
        yield name, [sample for sample in samples if name in sample.sets]


def phantom(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and points of a phantom of 1000 x 460 pixels, with seeds far above those of training."""
    rendered = render_phantom(random_spec(PHANTOM_SEED + number, 1000, 460))
    return rendered.pixels, rendered.spine.xy


def phantom_samples(count: int) -> list[LabelledSample]:
    """Phantoms as one set; they have no official angles."""
    return [LabelledSample(number, ("phantoms",), None, phantom(number)[1], None) for number in range(count)]


def training_samples(
    records: Sequence[Record], wanted: Iterable[int], doubted: Collection[str] | None = None
) -> list[LabelledSample]:
    """Images of some folds with valid points ("sane"), and those whose names are trusted as well ("clean").

    Args:
        records: of the training split.
        wanted: the folds.
        doubted: file names with a finding of ``label_audit``; the clean images without one are the set "sound".
    """
    samples = []
    for r, fold in zip(records, folds(records), strict=True):
        if r.geometry_ok and fold in wanted:
            sound = ("sound",) if doubted is not None and r.path.name not in doubted else ()
            sets = ("sane", "clean", *sound) if r.is_clean else ("sane",)
            samples.append(LabelledSample(r.path, sets, fold, with_centers(r.corners), r.angles))
    return samples


def test_samples(records: Sequence[Record], training: Sequence[Record]) -> list[LabelledSample]:
    """All test images with the labels of the literature, and the strict ones once more with repaired labels.

    The set "unseen" lacks the images that are also in the training split. Strict images have valid points, trusted
    names, and no image of the same patient in the training split.
    """
    training_folds = {record.group: fold for record, fold in zip(training, folds(training), strict=True)}
    samples = []
    for r in records:
        unseen = ("all", "unseen") if not r.duplicate_of_training else ("all",)
        fold = training_folds.get(r.group) if r.duplicate_of_training else None
        resorted = r.corners if r.resorted is None else r.resorted
        samples.append(LabelledSample(r.path, unseen, fold, with_centers(resorted), r.angles))
        if r.is_clean and not r.duplicate_of_training and r.group not in training_folds:
            samples.append(LabelledSample(r.path, ("strict",), fold, with_centers(r.corners), r.angles))
    return samples


def boxed_samples(
    records: Sequence[BoxRecord], kind: str | None = None, wanted: Iterable[int] | None = None
) -> list[BoxedSample]:
    """Boxed images of one kind, or of every kind as a set of its own; of all folds, or of some."""
    samples = []
    for r in records:
        kind_of_file = next((name for name in KINDS if r.path.name.startswith(f"{name}_")), OTHER_KIND)
        if kind in (None, kind_of_file) and (wanted is None or r.fold in wanted):
            samples.append(BoxedSample(r.path, (kind_of_file,), r.fold, r.centers))
    return samples


def own_samples(data: DataSet, wanted: Collection[int] | None = None) -> list[OwnSample]:
    """Images of a user, of some folds or of all: "complete" where all points are labelled, else "partial"."""
    return [
        OwnSample(
            image.path,
            ("complete" if image.is_complete else "partial",),
            image.fold,
            image.points,
            None,
            image,
            data,
        )
        for image in data.images
        if wanted is None or image.fold in wanted
    ]


def check_unseen(model: KnownImages, samples: Sequence[OwnSample]) -> None:
    """Refuse to measure weights on images of a user that they were trained on, or on others of the same patients.

    Raises:
        ValueError: they were.
    """
    seen = [sample for sample in samples if was_trained_on(model, sample)]
    if seen:
        data = seen[0].data
        raise ValueError(
            f"{model.path.name} was trained on {model.seen.owners}: it knows {len(seen)} of these {len(samples)} "
            f"images of {data.name}, or other images of their patients (it holds out {model.seen.held_out_of(data)}); "
            "--trained-too measures all the same"
        )


def aasce_samples(arguments: argparse.Namespace) -> list[LabelledSample]:
    """The images of ``--split`` and ``--fold``."""
    training = read_aasce(arguments.data, "training")
    if arguments.split == TEST:
        return test_samples(read_aasce(arguments.data, "test"), training)
    doubted = None if arguments.audit is None else read_doubted(arguments.audit)
    return training_samples(training, range(FOLDS) if arguments.fold is None else arguments.fold, doubted)


def was_trained_on(model: KnownImages, sample: Sample) -> bool | None:
    """Whether weights were trained on an image; ``None`` where unknown. No training draws these phantoms."""
    if not isinstance(sample.path, Path):
        return False
    if isinstance(sample, OwnSample):
        is_known = model.seen.is_known
        return True if sample.image.patient in model.seen.patients_of(sample.data) else False if is_known else None
    if model.seen.images and digest_of(sample.path.read_bytes()) in model.seen.images:
        return True
    return model.was_trained_on(sample.fold, BOXED if isinstance(sample, BoxedSample) else AASCE)


def was_calibrated_on(model: KnownImages, sample: Sample) -> bool | None:
    """Whether the error model of weights was measured on an image; ``None`` where unknown."""
    if isinstance(sample, OwnSample):
        return model.was_calibrated_on_image(sample.image.digest)
    return isinstance(sample, LabelledSample) and isinstance(sample.path, Path) and model.was_calibrated_on(sample.fold)


def assign_models(samples: Sequence[Sample], models: Sequence[KnownImages]) -> list[tuple[KnownImages, list[Sample]]]:
    """The images of each weight file: one predicts all of them, several those of the fold that each holds out.

    Raises:
        ValueError: a fold has no file or several, or a file has no fold.
    """
    if len(models) == 1:
        return [(models[0], list(samples))]
    data_set = BOXED if any(isinstance(sample, BoxedSample) for sample in samples) else AASCE
    present = sorted({sample.fold for sample in samples if sample.fold is not None})
    files = [(model.path.name, model.seen) for model in models]
    own = next((sample.data for sample in samples if isinstance(sample, OwnSample)), None)
    number_of = file_of_each_fold(files, present, data_set, own)
    return [
        (models[number], [sample for sample in samples if sample.fold == fold]) for fold, number in number_of.items()
    ]


def warn_of_training_images(model: KnownImages, samples: Sequence[Sample]) -> None:
    """Print on stderr which of the images weights were trained or calibrated on."""
    sentences, name = [], model.path.name
    seen = [sample for sample in samples if was_trained_on(model, sample)]
    if seen:
        seen_folds = ", ".join(map(str, sorted({sample.fold for sample in seen if sample.fold is not None})))
        sentences.append(
            f"{name} was trained on {len({sample.path for sample in seen})} of these images (folds {seen_folds})"
        )
    elif any(was_trained_on(model, sample) is None for sample in samples):
        sentences.append(f"{name} does not say on which images it was trained; these may be among them")
    if model.errors_on is not None and any(isinstance(sample, LabelledSample) for sample in samples):
        if any(was_calibrated_on(model, sample) for sample in samples):
            fold = model.errors_on["fold"]
            sentences.append(
                f"the expected errors of {name} were measured on fold {fold}: on it they are fitted, not tested"
            )
        elif any(was_calibrated_on(model, sample) is None for sample in samples):
            sentences.append(f"{name} does not say on which images its expected errors were measured")
        if model.errors_on and not model.has_own_errors:
            sentences.append(f"the expected errors of {name} were measured with other weights: they are an estimate")
    for sentence in sentences:
        print(f"evaluate: {sentence}", file=sys.stderr)
