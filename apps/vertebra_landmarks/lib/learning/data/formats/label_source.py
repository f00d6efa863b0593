"""From a label and the name of its image to an image of a data set: the same checks whatever the format."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tqdm import tqdm

from ....image_io import Radiograph, read_radiograph
from ....image_io.dicom.study import read_study_tags
from ....spine.image_suffixes import image_stem
from ....spine.imaging.orientation import orientation_of
from ....spine.schema import Spine
from ..labelled_items import checked_label, patient_by_name, points_of
from .data_set import DataImage, DataOptions, DataSet, digest_of


@dataclass(frozen=True)
class LabelSource:
    """A label that is still to be read.

    Attributes:
        name: what tables call the image.
        path: image file.
        read_spine: the labelled points in stored pixels of the image that is passed; raises ``ValueError``.
        patient: as the format states it; "" where it does not.
        is_missing_unknown: whether nobody has said where points are that have no position; else they are not on the
            image.
    """

    name: str
    path: Path
    read_spine: Callable[[Radiograph], Spine]
    patient: str = ""
    is_missing_unknown: bool = True


def build_data_set(name: str, sources: Sequence[LabelSource], problems: Iterable[str], options: DataOptions) -> DataSet:
    """Read and check every image and its label.

    Images whose files are equal are of one patient, whatever is stated.

    Args:
        name: of the data set.
        sources: its labels.
        problems: sentences about labels that could not be read.
        options: of the user.
    """
    images: list[DataImage] = []
    skipped = list(problems)
    first: dict[str, str] = {}
    used: dict[Path, str] = {}
    for source in tqdm(sources, "reading labels", unit="image", disable=not sys.stderr.isatty()):
        try:
            path = source.path.resolve()
            if path in used:
                raise ValueError(f"the image has a label already, under the name {used[path]!r:.80}")
            used[path] = source.name
            image = _read(source, options)
        except (ValueError, OSError) as error:
            skipped.append(f"image {source.name!r:.80}: {error}")
            continue
        patient = first.setdefault(image.digest, image.patient)
        images.append(replace(image, patient=patient))
    return DataSet(name, tuple(images), tuple(skipped))


def _read(source: LabelSource, options: DataOptions) -> DataImage:
    radiograph = read_radiograph(source.path)
    spine = source.read_spine(radiograph)
    label = checked_label(spine, radiograph, source.is_missing_unknown)
    points = points_of(label)
    patient, is_stated = _patient_of(source.name, source.path, source.patient, options)
    digest = digest_of(source.path.read_bytes())
    frame = radiograph.frame
    orientation = orientation_of(points, frame.width, frame.height, frame.orientation)
    is_as_stored = orientation.is_upright and frame.pixel_aspect == 1.0
    matrix = None if is_as_stored else frame.matrix(orientation)
    return DataImage(
        source.path,
        source.name,
        points,
        label,
        patient,
        file_digest=digest,
        to_upright=matrix,
        is_patient_stated=is_stated,
    )


def patient_of_image(name: str, path: Path, options: DataOptions) -> str:
    """What stands for the patient of an image whose label states none, as in ``DataImage.patient``.

    Args:
        name: of the image.
        path: its file.
        options: of the user.
    """
    return _patient_of(name, path, "", options)[0]


def _patient_of(name: str, path: Path, stated: str, options: DataOptions) -> tuple[str, bool]:
    stem = image_stem(name.replace("\\", "/").rsplit("/", 1)[-1])
    if options.patients:
        fits = re.fullmatch(options.patients, stem) is not None
        return f"name {patient_by_name(stem, options.patients)}", fits
    if stated:
        return f"stated {stated}", True
    tags = read_study_tags(path)
    if tags is not None and tags.patient_id:
        return f"id {tags.patient_id}", True
    return f"name {patient_by_name(stem)}", False


def spine_of_size(spine: Spine, size: tuple[int, int] | None, radiograph: Radiograph) -> Spine:
    """The spine, if the image is of the size that its label states.

    Raises:
        ValueError: it is of another size.
    """
    if size is not None and size != (radiograph.width, radiograph.height):
        raise ValueError(
            f"the label is of an image of {size[0]} x {size[1]} pixels, the file has {radiograph.width} x "
            f"{radiograph.height}"
        )
    return spine


def constant_spine(spine: Spine, size: tuple[int, int] | None = None) -> Callable[[Radiograph], Spine]:
    """``LabelSource.read_spine`` of a spine that is known, for an image of this width and height, if it is stated."""
    return partial(spine_of_size, spine, size)
