"""The images: a row for every id, and what to do when a file comes, changes or goes."""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from monailabel.interfaces.exception import ImageNotFoundException
from sqlalchemy import Connection, Row, exists, func, select

from ..names import check_image_id
from .folder import Found, id_of, is_storable
from .holding import Holding, add_facts, to_text
from .tables import GONE, LABELLED, OPEN, images, labels, scores, spares

FINAL = "final"


class Images:
    """The images of a studies folder."""

    def __init__(self, holding: Holding) -> None:
        self._holding, self._folder, self._database = holding, holding.folder, holding.database
        self._ours = images.c.store == holding.key

    def find(self, connection: Connection, image: str) -> Row[Any] | None:
        """The row of an image whose file is there."""
        if not is_storable(image):
            return None
        query = select(images).where(self._ours, images.c.id == image, images.c.state != GONE)
        return connection.execute(query).one_or_none()

    def require(self, connection: Connection, image: str) -> Row[Any]:
        """The same.

        Raises:
            ImageNotFoundException: there is no such image.
        """
        row = self.find(connection, image)
        if row is None:
            raise ImageNotFoundException(f"there is no image {image!r:.80} in the studies folder")
        return row

    def uri(self, image: str) -> str:
        """Path of an image; "" if there is none of that id in the folder."""
        with self._database.reading() as connection:
            row = self.find(connection, image)
        path = None if row is None else self._folder.path / row.file
        return str(path.resolve()) if path is not None and self._folder.look(path) else ""

    def facts(self, image: str) -> dict[str, Any]:
        """What is noted about an image, with its path; nothing if there is no such image."""
        with self._database.reading() as connection:
            row = self.find(connection, image)
        return {} if row is None else {**json.loads(row.facts), "path": str((self._folder.path / row.file).resolve())}

    def note(self, image: str, facts: Mapping[str, Any]) -> None:
        """Note facts about an image.

        Raises:
            ImageNotFoundException: there is no such image.
            ValueError: too much is noted about it.
        """
        with self._database.writing() as connection:
            row = self.require(connection, image)
            add_facts(connection, images.c.facts, images.c.key == row.key, facts)

    def add(self, image: str, file: Path, facts: Mapping[str, Any]) -> None:
        """Move a file into the folder under a new id.

        Raises:
            ValueError: the id is no plain name, or too much is noted.
            FileExistsError: there is an image of that id, or a file of that name.
        """
        suffix = file.name[len(id_of(file.name)) :]
        name = check_image_id(image) + suffix
        if id_of(name) != image or not self._folder.is_image(name):
            raise ValueError(f"image id {image!r:.80} with {suffix} is not the name of an image")
        place = self._folder.path / name
        text = to_text(facts)
        with self._folder.lock(image), self._database.writing() as connection:
            taken = select(images.c.key).where(self._ours, images.c.folded == image.casefold(), images.c.state != GONE)
            if place.is_symlink() or place.exists() or connection.execute(taken).first():
                raise FileExistsError(f"there is an image {image!r:.80} already; remove it first, or use another id")
            file.replace(place)
            self._settle(connection, image, [name])
            row = self.require(connection, image)
            add_facts(connection, images.c.facts, images.c.key == row.key, json.loads(text))

    def look_at(self, names: Iterable[str]) -> list[str]:
        """Compare rows with files that came, changed or went; returns the ids of images that were not there before."""
        appeared = []
        for name in names:
            if self._folder.is_image(name) and is_storable(name):
                image = id_of(name)
                with self._folder.lock(image), self._database.writing(durable=False) as connection:
                    was_there = self.find(connection, image) is not None
                    self._settle(connection, image, [name])
                    if not was_there and self.find(connection, image) is not None:
                        appeared.append(image)
        return appeared

    def look_again(self, image: str) -> None:
        """Compare the row of an image with its file."""
        with self._folder.lock(image), self._database.writing(durable=False) as connection:
            self._settle(connection, image, [])

    def _settle(self, connection: Connection, image: str, names: Iterable[str]) -> None:
        """Let the row and the spares of an id be as its files are."""
        of_id = spares.c.store == self._holding.key, spares.c.id == image
        row = connection.execute(select(images).where(self._ours, images.c.id == image)).one_or_none()
        known = {*connection.execute(select(spares.c.file).where(*of_id)).scalars(), *names}
        known |= {row.file} if row is not None else set()
        found = [self._folder.look(self._folder.path / name) for name in sorted(known)]
        there = {file.name: file for file in found if file is not None}
        served = there.get(row.file) if row is not None else None
        served = served or next(iter(there.values()), None)
        if row is None and served is not None:
            self.insert(connection, [(image, served)], {})
        elif row is not None and served is None:
            self.mark_gone(connection, [row.key])
        elif row is not None and served is not None:
            self._update(connection, row, served)
        connection.execute(spares.delete().where(*of_id))
        for name in there:
            if served is not None and name != served.name:
                values = {"store": self._holding.key, "file": name, "id": image}
                connection.execute(self._database.insert(spares).values(values).on_conflict_do_nothing())

    def insert(
        self, connection: Connection, new: Iterable[tuple[str, Found]], adopted: Mapping[str, Mapping[str, Any]]
    ) -> None:
        """Begin rows of images; ``adopted`` are facts known of them from before. An id that has a row keeps that."""
        deck = connection.execute(
            select(func.min(images.c.draw)).where(self._ours, images.c.state == OPEN)
        ).scalar_one_or_none()
        now, turn = int(time.time()), math.floor(deck or 0.0)
        rows = [
            {
                "store": self._holding.key,
                "id": image,
                "folded": image.casefold(),
                "file": file.name,
                "size": file.size,
                "mtime_ns": file.mtime_ns,
                "state": OPEN,
                "draw": turn + random.random(),
                "facts": to_text({"ts": now, **adopted.get(image, {}), "name": file.name}),
            }
            for image, file in new
        ]
        if rows:
            connection.execute(self._database.insert(images).on_conflict_do_nothing(), rows)

    def mark_gone(self, connection: Connection, keys: Iterable[int]) -> None:
        """Pass over images whose files are not there."""
        keys = list(keys)
        connection.execute(images.update().where(images.c.key.in_(keys)).values(state=GONE))
        connection.execute(scores.update().where(scores.c.image.in_(keys)).values(is_open=False))

    def _update(self, connection: Connection, row: Row[Any], file: Found) -> None:
        if (row.size, row.mtime_ns, row.file) != (file.size, file.mtime_ns, file.name):
            connection.execute(scores.delete().where(scores.c.image == row.key))  # they were of other pixels
            values = {"file": file.name, "size": file.size, "mtime_ns": file.mtime_ns}
            connection.execute(images.update().where(images.c.key == row.key).values(values))
        if row.state == GONE:
            final = select(labels.c.key).where(labels.c.image == row.key, labels.c.tag == FINAL, labels.c.is_current)
            state = LABELLED if connection.execute(select(exists(final))).scalar_one() else OPEN
            connection.execute(images.update().where(images.c.key == row.key).values(state=state))
            connection.execute(scores.update().where(scores.c.image == row.key).values(is_open=state == OPEN))

    def remove(self, image: str, paths: Iterable[Path]) -> None:
        """Remove an image, its rows, and these files, which are its labels'; a spare of its id takes its place.

        Raises:
            ImageNotFoundException: there is no such image.
        """
        with self._database.writing() as connection:
            row = self.require(connection, image)
            for path in (*paths, self._folder.path / row.file):
                path.unlink(missing_ok=True)
            connection.execute(images.delete().where(images.c.key == row.key))
            self._settle(connection, image, [])


def set_state(connection: Connection, key: int, state: int) -> None:
    """Let an image whose file is there, and its scores, be labelled or open."""
    at = images.c.key == key, images.c.state.not_in((GONE, state))
    if connection.execute(images.update().where(*at).values(state=state)).rowcount:
        connection.execute(scores.update().where(scores.c.image == key).values(is_open=state == OPEN))
