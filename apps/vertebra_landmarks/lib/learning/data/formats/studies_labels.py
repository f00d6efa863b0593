"""A studies folder: the final labels that annotators have saved, or Markups files beside images."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from ....image_io import Radiograph, is_dicom, is_image_name
from ....spine.image_suffixes import image_stem
from ....spine.labels.markups import SUFFIX, read_markups
from ....spine.schema import Spine
from ..input_files import OVERLAY_SUFFIX
from .data_set import DataFormat, DataOptions, DataSet
from .label_source import LabelSource, build_data_set

FINAL = Path("labels") / "final"
INDEX = "index.json"
"""Of a de-identified export: it names stand-ins of patients."""


class StudiesLabels(DataFormat):
    """Images at the top of a folder, and a ``.mrk.json`` file of each in ``labels/final``, or beside it."""

    name = "studies"
    expected = f"a studies folder with images and labels in {FINAL.as_posix()}, or with *{SUFFIX} files beside images"

    def recognises(self, path: Path) -> bool:
        """Whether there is a folder of final labels, or a Markups file."""
        return path.is_dir() and ((path / FINAL).is_dir() or next(path.glob(f"*{SUFFIX}"), None) is not None)

    def read(self, path: Path, options: DataOptions) -> DataSet:
        """Read the labels; a point that an annotator did not place is not on the image."""
        labels = path / FINAL if (path / FINAL).is_dir() else path
        images = images_of_folder(options.image_folder or path)
        patients = _stated_patients(path / INDEX)
        sources, problems = [], []
        for label in sorted(labels.glob(f"*{SUFFIX}")):
            name = label.name[: -len(SUFFIX)]
            found = images.get(name, [])
            if name.startswith("."):
                continue
            if len(found) != 1:
                what = "no image of that name" if not found else f"{len(found)} images of that name"
                where = options.image_folder or path
                problems.append(f"image {name!r:.80}: {label.name} has {what} in {where}")
                continue
            spine = partial(_spine, label)
            sources.append(LabelSource(found[0].name, found[0], spine, patients.get(name, ""), False))
        if problems and not sources:
            problems.append(
                "no label has its image: the images of a PACS are not in its working folder, labels.py export "
                "--deidentify writes a folder with both"
            )
        return build_data_set(path.resolve().name, sources, problems, options)


def _spine(label: Path, radiograph: Radiograph) -> Spine:
    return read_markups(label, radiograph.geometry)


def images_of_folder(folder: Path) -> dict[str, list[Path]]:
    """Image files at the top of a folder by their names without suffix."""
    images: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        is_meant = not path.name.startswith(".") and not path.name.endswith((OVERLAY_SUFFIX, SUFFIX)) and path.is_file()
        if is_meant and (is_image_name(path) or is_dicom(path)):
            images.setdefault(image_stem(path.name), []).append(path)
    return images


def _stated_patients(index: Path) -> dict[str, str]:
    """Patients by image as an index states them; none where there is no index."""
    try:
        entries = json.loads(index.read_text(encoding="utf-8"))["images"]
        return {str(entry["image"]): str(entry["patient"]) for entry in entries if entry.get("patient")}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # another program's file
        return {}
