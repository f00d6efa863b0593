"""Who has an image open in the browser, known to all server processes of the studies until it is no longer renewed."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple

from sqlalchemy import Connection, select

from ..store.schema import presence
from ..store.store_context import StoreContext

EXPIRY_S = 60.0
"""After the last sign of a client."""
SWEEP_INTERVAL_S = 10.0
"""How often a process deletes what is stale."""
MAX_CLIENTS = 100
"""Noted for one image; of any more nobody is told."""


class Present(NamedTuple):
    """Somebody who has an image open.

    Attributes:
        user: "" where unknown.
        seconds_ago: since the last sign of the client.
        edits: edits that are not saved yet.
    """

    user: str
    seconds_ago: int
    edits: int


class Presence:
    """Notes who has an image open.

    Args:
        context: of the studies.
        now: seconds since 1970, by a clock that all servers share; by default that of the database.
    """

    def __init__(self, context: StoreContext, now: Callable[[], float] | None = None) -> None:
        self._swept_at = 0.0
        self._store, self._database, self._now = context.key, context.database, now or context.database.now

    def note(self, image: str, client: str, user: str, edits: int) -> list[Present]:
        """Note that a client has an image open.

        Args:
            image: its id.
            client: identifies the client.
            user: who works there.
            edits: edits that are not saved yet.

        Returns:
            The others who have it open, the most recent sign first.
        """
        now = self._now()
        values = {"user": user, "edits": edits, "seen_at": now}
        at = presence.c.store == self._store, presence.c.image == image, presence.c.client != client
        query = select(presence).where(*at, presence.c.seen_at >= now - EXPIRY_S).order_by(presence.c.seen_at.desc())
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        with self._database.writing(durable=False) as connection:
            if now >= self._swept_at + SWEEP_INTERVAL_S:
                self._sweep(connection, now)
            if len(rows) < MAX_CLIENTS:
                row = {"store": self._store, "image": image, "client": client, **values}
                insert = self._database.insert(presence).values(row)
                keys = (presence.c.store, presence.c.image, presence.c.client)
                connection.execute(insert.on_conflict_do_update(index_elements=keys, set_=values))
        return [Present(row.user, max(0, round(now - row.seen_at)), row.edits) for row in rows]

    def _sweep(self, connection: Connection, now: float) -> None:
        """Delete what is stale, except what another server deletes or renews right now."""
        keys = presence.c.image, presence.c.client
        ours, stale = presence.c.store == self._store, presence.c.seen_at < now - EXPIRY_S
        rows = connection.execute(select(*keys).where(ours, stale).with_for_update(skip_locked=True)).all()
        for row in rows:
            connection.execute(presence.delete().where(ours, keys[0] == row.image, keys[1] == row.client))
        self._swept_at = now

    def leave(self, image: str, client: str) -> None:
        """Forget that a client has an image open."""
        at = presence.c.store == self._store, presence.c.image == image, presence.c.client == client
        with self._database.writing(durable=False) as connection:
            connection.execute(presence.delete().where(*at))

    def users(self, images: Collection[str]) -> dict[str, list[str]]:
        """Who has images open, by image, sorted; images that nobody has open are left out.

        Args:
            images: some ids.
        """
        query = select(presence.c.image, presence.c.user).distinct()
        query = query.where(presence.c.store == self._store, presence.c.seen_at >= self._now() - EXPIRY_S)
        with self._database.reading() as connection:
            rows = connection.execute(query.where(presence.c.image.in_(list(images)))).all()
        found: dict[str, list[str]] = {}
        for image, user in sorted(rows):
            found.setdefault(image, []).append(user)
        return found
