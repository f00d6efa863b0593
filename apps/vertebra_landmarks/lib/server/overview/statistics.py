"""Statistics of the labels ``final``: how many by day and annotator, how long each took, and their largest angles."""

from __future__ import annotations

import json
import logging
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import func, select

from ..store.images import FINAL, ImageHeader, saved_at_of
from ..store.label_sync import labeller
from ..store.labels import ANGLE, largest_angle_of
from ..store.schema import GONE, images, labels
from ..store.store_context import StoreContext, merge_metadata
from .image_list import number_or_none

logger = logging.getLogger(__name__)

MAX_LABELS = 20_000
"""Newest labels that the statistics are of."""
MAX_TIMED = 5_000
"""Newest labels of which each one's seconds are listed."""
MAX_READERS = 200
"""Annotators with the most labels that are listed by name."""
MEASURING_TIMEOUT_S = 1.0
"""For which one request measures labels that were saved without their angle; the next ones go on."""


class LabelFacts(NamedTuple):
    """What the statistics use of a label.

    Attributes:
        user: its annotator, "" where unknown.
        ts: when it was saved, in seconds since 1970; 1 where unknown.
        seconds: of work on it; ``None`` where unknown.
        edits: number of changes; ``None`` where unknown.
        angle_deg: its largest Cobb angle; ``None`` where it has none, or none is known.
    """

    user: str
    ts: int
    seconds: float | None
    edits: float | None
    angle_deg: float | None


class LabelStatistics:
    """Statistics of the current labels ``final`` of a studies folder.

    Args:
        context: the studies folder and its rows.
        timeout_s: see ``MEASURING_TIMEOUT_S``.
    """

    def __init__(self, context: StoreContext, timeout_s: float = MEASURING_TIMEOUT_S) -> None:
        self._context, self._timeout_s = context, timeout_s
        of_image = images.c.id, images.c.header, images.c.size, images.c.mtime_ns
        newest = select(labels.c.key, labels.c.facts, *of_image).join(images, images.c.key == labels.c.image)
        ours = labels.c.store == context.key, labels.c.is_current, labels.c.tag == FINAL, images.c.state != GONE
        self._newest = newest.where(*ours).order_by(images.c.labelled_at.desc(), labels.c.key).limit(MAX_LABELS)
        self._count = select(func.count()).select_from(labels).join(images, images.c.key == labels.c.image).where(*ours)

    def summary(self, shows: Callable[[str], bool] | None = None) -> dict[str, Any]:
        """The statistics.

        Args:
            shows: whether the labels of an image, by its id, count; by default those of all do.

        Returns:
            ``labels_by_day``: a dict of ``day`` (ISO 8601, in the server's time zone), ``user`` and ``count`` each, by
            day; ``seconds``: of ``ts``, ``seconds``, ``edits`` and ``user`` of the ``MAX_TIMED`` newest labels whose
            time is known, oldest first; ``largest_angle_deg``: of each label that has one; ``readers``: of ``user``,
            ``labels`` and ``median_seconds``, those with the most labels first; ``labels``: their number, of which
            at most ``MAX_LABELS`` count; ``unmeasured``: how many have no angle yet.
        """
        with self._context.database.reading(snapshot=True) as connection:
            rows = connection.execute(self._newest).all()
            count = len(rows) if len(rows) < MAX_LABELS else connection.execute(self._count).scalar_one()
        if shows is not None:
            rows = [row for row in rows if shows(row.id)]
            count = len(rows)
        facts = [json.loads(row.facts) for row in rows]
        unmeasured = [(row, noted) for row, noted in zip(rows, facts, strict=True) if ANGLE not in noted]
        measured = self._measure(row for row, _ in unmeasured)
        for row, noted in unmeasured:
            noted[ANGLE] = measured.get(row.key)
        found = [_facts_of(noted) for noted in facts]
        return {
            "labels_by_day": _by_day(found),
            "seconds": _times(found),
            "largest_angle_deg": [one.angle_deg for one in found if one.angle_deg is not None],
            "readers": _readers(found),
            "labels": count,
            "unmeasured": len(unmeasured) - len(measured),
        }

    def _measure(self, rows: Iterable[Any]) -> dict[int, float | None]:
        """Measure the labels of rows for a while and note their angles; returns them by key."""
        angles: dict[int, float | None] = {}
        end = time.monotonic() + self._timeout_s
        for row in rows:
            if time.monotonic() > end:
                break
            try:
                content = self._context.folder.label(row.id, FINAL).read_bytes()
            except OSError as error:  # the store will find out; its file may come back
                logger.warning("A label file in the studies folder cannot be read: %s", error.strerror)
                continue
            header = ImageHeader.parse(row.header, (row.size, row.mtime_ns))
            angles[row.key] = largest_angle_of(content, None if header is None else header.geometry)
        if angles:
            with self._context.database.writing(durable=False) as connection:
                for key, angle in angles.items():
                    merge_metadata(connection, labels.c.facts, labels.c.key == key, {ANGLE: angle})
        return angles


def _facts_of(noted: dict[str, Any]) -> LabelFacts:
    numbers = ("seconds", "edits", ANGLE)
    return LabelFacts(labeller(noted), saved_at_of(noted), *(number_or_none(noted.get(name)) for name in numbers))


def _by_day(found: Iterable[LabelFacts]) -> list[dict[str, Any]]:
    counts = Counter((datetime.fromtimestamp(one.ts).date().isoformat(), one.user) for one in found)
    return [{"day": day, "user": user, "count": counts[day, user]} for day, user in sorted(counts)]


def _times(newest_first: Iterable[LabelFacts]) -> list[dict[str, Any]]:
    timed = [one for one in newest_first if one.seconds is not None][:MAX_TIMED]
    return [
        {"ts": one.ts, "seconds": one.seconds, "edits": one.edits, "user": one.user}
        for one in sorted(timed, key=lambda one: one.ts)
    ]


def _readers(found: Iterable[LabelFacts]) -> list[dict[str, Any]]:
    by_user: dict[str, list[float | None]] = defaultdict(list)
    for one in found:
        by_user[one.user].append(one.seconds)
    readers = []
    for user, seconds in sorted(by_user.items(), key=lambda entry: (-len(entry[1]), entry[0]))[:MAX_READERS]:
        known = [value for value in seconds if value is not None]
        readers.append(
            {"user": user, "labels": len(seconds), "median_seconds": statistics.median(known) if known else None}
        )
    return readers
