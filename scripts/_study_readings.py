"""Readings of tables, and the model's points, as agreement is calculated from them."""

from __future__ import annotations

from pathlib import Path

import _app_path  # noqa: F401
from lib.agreement.paired_readings import StudyReading
from lib.agreement.readings_csv import read_readings_csv
from lib.server.store.studies_folder import id_of
from lib.spine.imaging.image_frame import ImageFrame
from lib.spine.labels.label_exchange import decode_text, read_landmarks_csv


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
