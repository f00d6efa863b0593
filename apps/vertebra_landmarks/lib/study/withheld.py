"""Images of a study that no model may learn from, by its plan and the files of its folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..spine.labels.markups import SUFFIX
from .plan import StudyPlan

_ADJUDICATED = tuple(Path("labels") / tag for tag in ("final", "reading-1", "reading-2"))
"""Where an image that was to be read twice from the first has its labels once it is adjudicated."""


def held_out_images(plan: StudyPlan, patients: Mapping[str, str]) -> set[str]:
    """Images that are held out, and all others of their patients: these show the same spine.

    Args:
        plan: of the study.
        patients: what stands for the patient by image id; "" where unknown, and the image is then of nobody else.
    """
    chosen = {image for image in patients if plan.is_held_out(image)}
    of = {patients[image] for image in chosen} - {""}
    return chosen | {image for image, patient in patients.items() if patient in of}


def is_open_by_files(plan: StudyPlan, folder: Path, image: str) -> bool:
    """Whether an image with a label may still be to be read or adjudicated, as far as files tell.

    An image that the plan wants read twice has its final label from adjudication if both readings lie beside it. Where
    the first does not, the label may be that reading: only the database knows whether it was adjudicated since.

    Args:
        plan: of the study.
        folder: the studies folder.
        image: its id.
    """
    name = f"{image}{SUFFIX}"
    return plan.wants_second(image) and not all((folder / place / name).is_file() for place in _ADJUDICATED)
