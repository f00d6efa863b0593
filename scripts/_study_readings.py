"""Readings of a studies folder or of tables, as agreement is calculated from them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import _app_path  # noqa: F401
from lib.agreement.paired_readings import StudyReading
from lib.agreement.readings_csv import read_readings_csv
from lib.image_io import Radiograph, read_radiograph
from lib.server.annotation.readings.listing import ListedReading, readings
from lib.server.overview.patients import siblings
from lib.server.store.datastore import StudiesDatastore
from lib.server.store.studies_folder import id_of
from lib.spine.imaging.image_frame import ImageFrame
from lib.spine.labels.label_exchange import decode_text, read_landmarks_csv


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
    image, radiograph, patient = "", None, ""
    for one in readings(store, with_adjudicated):
        if one.image != image:
            image, radiograph = one.image, None
            try:
                radiograph = read_radiograph(Path(store.get_image_uri(image)))
                patient = siblings(store, image).patient or ""
            except (ValueError, OSError) as error:
                problems.append(f"image {image!r:.80}: {error}")
        if radiograph is not None:
            yield one, radiograph, patient


def readings_of_folder(
    store: StudiesDatastore, problems: list[str]
) -> tuple[list[StudyReading], dict[str, ImageFrame]]:
    """All submitted readings whose reader is known, without the adjudicated labels, and the frames of their images.

    Args:
        store: the studies folder.
        problems: gets a sentence for each that was left out.
    """
    found, frames = [], {}
    for one, radiograph, patient in listed_readings(store, problems):
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


def readings_of_table(path: Path, problems: list[str]) -> list[StudyReading]:
    """Readings in a table, see ``read_readings_csv``.

    Args:
        path: of the table.
        problems: gets a sentence for each that was left out.

    Raises:
        ValueError: it is no such table.
        OSError: it cannot be read.
    """
    found, left_out = read_readings_csv(decode_text(path.read_bytes()))
    problems += left_out
    return found


def model_readings(
    path: Path, name: str, made: list[StudyReading], frames: dict[str, ImageFrame], problems: list[str]
) -> list[StudyReading]:
    """The model's points of images that were read, from ``landmarks.csv`` of ``scripts/predict.py``.

    Args:
        path: of the table.
        name: of the model as a reader.
        made: readings of the images, with the size of their pixels.
        frames: of the images; points of others are those of upright images.
        problems: gets a sentence for each image that was left out.

    Raises:
        ValueError: it is no such table, or none of its images was read.
        OSError: it cannot be read.
    """
    labels, left_out = read_landmarks_csv(decode_text(path.read_bytes()))
    problems += left_out
    by_image = {one.image: one for one in made}
    found = []
    for label in labels:
        names = (label.image, Path(label.image).name, id_of(Path(label.image).name))
        image = next((name for name in names if name in by_image), None)
        if image is not None:
            like = by_image[image]
            upright = frames[image].upright(label.spine) if image in frames else label.spine
            found.append(StudyReading(image, name, 1, label.spine, upright.visible_xy, like.mm_per_px, like.patient))
    if not found:
        listed = ", ".join(repr(label.image) for label in labels[:3])
        raise ValueError(
            f"{path}: none of its images ({listed or 'it has none'}) was read; images that were are called such as "
            f"{next(iter(by_image), '')!r}"
        )
    return found
