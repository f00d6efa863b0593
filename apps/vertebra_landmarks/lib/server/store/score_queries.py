"""Which image next, and the scores that say so: each answer is found in an index, however many images there are."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Collection, Mapping
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Text, and_, cast, literal_column, select

from .schema import GONE, LABELLED, OPEN, images, labels, scores
from .store_context import Holding
from .studies_folder import is_storable

_BATCH = 500
_ONE: Any = literal_column("1")
"""Not a parameter: a plan that PostgreSQL keeps for any value of it would sort all images or scores."""


def predicted_by(model: str, size: Any, mtime_ns: Any) -> Any:
    """What the facts of a predicted label say under ``predicted_by``: model and file, as text or as text in SQL."""
    return model + " " + size + " " + mtime_ns


class Choosing:
    """Picks and scores of the images of a studies folder."""

    def __init__(self, holding: Holding) -> None:
        self._holding, self._database = holding, holding.database
        self._ours = images.c.store == holding.key

    def pick_random(self, exclude: Collection[str] = (), unlabelled: bool = True) -> str | None:
        """An image at random, each one once before any comes again, also where several people ask.

        The images are dealt as from a shuffled deck: the first is taken and goes to a random place of the next round.

        Args:
            exclude: ids that are passed over.
            unlabelled: only images without a label ``final``.

        Returns:
            Its id; ``None`` if there is none.
        """
        states = (OPEN,) if unlabelled else (OPEN, LABELLED)
        with self._database.writing(durable=False) as connection:
            tops: list[Any] = []
            for state in states:
                query = select(images.c.key, images.c.id, images.c.draw).where(self._ours, images.c.state == state)
                query = (
                    query.where(images.c.id.not_in([image for image in exclude if is_storable(image)]))
                    .order_by(images.c.draw)
                    .limit(_ONE)
                )
                tops += connection.execute(query.with_for_update(skip_locked=True)).all()
            if not tops:
                return None
            top = min(tops, key=lambda row: row.draw)
            again = math.floor(top.draw) + 1 + random.random()
            connection.execute(images.update().where(images.c.key == top.key).values(draw=again))
        return str(top.id)

    def pick_first(self, exclude: Collection[str] = (), unlabelled: bool = True) -> str | None:
        """The image that comes first in the order of the ids; ``None`` if there is none."""
        found: list[str] = []
        with self._database.reading() as connection:
            for state in (OPEN,) if unlabelled else (OPEN, LABELLED):
                query = select(images.c.id).where(self._ours, images.c.state == state)
                query = (
                    query.where(images.c.id.not_in([image for image in exclude if is_storable(image)]))
                    .order_by(images.c.id)
                    .limit(_ONE)
                )
                found += connection.execute(query).scalars()
        return min(found, default=None)

    def pick_by_score(self, strategy: str, model_version: str, exclude: Collection[str] = ()) -> str | None:
        """The image without a label ``final`` whose score is the highest; ``None`` if none has a score.

        Args:
            strategy: whose score.
            model_version: of the model that it was computed with.
            exclude: ids that are passed over.
        """
        passed_over = set(exclude)
        best = select(scores.c.image).where(self._of(strategy, model_version), scores.c.is_open)
        best = best.order_by(scores.c.value.desc(), scores.c.image).limit(literal_column(str(len(passed_over) + 1)))
        with self._database.reading() as connection:  # twice: joined, PostgreSQL may sort all scores of a new model
            keys = list(connection.execute(best).scalars())
            found = connection.execute(select(images.c.key, images.c.id).where(images.c.key.in_(keys)))
            names = {row.key: str(row.id) for row in found}
        return next((names[key] for key in keys if key in names and names[key] not in passed_over), None)

    def _of(self, strategy: str, model_version: str) -> Any:
        return (
            (scores.c.store == self._holding.key)
            & (scores.c.strategy == strategy)
            & (scores.c.model_version == model_version)
        )

    def set_scores(self, strategy: str, model_version: str, values: Mapping[str, float]) -> int:
        """Note scores of images, and return how many of them are in the folder; the others are passed over.

        Raises:
            ValueError: a score is not finite.
        """
        wrong = next((value for value in values.values() if not math.isfinite(value)), None)
        if wrong is not None:
            raise ValueError(f"scores must be finite numbers, got {wrong}")
        noted, items = 0, iter(sorted((image, value) for image, value in values.items() if is_storable(image)))
        while batch := dict(islice(items, _BATCH)):
            with self._database.writing(durable=False) as connection:
                noted += self._set(connection, strategy, model_version, batch)
        return noted

    def _set(self, connection: Connection, strategy: str, model_version: str, values: Mapping[str, float]) -> int:
        query = select(images.c.key, images.c.id, images.c.state).where(self._ours, images.c.id.in_(values))
        found = connection.execute(query.where(images.c.state != GONE).with_for_update()).all()
        rows = [
            {
                "image": row.key,
                "strategy": strategy,
                "model_version": model_version,
                "store": self._holding.key,
                "value": float(values[row.id]),
                "scored_at": time.time(),
                "is_open": row.state == OPEN,
            }
            for row in found
        ]
        if rows:
            insert = self._database.insert(scores)
            changed = {name: insert.excluded[name] for name in ("value", "scored_at", "is_open")}
            keys = [scores.c.image, scores.c.strategy, scores.c.model_version]
            connection.execute(insert.on_conflict_do_update(index_elements=keys, set_=changed), rows)
        return len(rows)

    def scores_of(self, image: str) -> list[dict[str, Any]]:
        """All scores of an image: strategy, model version, value, and when it was computed."""
        if not is_storable(image):
            return []
        names = scores.c.strategy, scores.c.model_version, scores.c.value, scores.c.scored_at
        query = select(*names).join(images, images.c.key == scores.c.image).where(self._ours, images.c.id == image)
        with self._database.reading() as connection:
            return [dict(row._mapping) for row in connection.execute(query.order_by(*names[:2]))]

    def without_score(self, strategy: str, model_version: str, most: int, after: str = "") -> list[str]:
        """Ids of images without a label ``final`` and without this score, in order.

        Args:
            strategy: whose score.
            model_version: of the model that it is computed with.
            most: how many ids at most.
            after: an id that those come after.
        """
        scored = select(scores.c.image).where(self._of(strategy, model_version), scores.c.image == images.c.key)
        query = select(images.c.id).where(self._ours, images.c.state == OPEN, images.c.id > after, ~scored.exists())
        with self._database.reading() as connection:
            return list(connection.execute(query.order_by(images.c.id).limit(most)).scalars())

    def unpredicted(self, tag: str, model: str, most: int, after: str = "") -> list[Any]:
        """Images without a label ``final`` of which a model has not predicted the file as it is, in order of their ids.

        Args:
            tag: of the predicted labels; their facts hold ``predicted_by``.
            model: key of the model, without ``%`` and ``_``.
            most: how many at most.
            after: an id that those come after.

        Returns:
            Rows of ``id``, ``size``, ``mtime_ns``, and the ``facts`` of the newest label of the tag as JSON, ``None``
            where there is none.
        """
        done = predicted_by(model, cast(images.c.size, Text), cast(images.c.mtime_ns, Text))
        current = and_(labels.c.image == images.c.key, labels.c.tag == tag, labels.c.is_current)
        query = select(images.c.id, images.c.size, images.c.mtime_ns, labels.c.facts).outerjoin(labels, current)
        query = query.where(self._ours, images.c.state == OPEN, images.c.id > after)
        query = query.where(labels.c.facts.is_(None) | ~labels.c.facts.like('%"' + done + '"%'))
        with self._database.reading() as connection:
            return list(connection.execute(query.order_by(images.c.id).limit(most)).all())

    def forget_scores(self, strategy: str, but: Collection[str]) -> None:
        """Remove the scores of a strategy by all model versions but these."""
        ours = scores.c.store == self._holding.key, scores.c.strategy == strategy
        with self._database.writing(durable=False) as connection:
            connection.execute(scores.delete().where(*ours, scores.c.model_version.not_in(but)))
