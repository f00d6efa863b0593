"""The readings of one image: which there are, which the plan still wants, and who may take which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from .plan import DAY_S, FIRST, REPEAT, SECOND, StudyPlan

UNKNOWN_READER = ""
"""Of a label that nobody is known to have made."""


@dataclass(frozen=True)
class Reading:
    """One reader's points of one image, made or under work.

    Attributes:
        number: 1, 2, ... in the image.
        kind: first, second or repeat.
        reader: who; "" where unknown.
        is_submitted: whether it is made.
        at: when it was submitted, or else assigned; seconds since 1970.
        tag: of its label.
        version: of its label; 0 while under work.
        is_blind: whether the plan was blind when it began.
        uses_model: whether the model's points were offered.
        began_at: when it was assigned; 0 where unknown.
    """

    number: int
    kind: str
    reader: str
    is_submitted: bool
    at: float
    tag: str
    version: int = 0
    is_blind: bool = False
    uses_model: bool = True
    began_at: float = 0.0


class Adjudication(NamedTuple):
    """The choice of the final label of an image.

    Attributes:
        by: who; "" where unknown.
        version: of the label ``final``.
        is_automatic: nobody has chosen: it was the only reading when the plan wanted one.
    """

    by: str
    version: int
    is_automatic: bool = False


class Slot(NamedTuple):
    """A reading that somebody may begin.

    Attributes:
        number: of the reading.
        kind: first, second or repeat.
    """

    number: int
    kind: str


@dataclass(frozen=True)
class ImageReadings:
    """What was read of an image.

    Attributes:
        image: its id.
        readings: by number.
        adjudication: ``None`` before there is one.
    """

    image: str
    readings: tuple[Reading, ...] = ()
    adjudication: Adjudication | None = None

    @property
    def independent(self) -> tuple[Reading, ...]:
        """The submitted readings by different readers, without repeats."""
        return tuple(one for one in self.readings if one.is_submitted and one.kind != REPEAT)

    def of(self, reader: str) -> tuple[Reading, ...]:
        """The readings of a reader, oldest first."""
        return tuple(one for one in self.readings if one.reader == reader)

    def number(self, number: int) -> Reading | None:
        """The reading of a number; ``None`` if there is none."""
        return next((one for one in self.readings if one.number == number), None)


def independent_slots(plan: StudyPlan, image: ImageReadings) -> int:
    """How many different readers read an image: those that the plan wants, and those that have, if that is more."""
    begun = sum(one.kind != REPEAT for one in image.readings)
    return max(begun, 2 if plan.wants_second(image.image) else 1)


def is_read(plan: StudyPlan, image: ImageReadings) -> bool:
    """Whether all readings by different readers are made."""
    return len(image.independent) >= independent_slots(plan, image)


def adjudication_of(plan: StudyPlan, image: ImageReadings) -> Adjudication | None:
    """The choice of the final label; ``None`` before it, and where the plan again wants more than the only reading."""
    chosen = image.adjudication
    is_void = chosen is not None and chosen.is_automatic and independent_slots(plan, image) > 1
    return None if is_void else chosen


def is_to_adjudicate(plan: StudyPlan, image: ImageReadings) -> bool:
    """Whether an adjudicator is to choose the final label."""
    return adjudication_of(plan, image) is None and is_read(plan, image) and len(image.independent) > 1


def is_closed(plan: StudyPlan, image: ImageReadings) -> bool:
    """Whether an image has its final label: the adjudicated one, or the only reading that is wanted."""
    return adjudication_of(plan, image) is not None or (is_read(plan, image) and len(image.independent) == 1)


def repeat_reader(plan: StudyPlan, image: ImageReadings) -> str | None:
    """Who is still to read an image once more; ``None`` where nobody is."""
    first = image.number(1)
    if first is None or not first.is_submitted or not plan.wants_repeat(image.image):
        return None
    is_done = any(one.kind == REPEAT and one.is_submitted for one in image.readings)
    return None if is_done or first.reader not in plan.readers else first.reader


def repeat_due_at(plan: StudyPlan, image: ImageReadings) -> float:
    """When the repeat may begin, in seconds since 1970; of an image whose first reading is made."""
    first = image.number(1)
    return 0.0 if first is None else first.at + plan.repeat.after_days * DAY_S


def possible_slot(plan: StudyPlan, image: ImageReadings, reader: str, now: float) -> Slot | None:
    """The reading that a reader may begin now; ``None`` where there is none.

    Args:
        plan: of the study.
        image: its readings, without assignments that have expired.
        reader: who asks.
        now: seconds since 1970.
    """
    if reader not in plan.readers or any(not one.is_submitted for one in image.of(reader)):
        return None
    numbers = [one.number for one in image.readings]
    if repeat_reader(plan, image) == reader:
        is_begun = any(one.kind == REPEAT for one in image.readings)
        reserved = 2 if plan.wants_second(image.image) else 1
        if not is_begun and repeat_due_at(plan, image) <= now:
            return Slot(max([*numbers, reserved]) + 1, REPEAT)
        return None
    others = [one for one in image.readings if one.kind != REPEAT]
    is_full = len(others) >= (2 if plan.wants_second(image.image) else 1)
    if is_full or image.of(reader) or adjudication_of(plan, image) is not None:
        return None
    if image.number(1) is None:
        return Slot(1, FIRST)
    if others[0].is_submitted:
        return Slot(2 if 2 not in numbers else max(numbers) + 1, SECOND)
    return None


def awaits(plan: StudyPlan, image: ImageReadings, reader: str | None) -> tuple[str, ...]:
    """Kinds of the readings that a reader is to make of an image, now or later, or may still change.

    Args:
        plan: of the study.
        image: its readings.
        reader: ``None`` for somebody who may be any of them.
    """
    kinds: list[str] = []
    if not is_closed(plan, image):
        kinds += [one.kind for one in image.readings if one.reader == reader and one.kind != REPEAT]
        if not kinds:
            first = image.number(1)
            kinds += [FIRST] if first is None or not first.is_submitted or reader is None else []
            kinds += [SECOND] if independent_slots(plan, image) > 1 else []
    pending = repeat_reader(plan, image)
    if pending is not None and reader in (None, pending):
        kinds.append(REPEAT)
    return tuple(kinds)
