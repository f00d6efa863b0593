"""Training set and held-out set of a training, from the labels of the studies folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from monailabel.interfaces.datastore import Datastore, DefaultLabelTag

from ...learning.data import IMAGE
from ...learning.data.labelled_items import patient_of, read_item, split
from ...learning.data.transforms import FetchedImage
from ...learning.weights.weight_files import file_digest
from ..annotation.readings.study import excluded_from_training
from ..store.datastore import StudiesDatastore
from ..store.store_context import SourceUnavailableError

MIN_LABELLED = 2
MAX_AWAY_S, RETRY_INTERVAL_S = 600.0, 10.0
"""How long a PACS that is away is waited for, and how often it is asked."""
_FINAL = DefaultLabelTag.FINAL.value
_DIGITS = 16
_MAX_READS = 3
Item = dict[str, Any]
Digests = dict[str, dict[str, str]]
"""Digests of ``image`` and ``label`` by image id."""


@dataclass(frozen=True)
class TrainingDataset:
    """Labelled images, split by patient.

    Attributes:
        items: training items by image id.
        digests: of the same images.
        new: ids of training images whose label the served model was not trained on.
        old: ids of the other training images.
        held_out: ids of images to evaluate on.
        patients: number of patients.
        skipped: why a label cannot be used, by image id.
    """

    items: Mapping[str, Item]
    digests: Digests
    new: tuple[str, ...]
    old: tuple[str, ...]
    held_out: tuple[str, ...]
    patients: int
    skipped: Mapping[str, str]

    def items_of(self, names: Collection[str]) -> list[Item]:
        """Training items of some images."""
        return [self.items[name] for name in names]

    def digests_of(self, names: Collection[str]) -> Digests:
        """Digests of some images."""
        return {name: self.digests[name] for name in names}


class LabelledImages(Mapping[str, tuple[Path, Path]]):
    """Paths of image and label of every image with a final label, by image id.

    The image of a PACS is fetched whenever its paths are asked for, which raises ``ImageUnavailableError``, an
    ``OSError``, where that fails: a cache need not hold all of them at once. While the PACS is away, it is waited for.

    In a study with a plan, those that are held out, with all images of their patients, or still to be read or
    adjudicated, are left out.

    Args:
        datastore: of the images.
        names: ids of the images, if there is a label of them; ``None`` for all.
        pattern: finds the patient in an image id, see ``labelled_items.patient_of``.
    """

    def __init__(self, datastore: Datastore, names: Collection[str] | None = None, pattern: str = "") -> None:
        self._datastore = datastore
        labelled = [name for name in datastore.get_labeled_images(_FINAL) if names is None or name in names]
        is_study = isinstance(datastore, StudiesDatastore)
        excluded = excluded_from_training(datastore, labelled, pattern) if is_study else set()
        self._names = dict.fromkeys(name for name in labelled if name not in excluded)

    def __getitem__(self, name: str) -> tuple[Path, Path]:
        if name not in self._names:
            raise KeyError(name)
        return self.image(name), self.label(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def only(self, names: Collection[str], pattern: str = "") -> LabelledImages:
        """Some of the images, of patients as a pattern tells them apart."""
        return LabelledImages(self._datastore, names, pattern)

    def image(self, name: str) -> Path:
        """Path of an image alone."""
        until = time.monotonic() + MAX_AWAY_S
        while True:
            try:
                return Path(self._datastore.get_image_uri(name))
            except SourceUnavailableError:
                if time.monotonic() >= until:
                    raise
                time.sleep(RETRY_INTERVAL_S)

    def label(self, name: str) -> Path:
        """Path of the label of an image alone."""
        return Path(self._datastore.get_label_uri(name, _FINAL))


def changed_labels(sources: LabelledImages, digests: Digests) -> int:
    """How many of some images are no longer labelled, or labelled otherwise."""
    return sum(name not in sources or _is_changed(sources.label(name), of["label"]) for name, of in digests.items())


def split_dataset(
    sources: Mapping[str, tuple[Path, Path]],
    held_out: float,
    pattern: str,
    trained_on: Mapping[str, Any],
    fetch: Callable[[str], Path] | None = None,
) -> TrainingDataset:
    """Read the labelled images and split them by patient.

    Args:
        sources: paths of image and label by image id.
        held_out: share of the patients to hold out.
        pattern: finds the patient in an image id, see ``labelled_items.patient_of``.
        trained_on: digests by image id of what the served model was trained on.
        fetch: returns the path of an image by its id whenever it is read later; ``None`` where files stay.

    Raises:
        ValueError: too few labels can be used, or all belong to held-out patients.
        SourceUnavailableError: the images cannot be fetched now.
    """
    items, skipped, digests, patients = _read(sources, pattern, fetch)
    if len(items) < MIN_LABELLED:
        raise ValueError(
            f"training needs at least {MIN_LABELLED} labels that can be used, {len(items)} of {len(sources)} can"
        )
    patients = _merge_duplicates(patients, digests)
    training, evaluation = split(patients, held_out)
    if not training:
        raise ValueError(
            f"all {len(items)} labelled images belong to patients that are held out to check on; label images of "
            "other patients, or train with another val_split"
        )
    old = [name for name in training if trained_on.get(name) == digests[name]]
    new = [name for name in training if name not in old] or training
    old = [name for name in training if name not in new]
    count = len(set(patients.values()))
    return TrainingDataset(items, digests, tuple(new), tuple(old), tuple(evaluation), count, skipped)


def _read(
    sources: Mapping[str, tuple[Path, Path]], pattern: str, fetch: Callable[[str], Path] | None
) -> tuple[dict[str, Item], dict[str, str], Digests, dict[str, str]]:
    """Items, reasons why others are skipped, digests that match what was read, and whose images they are.

    The files may change meanwhile, and leave a cache afterwards.
    """
    items: dict[str, Item] = {}
    skipped: dict[str, str] = {}
    digests: Digests = {}
    patients: dict[str, str] = {}
    for name in sources:
        try:
            files = sources[name]
            before = _digests(*files)
            for _ in range(_MAX_READS):
                items[name], digests[name] = read_item(*files), before
                before = _digests(*files)
                if before == digests[name]:
                    break
            else:
                raise ValueError("image or label changed again and again while they were read")
            if fetch is not None:
                items[name][IMAGE] = FetchedImage(files[0], partial(fetch, name))
            patients[name] = patient_of(name, files[0], pattern)
        except SourceUnavailableError:  # else less would be learnt, and on others checked
            raise
        except (ValueError, OSError) as error:
            items.pop(name, None)
            skipped[name] = str(error)
    return items, skipped, digests, patients


def _merge_duplicates(patients: Mapping[str, str], digests: Digests) -> dict[str, str]:
    """Patients by image id, the same one for identical images: a copy is not another patient."""
    first: dict[str, str] = {}
    for name in sorted(patients):
        first.setdefault(digests[name]["image"], patients[name])
    return {name: first[digests[name]["image"]] for name in patients}


def _is_changed(label: Path, digest: str) -> bool:
    try:
        return file_digest(label, _DIGITS) != digest
    except OSError:
        return True


def _digests(image: Path, label: Path) -> dict[str, str]:
    return {kind: file_digest(path, _DIGITS) for kind, path in (("image", image), ("label", label))}
