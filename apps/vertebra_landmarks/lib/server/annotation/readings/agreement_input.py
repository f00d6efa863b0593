"""Readings of a studies folder as agreement is calculated from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from ....agreement.paired_readings import StudyReading
from ....image_io import Radiograph, read_radiograph
from ....spine.imaging.image_frame import ImageFrame
from ...overview.patients import siblings
from ...store.datastore import StudiesDatastore
from .listing import ListedReading, readings

ReadImage = Callable[[str], tuple[Radiograph, str]]
"""Reads an image by its id, and what stands for the patient ("" where unknown)."""


def listed_readings(
    store: StudiesDatastore, problems: list[str], with_adjudicated: bool = False, read_image: ReadImage | None = None
) -> Iterator[tuple[ListedReading, Radiograph, str]]:
    """Readings of a studies folder with their images, and what stands for the patient ("" where unknown).

    Args:
        store: the studies folder.
        problems: gets a sentence for each image that cannot be read, whose readings are left out.
        with_adjudicated: the adjudicated labels, too.
        read_image: in place of reading the file of an image.

    Raises:
        PlanError: the folder has a study plan that cannot be read.
    """
    read = read_image or image_reader(store)
    image, radiograph, patient = "", None, ""
    for one in readings(store, with_adjudicated):
        if one.image != image:
            image, radiograph = one.image, None
            try:
                radiograph, patient = read(image)
            except (ValueError, OSError) as error:
                problems.append(f"image {image!r:.80}: {error}")
        if radiograph is not None:
            yield one, radiograph, patient


def image_reader(store: StudiesDatastore) -> ReadImage:
    """Reads images of a studies folder."""
    return lambda image: (read_radiograph(Path(store.get_image_uri(image))), siblings(store, image).patient or "")


def readings_of_folder(
    store: StudiesDatastore, problems: list[str], read_image: ReadImage | None = None
) -> tuple[list[StudyReading], dict[str, ImageFrame]]:
    """All submitted readings whose reader is known, without the adjudicated labels, and the frames of their images.

    Args:
        store: the studies folder.
        problems: gets a sentence for each that was left out.
        read_image: in place of reading the file of an image.
    """
    found, frames = [], {}
    for one, radiograph, patient in listed_readings(store, problems, read_image=read_image):
        if not one.reader:
            problems.append(f"image {one.image!r:.80}: nobody is named as the reader of reading {one.number}")
            continue
        size, frames[one.image] = radiograph.millimetres, radiograph.frame
        spine = one.spine.cut_to(radiograph.width, radiograph.height)
        found.append(
            StudyReading(
                one.image,
                one.reader,
                one.number,
                spine,
                radiograph.frame.upright(spine).visible_xy,
                None if size is None else (size.x, size.y),
                patient,
                one.model_version,
            )
        )
    return found, frames
