"""The films that a training learns from and those that it is checked on, out of the labels of the studies folder."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monailabel.interfaces.datastore import Datastore, DefaultLabelTag

from ...learning.data.labelled_items import patient_of, read_item, split
from ...learning.weights.weight_files import file_digest

LEAST_LABELLED = 2
_DIGITS = 16
_MOST_READINGS = 3
Item = dict[str, Any]
Digests = dict[str, dict[str, str]]
"""By image id the digests of its ``image`` and of its ``label``."""


@dataclass(frozen=True)
class Films:
    """Labelled films on their sides.

    Attributes:
        items: training items by image id.
        digests: of the same films.
        new: ids of films whose label the served model has not learnt.
        old: ids of films whose label it has.
        held_out: ids of films to check on.
        patients: how many patients the films are of.
        skipped: by image id the reason why its label cannot be used.
    """

    items: Mapping[str, Item]
    digests: Digests
    new: tuple[str, ...]
    old: tuple[str, ...]
    held_out: tuple[str, ...]
    patients: int
    skipped: Mapping[str, str]

    def items_of(self, names: Collection[str]) -> list[Item]:
        """Training items of some films."""
        return [self.items[name] for name in names]

    def digests_of(self, names: Collection[str]) -> Digests:
        """Digests of some films."""
        return {name: self.digests[name] for name in names}


def labelled_films(datastore: Datastore) -> dict[str, tuple[Path, Path]]:
    """Image and label file of every image with a final label, by image id."""
    tag = DefaultLabelTag.FINAL.value
    return {
        name: (Path(datastore.get_image_uri(name)), Path(datastore.get_label_uri(name, tag)))
        for name in datastore.get_labeled_images(tag)
    }


def changed_labels(sources: Mapping[str, tuple[Path, Path]], digests: Digests) -> int:
    """How many films of some that were read are labelled no longer, or otherwise."""
    return sum(name not in sources or _is_other(sources[name][1], known["label"]) for name, known in digests.items())


def sort_films(
    sources: Mapping[str, tuple[Path, Path]], held_out: float, pattern: str, learnt: Mapping[str, Any]
) -> Films:
    """Read the labelled films and put each on its side.

    Args:
        sources: image and label file by image id.
        held_out: share of the patients to check on.
        pattern: what tells patients apart, see ``patients.patient_of``.
        learnt: digests of the films that the served model has learnt from, by image id.

    Raises:
        ValueError: too few labels can be used, or all of them belong to patients that are held out.
    """
    items, skipped, digests = _read(sources)
    if len(items) < LEAST_LABELLED:
        raise ValueError(
            f"training needs at least {LEAST_LABELLED} labels that can be used, {len(items)} of {len(sources)} can"
        )
    patients = {name: patient_of(name, sources[name][0], pattern) for name in items}
    patients = _one_for_equal_images(patients, digests)
    kept, checked = split(patients, held_out)
    if not kept:
        raise ValueError(
            f"all {len(items)} labelled images belong to patients that are held out to check on; label images of "
            "other patients, or train with another val_split"
        )
    old = [name for name in kept if learnt.get(name) == digests[name]]
    new = [name for name in kept if name not in old] or kept
    old = [name for name in kept if name not in new]
    count = len(set(patients.values()))
    return Films(items, digests, tuple(new), tuple(old), tuple(checked), count, skipped)


def _read(sources: Mapping[str, tuple[Path, Path]]) -> tuple[dict[str, Item], dict[str, str], Digests]:
    """Items, why others are left out, and digests of what was read, also where a file changes meanwhile."""
    items: dict[str, Item] = {}
    skipped: dict[str, str] = {}
    digests: Digests = {}
    for name, files in sources.items():
        try:
            before = _digests(*files)
            for _ in range(_MOST_READINGS):
                items[name], digests[name] = read_item(*files), before
                before = _digests(*files)
                if before == digests[name]:
                    break
            else:
                raise ValueError("image or label changed again and again while they were read")
        except (ValueError, OSError) as error:
            items.pop(name, None)
            skipped[name] = str(error)
    return items, skipped, digests


def _one_for_equal_images(patients: Mapping[str, str], digests: Digests) -> dict[str, str]:
    """Patients by image id, the same one for all films with the same image: a copy is no film of somebody else."""
    first: dict[str, str] = {}
    for name in sorted(patients):
        first.setdefault(digests[name]["image"], patients[name])
    return {name: first[digests[name]["image"]] for name in patients}


def _is_other(label: Path, digest: str) -> bool:
    try:
        return file_digest(label, _DIGITS) != digest
    except OSError:
        return True


def _digests(image: Path, label: Path) -> dict[str, str]:
    return {kind: file_digest(path, _DIGITS) for kind, path in (("image", image), ("label", label))}
