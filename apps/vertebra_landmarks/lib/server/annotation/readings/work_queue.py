"""What is to be read next by somebody, in the order of a study: what is open, repeats, second readings, new images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from sqlalchemy import Row, func, select, true

from ....study.plan import DAY_S, REPEAT, StudyPlan
from ....study.slots import ImageReadings, Reading, is_to_adjudicate
from ...store.schema import GONE, images, readings
from ...store.store_context import StoreContext
from .reading_rows import AUTOMATIC, ReadingRows
from .slot_store import SlotStore

MAX_TRIES = 100
"""Images that are tried one after another while others take them away."""
PickNew = Callable[[], "str | None"]


class WorkQueue:
    """Chooses what a reader reads next, and begins it.

    Args:
        context: the studies folder and its rows.
        slots: its readings.
    """

    def __init__(self, context: StoreContext, slots: SlotStore) -> None:
        self._store, self._database, self._slots = context.key, context.database, slots
        self._rows: ReadingRows = slots.rows

    def next(self, plan: StudyPlan, reader: str, pick_new: PickNew) -> tuple[str, Reading] | None:
        """The image that a reader reads next, and the reading, which has begun; ``None`` where nothing is left.

        Args:
            plan: of the study.
            reader: of the plan.
            pick_new: picks an image that nobody reads or has read; ``None`` if there is none.
        """
        with self._database.writing() as connection:
            self._rows.release_expired(connection)
        opened = self._open(reader)
        if opened is not None:
            return opened
        again = [*self._repeats(plan, reader), *self._seconds(plan, reader)]
        given_back = set(self._slots.assignments.recent()) if again else set()
        return (
            self._begin_one(plan, reader, (image for image in again if image not in given_back))
            or self._begin_one(plan, reader, _picked(pick_new))
            or self._begin_one(plan, reader, (image for image in again if image in given_back))
        )

    def _begin_one(self, plan: StudyPlan, reader: str, candidates: Iterable[str]) -> tuple[str, Reading] | None:
        """Begin a reading of the first image of which there is one for the reader."""
        for image in candidates:
            begun = self._slots.begin(plan, image, reader)
            if begun is not None:
                return image, begun
        return None

    def _open(self, reader: str) -> tuple[str, Reading] | None:
        """What a reader has under work, the oldest first."""
        is_own = readings.c.reader == reader, readings.c.is_submitted.is_(False), readings.c.number > 0
        with self._database.reading(snapshot=True) as connection:
            row = next(iter(self._rows.ids(connection, *is_own)), None)
        found = None if row is None else self._slots.of(row.id)
        reading = None if row is None or found is None else found.number(row.number)
        return None if row is None or reading is None else (str(row.id), reading)

    def _repeats(self, plan: StudyPlan, reader: str) -> Iterator[str]:
        """Images whose repeat by a reader is due, the earliest first."""
        if not plan.repeat.share:
            return
        other = readings.alias()
        repeats = select(other.c.key).where(other.c.image == readings.c.image, other.c.kind == REPEAT)
        with self._database.reading(snapshot=True) as connection:
            before = self._rows.now(connection) - plan.repeat.after_days * DAY_S
            due = readings.c.number == 1, readings.c.reader == reader, readings.c.submitted_at <= before
            found = [row.id for row in self._rows.ids(connection, *due, ~repeats.exists())]
        yield from filter(plan.wants_repeat, found)

    def _seconds(self, plan: StudyPlan, reader: str) -> Iterator[str]:
        """Images of which one reading is made, and one by somebody else is wanted: a second, or a first one removed."""
        other = readings.alias()
        others = select(other.c.key).where(other.c.image == readings.c.image, other.c.key != readings.c.key)
        others = others.where(other.c.kind.not_in((REPEAT, AUTOMATIC)))
        made = readings.c.number > 0, readings.c.is_submitted, readings.c.reader != reader, ~others.exists()
        is_wanted = true() if plan.second_reading.share else readings.c.kind == REPEAT  # whose first one was removed
        with self._database.reading(snapshot=True) as connection:
            found = [(row.id, row.kind) for row in self._rows.ids(connection, *made, is_wanted)]
        yield from (image for image, kind in found if kind == REPEAT or plan.wants_second(image))

    def to_adjudicate(self, plan: StudyPlan) -> list[ImageReadings]:
        """Images whose final label an adjudicator is to choose, by id."""
        made = readings.c.is_submitted, readings.c.kind != REPEAT, readings.c.number > 0
        other = readings.alias()
        chosen = select(other.c.key).where(other.c.image == readings.c.image, other.c.number == 0, other.c.is_submitted)
        chosen = chosen.where(other.c.kind != AUTOMATIC)
        query = select(images.c.id).join(images, images.c.key == readings.c.image)
        query = query.where(readings.c.store == self._store, images.c.state != GONE, *made, ~chosen.exists())
        query = query.group_by(images.c.id).having(func.count() > 1).order_by(images.c.id)
        with self._database.reading(snapshot=True) as connection:
            names = list(connection.execute(query).scalars())
            found = self._rows.load(connection, names)
        return [found[image] for image in names if image in found and is_to_adjudicate(plan, found[image])]

    def in_adjudication(self) -> dict[str, Row[Any]]:
        """Rows of adjudications under work, by image."""
        is_open = readings.c.number == 0, readings.c.is_submitted.is_(False)
        with self._database.reading(snapshot=True) as connection:
            return {row.id: row for row in self._rows.ids(connection, *is_open)}


def _picked(pick_new: PickNew) -> Iterator[str]:
    """New images, until there is none."""
    for _ in range(MAX_TRIES):
        image = pick_new()
        if image is None:
            return
        yield image
