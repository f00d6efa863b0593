"""Labelled images that the plan of their studies folder keeps from every model, wherever their labels lie."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import _app_path  # noqa: F401
from lib.learning.data.formats.data_set import DataImage, DataOptions, DataSet
from lib.learning.data.formats.label_source import patient_of_image
from lib.learning.data.formats.studies_labels import images_of_folder
from lib.spine.image_suffixes import image_stem
from lib.study.plan import PLAN_FILE, StudyPlan, parse_plan
from lib.study.withheld import held_out_images, is_open_by_files

HELD_OUT = f"{PLAN_FILE} holds the image out, or another one of its patient, and no model learns from it"
OPEN = f"{PLAN_FILE} wants two readings of the image, and files do not show that its label is the final one of both"


def without_withheld(data: DataSet, folder: Path, options: DataOptions) -> DataSet:
    """Labelled images that may be learnt from; of each other one a sentence is among those that are skipped.

    The plan is that of the folder in which an image lies, or of the folder of the labels.

    Args:
        data: labelled images.
        folder: where the labels were read from, or the file.
        options: of the user, by which patients are known.

    Raises:
        ValueError: a plan cannot be used, so that nobody knows what it keeps from models.
        OSError: a file cannot be read.
    """
    labels = folder if folder.is_dir() else folder.parent
    of_folder: dict[Path, list[DataImage]] = defaultdict(list)
    for image in data.images:
        for place in {labels.resolve(), image.path.resolve().parent, image.path.parent.resolve()}:
            of_folder[place].append(image)
    reasons: dict[str, str] = {}
    for place, images in of_folder.items():
        if (plan := _plan_of(place)) is not None:
            reasons |= {image.name: OPEN for image in images if is_open_by_files(plan, place, _id_of(image.path))}
            held_out = _held_out(plan, place, images, options)
            reasons |= {image.name: HELD_OUT for image in images if _id_of(image.path) in held_out}
    sentences = [f"image {name!r:.80}: {reason}" for name, reason in reasons.items()]
    kept = tuple(image for image in data.images if image.name not in reasons)
    return replace(data, images=kept, skipped=(*data.skipped, *sentences))


def _plan_of(folder: Path) -> StudyPlan | None:
    path = folder / PLAN_FILE
    return parse_plan(path.read_text(encoding="utf-8"), str(path)) if path.is_file() else None


def _id_of(path: Path) -> str:
    return image_stem(path.name)


def _held_out(plan: StudyPlan, folder: Path, images: Iterable[DataImage], options: DataOptions) -> set[str]:
    """Ids of some images that are not to be learnt from; images without a label tell of their patients, too."""
    patients = {_id_of(image.path): image.patient for image in images}
    by_name = {image: patient_of_image(path.name, path, options) for image, path in _held_out_files(plan, folder)}
    return held_out_images(plan, {**by_name, **patients})


def _held_out_files(plan: StudyPlan, folder: Path) -> list[tuple[str, Path]]:
    files = images_of_folder(folder).items()
    return [(image, paths[0]) for image, paths in files if plan.is_held_out(image)]
