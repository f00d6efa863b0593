"""Readings that are left out of a comparison, and the sentences that say so in its notes and methods."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from .paired_readings import REPEAT, StudyReading


def unaided(readings: Sequence[StudyReading], model: str | None = None) -> tuple[list[StudyReading], list[str]]:
    """Readings that began without a model's points; those of whom an earlier one is left out become repeats.

    Args:
        readings: of a study.
        model: name under which the model's own points are listed, which stay.

    Returns:
        The readings, and what was done in a sentence; none where all began so.
    """
    aided = [one for one in readings if one.model_version and one.reader != model]
    if not aided:
        return list(readings), []
    first: dict[tuple[str, str], int] = {}
    for one in aided:
        key = one.image, one.reader
        first[key] = min(one.number, first.get(key, one.number))
    kept, later = [], 0
    for one in readings:
        if one.model_version and one.reader != model:
            continue
        is_later = one.number > first.get((one.image, one.reader), one.number)
        later += is_later
        kept.append(replace(one, kind=REPEAT) if is_later else one)
    by_readers = sum(one.reader != model for one in readings)
    listed = ", ".join(f"{count} by {name}" for name, count in sorted(Counter(one.reader for one in aided).items()))
    sentence = (
        f"{len(aided)} of {by_readers} readings began with a model's points and were left out ({listed}); what "
        "follows is of the others."
    )
    if later:
        sentence += (
            f" Of {later} of these the reader's earlier reading of the image was left out: as repeats they were "
            "not compared with other readers or with a model."
        )
    return kept, [sentence]


def unusable(count: int) -> list[str]:
    """A sentence on images and readings that could not be used, if there were any.

    Args:
        count: how many.
    """
    if not count:
        return []
    what = "1 image or reading" if count == 1 else f"{count} images or readings"
    return [f"{what} could not be used and {'was' if count == 1 else 'were'} left out."]
