"""Queries of the store: counts and lists for clients, the next image, and scores; the latter answered from an index."""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, Text, and_, cast, func, literal_column, select

from ...spine.labels.markups import SUFFIX
from .images import FINAL, REASON
from .schema import GONE, LABELLED, OPEN, UNREADABLE, images, labels, readings, scores, spares, stores
from .store_context import StoreContext
from .studies_folder import LABELS, id_of, is_storable

MAX_NOT_SERVED = 100
"""Skipped files and folders that are listed with the reason; of more, only the number is returned."""
_FETCH_SIZE = 500
_DUPLICATE = "another image of the folder has its id, the name without the ending"
_BAD_NAME = "its name is no valid text, or too long"
_BATCH = 500


def _literal(number: int) -> Any:
    """A literal: with a parameter, PostgreSQL caches a generic plan that sorts all images or scores."""
    return literal_column(str(number))


_ONE = _literal(1)


class ImageQueries:
    """Counts and lists of a studies folder, in the shape that MONAI Label's clients expect."""

    def __init__(self, context: StoreContext) -> None:
        self._context, self._database = context, context.database
        self._ours = images.c.store == context.key

    def status(self) -> dict[str, Any]:
        """Numbers of images and labels, and what is not served as an image, with the reason."""
        counts = select(images.c.state, func.count()).where(self._ours).group_by(images.c.state)
        current = labels.c.store == self._context.key, labels.c.is_current
        tags = select(labels.c.tag, func.count()).where(*current).group_by(labels.c.tag).order_by(labels.c.tag)
        of_gone = select(labels.c.tag, func.count()).join(images, images.c.key == labels.c.image)
        of_gone = of_gone.where(self._ours, images.c.state == GONE, labels.c.is_current).group_by(labels.c.tag)
        twins = select(spares.c.file, spares.c.folded).where(spares.c.store == self._context.key)
        unreadable = select(images.c.file, images.c.facts).where(self._ours, images.c.state == UNREADABLE)
        with self._database.reading(snapshot=True) as connection:
            by_state = {row[0]: row[1] for row in connection.execute(counts)}
            gone = {row[0]: row[1] for row in connection.execute(of_gone)}  # few, so quicker than a join of all
            by_tag = {row[0]: row[1] - gone.get(row[0], 0) for row in connection.execute(tags)}
            reasons = {
                **self._context.source.skipped(),
                **{row.file: _DUPLICATE if row.folded else _BAD_NAME for row in connection.execute(twins)},
                **{row.file: str(json.loads(row.facts).get(REASON)) for row in connection.execute(unreadable)},
            }
            listed = sorted(reasons)[:MAX_NOT_SERVED]
            return {
                "total": sum(by_state.get(state, 0) for state in (OPEN, LABELLED, UNREADABLE)),
                "completed": by_state.get(LABELLED, 0),
                "label_tags": {tag: count for tag, count in by_tag.items() if count},
                "not_served": [{"file": _as_text(file), "reason": reasons[file]} for file in listed],
                "not_served_count": len(reasons),
            }

    def ids(self, *states: int) -> list[str]:
        """Ids of the images in these states, sorted."""
        query = select(images.c.id).where(self._ours, images.c.state.in_(states)).order_by(images.c.id)
        with self._database.reading() as connection:
            return list(connection.execute(query).scalars())

    def labelled(self, tag: str) -> list[Row[Any]]:
        """Rows of ``id`` and ``file`` of the images with a label of the tag, by id."""
        query = select(images.c.id, images.c.file).join(labels, labels.c.image == images.c.key)
        query = query.where(self._ours, images.c.state != GONE, labels.c.tag == tag, labels.c.is_current)
        with self._database.reading() as connection:
            return list(connection.execute(query.order_by(images.c.id)))

    def label_facts(self, tag: str) -> dict[str, dict[str, Any]]:
        """Metadata of the current labels of a tag, by image."""
        query = select(images.c.id, labels.c.facts).join(labels, labels.c.image == images.c.key)
        query = query.where(self._ours, images.c.state != GONE, labels.c.tag == tag, labels.c.is_current)
        with self._database.reading() as connection:
            return {row.id: json.loads(row.facts) for row in connection.execute(query)}

    def files(self, of: Collection[str]) -> list[str]:
        """File names of some images, in their order."""
        query = select(images.c.id, images.c.file).where(self._ours, images.c.id.in_(of))
        with self._database.reading() as connection:
            by_image = {row.id: str(row.file) for row in connection.execute(query)}
        return [by_image[image] for image in of if image in by_image]

    def without_label(self, tag: str) -> list[str]:
        """Ids of the readable images without a label of the tag, sorted."""
        has = select(labels.c.key).where(labels.c.image == images.c.key, labels.c.tag == tag, labels.c.is_current)
        states = self._ours, images.c.state.not_in((GONE, UNREADABLE))
        query = select(images.c.id).where(*states, ~has.exists()).order_by(images.c.id)
        with self._database.reading() as connection:
            return list(connection.execute(query).scalars())

    def pairs(self, shows: Callable[[str], bool]) -> list[dict[str, str]]:
        """Paths of image and label ``final`` of every labelled image that is shown, for training."""
        folder, source = self._context.folder, self._context.source
        return [
            {"image": str(source.location(row.file)), "label": str(folder.label(row.id, FINAL).resolve())}
            for row in self.labelled(FINAL)
            if shows(row.id)
        ]

    def head(self) -> dict[str, Any]:
        """Name, description and folders, without the images."""
        with self._database.reading() as connection:
            row = connection.execute(select(stores).where(stores.c.key == self._context.key)).one()
        return {"name": row.name, "description": row.description, "images_dir": ".", "labels_dir": LABELS}

    def describe(self, **values: str) -> None:
        """Change name or description."""
        with self._database.writing() as connection:
            connection.execute(stores.update().where(stores.c.key == self._context.key).values(values))

    def objects(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """All images with their metadata and labels, by id, without holding all of them in memory."""
        query = (
            select(images.c.id, images.c.file, images.c.facts, labels.c.tag, labels.c.facts.label("noted"))
            .join(labels, (labels.c.image == images.c.key) & labels.c.is_current, isouter=True)
            .where(self._ours, images.c.state != GONE)
            .order_by(images.c.id, labels.c.tag)
        )
        image: str = ""
        entry: dict[str, Any] = {}
        with self._database.reading(snapshot=True) as connection:
            for row in connection.execution_options(yield_per=_FETCH_SIZE).execute(query):
                if entry and row.id != image:
                    yield image, entry
                    entry = {}
                if not entry:
                    extension = row.file[len(id_of(row.file)) :]
                    image = row.id
                    entry = {"image": {"ext": extension, "info": json.loads(row.facts)}, "labels": {}}
                if row.tag is not None:
                    entry["labels"][row.tag] = {"ext": SUFFIX, "info": json.loads(row.noted)}
        if entry:
            yield image, entry


def _has_readings(image: Any) -> Any:
    """Condition: somebody reads an image, or has read it."""
    return select(readings.c.key).where(readings.c.image == image).exists()


def _as_text(file: str) -> str:
    """A file name as valid text, invalid bytes escaped."""
    return file.encode(errors="backslashreplace").decode()


def predicted_by(model: str, size: Any, mtime_ns: Any) -> Any:
    """Value of ``predicted_by`` in the metadata of a predicted label: model and file state, as text or as SQL."""
    return model + " " + size + " " + mtime_ns


class ScoreQueries:
    """Picks the next image and stores scores, in a studies folder of any size.

    Attributes:
        skips_read: whether images that somebody reads, or has read, are not picked: in a study with a plan.
    """

    def __init__(self, context: StoreContext) -> None:
        self._context, self._database = context, context.database
        self._ours = images.c.store == context.key
        self.skips_read: Callable[[], bool] = lambda: False

    def pick_random(self, exclude: Collection[str] = ()) -> str | None:
        """A random image without a label ``final``; none repeats until all were picked, across concurrent annotators.

        As from a shuffled deck: the top card is dealt and goes to a random position of the next deck.

        Args:
            exclude: ids to skip.

        Returns:
            Its id; ``None`` if there is none.
        """
        query = self._by_draw(exclude).limit(_ONE).with_for_update(skip_locked=True)
        with self._database.writing(durable=False) as connection:
            top = connection.execute(query).one_or_none()
            if top is None:
                return None
            again = math.floor(top.draw) + 1 + random.random()
            connection.execute(images.update().where(images.c.key == top.key).values(draw=again))
        return str(top.id)

    def next_random(self, exclude: Collection[str], count: int) -> list[str]:
        """The images that ``pick_random`` would return next; they stay where they are in the deck."""
        with self._database.reading() as connection:
            return [row.id for row in connection.execute(self._by_draw(exclude).limit(_literal(count)))]

    def _by_draw(self, exclude: Collection[str]) -> Select[Any]:
        query = select(images.c.key, images.c.id, images.c.draw).where(self._is_open_except(exclude))
        return query.order_by(images.c.draw)

    def pick_first(self, exclude: Collection[str] = ()) -> str | None:
        """The first image by id without a label ``final``; ``None`` if there is none."""
        return next(iter(self.next_first(exclude, 1)), None)

    def next_first(self, exclude: Collection[str], count: int, only: Collection[str] | None = None) -> list[str]:
        """The first images by id without a label ``final``, of all or ``only`` some; at most ``count``."""
        query = select(images.c.id).where(self._is_open_except(exclude))
        query = query if only is None else query.where(images.c.id.in_(only))
        with self._database.reading() as connection:
            return list(connection.execute(query.order_by(images.c.id).limit(_literal(count))).scalars())

    def _is_open_except(self, exclude: Collection[str]) -> ColumnElement[bool]:
        storable = [image for image in exclude if is_storable(image)]
        is_open = and_(self._ours, images.c.state == OPEN, images.c.id.not_in(storable))
        return and_(is_open, ~_has_readings(images.c.key)) if self.skips_read() else is_open

    def pick_by_score(self, strategy: str, model_version: str, exclude: Collection[str] = ()) -> str | None:
        """The image without a label ``final`` with the highest score; ``None`` if none has a score.

        Args:
            strategy: of the score.
            model_version: of the score.
            exclude: ids to skip.
        """
        return next(iter(self.next_by_score(strategy, model_version, exclude, 1)), None)

    def next_by_score(self, strategy: str, model_version: str, exclude: Collection[str], count: int) -> list[str]:
        """The images without a label ``final`` with the highest scores; at most ``count``."""
        excluded = set(exclude)
        best = select(scores.c.image).where(self._of(strategy, model_version), scores.c.is_open)
        best = best.where(~_has_readings(scores.c.image)) if self.skips_read() else best
        best = best.order_by(scores.c.value.desc(), scores.c.image).limit(_literal(len(excluded) + count))
        with self._database.reading() as connection:  # twice: joined, PostgreSQL may sort all scores of a new model
            keys = list(connection.execute(best).scalars())
            rows = connection.execute(select(images.c.key, images.c.id).where(images.c.key.in_(keys)))
            names = {row.key: str(row.id) for row in rows}
        return [names[key] for key in keys if key in names and names[key] not in excluded][:count]

    def _of(self, strategy: str, model_version: str) -> Any:
        return (
            (scores.c.store == self._context.key)
            & (scores.c.strategy == strategy)
            & (scores.c.model_version == model_version)
        )

    def set_scores(self, strategy: str, model_version: str, values: Mapping[str, float]) -> int:
        """Store scores of images; returns how many of them are in the folder, the others are ignored.

        Raises:
            ValueError: a score is not finite.
        """
        wrong = next((value for value in values.values() if not math.isfinite(value)), None)
        if wrong is not None:
            raise ValueError(f"scores must be finite numbers, got {wrong}")
        count, items = 0, iter(sorted((image, value) for image, value in values.items() if is_storable(image)))
        while batch := dict(islice(items, _BATCH)):
            with self._database.writing(durable=False) as connection:
                count += self._set(connection, strategy, model_version, batch)
        return count

    def _set(self, connection: Connection, strategy: str, model_version: str, values: Mapping[str, float]) -> int:
        query = select(images.c.key, images.c.id, images.c.state).where(self._ours, images.c.id.in_(values))
        present = connection.execute(query.where(images.c.state != GONE).with_for_update()).all()
        rows = [
            {
                "image": row.key,
                "strategy": strategy,
                "model_version": model_version,
                "store": self._context.key,
                "value": float(values[row.id]),
                "scored_at": time.time(),
                "is_open": row.state == OPEN,
            }
            for row in present
        ]
        if rows:
            insert = self._database.insert(scores)
            changed = {name: insert.excluded[name] for name in ("value", "scored_at", "is_open")}
            keys = [scores.c.image, scores.c.strategy, scores.c.model_version]
            connection.execute(insert.on_conflict_do_update(index_elements=keys, set_=changed), rows)
        return len(rows)

    def scores_of(self, image: str) -> list[dict[str, Any]]:
        """All scores of an image: ``strategy``, ``model_version``, ``value`` and ``scored_at``."""
        if not is_storable(image):
            return []
        names = scores.c.strategy, scores.c.model_version, scores.c.value, scores.c.scored_at
        query = select(*names).join(images, images.c.key == scores.c.image).where(self._ours, images.c.id == image)
        with self._database.reading() as connection:
            return [dict(row._mapping) for row in connection.execute(query.order_by(*names[:2]))]

    def without_score(self, strategy: str, model_version: str, limit: int, after: str = "") -> list[str]:
        """Ids of images without a label ``final`` and without this score, sorted.

        Args:
            strategy: of the score.
            model_version: of the score.
            limit: maximum number of ids.
            after: only ids greater than this one.
        """
        scored = select(scores.c.image).where(self._of(strategy, model_version), scores.c.image == images.c.key)
        query = select(images.c.id).where(self._ours, images.c.state == OPEN, images.c.id > after, ~scored.exists())
        with self._database.reading() as connection:
            return list(connection.execute(query.order_by(images.c.id).limit(limit)).scalars())

    def unpredicted(self, tag: str, model: str, limit: int, after: str = "") -> list[Any]:
        """Images without a label ``final`` whose present file a model has not predicted, by id.

        Args:
            tag: of the predicted labels, whose metadata holds ``predicted_by``.
            model: key of the model, without ``%`` and ``_``.
            limit: maximum number of rows.
            after: only ids greater than this one.

        Returns:
            Rows of ``id``, ``size``, ``mtime_ns``, and ``facts``, the JSON metadata of the current label of the tag or
            ``None``.
        """
        done = predicted_by(model, cast(images.c.size, Text), cast(images.c.mtime_ns, Text))
        current = and_(labels.c.image == images.c.key, labels.c.tag == tag, labels.c.is_current)
        query = select(images.c.id, images.c.size, images.c.mtime_ns, labels.c.facts).outerjoin(labels, current)
        query = query.where(self._ours, images.c.state == OPEN, images.c.id > after)
        query = query.where(labels.c.facts.is_(None) | ~labels.c.facts.like('%"' + done + '"%'))
        with self._database.reading() as connection:
            return list(connection.execute(query.order_by(images.c.id).limit(limit)).all())

    def delete_scores(self, strategy: str, keep: Collection[str]) -> None:
        """Delete the scores of a strategy, except those of the model versions to keep."""
        ours = scores.c.store == self._context.key, scores.c.strategy == strategy
        with self._database.writing(durable=False) as connection:
            connection.execute(scores.delete().where(*ours, scores.c.model_version.not_in(keep)))
