"""Of which models there are scores, so that an older one's count until those of a new one are there."""

from __future__ import annotations

from sqlalchemy import func, select

from .store.holding import Holding
from .store.tables import scored_versions

MOST_KEPT = 2


class ScoredVersions:
    """Versions whose scores are complete, newest first, in the database that all servers of the folder share.

    Args:
        holding: the studies folder and its rows.
    """

    def __init__(self, holding: Holding) -> None:
        self._database, self._store = holding.database, holding.key
        self._ours = scored_versions.c.store == holding.key
        newest_first = select(scored_versions.c.model_version).where(self._ours)
        self._newest_first = newest_first.order_by(scored_versions.c.number.desc()).limit(MOST_KEPT)

    def complete(self) -> list[str]:
        """Versions with scores of all images, newest first."""
        with self._database.reading() as connection:
            return list(connection.execute(self._newest_first).scalars())

    def note(self, version: str) -> list[str]:
        """Note that all images have scores of a version.

        Returns:
            The versions that are kept.
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
            kept = list(connection.execute(self._newest_first).scalars())
            others = scored_versions.c.model_version.not_in(kept)
            connection.execute(scored_versions.delete().where(self._ours, others))
        return kept
