"""Model versions with complete scores: those of an older one count until those of a new one are complete."""

from __future__ import annotations

from sqlalchemy import func, select

from ..store.schema import scored_versions
from ..store.store_context import StoreContext

MAX_VERSIONS = 2


class ScoredVersions:
    """Versions whose scores are complete, newest first, in the database that all servers of the folder share.

    Args:
        context: the studies folder and its rows.
    """

    def __init__(self, context: StoreContext) -> None:
        self._database, self._store = context.database, context.key
        self._ours = scored_versions.c.store == context.key
        newest_first = select(scored_versions.c.model_version).where(self._ours)
        self._newest_first = newest_first.order_by(scored_versions.c.number.desc()).limit(MAX_VERSIONS)

    def complete(self) -> list[str]:
        """Versions with scores of all images, newest first."""
        with self._database.reading() as connection:
            return list(connection.execute(self._newest_first).scalars())

    def in_order_of_use(self, served: str) -> list[str]:
        """Versions whose scores count, the best first: of the served one if they are complete, else of the one before.

        Args:
            served: key of the served weights.
        """
        complete = self.complete()
        return list(dict.fromkeys([served, *complete] if served in complete else [*complete, served]))

    def add(self, version: str) -> list[str]:
        """Record that all images have scores of a version.

        Returns:
            The versions that remain.
        """
        highest = select(func.coalesce(func.max(scored_versions.c.number), 0)).where(self._ours).scalar_subquery()
        row = self._database.insert(scored_versions).values(
            store=self._store, model_version=version, number=highest + 1
        )
        row = row.on_conflict_do_update(
            index_elements=[scored_versions.c.store, scored_versions.c.model_version],
            set_={"number": row.excluded.number},
        )
        with self._database.writing() as connection:
            connection.execute(row)
            remaining = list(connection.execute(self._newest_first).scalars())
            others = scored_versions.c.model_version.not_in(remaining)
            connection.execute(scored_versions.delete().where(self._ours, others))
        return remaining
