"""The choice of the final label of an image with two readings."""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select

from ....spine.imaging.image_geometry import PIXELS
from ....spine.labels.markups import parse_json, stated_geometry, to_markups
from ....study.consensus import mean_spine
from ....study.plan import StudyPlan
from ....study.slots import ImageReadings, Reading, adjudication_of, is_read
from ...store.datastore import StudiesDatastore
from ...store.images import FINAL
from ...store.label_sync import Claim, SaveRefusedError
from ...store.schema import labels, readings
from ..landmarks import TOUCHED, origin_of
from .comparison import Comparisons
from .reading_rows import ADJUDICATION
from .slot_store import SlotStore
from .work_queue import WorkQueue

ADJUDICATED = "adjudicated"
"""Metadata of a final label: how it was chosen, of which readings, and by whom."""
EDITED, MEAN = "edited", "mean"
MAX_COMPARED = 5_000
"""Pairs of readings whose difference is kept in memory."""
_UNREADABLE = (float("-inf"),)


class NotReadError(SaveRefusedError):
    """An image has not all readings yet, so that there is nothing to choose from."""


class ReadingChangedError(SaveRefusedError):
    """A reading was corrected after the adjudicator has seen it; nothing was saved."""


class Adjudications:
    """Adjudications of a studies folder.

    Args:
        store: the studies folder.
        slots: its readings.
        queue: what is to be adjudicated.
        comparisons: of readings.
    """

    def __init__(self, store: StudiesDatastore, slots: SlotStore, queue: WorkQueue, comparisons: Comparisons) -> None:
        self._store, self._database = store, store.context.database
        self._slots, self._queue, self._comparisons = slots, queue, comparisons
        self._sizes: OrderedDict[tuple[object, ...], tuple[float, ...]] = OrderedDict()

    def queue(self, plan: StudyPlan) -> list[ImageReadings]:
        """Images to adjudicate, those whose readings differ most first; damaged readings before all others."""
        return sorted(self._queue.to_adjudicate(plan), key=lambda image: (self._size(image), image.image))

    def _size(self, image: ImageReadings) -> tuple[float, ...]:
        key = (image.image, *((one.tag, one.version) for one in image.independent))
        if key not in self._sizes:
            try:
                self._sizes[key] = self._comparisons.size(image)
            except (OSError, ValueError):
                return _UNREADABLE
            while len(self._sizes) > MAX_COMPARED:
                self._sizes.popitem(last=False)
        return self._sizes[key]

    def next(self, plan: StudyPlan, adjudicator: str) -> str | None:
        """The image that an adjudicator decides next, which is theirs for a while; ``None`` where there is none."""
        with self._database.writing() as connection:
            self._slots.rows.release_expired(connection)
        taken = self._queue.in_adjudication()
        waiting = self.queue(plan)
        own = [image for image in waiting if image.image in taken and taken[image.image].reader == adjudicator]
        for image in [*own, *(image for image in waiting if image.image not in taken)]:
            if image in own or self._begin(image.image, adjudicator):
                return image.image
        return None

    def _begin(self, image: str, adjudicator: str) -> bool:
        rows = self._slots.rows
        with self._database.writing() as connection:
            key, now = rows.lock(connection, image), rows.now(connection)
            begun = Reading(0, ADJUDICATION, adjudicator, False, now, FINAL)
            return key is not None and rows.insert(connection, key, begun)

    def take(
        self,
        plan: StudyPlan,
        image: str,
        how: int | str,
        by: str,
        versions: Mapping[int, int] | None = None,
        base_version: int | None = None,
    ) -> int:
        """Make a reading, or the mean of two, the final label, and return the version of that.

        Args:
            plan: of the study.
            image: its id.
            how: number of the reading, or ``MEAN``.
            by: the adjudicator.
            versions: of the readings as the adjudicator has seen them, by number.
            base_version: of the final label, see ``Labels.save``.

        Raises:
            NotReadError: a reading is not made.
            ReadingChangedError: one has another version.
            LabelConflictError: another final label than ``base_version`` would be replaced.
            ValueError: there is no mean of these readings, or they are damaged; a sentence.
            OSError: a file is missing or cannot be written.
        """
        present = self._ready(plan, image)
        chosen = [one for one in present.independent if how in (MEAN, one.number)]
        if not chosen or (how == MEAN and len(chosen) < 2):
            numbers = ", ".join(str(one.number) for one in present.independent)
            raise ValueError(
                f"take must be {MEAN!r} of two readings, or the number of one ({numbers}), got {how!r:.40}"
            )
        read = [self._comparisons.read(image, reading) for reading in chosen[:2]]
        first = read[0]
        content = first.label.content
        if how == MEAN:
            markups = parse_json(content)
            mean = mean_spine(first.spine, read[1].spine)
            geometry = stated_geometry(markups, "label") or PIXELS
            content = json.dumps(to_markups(mean, geometry), indent=1, allow_nan=False).encode()
        facts = first.label.metadata
        noted: dict[str, Any] = {name: facts[name] for name in ("model", "model_digest") if name in facts}
        origin = origin_of(facts).as_dict()
        touched = facts.get(TOUCHED)
        kept = {} if how == MEAN or touched is None else {TOUCHED: touched}
        return self.save(plan, image, content, {**noted, **origin, **kept}, how, by, versions, base_version)

    def save(
        self,
        plan: StudyPlan,
        image: str,
        content: bytes,
        metadata: Mapping[str, Any],
        how: int | str,
        by: str,
        versions: Mapping[int, int] | None = None,
        base_version: int | None = None,
        kind: str = ADJUDICATION,
    ) -> int:
        """Save the final label of an image that was read, and return its version; see ``take``.

        ``kind`` is ``automatic`` where the plan has chosen, which may want another reading later.
        """
        present = self._ready(plan, image)
        seen = {one.number: one.version for one in present.independent}
        if versions is not None and seen != dict(versions):
            raise ReadingChangedError(f"a reading of image {image!r:.80} was changed meanwhile: look at it again")
        used = [{"number": one.number, "reader": one.reader, "version": one.version} for one in present.independent]
        submitted = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        facts = {
            "submitted": submitted,
            **metadata,
            "user": by,
            "annotator": by,
            ADJUDICATED: {"how": how, "readings": used, "by": by},
        }
        claim = self._claim(image, seen, by, kind)
        return self._store.save_label_content(image, FINAL, content, facts, base_version, claim)

    def _ready(self, plan: StudyPlan, image: str) -> ImageReadings:
        """The readings of an image that an adjudicator may decide.

        Raises:
            NotReadError: one is not made.
        """
        self._slots.adopt(image)
        present = self._slots.of(image)
        if not present.independent or (adjudication_of(plan, present) is None and not is_read(plan, present)):
            raise NotReadError(f"image {image!r:.80} is not read as often as the plan wants: nothing was saved")
        return present

    def _claim(self, image: str, seen: Mapping[int, int], by: str, kind: str) -> Claim:
        """Notes the adjudication in the transaction of its label, if the readings are as they were seen."""
        rows = self._slots.rows

        def claim(connection: Connection, label: int) -> None:
            key = rows.lock(connection, image)
            version = connection.execute(select(labels.c.version).where(labels.c.key == label)).scalar_one()
            present = rows.load(connection, [image], except_label=label).get(image)
            now = {} if present is None else {one.number: one.version for one in present.independent}
            if key is None or now != dict(seen):
                raise ReadingChangedError(f"a reading of image {image!r:.80} was changed meanwhile: look at it again")
            connection.execute(readings.delete().where(readings.c.image == key, readings.c.number == 0))
            chosen = Reading(0, kind, by, True, rows.now(connection), FINAL, version)
            rows.insert(connection, key, chosen)

        return claim
