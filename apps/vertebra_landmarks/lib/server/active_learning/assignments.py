"""Short-lived assignments of images, so that two annotators do not label the same one."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence

from sqlalchemy import ColumnElement, not_, or_, select

from ..store.schema import assignments
from ..store.store_context import StoreContext

MINUTES = 20.0
"""An image that is not labelled after so long may be given again."""


class Assignments:
    """Images by the time at which they were given, in the database that all servers of the folder share.

    Args:
        context: the studies folder and its rows.
        minutes: for which an image is not given again while there are others.
    """

    def __init__(self, context: StoreContext, minutes: float = MINUTES) -> None:
        self._database, self._store, self._seconds = context.database, context.key, 60 * minutes

    def assign(self, pick: Callable[[Collection[str]], str | None]) -> str | None:
        """The image that is picked when those just given are passed over; else of these the one given longest ago.

        Args:
            pick: the best image that is not among some; ``None`` if there is none.
        """
        while True:
            given = self._given()
            image, kept = _picked(pick, list(given))
            if image is None or self._claim(image, given.get(image), set(given) - {*kept, image}):
                return image

    def _given(self) -> dict[str, float]:
        """When images were given that are not open for everybody again, the newest first."""
        when = assignments.c.assigned_at
        query = select(assignments.c.image, when).where(
            assignments.c.store == self._store, self._is_recent(time.time())
        )
        with self._database.reading() as connection:
            return {row.image: row.assigned_at for row in connection.execute(query.order_by(when.desc()))}

    def _is_recent(self, now: float) -> ColumnElement[bool]:
        """As long before now, or after it by the clock of another machine, as an assignment lasts."""
        return assignments.c.assigned_at.between(now - self._seconds, now + self._seconds)

    def _claim(self, image: str, seen: float | None, gone: Collection[str]) -> bool:
        """Note that an image is given now, unless another process has given it since.

        Args:
            image: its id.
            seen: when it was given before, ``None`` where that is long ago.
            gone: images that need not be passed over any more.
        """
        now, ours = time.time(), assignments.c.store == self._store
        row = self._database.insert(assignments).values(store=self._store, image=image, assigned_at=now)
        row = row.on_conflict_do_update(
            index_elements=[assignments.c.store, assignments.c.image],
            set_={"assigned_at": now},
            where=assignments.c.assigned_at == seen if seen is not None else not_(self._is_recent(now)),
        )
        with self._database.writing(durable=False) as connection:
            is_ours = connection.execute(row.returning(assignments.c.image)).one_or_none() is not None
            if is_ours:
                over = or_(assignments.c.assigned_at < now - self._seconds, assignments.c.image.in_(gone))
                connection.execute(assignments.delete().where(ours, over))
        return is_ours


def _picked(
    pick: Callable[[Collection[str]], str | None], newest_first: Sequence[str]
) -> tuple[str | None, Sequence[str]]:
    """The image that is picked when as many of those that were given last are passed over as quickly found.

    Returns:
        It, and of the images that were given those that may still be open.
    """
    image, kept, freed = pick(newest_first), newest_first, 1
    while image is None and kept:
        passed_over = newest_first[: max(len(newest_first) - freed, 0)]
        image = pick(passed_over)
        if image is None:  # then none of the others is open
            kept = passed_over
        freed *= 2
    return image, kept
