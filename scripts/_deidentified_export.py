"""A de-identified copy of a study set for research: images, labels, and an index, in a folder that can be served."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import _app_path  # noqa: F401
from lib.deidentification import Pseudonyms, copy_image
from lib.image_io.dicom.study import read_study_tags
from lib.learning.data.labelled_items import patient_by_name
from lib.server.store.datastore import StudiesDatastore
from lib.server.store.studies_folder import LABELS
from lib.spine.labels.markups import SUFFIX, read_markups, write_markups

INDEX = "index.json"
NO_HEADER = "it is no DICOM image, whose header could say whether text is burnt into the pixels"
_TIME = 946_684_800
"""Of all files, 2000-01-01: that of writing would tell the order of the originals."""
PROGRESS_INTERVAL = 100


def export_deidentified(store: StudiesDatastore, folder: Path, tag: str, map_file: Path | None) -> list[str]:
    """Write the copy.

    Args:
        store: the study set.
        folder: of the copy, new or empty.
        tag: of the labels.
        map_file: file of the stand-ins to use and to keep; ``None`` to keep nothing that leads back.

    Returns:
        A sentence for each image that was left out.

    Raises:
        ValueError: the folder is in use, or the file lies beside the copy or is no map.
        OSError: they cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} must be a new or an empty folder")
    if map_file is not None:
        copy, place = folder.resolve(), map_file.resolve().parent
        if place == copy.parent or place == copy or copy in place.parents:
            raise ValueError("the map must lie in another place than the copy, which is given away without it")
    pseudonyms = Pseudonyms.load(map_file) if map_file is not None and map_file.exists() else Pseudonyms()
    if map_file is not None:
        pseudonyms.save(map_file)  # before there is a copy that nothing would lead back from
    (folder / LABELS / tag).mkdir(parents=True)
    index: list[dict[str, Any]] = []
    problems: list[str] = []
    concerns: Counter[str] = Counter()
    images = store.list_images()
    for number, image in enumerate(images, start=1):
        try:
            entry, found = _export(store, image, folder, tag, pseudonyms)
            index.append(entry)
            concerns.update(found)
        except (ValueError, OSError) as error:
            problems.append(f"image {image!r:.80}: {error}")
        if number % PROGRESS_INTERVAL == 0:
            print(f"{number:,} of {len(images):,}", flush=True)
    _write(folder / INDEX, json.dumps({"images": sorted(index, key=lambda entry: str(entry["image"]))}, indent=1))
    if map_file is not None:
        pseudonyms.save(map_file)
    labelled = sum(entry["label"] is not None for entry in index)
    print(f"{len(index)} images copied, {labelled} with a label, {len(problems)} left out")
    for concern, count in concerns.most_common():
        print(f"Look at the pixels of {count} images: {concern}; see {INDEX}", file=sys.stderr)
    return problems


def _export(
    store: StudiesDatastore, image: str, folder: Path, tag: str, pseudonyms: Pseudonyms
) -> tuple[dict[str, Any], list[str]]:
    """Copy an image and its label; returns its entry in the index, and reasons to look at its pixels."""
    source = Path(store.get_image_uri(image))
    tags = read_study_tags(source)
    patient = patient_by_name(image) if tags is None else f"id {tags.patient}" if tags.patient else f"of {image}"
    name = pseudonyms.image(image, patient)
    copied = copy_image(source, folder, name, pseudonyms, patient)
    concerns = [NO_HEADER] if tags is None else copied.concerns
    side = store.stated_side(image)
    entry: dict[str, Any] = {
        "image": name,
        "file": copied.path.name,
        "patient": pseudonyms.patient(patient),
        "image_left_is": None if side is None else side.image_left_is,
        "label": None,
        "annotator": "",
        "look_for_text": concerns,
    }
    try:
        present = store.get_label_uri(image, tag)
        if present:
            spine = read_markups(Path(present), copied.original.geometry)
            label = folder / LABELS / tag / f"{name}{SUFFIX}"
            write_markups(label, spine, copied.copy.geometry)
            info = store.get_label_info(image, tag)
            entry["label"] = label.relative_to(folder).as_posix()
            entry["annotator"] = pseudonyms.annotator(str(info.get("annotator") or info.get("user") or ""))
            os.utime(label, (_TIME, _TIME))
    except (ValueError, OSError):
        copied.path.unlink()
        raise
    os.utime(copied.path, (_TIME, _TIME))
    return entry, concerns


def _write(path: Path, text: str) -> None:
    path.write_text(f"{text}\n", encoding="utf-8")
    os.utime(path, (_TIME, _TIME))
