"""Folds that keep the images of a patient together, and the table that they are written down in."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from ....spine.atomic_write import atomic_write
from .data_set import DataImage, DataSet, digest_of

FOLDS = 5
FOLDS_FILE = "folds.csv"
MIN_PATIENTS = 2
"""To learn from some and hold others out."""
COLUMNS = ("image", "digest", "patient", "fold")
_REQUIRED = {"image", "fold"}
Group = TypeVar("Group", int, str)


def deal(groups: Sequence[Group], count: int = FOLDS, given: Mapping[Group, int] | None = None) -> list[int]:
    """Fold of every image; images of one group share it and the folds are of nearly equal size.

    The largest groups are dealt first, each to the fold that has the fewest images; the result depends on nothing but
    the groups and on what is given.

    Args:
        groups: of every image.
        count: number of folds.
        given: folds that some groups have already.

    Raises:
        ValueError: fewer than two folds.
    """
    if count < 2:
        raise ValueError(f"count of folds must be at least 2, got {count}")
    fold_of = dict(given or {})
    sizes = Counter(groups)
    filled = [0] * count
    for group, size in sizes.items():
        if group in fold_of:
            filled[fold_of[group]] += size
    for group, size in sorted(sizes.items(), key=lambda item: (-item[1], item[0])):
        if group not in fold_of:
            fold_of[group] = min(range(count), key=lambda fold: (filled[fold], fold))
            filled[fold_of[group]] += size
    return [fold_of[group] for group in groups]


def group_of(image: DataImage) -> str:
    """What stands for the patient of an image when folds are dealt: no order of names or numbers shows in it."""
    return digest_of(image.patient.encode())


def with_folds(data: DataSet, table: Mapping[str, int] | None = None) -> DataSet:
    """A user's data with its folds: those of a table, and dealt for patients that are not in it.

    Args:
        data: without folds.
        table: fold by image name and by digest of the file, as ``read_folds`` reads it.

    Raises:
        ValueError: the table has images of one patient in several folds.
        OSError: an image cannot be read.
    """
    groups = [group_of(image) for image in data.images]
    given: dict[str, int] = {}
    first: dict[str, DataImage] = {}
    for image, group in zip(data.images, groups, strict=True):
        fold = None if not table else table.get(image.digest, table.get(image.name))
        if fold is None:
            continue
        if given.setdefault(group, fold) != fold:
            raise ValueError(
                f"the table of folds has {first[group].name} in fold {given[group]} and {image.name} in fold {fold}, "
                "which are of one patient: one of them would be held out from a training on the other"
            )
        first.setdefault(group, image)
    fold_of = deal(groups, FOLDS, given)
    return replace(
        data, images=tuple(replace(image, fold=fold) for image, fold in zip(data.images, fold_of, strict=True))
    )


def read_folds(path: Path) -> dict[str, int]:
    """Fold by image name, and by digest of the image's file where the table has one.

    Raises:
        ValueError: it is no such table.
        OSError: it cannot be read.
    """
    with path.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream)
        missing = sorted(_REQUIRED - set(reader.fieldnames or ()))
        if missing:
            raise ValueError(f"{path.name}: a table of folds needs the columns image and fold, {missing[0]} is missing")
        folds: dict[str, int] = {}
        for row in reader:
            text = row["fold"] or ""
            if text not in map(str, range(FOLDS)):
                raise ValueError(
                    f"{path.name}: line {reader.line_num} has fold {text!r:.20}; 0 to {FOLDS - 1} were expected"
                )
            for name in (row["image"], row.get("digest")):
                if name and folds.setdefault(name, int(text)) != int(text):
                    raise ValueError(f"{path.name}: line {reader.line_num} has {name!r:.80} in a second fold")
    return folds


def write_folds(path: Path, data: DataSet) -> None:
    """Write a row per image; patients are numbers, so that the table names nobody.

    Images of an earlier table that are not among the data keep their folds, for the day when they come back.

    Raises:
        OSError: the file cannot be written, or an image not be read.
    """
    numbers = {group: number for number, group in enumerate(sorted(set(map(group_of, data.images))), start=1)}
    rows: list[tuple[object, ...]] = [
        (image.name, image.digest, numbers[group_of(image)], image.fold) for image in data.images
    ]
    names, digests = {image.name for image in data.images}, {image.digest for image in data.images}
    if path.exists():
        with path.open(newline="", encoding="utf-8-sig") as stream:
            earlier = [(row["image"], row.get("digest") or "", "", row["fold"]) for row in csv.DictReader(stream)]
        rows += [row for row in earlier if row[0] not in names and row[1] not in digests]
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([COLUMNS, *rows])


def check_fold(data: DataSet, fold: int | None) -> list[DataImage]:
    """The images of a fold of a user's data, if there are any, and others to learn from.

    Raises:
        ValueError: there are none on one side.
    """
    chosen = data.in_fold(fold)
    if fold is None or not data.is_own:
        return chosen
    patients = {image.patient: image.fold for image in data.images}
    if len(patients) < MIN_PATIENTS:
        raise ValueError(
            f"all {len(data.images)} images of {data.name} are of one patient, who is either learnt from or held out: "
            "--fold none learns from all images, --patients says how names tell patients apart"
        )
    if not chosen:
        filled = ", ".join(map(str, sorted(set(patients.values()))))
        raise ValueError(
            f"fold {fold} of {data.name} has no image: the {len(data.images)} images are of {len(patients)} patients, "
            f"who are in the folds {filled}"
        )
    if len(chosen) == len(data.images):
        raise ValueError(f"fold {fold} of {data.name} has all {len(chosen)} images, so that none is left to learn from")
    return chosen
