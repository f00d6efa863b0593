"""How far a study is: by reader, and in numbers of images."""

from __future__ import annotations

import json
import math
import statistics
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from sqlalchemy import and_, func, select

from ....study.plan import StudyPlan
from ....study.slots import ImageReadings, is_closed, is_read, is_to_adjudicate, possible_slot
from ...store.schema import LABELLED, OPEN, images, labels, readings
from ...store.store_context import StoreContext
from .slot_store import SlotStore

LIFETIME_S = 2.0
"""For which numbers are not counted again while this process changes nothing."""


class Progress:
    """Progress of a study.

    Args:
        context: the studies folder and its rows.
        slots: its readings.
    """

    def __init__(self, context: StoreContext, slots: SlotStore) -> None:
        self._store, self._database, self._slots = context.key, context.database, slots
        self._lock = threading.Lock()
        self._cached: tuple[float, tuple[int, str], dict[str, Any]] = (0.0, (-1, ""), {})

    def of(self, plan: StudyPlan) -> dict[str, Any]:
        """Progress by the plan.

        Returns:
            ``readers``: of ``reader``, ``done``, ``open`` (under work), ``to_do`` (may still be read by this reader,
            new images by each of them) and ``seconds_median``; ``images``, ``read`` (as often as the plan wants,
            without repeats), ``to_adjudicate`` and ``final``: numbers of images.
        """
        with self._lock:
            since, state, found = self._cached
            now = (self._database.commits, plan.digest)
            if state != now or time.monotonic() - since > LIFETIME_S:
                found = self._count(plan)
                self._cached = time.monotonic(), now, found
        return {**found, "readers": [dict(one) for one in found["readers"]]}

    def _count(self, plan: StudyPlan) -> dict[str, Any]:
        states = select(images.c.state, func.count()).where(images.c.store == self._store).group_by(images.c.state)
        with self._database.reading(snapshot=True) as connection:
            by_state = {row[0]: row[1] for row in connection.execute(states)}
            present = self._slots.rows.load(connection)
            seconds = self._seconds(connection)
        total = by_state.get(OPEN, 0) + by_state.get(LABELLED, 0)
        unread = total - len(present)
        everything = list(present.values())
        return {
            "readers": [_of_reader(plan, reader, everything, unread, seconds[reader]) for reader in plan.readers],
            "images": total,
            "read": sum(is_read(plan, one) for one in everything),
            "to_adjudicate": sum(is_to_adjudicate(plan, one) for one in everything),
            "final": sum(is_closed(plan, one) for one in everything),
        }

    def _seconds(self, connection: Any) -> dict[str, list[float]]:
        """Working times of submitted readings by reader."""
        of_reading = and_(
            labels.c.image == readings.c.image, labels.c.tag == readings.c.tag, labels.c.version == readings.c.version
        )
        query = select(readings.c.reader, labels.c.facts).join(labels, of_reading)
        query = query.where(readings.c.store == self._store, readings.c.is_submitted, readings.c.number > 0)
        found: dict[str, list[float]] = defaultdict(list)
        for row in connection.execute(query):
            seconds = json.loads(row.facts).get("seconds")
            if isinstance(seconds, (int, float)) and not isinstance(seconds, bool) and seconds > 0:
                found[row.reader].append(float(seconds))
        return found


def _of_reader(
    plan: StudyPlan, reader: str, everything: Iterable[ImageReadings], unread: int, seconds: list[float]
) -> dict[str, Any]:
    counts: Counter[str] = Counter()
    for image in everything:
        for one in image.of(reader):
            counts["done" if one.is_submitted else "open"] += 1
        counts["to_do"] += possible_slot(plan, image, reader, math.inf) is not None
    return {
        "reader": reader,
        "done": counts["done"],
        "open": counts["open"],
        "to_do": counts["to_do"] + unread,
        "seconds_median": round(statistics.median(seconds), 1) if seconds else None,
    }
