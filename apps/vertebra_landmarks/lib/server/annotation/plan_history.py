"""Which plans a study had when, and so whether a reader may have seen what others had made of an image."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import pairwise

from sqlalchemy import Connection, select

from ...study.plan import REPEAT, StudyPlan
from ...study.slots import ImageReadings, Reading
from ...study.visibility import sees_labels, viewer_of
from ..store.images import FINAL
from ..store.label_sync import labeller
from ..store.schema import images, labels, readings, stores, study_plans
from ..store.store_context import Clock, StoreContext

_TICK_S = 0.001
"""Between two plans that are noted at once."""


class PlanHistory:
    """Notes every plan by which something was shown, and tells whether a reading was blind.

    Args:
        context: the studies folder and its rows.
        now: seconds since 1970.
        has_login: whether users are known, rather than stated.
    """

    def __init__(self, context: StoreContext, now: Clock, has_login: bool) -> None:
        self._store, self._database, self._now, self._has_login = context.key, context.database, now, has_login
        self._noted: object = self

    def note(self, plan: StudyPlan | None) -> None:
        """Note the plan by which something is to be shown; cheap while it is the same object."""
        if plan is self._noted:
            return
        content = "" if plan is None else plan.model_dump_json()
        with self._database.writing() as connection:
            connection.execute(select(stores.c.key).where(stores.c.key == self._store).with_for_update())
            ours = select(study_plans).where(study_plans.c.store == self._store)
            last = connection.execute(ours.order_by(study_plans.c.since.desc()).limit(1)).one_or_none()
            is_same = last is not None and last.content == content
            if not is_same and (last is not None or plan is not None):
                since = self._begin(connection) if last is None else max(self._now(connection), last.since + _TICK_S)
                connection.execute(study_plans.insert().values(store=self._store, since=since, content=content))
        self._noted = plan

    def _begin(self, connection: Connection) -> float:
        """When the first plan that is noted began: at once, or before, where a release of before had a blind study."""
        blind = readings.c.store == self._store, readings.c.is_blind
        is_older = connection.execute(select(readings.c.key).where(*blind).limit(1)).first() is not None
        return 0.0 if is_older else self._now(connection)

    def was_hidden(self, connection: Connection, image: ImageReadings, reading: Reading) -> bool:
        """Whether nothing that others had made of an image was ever shown to the reader, as far as plans tell it.

        Args:
            connection: for reading.
            image: its readings.
            reading: of the image, under work or made; not necessarily among them.
        """
        if reading.kind != REPEAT and self._has_final_of_others(connection, image.image, reading.reader):
            return False  # it was closed, or had labels before the study
        others = tuple(one for one in image.readings if one.number != reading.number)
        made_at = min((one.at for one in others if one.is_submitted), default=math.inf)
        without = replace(image, readings=others)
        open_one = replace(reading, is_submitted=False)
        having = replace(image, readings=tuple(sorted((*others, open_one), key=lambda one: one.number)))
        for plan, since, until in self._periods(connection):
            if until <= made_at or made_at == math.inf:
                continue
            present = without if since < (reading.began_at or reading.at) else having
            if plan is None or sees_labels(plan, viewer_of(plan, reading.reader, self._has_login), present):
                return False
        return True

    def _periods(self, connection: Connection) -> list[tuple[StudyPlan | None, float, float]]:
        """Plans with their begin and end, oldest first; ``None`` where there was no plan."""
        query = select(study_plans).where(study_plans.c.store == self._store).order_by(study_plans.c.since)
        rows = [(row.since, row.content) for row in connection.execute(query)]
        ends = [(0.0, ""), *rows, (math.inf, "")]
        return [
            (StudyPlan.model_validate(json.loads(content)) if content else None, since, until)
            for (since, content), (until, _) in pairwise(ends)
            if since < until
        ]

    def _has_final_of_others(self, connection: Connection, image: str, reader: str) -> bool:
        """Whether an image has, or had, a label ``final`` that somebody else has made."""
        query = select(labels.c.facts).join(images, images.c.key == labels.c.image)
        query = query.where(images.c.store == self._store, images.c.id == image, labels.c.tag == FINAL)
        return any(labeller(json.loads(facts)) != reader for facts in connection.execute(query).scalars())
