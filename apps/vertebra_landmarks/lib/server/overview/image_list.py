"""Pages of the images of a studies folder: searched, filtered by state and sorted by the database, from indices."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, select

from ...learning.active_learning import STRATEGIES, uncertainty
from ..active_learning.scored_versions import ScoredVersions
from ..filenames import casefold_key
from ..store.images import FINAL, PREDICTED
from ..store.label_sync import labeller
from ..store.labels import ANGLE
from ..store.schema import GONE, LABELLED, OPEN, UNREADABLE, images, labels, scores
from ..store.store_context import StoreContext
from ..store.studies_folder import is_storable

MAX_LIMIT = 1000
"""Images of one page."""
MAX_SORTED = 2000
"""Matching images up to which they are sorted by doubt; more are looked for in the order of the scores."""
MAX_LOOKUPS = 5000
"""Expected number of scores up to which the image of each is looked up; else the set of all that match is made."""
COUNTS_LIFETIME_S = 1.0
"""For which counts are not counted again while this process changes nothing."""
DOUBT = next(name for name, strategy in STRATEGIES.items() if strategy is uncertainty.STRATEGY)
"""The strategy whose score says how unsure the model is of an image."""


class State(str, Enum):
    """State of an image for people; ``ALL`` is every image whose file is there."""

    ALL = "all"
    UNLABELLED = "unlabelled"
    PREDICTED = "predicted"
    LABELLED = "labelled"
    UNREADABLE = "unreadable"


class Sort(str, Enum):
    """What a list is sorted by: id, time of adding, doubt of the served model, or time of the label ``final``."""

    NAME = "name"
    DATE = "date"
    DOUBT = "doubt"
    LABELLED = "labelled"


class Query(NamedTuple):
    """Which images to list.

    Attributes:
        search: part of the ids, in letters of either case; "" for all.
        state: of the images.
        sort: their order; of equal ones, that of the ids.
        descending: from the last to the first; images without a score of doubt are last all the same.
        offset: how many to skip.
        limit: how many to list, at most ``MAX_LIMIT``.
    """

    search: str = ""
    state: State = State.ALL
    sort: Sort = Sort.NAME
    descending: bool = False
    offset: int = 0
    limit: int = 200


_CONDITIONS: dict[State, ColumnElement[bool]] = {
    State.ALL: images.c.state != GONE,
    State.UNLABELLED: and_(images.c.state == OPEN, images.c.is_predicted.is_(False)),
    State.PREDICTED: and_(images.c.state == OPEN, images.c.is_predicted.is_(True)),
    State.LABELLED: images.c.state == LABELLED,
    State.UNREADABLE: images.c.state == UNREADABLE,
}
_BY_NAME = (images.c.folded, images.c.id)
_ORDER = {
    Sort.NAME: _BY_NAME,
    Sort.DATE: (images.c.added_at, *_BY_NAME),
    Sort.LABELLED: (images.c.labelled_at, *_BY_NAME),
}
"""Every order is that of an index that has all columns of the conditions, too."""
_final, _predicted = labels.alias(), labels.alias()
_ENTRY = (
    *(images.c[name] for name in ("key", "id", "file", "state", "is_predicted", "added_at", "labelled_at")),
    _final.c.version,
    _final.c.facts.label("label"),
    _predicted.c.facts.label("prediction"),
    scores.c.value,
)


class ImageList:
    """Pages of the images of a studies folder.

    Args:
        context: the studies folder and its rows.
    """

    def __init__(self, context: StoreContext) -> None:
        self._context, self._database = context, context.database
        self._ours = images.c.store == context.key
        self._versions = ScoredVersions(context)
        self._cached = 0.0, -1, dict[str, int]()

    def page(self, query: Query, model_key: str) -> dict[str, Any]:
        """A page of the list.

        Args:
            query: which images.
            model_key: of the served weights, whose scores say the doubt; see ``ScoredVersions.in_order_of_use``.

        Returns:
            ``total`` number of images that match; ``counts`` of all images by state, which lag behind what other
            processes change by up to ``COUNTS_LIFETIME_S``; and ``images``, a dict each.
        """
        order = self._versions.in_order_of_use(model_key)
        with self._database.reading(snapshot=True) as connection:
            version = self._scored_version(connection, order)
            counts = self._counts(connection)
            if query.sort is Sort.DOUBT:
                total = self._total(connection, query, counts)
                keys = self._keys_by_doubt(connection, query, version, counts, total)
            else:
                ordered = (column.desc() if query.descending else column for column in _ORDER[query.sort])
                keys = self._slice(connection, select(images.c.key).where(*self._matching(query)), ordered, query)
                is_last = len(keys) < query.limit and (bool(keys) or not query.offset)
                total = query.offset + len(keys) if is_last else self._total(connection, query, counts)
            return {"total": total, "counts": counts, "images": self._describe(connection, keys, version)}

    def describe(self, keys: Sequence[int], model_key: str) -> list[dict[str, Any]]:
        """What the list says of some images, by their keys."""
        order = self._versions.in_order_of_use(model_key)
        with self._database.reading(snapshot=True) as connection:
            return self._describe(connection, keys, self._scored_version(connection, order))

    def _scored_version(self, connection: Connection, order: Sequence[str]) -> str:
        """The first of some versions that has a score of any image."""
        for version in order:
            if connection.execute(select(scores.c.image).where(*self._scored(version)).limit(1)).first() is not None:
                return version
        return order[0]

    def _scored(self, version: str) -> tuple[ColumnElement[bool], ...]:
        ours = scores.c.store == self._context.key
        return ours, scores.c.strategy == DOUBT, scores.c.model_version == version

    def _counts(self, connection: Connection) -> dict[str, int]:
        """Numbers of images by state, counted again after a change by this process, or after a while."""
        commits, now = self._database.commits, time.monotonic()
        since, at_commits, counts = self._cached
        if at_commits != commits or now - since > COUNTS_LIFETIME_S:
            groups = images.c.state, images.c.is_predicted
            query = select(*groups, func.count()).where(self._ours, images.c.state != GONE).group_by(*groups)
            counts = dict.fromkeys((state.value for state in State), 0)
            for state, is_predicted, count in connection.execute(query):
                counts[state_of(state, is_predicted).value] += count
                counts[State.ALL.value] += count
            self._cached = now, commits, counts
        return dict(counts)

    def _matching(self, query: Query) -> tuple[ColumnElement[bool], ...]:
        """Conditions of the images that match."""
        conditions = self._ours, _CONDITIONS[query.state]
        if not query.search:
            return conditions
        if not is_storable(query.search):
            return (*conditions, images.c.key.is_(None))
        position = func.instr if self._database.is_sqlite else func.strpos  # LIKE would have wildcards, and is slower
        return (*conditions, position(images.c.folded, casefold_key(query.search)) > 0)

    def _total(self, connection: Connection, query: Query, counts: Mapping[str, int]) -> int:
        if not query.search:
            return counts[query.state.value]
        return _count(connection, select(images.c.key).where(*self._matching(query)))

    @staticmethod
    def _slice(connection: Connection, query: Select[Any], order: Iterable[Any], part: Query) -> list[int]:
        return list(connection.execute(query.order_by(*order).limit(part.limit).offset(part.offset)).scalars())

    def _keys_by_doubt(
        self, connection: Connection, query: Query, version: str, counts: Mapping[str, int], total: int
    ) -> list[int]:
        """Keys of images by doubt: those with a score, then those without, by name."""
        is_scored, matching = self._scored(version), self._matching(query)
        value = scores.c.value.desc() if query.descending else scores.c.value
        if total <= MAX_SORTED:
            of_image = and_(*is_scored, scores.c.image == images.c.key)
            some = select(images.c.key).outerjoin(scores, of_image).where(*matching)
            return self._slice(connection, some, (scores.c.value.is_(None), value, *_BY_NAME), query)
        steps = (query.offset + query.limit) * counts[State.ALL.value] / total
        scored = select(scores.c.image).where(*is_scored, self._is_among(query, steps))
        keys = self._slice(
            connection, scored, (value, scores.c.image.desc() if query.descending else scores.c.image), query
        )
        if len(keys) == query.limit:
            return keys
        count = len(keys) + query.offset if keys or not query.offset else _count(connection, scored)
        without = select(images.c.key).where(*matching, images.c.key.not_in(select(scores.c.image).where(*is_scored)))
        rest = query._replace(limit=query.limit - len(keys), offset=max(0, query.offset - count))
        return [*keys, *self._slice(connection, without, _BY_NAME, rest)]

    def _is_among(self, query: Query, steps: float) -> ColumnElement[bool]:
        """Whether a score is of an image that matches; looked up one by one where that many scores are read."""
        if query.state is State.ALL and not query.search:  # few are gone
            return scores.c.image.not_in(select(images.c.key).where(self._ours, images.c.state == GONE))
        matching = select(images.c.key).where(*self._matching(query))
        if steps <= MAX_LOOKUPS:
            return matching.where(images.c.key == scores.c.image).exists()
        return scores.c.image.in_(matching)

    def _describe(self, connection: Connection, keys: Sequence[int], version: str) -> list[dict[str, Any]]:
        """What the list says of some images."""
        query = select(*_ENTRY).select_from(images).where(images.c.key.in_(keys))
        for label, tag in ((_final, FINAL), (_predicted, PREDICTED)):
            query = query.outerjoin(label, and_(label.c.image == images.c.key, label.c.tag == tag, label.c.is_current))
        query = query.outerjoin(scores, and_(*self._scored(version), scores.c.image == images.c.key))
        entries = {row.key: _entry(row) for row in connection.execute(query)}
        return [entries[key] for key in keys if key in entries]


def _count(connection: Connection, query: Select[Any]) -> int:
    return int(connection.execute(select(func.count()).select_from(query.subquery())).scalar_one())


def state_of(state: int, is_predicted: bool) -> State:
    """The state of an image whose file is there, by its row."""
    if state == OPEN:
        return State.PREDICTED if is_predicted else State.UNLABELLED
    return State.LABELLED if state == LABELLED else State.UNREADABLE


def _entry(row: Row[Any]) -> dict[str, Any]:
    """One image of the list, from a row of ``_ENTRY``."""
    has_label = row.label is not None
    noted: Mapping[str, Any] = json.loads(row.label) if has_label else {}
    measured = noted if has_label or row.prediction is None else json.loads(row.prediction)
    return {
        "id": row.id,
        "file": row.file,
        "state": state_of(row.state, row.is_predicted).value,
        "user": labeller(noted) or None,
        "labelled_at": row.labelled_at if has_label else None,
        "seconds": number_or_none(noted.get("seconds")),
        "edits": number_or_none(noted.get("edits")),
        "version": row.version,
        "doubt": row.value,
        "added_at": row.added_at,
        "largest_angle_deg": number_or_none(measured.get(ANGLE)),
    }


def text_or_none(value: object) -> str | None:
    """A text of metadata, which clients may have written; ``None`` for anything else, and for "".

    Args:
        value: of the metadata.
    """
    return value if isinstance(value, str) and value else None


def number_or_none(value: object) -> float | None:
    """A number of metadata, which clients may have written; ``None`` for anything else.

    Args:
        value: of the metadata.
    """
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None
