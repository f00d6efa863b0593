"""Slots of a study: begun, given back, kept alive and submitted, each in one transaction that locks the image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, select

from ....study.plan import StudyPlan
from ....study.slots import ImageReadings, Reading, Slot, possible_slot
from ....study.visibility import Viewer, may_change
from ...active_learning.assignments import Assignments
from ...store.datastore import StudiesDatastore
from ...store.images import FINAL
from ...store.label_sync import Claim, SaveRefusedError
from ...store.schema import labels, readings
from ...store.store_context import Clock
from ..plan_history import PlanHistory
from .reading_rows import ReadingRows, tag_of

_TRIES = 3


class NoSlotError(SaveRefusedError):
    """A user has no reading to save or to read; nothing was saved. Its message names nobody else."""


class SlotChangedError(SaveRefusedError):
    """Another reading of the image was begun or submitted meanwhile."""


class SlotStore:
    """The readings of a studies folder, made and under work.

    Args:
        store: the studies folder.
        now: seconds since 1970.
        has_login: whether users are known, rather than stated.

    Attributes:
        rows: of the readings.
        history: of the plan.
        assignments: images that were assigned or given back lately.
    """

    def __init__(self, store: StudiesDatastore, now: Clock | None = None, has_login: bool = True) -> None:
        self._store, self._database = store, store.context.database
        self.rows = ReadingRows(store.context, now)
        self.history = PlanHistory(store.context, self.rows.now, has_login)
        self.assignments = Assignments(store.context)

    def of(self, image: str) -> ImageReadings:
        """The readings of an image."""
        with self._database.reading() as connection:
            return self.rows.load(connection, [image]).get(image, ImageReadings(image))

    def adopt(self, image: str) -> None:
        """Note the readings of an image that labels without a row amount to."""
        with self._database.writing() as connection:
            self.rows.adopt(connection, [image])

    def now(self) -> float:
        """Seconds since 1970 by the clock of the slots."""
        with self._database.reading() as connection:
            return self.rows.now(connection)

    def begin(self, plan: StudyPlan, image: str, reader: str) -> Reading | None:
        """Begin a reading of an image; ``None`` where the plan has none for the reader, or the image is gone."""
        with self._database.writing() as connection:
            key = self.rows.lock(connection, image)
            if key is None:
                return None
            self.rows.adopt(connection, [image])
            self.rows.release_expired(connection, key)
            present = self.rows.load(connection, [image]).get(image, ImageReadings(image))
            slot = possible_slot(plan, present, reader, now := self.rows.now(connection))
            if slot is None:
                return None
            reading = self._with_blind(connection, plan, present, _begun(plan, image, slot, reader, now))
            return reading if self.rows.insert(connection, key, reading) else None

    def _with_blind(self, connection: Connection, plan: StudyPlan, image: ImageReadings, reading: Reading) -> Reading:
        """A reading, blind only where it was until now."""
        is_blind = reading.is_blind and plan.blind and self.history.was_hidden(connection, image, reading)
        return replace(reading, is_blind=is_blind)

    def release(self, image: str, reader: str) -> bool:
        """Give a reading back; the image comes again when nothing else is left. Returns whether there was one."""
        with self._database.writing() as connection:
            key = self.rows.lock(connection, image)
            if key is None:
                return False
            is_own = readings.c.image == key, readings.c.reader == reader
            count = self.rows.release(connection, *is_own)
        if count:
            self.assignments.note(image)
        return count > 0

    def note_alive(self, image: str, reader: str) -> None:
        """Note a sign of a client that has a reading under work."""
        with self._database.writing(durable=False) as connection:
            key = self.rows.lock(connection, image)
            at = readings.c.image == key, readings.c.reader == reader, readings.c.is_submitted.is_(False)
            connection.execute(readings.update().where(*at).values(seen_at=self.rows.now(connection)))

    def submit(
        self,
        plan: StudyPlan,
        viewer: Viewer,
        image: str,
        content: bytes,
        metadata: Mapping[str, Any],
        base_version: int | None = None,
        number: int | None = None,
    ) -> tuple[Reading, int]:
        """Save points as the reading that a reader has under work, may still correct, or may begin now.

        Args:
            plan: of the study.
            viewer: the reader.
            image: its id.
            content: of the Markups file.
            metadata: of the label version.
            base_version: see ``Labels.save``.
            number: of the reading, where the client states it.

        Returns:
            The reading, and the version of its label.

        Raises:
            NoSlotError: there is no such reading of this reader.
            LabelConflictError: another version than ``base_version`` would be replaced.
            ImageNotFoundException, ValueError, OSError: see ``Labels.save``.
        """
        self.adopt(image)
        for _ in range(_TRIES):
            present = self.of(image)
            reading = self._target(plan, viewer, present, number)
            with self._database.reading() as connection:
                reading = self._with_blind(connection, plan, present, reading)
            facts = {**metadata, "reading": {"number": reading.number, "kind": reading.kind, "blind": reading.is_blind}}
            claim = self._claim(plan, viewer, image, reading)
            try:
                version = self._store.save_label_content(image, reading.tag, content, facts, base_version, claim)
            except SlotChangedError:
                continue
            return reading, version
        raise NoSlotError(f"other readings of image {image!r:.80} change at this moment: try again")

    def _target(self, plan: StudyPlan, viewer: Viewer, image: ImageReadings, number: int | None) -> Reading:
        """The reading that a submission belongs to, with the tag that its label gets.

        Raises:
            NoSlotError: there is none.
        """
        reader, now = viewer.reader, self.now()
        if reader is None:
            who = f"{viewer.name!r:.80} is no reader of the study plan" if viewer.name else "nobody is named as reader"
            raise NoSlotError(f"{who}: a label `final` of a study with a plan is a reading, by one of its readers")
        begun = next((one for one in image.of(reader) if not one.is_submitted), None)
        found = begun or may_change(plan, viewer, image, now)
        if found is None and (slot := possible_slot(plan, image, reader, now)) is not None:
            found = _begun(plan, image.image, slot, reader, now)
        if found is None or number not in (None, found.number):
            what = "no reading" if number is None else f"no reading {number}"
            raise NoSlotError(
                f"{reader!r:.80} has {what} of image {image.image!r:.80} to save: it is read as often as the plan "
                "wants, adjudicated, or with somebody else"
            )
        if not found.is_submitted:
            return replace(found, tag=_free_tag(plan, image, found.number))
        return found

    def _claim(self, plan: StudyPlan, viewer: Viewer, image: str, reading: Reading) -> Claim:
        """Writes the row of a reading in the transaction of its label, if it still may."""

        def claim(connection: Connection, label: int) -> None:
            key = self.rows.lock(connection, image)
            version = connection.execute(select(labels.c.version).where(labels.c.key == label)).scalar_one()
            if key is None:
                raise SlotChangedError(f"image {image!r:.80} is gone")
            self.rows.release_expired(connection, key)
            present = self.rows.load(connection, [image], except_label=label).get(image, ImageReadings(image))
            found = self._target(plan, viewer, present, None)
            if (found.number, found.tag) != (reading.number, reading.tag):
                raise SlotChangedError(f"another reading of image {image!r:.80} was made meanwhile")
            found = self._with_blind(connection, plan, present, found)
            if found.is_blind != reading.is_blind:
                raise SlotChangedError(f"image {image!r:.80} was shown meanwhile")
            if present.number(reading.number) is None:
                self.rows.insert(connection, key, found)
            self.rows.submit(connection, key, reading.number, reading.tag, version, found.is_blind)
            self.assignments.forget(connection, image)

        return claim


def _begun(plan: StudyPlan, image: str, slot: Slot, reader: str, now: float) -> Reading:
    """A reading as it begins."""
    tag = _tag(plan, image, slot.number)
    offers_model = plan.offers_model(slot.kind)
    return Reading(
        slot.number, slot.kind, reader, False, now, tag, is_blind=plan.blind, uses_model=offers_model
    )  # fmt: skip


def _tag(plan: StudyPlan, image: str, number: int) -> str:
    """Tag of the label of a reading: `final` of the only one that is wanted."""
    return FINAL if number == 1 and not plan.wants_second(image) else tag_of(number)


def _free_tag(plan: StudyPlan, image: ImageReadings, number: int) -> str:
    """Tag of the label of a reading, which no label has that came past the plan, such as by an import, meanwhile."""
    taken = {one.tag for one in image.readings if one.number != number and one.is_submitted}
    tag, other = _tag(plan, image.image, number), number
    while tag in taken:
        tag, other = tag_of(other), other + 1
    return tag
