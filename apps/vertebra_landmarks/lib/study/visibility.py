"""What is hidden from whom: the one rule by which a study is blind.

Of an image that is not closed, or that its first reader is to read once more, a plan reader sees nothing that comes
from other readings, and of the own ones only the one under work. Whoever adjudicates, and whoever has a login but no
part in the plan, sees everything. Without a login a name is believed as stated, and nobody in particular may be any
reader.
"""

from __future__ import annotations

from typing import NamedTuple

from .plan import DAY_S, REPEAT, StudyPlan
from .slots import (
    ImageReadings,
    Reading,
    adjudication_of,
    awaits,
    is_closed,
    is_read,
    is_to_adjudicate,
    possible_slot,
    repeat_due_at,
    repeat_reader,
)

CORRECTION_S = DAY_S
"""For which the reader of an image that is to be read once more sees, and may correct, the first reading."""


class Viewer(NamedTuple):
    """Who looks.

    Attributes:
        name: as known or stated; "" where neither.
        sees_all: nothing is hidden.
        reader: the reader of the plan; ``None`` for nobody in particular.
    """

    name: str
    sees_all: bool
    reader: str | None = None


def viewer_of(plan: StudyPlan | None, name: str, has_login: bool) -> Viewer:
    """The viewer of a study.

    Args:
        plan: of the study; ``None`` without one.
        name: of the user.
        has_login: whether the name is known, rather than stated.
    """
    if plan is None or name in plan.adjudicators:
        return Viewer(name, sees_all=True)
    if name in plan.readers:
        return Viewer(name, sees_all=False, reader=name)
    return Viewer(name, sees_all=has_login)


def sees_labels(plan: StudyPlan, viewer: Viewer, image: ImageReadings) -> bool:
    """Whether a viewer sees all that was made of an image."""
    return viewer.sees_all or not plan.blind or not awaits(plan, image, viewer.reader)


def sees_model(plan: StudyPlan, viewer: Viewer, image: ImageReadings) -> bool:
    """Whether a viewer is offered the model's points of an image."""
    return viewer.sees_all or all(plan.offers_model(kind) for kind in awaits(plan, image, viewer.reader))


def own_reading(plan: StudyPlan, viewer: Viewer, image: ImageReadings, now: float) -> Reading | None:
    """The reading that a viewer works on, and may see and change although others are hidden.

    Args:
        plan: of the study.
        viewer: who looks.
        image: its readings.
        now: seconds since 1970.
    """
    own = image.of(viewer.reader) if viewer.reader is not None else ()
    if not own:
        return None
    last = own[-1]
    is_over = now >= min(last.at + CORRECTION_S, repeat_due_at(plan, image))
    if last.is_submitted and last.kind != REPEAT and repeat_reader(plan, image) == viewer.reader and is_over:
        return None
    return last


def may_change(plan: StudyPlan, viewer: Viewer, image: ImageReadings, now: float) -> Reading | None:
    """The submitted reading that a viewer may still correct; ``None`` where it is adjudicated, or there is none."""
    own = own_reading(plan, viewer, image, now)
    is_fixed = own is None or not own.is_submitted or adjudication_of(plan, image) is not None
    if own is None or is_fixed or (own.kind == REPEAT and sees_labels(plan, viewer, image) and plan.blind):
        return None
    return own


class Part(NamedTuple):
    """What somebody may do with an image, without telling anything that is hidden.

    Attributes:
        may_save: whether points that they submit are taken, as far as may be told.
        offers_model: whether the model's points are offered.
        reading: the own reading, under work or made; ``None`` without one that is shown.
    """

    may_save: bool
    offers_model: bool
    reading: Reading | None


def part_of(plan: StudyPlan, viewer: Viewer, image: ImageReadings, now: float) -> Part:
    """What a viewer may do with an image.

    Args:
        plan: of the study.
        viewer: who looks.
        image: its readings.
        now: seconds since 1970.
    """
    own = own_reading(plan, viewer, image, now)
    if viewer.name in plan.adjudicators:
        may_save = bool(image.independent) and (adjudication_of(plan, image) is not None or is_read(plan, image))
    elif viewer.reader is None:
        may_save = False
    elif own is not None and (not own.is_submitted or may_change(plan, viewer, image, now) is not None):
        may_save = True
    else:
        is_undecided = not image.of(viewer.reader) and not sees_labels(plan, viewer, image)
        may_save = is_undecided or possible_slot(plan, image, viewer.reader, now) is not None
    return Part(may_save, sees_model(plan, viewer, image), own)


TO_READ, OPEN, READ, TO_ADJUDICATE, FINAL = "to read", "yours, open", "read", "to adjudicate", "final"
"""How far an image is, for somebody who reads or adjudicates."""


def reading_state(plan: StudyPlan, viewer: Viewer, image: ImageReadings, now: float) -> str:
    """How far an image is for a viewer, in words that tell nothing that is hidden.

    Args:
        plan: of the study.
        viewer: who looks.
        image: its readings.
        now: seconds since 1970.
    """
    if not sees_labels(plan, viewer, image):
        own = image.of(viewer.reader) if viewer.reader is not None else ()
        if any(not one.is_submitted for one in own):
            return OPEN
        if viewer.reader is None:
            return TO_READ
        return READ if own and possible_slot(plan, image, viewer.reader, now) is None else TO_READ
    if is_closed(plan, image):
        return FINAL
    if is_to_adjudicate(plan, image):
        return TO_ADJUDICATE
    return TO_READ if not image.independent else READ
