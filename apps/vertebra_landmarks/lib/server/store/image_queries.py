"""What is in the store, in the shape that MONAI Label and its clients know."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Row, func, select

from ...spine.labels.markups import SUFFIX
from .images import FINAL, REASON
from .schema import GONE, LABELLED, OPEN, UNREADABLE, images, labels, spares, stores
from .store_context import Holding
from .studies_folder import LABELS, id_of

MAX_NOT_SERVED = 100
"""Files and folders that are not served, and are named with the reason; of more, only the number is told."""
_FETCHED = 500
_TWIN = "another image of the folder has its id, the name without the ending"
_NAME = "its name is no text, or too long"


class Listing:
    """Counts and lists of a studies folder."""

    def __init__(self, holding: Holding) -> None:
        self._holding, self._database = holding, holding.database
        self._ours = images.c.store == holding.key

    def status(self) -> dict[str, Any]:
        """How many images and labels there are, and what in the folder is not served as an image, and why."""
        counts = select(images.c.state, func.count()).where(self._ours).group_by(images.c.state)
        current = labels.c.store == self._holding.key, labels.c.is_current
        tags = select(labels.c.tag, func.count()).where(*current).group_by(labels.c.tag).order_by(labels.c.tag)
        of_gone = select(labels.c.tag, func.count()).join(images, images.c.key == labels.c.image)
        of_gone = of_gone.where(self._ours, images.c.state == GONE, labels.c.is_current).group_by(labels.c.tag)
        twins = select(spares.c.file, spares.c.folded).where(spares.c.store == self._holding.key)
        unreadable = select(images.c.file, images.c.facts).where(self._ours, images.c.state == UNREADABLE)
        with self._database.reading(snapshot=True) as connection:
            by_state = {row[0]: row[1] for row in connection.execute(counts)}
            gone = {row[0]: row[1] for row in connection.execute(of_gone)}  # few, so quicker than a join of all
            by_tag = {row[0]: row[1] - gone.get(row[0], 0) for row in connection.execute(tags)}
            reasons = {
                **self._holding.folder.others(),
                **{row.file: _TWIN if row.folded else _NAME for row in connection.execute(twins)},
                **{row.file: str(json.loads(row.facts).get(REASON)) for row in connection.execute(unreadable)},
            }
            named = sorted(reasons)[:MAX_NOT_SERVED]
            return {
                "total": sum(by_state.get(state, 0) for state in (OPEN, LABELLED, UNREADABLE)),
                "completed": by_state.get(LABELLED, 0),
                "label_tags": {tag: count for tag, count in by_tag.items() if count},
                "not_served": [{"file": _shown(file), "reason": reasons[file]} for file in named],
                "not_served_count": len(reasons),
            }

    def ids(self, *states: int) -> list[str]:
        """Ids of the images in these states, in order."""
        query = select(images.c.id).where(self._ours, images.c.state.in_(states)).order_by(images.c.id)
        with self._database.reading() as connection:
            return list(connection.execute(query).scalars())

    def labelled(self, tag: str) -> list[Row[Any]]:
        """Id and file of the images that have a label of the tag, in order of the ids."""
        query = select(images.c.id, images.c.file).join(labels, labels.c.image == images.c.key)
        query = query.where(self._ours, images.c.state != GONE, labels.c.tag == tag, labels.c.is_current)
        with self._database.reading() as connection:
            return list(connection.execute(query.order_by(images.c.id)))

    def without_label(self, tag: str) -> list[str]:
        """Ids of the images that can be read and have no label of the tag, in order."""
        has = select(labels.c.key).where(labels.c.image == images.c.key, labels.c.tag == tag, labels.c.is_current)
        states = self._ours, images.c.state.not_in((GONE, UNREADABLE))
        query = select(images.c.id).where(*states, ~has.exists()).order_by(images.c.id)
        with self._database.reading() as connection:
            return list(connection.execute(query).scalars())

    def pairs(self) -> list[dict[str, str]]:
        """Image and label ``final`` of every labelled image, to train on."""
        folder = self._holding.folder
        return [
            {"image": str((folder.path / row.file).resolve()), "label": str(folder.label(row.id, FINAL).resolve())}
            for row in self.labelled(FINAL)
        ]

    def head(self) -> dict[str, Any]:
        """Name, description and places, without the images."""
        with self._database.reading() as connection:
            row = connection.execute(select(stores).where(stores.c.key == self._holding.key)).one()
        return {"name": row.name, "description": row.description, "images_dir": ".", "labels_dir": LABELS}

    def describe(self, **values: str) -> None:
        """Change name or description."""
        with self._database.writing() as connection:
            connection.execute(stores.update().where(stores.c.key == self._holding.key).values(values))

    def objects(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every image and what is known about it, in order of the ids, without holding all of them at once."""
        query = (
            select(images.c.id, images.c.file, images.c.facts, labels.c.tag, labels.c.facts.label("noted"))
            .join(labels, (labels.c.image == images.c.key) & labels.c.is_current, isouter=True)
            .where(self._ours, images.c.state != GONE)
            .order_by(images.c.id, labels.c.tag)
        )
        image: str = ""
        known: dict[str, Any] = {}
        with self._database.reading(snapshot=True) as connection:
            for row in connection.execution_options(yield_per=_FETCHED).execute(query):
                if known and row.id != image:
                    yield image, known
                    known = {}
                if not known:
                    extension = row.file[len(id_of(row.file)) :]
                    image = row.id
                    known = {"image": {"ext": extension, "info": json.loads(row.facts)}, "labels": {}}
                if row.tag is not None:
                    known["labels"][row.tag] = {"ext": SUFFIX, "info": json.loads(row.noted)}
        if known:
            yield image, known


def _shown(file: str) -> str:
    """A name as text, which it need not be on the disk."""
    return file.encode(errors="backslashreplace").decode()
