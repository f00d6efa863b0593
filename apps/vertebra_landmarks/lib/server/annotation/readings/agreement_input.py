"""Readings of a studies folder as agreement is calculated from them."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

from sqlalchemy.exc import DBAPIError

from ....agreement.paired_readings import StudyReading
from ....image_io import Radiograph, read_radiograph
from ....spine.imaging.image_frame import ImageFrame
from ...inference.image_reading import header_of
from ...overview.patients import patient_of
from ...store.datastore import StudiesDatastore
from .listing import ListedReading, readings

logger = logging.getLogger(__name__)

Image = TypeVar("Image")


class ImageFacts(NamedTuple):
    """What is needed of an image to measure its readings.

    Attributes:
        frame: size, orientation and sides.
        mm_per_px: size of a square pixel of the upright image in the patient; ``None`` where unknown.
        patient: stands for the patient, "" where unknown.
    """

    frame: ImageFrame
    mm_per_px: float | None
    patient: str


def listed_readings(
    store: StudiesDatastore, problems: list[str], with_adjudicated: bool = False
) -> Iterator[tuple[ListedReading, Radiograph, str]]:
    """Readings of a studies folder with their images, and what stands for the patient ("" where unknown).

    Args:
        store: the studies folder.
        problems: gets a sentence for each image that cannot be read, whose readings are left out.
        with_adjudicated: the adjudicated labels, too.

    Raises:
        PlanError: the folder has a study plan that cannot be read.
    """

    def read(image: str) -> tuple[Radiograph, str]:
        return read_radiograph(Path(store.get_image_uri(image))), patient_of(store, image)

    for one, (radiograph, patient) in _with_images(store, problems, with_adjudicated, read):
        yield one, radiograph, patient


def _with_images(
    store: StudiesDatastore, problems: list[str], with_adjudicated: bool, read: Callable[[str], Image]
) -> Iterator[tuple[ListedReading, Image]]:
    """Readings with what is read of their images, each once."""
    image, found = "", None
    for one in readings(store, with_adjudicated):
        if one.image != image:
            image, found = one.image, None
            try:
                found = read(image)
            except (ValueError, OSError) as error:
                problems.append(f"image {image!r:.80}: {error}")
        if found is not None:
            yield one, found


def image_facts(store: StudiesDatastore, image: str) -> ImageFacts:
    """What is needed of an image, as the store has it; only where it has not, the file is read, and that is noted.

    Raises:
        UnreadableImageError: the file cannot be read.
    """
    header = store.header(image)
    if header is None:
        state = store.file_state(image)
        header = header_of(read_radiograph(Path(store.get_image_uri(image))))
        try:
            store.note_header(image, header, state)
        except DBAPIError as error:  # such as a full disk; whoever compares can go on
            logger.warning("The size of an image could not be noted: %s", type(error).__name__)
    size = header.mm_per_px
    return ImageFacts(header.frame, None if size is None else math.sqrt(math.prod(size)), patient_of(store, image))


def readings_of_folder(
    store: StudiesDatastore, problems: list[str]
) -> tuple[list[StudyReading], dict[str, ImageFrame]]:
    """All submitted readings whose reader is known, without the adjudicated labels, and the frames of their images.

    Args:
        store: the studies folder.
        problems: gets a sentence for each that was left out.
    """
    found, frames = [], {}
    for one, (frame, mm_per_px, patient) in _with_images(
        store, problems, False, lambda image: image_facts(store, image)
    ):
        if not one.reader:
            problems.append(f"image {one.image!r:.80}: nobody is named as the reader of reading {one.number}")
            continue
        frames[one.image] = frame
        spine = one.spine.cut_to(frame.width, frame.height)
        upright_xy = frame.upright(spine).visible_xy
        found.append(
            StudyReading(
                one.image, one.reader, one.number, spine, upright_xy, mm_per_px, patient, one.model_version, one.kind
            )
        )
    return found, frames
