"""Short-lived assignments of images, so that two annotators do not label the same one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from sqlalchemy import ColumnElement, Connection, not_, or_, select

from ..store.schema import assignments
from ..store.store_context import StoreContext

ASSIGNMENT_TIMEOUT_S = 1200.0
"""An image that is not labelled by then may be assigned again."""


class Assignments:
    """Images by the time of their assignment, in the database that all servers of the folder share.

    Args:
        context: the studies folder and its rows.
        timeout_s: for which an image is not assigned again while there are others.
    """

    def __init__(self, context: StoreContext, timeout_s: float = ASSIGNMENT_TIMEOUT_S) -> None:
        self._database, self._store, self._timeout_s = context.database, context.key, timeout_s

    def assign(self, pick: Callable[[Collection[str]], str | None]) -> str | None:
        """Assign the image that is picked when recently assigned ones are excluded; else of these the oldest.

        Args:
            pick: the best image that is not among some; ``None`` if there is none.
        """
        while True:
            recent = self.recent()
            image, still_open = _pick_excluding(pick, list(recent))
            if image is None or self._claim(image, recent.get(image), set(recent) - {*still_open, image}):
                return image

    def note(self, image: str) -> None:
        """Note that an image was assigned now, so that others are before it comes again."""
        now = self._database.now()
        row = self._database.insert(assignments).values(store=self._store, image=image, assigned_at=now)
        keys = [assignments.c.store, assignments.c.image]
        row = row.on_conflict_do_update(index_elements=keys, set_={"assigned_at": now})
        with self._database.writing(durable=False) as connection:
            connection.execute(row)

    def forget(self, connection: Connection, image: str) -> None:
        """Delete the assignment of an image, in a transaction of the caller."""
        at = assignments.c.store == self._store, assignments.c.image == image
        connection.execute(assignments.delete().where(*at))

    def recent(self) -> dict[str, float]:
        """Times of the assignments that have not expired, the newest first."""
        assigned_at = assignments.c.assigned_at
        query = select(assignments.c.image, assigned_at).where(
            assignments.c.store == self._store, self._is_recent(self._database.now())
        )
        with self._database.reading() as connection:
            return {row.image: row.assigned_at for row in connection.execute(query.order_by(assigned_at.desc()))}

    def _is_recent(self, now: float) -> ColumnElement[bool]:
        """As long before now, or after it by the clock of an older release, as an assignment lasts."""
        return assignments.c.assigned_at.between(now - self._timeout_s, now + self._timeout_s)

    def _claim(self, image: str, previous: float | None, labelled: Collection[str]) -> bool:
        """Assign an image now, unless another process has assigned it since.

        Args:
            image: its id.
            previous: time of its last assignment, ``None`` where that has expired.
            labelled: images whose assignments are deleted, since they are no longer open.
        """
        now, ours = self._database.now(), assignments.c.store == self._store
        row = self._database.insert(assignments).values(store=self._store, image=image, assigned_at=now)
        row = row.on_conflict_do_update(
            index_elements=[assignments.c.store, assignments.c.image],
            set_={"assigned_at": now},
            where=assignments.c.assigned_at == previous if previous is not None else not_(self._is_recent(now)),
        )
        with self._database.writing(durable=False) as connection:
            is_ours = connection.execute(row.returning(assignments.c.image)).one_or_none() is not None
            if is_ours:
                expired = assignments.c.assigned_at < now - self._timeout_s
                over = or_(expired, assignments.c.image.in_(labelled))
                connection.execute(assignments.delete().where(ours, over))
        return is_ours


def _pick_excluding(
    pick: Callable[[Collection[str]], str | None], newest_first: Sequence[str]
) -> tuple[str | None, Sequence[str]]:
    """Pick an image while excluding as many of the newest assignments as possible, found by doubling steps.

    Returns:
        The image, and the assigned ones that may still be open.
    """
    image, still_open, released = pick(newest_first), newest_first, 1
    while image is None and still_open:
        excluded = newest_first[: max(len(newest_first) - released, 0)]
        image = pick(excluded)
        if image is None:  # then none of the others is open
            still_open = excluded
        released *= 2
    return image, still_open
