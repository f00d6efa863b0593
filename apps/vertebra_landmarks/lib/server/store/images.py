"""The images: a row for every id, and what to do when a file comes, changes or goes."""

from __future__ import annotations

import json
import logging
import math
import random
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from monailabel.interfaces.exception import ImageNotFoundException
from sqlalchemy import Connection, Row, exists, func, or_, select

from ...learning.weights.weight_files import file_digest
from ..filenames import check_image_id, folded
from ..inference.stated_side import STATED_SIDE, StatedSide
from .schema import GONE, LABELLED, OPEN, UNREADABLE, images, labels, scores, spares
from .store_context import Holding, add_facts, to_text
from .studies_folder import (
    FileState,
    Found,
    has_image_suffix,
    id_of,
    is_own,
    is_servable,
    is_storable,
    remove_files,
    sync,
)

logger = logging.getLogger(__name__)

FINAL = "final"
REASON = "unreadable"
"""Name of the fact that says why an image cannot be read."""
_DIGITS = 32  # of the digest of an image's file


class Images:
    """The images of a studies folder."""

    def __init__(self, holding: Holding) -> None:
        self._holding, self._folder, self._database = holding, holding.folder, holding.database
        self._ours = images.c.store == holding.key

    def find(self, connection: Connection, image: str, even_gone: bool = False) -> Row[Any] | None:
        """The row of an image whose file is there, or was if ``even_gone``."""
        if not is_storable(image):
            return None
        query = select(images).where(self._ours, images.c.id == image)
        return connection.execute(query if even_gone else query.where(images.c.state != GONE)).one_or_none()

    def require(self, connection: Connection, image: str, even_gone: bool = False) -> Row[Any]:
        """The same.

        Raises:
            ImageNotFoundException: there is no such image.
        """
        row = self.find(connection, image, even_gone)
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

    def stated_side(self, image: str) -> StatedSide | None:
        """The patient's side that a person has stated of an image; ``None`` where nobody has, or of another file."""
        with self._database.reading() as connection:
            row = self.find(connection, image)
        stated = None if row is None else StatedSide.parse(json.loads(row.facts).get(STATED_SIDE))
        if row is None or stated is None:
            return None
        return stated if stated.digest == file_digest(self._folder.path / row.file, _DIGITS) else None

    def state_side(self, image: str, image_left_is: str | None, user: str) -> None:
        """Note which side of the patient is at the left of the upright image; ``None`` takes that back.

        Raises:
            ImageNotFoundException: there is no such image.
            ValueError: it is no side.
        """
        with self._database.reading() as connection:
            path = self._folder.path / self.require(connection, image).file
        stated = None
        if image_left_is is not None:
            stated = asdict(StatedSide(image_left_is, user, int(time.time()), file_digest(path, _DIGITS)))
        self.note(image, {STATED_SIDE: stated})

    def note_unreadable(self, image: str, reason: str, file: FileState) -> None:
        """Remember that an image without a label ``final`` cannot be read, until its file is another.

        Args:
            image: id.
            reason: in a sentence.
            file: as it was when it was read; of another one nothing is remembered.
        """
        with self._database.writing(durable=False) as connection:
            row = self.find(connection, image)
            if row is not None and row.state == OPEN and (row.size, row.mtime_ns) == file:
                facts = {**json.loads(row.facts), REASON: reason.removeprefix(f"{row.file}: ")}
                values = {"state": UNREADABLE, "facts": to_text(facts)}
                connection.execute(images.update().where(images.c.key == row.key).values(values))
                connection.execute(scores.update().where(scores.c.image == row.key).values(is_open=False))

    def check_new(self, image: str, file: Path) -> list[str]:
        """Make sure that a file can become an image.

        Returns:
            Ids in which it stands in the place of an image that is gone, and whose file was another.

        Raises:
            ValueError: the id is no plain name.
            FileExistsError: there is an image of that id, or a file of that name.
        """
        place = self._place(image, file)
        with self._database.reading() as connection:
            of_fold = self._ours, images.c.folded == folded(image)
            rows = connection.execute(select(images).where(*of_fold)).all()
        if place.is_symlink() or place.exists() or any(row.state != GONE for row in rows):
            raise FileExistsError(f"there is an image {image!r:.80} already; remove it first, or use another id")
        state = file.stat()
        return [row.id for row in rows if (row.size, row.mtime_ns) != (state.st_size, state.st_mtime_ns)]

    def _place(self, image: str, file: Path) -> Path:
        suffix = file.name[len(id_of(file.name)) :]
        name = check_image_id(image) + suffix
        if id_of(name) != image or is_own(name) or not has_image_suffix(name):
            raise ValueError(f"image id {image!r:.80} with {suffix} is not the name of an image")
        return self._folder.path / name

    def add(self, image: str, file: Path, facts: Mapping[str, Any]) -> None:
        """Move a file into the folder under an id that was checked; the image's lock is held.

        Raises:
            ValueError: too much is noted.
            OSError: the file cannot be moved there.
        """
        place, state = self._place(image, file), file.stat()
        text = to_text(facts)
        sync(file)
        with self._database.writing() as connection:
            file.replace(place)
            sync(self._folder.path)
            gone = self._ours, images.c.id == image, images.c.state == GONE
            other = or_(images.c.size != state.st_size, images.c.mtime_ns != state.st_mtime_ns)
            begun = {"facts": to_text({"ts": int(time.time()), "name": place.name})}
            connection.execute(images.update().where(*gone, other).values(begun))  # they were of another picture
            self._settle(connection, image, [place.name])
            row = self.require(connection, image)
            add_facts(connection, images.c.facts, images.c.key == row.key, json.loads(text))

    def look_at(self, names: Iterable[str]) -> list[str]:
        """Compare rows with files that came, changed or went; returns the ids of images that were not there before."""
        appeared = []
        for name in names:
            if is_servable(name) and (self._folder.look_at_image(name) is not None or self._is_known(name)):
                image = id_of(name)
                with self._folder.lock(image), self._database.writing(durable=False) as connection:
                    appeared += self._settle(connection, image, [name])
        return appeared

    def _is_known(self, name: str) -> bool:
        """Whether a file is or was an image; one that is called like an image may be."""
        if is_own(name) or has_image_suffix(name):
            return not is_own(name)
        by_row = select(images.c.key).where(self._ours, images.c.folded == folded(name), images.c.file == name)
        by_spare = select(spares.c.file).where(spares.c.store == self._holding.key, spares.c.file == name)
        with self._database.reading() as connection:
            return any(connection.execute(query).first() is not None for query in (by_row, by_spare))

    def look_again(self, image: str) -> None:
        """Compare the row of an image with its file."""
        with self._folder.lock(image), self._database.writing(durable=False) as connection:
            self._settle(connection, image, [])

    def _settle(self, connection: Connection, image: str, names: Iterable[str]) -> list[str]:
        """Let rows and spares be as the files are of all ids that are one on some disks: one of the files is served.

        Args:
            connection: in a writing transaction.
            image: one of the ids.
            names: of files that may be new.

        Returns:
            The id that is served, where it was not before.
        """
        fold = folded(image)
        of_fold = spares.c.store == self._holding.key, spares.c.folded == fold
        rows = list(connection.execute(select(images).where(self._ours, images.c.folded == fold)))
        rows.sort(key=lambda row: (row.state == GONE, row.id != image, row.id))
        known = {*connection.execute(select(spares.c.file).where(*of_fold)).scalars(), *names, *(r.file for r in rows)}
        found = [self._folder.look_at_image(name) for name in sorted(known)]
        there = {file.name: file for file in found if file is not None}
        served = next((there[row.file] for row in rows if row.file in there), None)
        if served is None:  # of the others rather one of the same id
            first = rows[0].id if rows else image
            served = min(there.values(), key=lambda file: (id_of(file.name) != first, file.name), default=None)
        now = None if served is None else id_of(served.name)
        row = next((row for row in rows if row.id == now), None)
        others = [other.key for other in rows if other.id != now and other.state != GONE]
        if others:
            self.mark_gone(connection, others)
        if served is not None and row is None:
            self.insert(connection, [(id_of(served.name), served)], {})
        elif served is not None and row is not None:
            self._update(connection, row, served)
        connection.execute(spares.delete().where(*of_fold))
        for name in there:
            if served is not None and name != served.name:
                values = {"store": self._holding.key, "file": name, "folded": fold}
                connection.execute(self._database.insert(spares).values(values).on_conflict_do_nothing())
        return [] if now is None or (row is not None and row.state != GONE) else [now]

    def insert_gone(self, ids: Iterable[str]) -> None:
        """Begin rows of images whose files are not there, and nobody knows what these were called."""
        with self._database.writing(durable=False) as connection:
            self.insert(connection, [(image, Found(f"{image}.png", 0, 0)) for image in ids], {}, GONE)

    def insert(
        self,
        connection: Connection,
        new: Iterable[tuple[str, Found]],
        adopted: Mapping[str, Mapping[str, Any]],
        state: int = OPEN,
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
                "folded": folded(image),
                "file": file.name,
                "size": file.size,
                "mtime_ns": file.mtime_ns,
                "state": state,
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
        is_other = (row.size, row.mtime_ns, row.file) != (file.size, file.mtime_ns, file.name)
        if is_other:
            connection.execute(scores.delete().where(scores.c.image == row.key))  # they were of other pixels
            values = {"file": file.name, "size": file.size, "mtime_ns": file.mtime_ns}
            connection.execute(images.update().where(images.c.key == row.key).values(values))
        state = row.state
        if state == UNREADABLE and is_other:
            facts = {name: value for name, value in json.loads(row.facts).items() if name != REASON}
            connection.execute(images.update().where(images.c.key == row.key).values(facts=to_text(facts)))
        if state == GONE or (state == UNREADABLE and is_other):
            final = select(labels.c.key).where(labels.c.image == row.key, labels.c.tag == FINAL, labels.c.is_current)
            state = LABELLED if connection.execute(select(exists(final))).scalar_one() else OPEN
            connection.execute(images.update().where(images.c.key == row.key).values(state=state))
            connection.execute(scores.update().where(scores.c.image == row.key).values(is_open=state == OPEN))
        if is_other and state == LABELLED and row.mtime_ns:  # else nobody knows what it was
            logger.warning(
                "The file of an image with a label %r has changed: the label may be of another picture", FINAL
            )

    def remove(self, image: str, labels_: Iterable[Path]) -> None:
        """Remove an image, then its labels and rows; a spare of its id takes its place. The image's lock is held.

        Args:
            image: id.
            labels_: files of its newest labels.

        Raises:
            ImageNotFoundException: there is no such image.
            OSError: its file cannot be removed; nothing else is then.
        """
        with self._database.writing() as connection:
            row = self.require(connection, image)
            (self._folder.path / row.file).unlink(missing_ok=True)
            remove_files(labels_)
            connection.execute(images.delete().where(images.c.key == row.key))
            self._settle(connection, image, [])


def set_state(connection: Connection, key: int, state: int) -> None:
    """Let an image whose file is there, and its scores, be labelled or open."""
    at = images.c.key == key, images.c.state.not_in((GONE, state))
    if connection.execute(images.update().where(*at).values(state=state)).rowcount:
        connection.execute(scores.update().where(scores.c.image == key).values(is_open=state == OPEN))
