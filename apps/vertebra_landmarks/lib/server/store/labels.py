"""The labels: every version in a file of its own and in a row, and the newest where people look for it.

A label is saved in this order: the file of its version; the row, whose commit makes it true; the newest file. Whoever
is killed in between leaves a row that says "not placed", and the next who looks puts the newest file in its place.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

from monailabel.interfaces.exception import ImageNotFoundException, LabelNotFoundException
from sqlalchemy import Connection, Row, select

from ..filenames import check_tag, is_inside
from .images import Images
from .label_files import is_whole
from .label_sync import Known, Settling
from .schema import GONE, images, labels
from .store_context import Holding, add_facts
from .studies_folder import is_storable

logger = logging.getLogger(__name__)


class Labels:
    """The labels of a studies folder."""

    def __init__(self, holding: Holding, images_: Images) -> None:
        self._holding, self._folder, self._database = holding, holding.folder, holding.database
        self._images, self._settling = images_, Settling(holding, images_)

    def current(self, connection: Connection, image: str, tag: str) -> Row[Any] | None:
        """The row of the newest version; ``None`` if the image has no label of the tag."""
        if not is_storable(image) or not is_storable(tag):
            return None
        query = select(labels).join(images, images.c.key == labels.c.image)
        query = query.where(images.c.store == self._holding.key, images.c.id == image, images.c.state != GONE)
        return connection.execute(query.where(labels.c.tag == tag, labels.c.is_current)).one_or_none()

    def require(self, connection: Connection, image: str, tag: str) -> Row[Any]:
        """The same.

        Raises:
            LabelNotFoundException: there is no such label.
        """
        row = self.current(connection, image, tag)
        if row is None:
            raise LabelNotFoundException(f"image {image!r:.80} has no label {tag!r:.80}")
        return row

    def uri(self, image: str, tag: str) -> str:
        """Path of the newest label; "" if the image has none of that tag in the folder."""
        with self._database.reading() as connection:
            row = self.current(connection, image, tag)
        if row is None:
            return ""
        if not row.is_placed:
            try:
                self.look_at(image, tag)
            except (OSError, ValueError) as error:  # the next who looks tries again
                logger.warning("The newest label %r could not be put in its place: %s", tag, type(error).__name__)
        path = self._folder.label(image, tag)
        return str(path.resolve()) if self._folder.look(path) else ""

    def tags(self, image: str) -> list[str]:
        """Tags of which the image has a label."""
        with self._database.reading() as connection:
            row = self._images.find(connection, image)
            query = select(labels.c.tag).where(labels.c.image == (row and row.key), labels.c.is_current)
            return [] if row is None else list(connection.execute(query.order_by(labels.c.tag)).scalars())

    def facts(self, image: str, tag: str) -> dict[str, Any]:
        """What is noted about the newest version; nothing if there is no such label."""
        with self._database.reading() as connection:
            row = self.current(connection, image, tag)
        return {} if row is None else json.loads(row.facts)

    def note(self, image: str, tag: str, facts: Mapping[str, Any]) -> None:
        """Note facts about the newest version.

        Raises:
            LabelNotFoundException: there is no such label.
            ValueError: too much is noted about it.
        """
        with self._database.writing() as connection:
            row = self.require(connection, image, tag)
            add_facts(connection, labels.c.facts, labels.c.key == row.key, facts)

    def save(self, image: str, tag: str, content: bytes, facts: Mapping[str, Any]) -> int:
        """Keep a label as the newest version, and return its number.

        Raises:
            ValueError: the tag is no plain name or leads out of the folder, the content is no JSON object, or there
                are too many facts or tags, or the tag differs from another in case only.
            ImageNotFoundException: there is no such image.
            OSError: it cannot be written.
        """
        check_tag(tag)
        if not is_whole(content):
            raise ValueError("a label must be a JSON object")
        path = self._folder.label(image, tag)
        if not is_inside(path.parent, self._folder.path):
            raise ValueError(f"labels {tag!r} lie outside the studies folder")
        with self._folder.lock(image):
            known = self._settling.make_way(self._settling.known(image, tag))
            noted = {**facts, "ts": int(time.time()), "name": path.name}
            number, row = self._settling.append(known, content, noted, None)
            try:
                self._settling.place(row, path, content)
            except (OSError, ValueError) as error:  # it is saved, and the next who looks puts it in its place
                logger.warning("A label %r is saved, but not in its place yet: %s", tag, type(error).__name__)
        return number

    def look_at(
        self,
        image: str,
        tag: str,
        facts: Mapping[str, Any] | None = None,
        durable: bool = True,
        may_repair: bool = False,
    ) -> None:
        """Let row and newest file of a label agree; see ``Settling.settle``.

        Raises:
            OSError, ValueError: they cannot.
        """
        if not is_storable(tag):
            return
        with self._folder.lock(image), suppress(ImageNotFoundException):
            self._settling.settle(self._settling.known(image, tag), facts, durable, may_repair)

    def placed(self, tag: str, only: Collection[str] | None = None) -> dict[str, tuple[bool, int, int]]:
        """By image, whether the newest label of the tag is in its place, and the size and time of its file then.

        Args:
            tag: of the labels.
            only: ids to ask for; else all.
        """
        query = select(images.c.id, labels.c.is_placed, labels.c.size, labels.c.mtime_ns)
        query = query.join(labels, labels.c.image == images.c.key).where(images.c.store == self._holding.key)
        query = query.where(images.c.state != GONE, labels.c.tag == tag, labels.c.is_current)
        if only is not None:
            query = query.where(images.c.id.in_([image for image in only if is_storable(image)]))
        with self._database.reading() as connection:
            return {row.id: tuple(row)[1:] for row in connection.execute(query)}

    def changed(self, tag: str, only: Collection[str]) -> list[str]:
        """Those of some images whose newest label's file is not as it was placed, so that it must be looked at."""
        if not is_storable(tag):
            return []
        rows = self.placed(tag, only)
        found = {image: self._folder.look(self._folder.label(image, tag)) for image in only}
        now = {image: None if file is None else (True, file.size, file.mtime_ns) for image, file in found.items()}
        return sorted(image for image in only if now[image] != rows.get(image))

    def remove(self, image: str, tag: str) -> None:
        """Remove the newest label; its versions stay, and can be restored.

        Raises:
            LabelNotFoundException: there is no such label.
        """
        with self._folder.lock(image):
            if is_storable(tag):
                with suppress(ImageNotFoundException):
                    self._settling.make_way(self._settling.known(image, tag))
            with self._database.reading() as connection:
                self.require(connection, image, tag)
            self._take_away(self._settling.known(image, tag))

    def retire(self, image: str) -> None:
        """Remove the newest labels of an image that is gone, before another picture takes its id; the lock is held.

        Raises:
            ImageNotFoundException: there never was such an image.
            OSError: a file cannot be removed.
        """
        with self._database.reading() as connection:
            key = self._images.require(connection, image, even_gone=True).key
            query = select(labels.c.tag).where(labels.c.image == key, labels.c.is_current)
            tags = list(connection.execute(query).scalars())
        for tag in tags:
            self._take_away(self._settling.make_way(self._settling.known(image, tag, even_gone=True)))

    def _take_away(self, known: Known) -> None:
        path = self._folder.label(known.image, known.tag)
        if is_inside(path.parent, self._folder.path):
            path.unlink(missing_ok=True)
        self._settling.let_go(known)

    def history(self, image: str, tag: str) -> list[dict[str, Any]]:
        """All versions, oldest first: number, digest, facts, and whether it is the newest that counts."""
        with self._database.reading() as connection:
            found = self._images.find(connection, image) if is_storable(tag) else None
            if found is None:
                return []
            query = select(labels).where(labels.c.image == found.key, labels.c.tag == tag).order_by(labels.c.version)
            rows = connection.execute(query).all()
        return [
            {
                "version": row.version,
                "digest": row.digest,
                "info": json.loads(row.facts),
                "is_current": row.is_current,
            }
            for row in rows
        ]

    def version(self, image: str, tag: str, number: int) -> tuple[bytes, dict[str, Any]]:
        """Content and facts of a version.

        Raises:
            ImageNotFoundException: there is no such image.
            LabelNotFoundException: there is no such version.
            OSError: its file is not there.
            ValueError: it is damaged.
        """
        with self._database.reading() as connection:
            key = self._images.require(connection, image).key
            at = labels.c.image == key, labels.c.tag == tag, labels.c.version == number
            row = connection.execute(select(labels).where(*at)).one_or_none() if is_storable(tag) else None
        if row is None:
            raise LabelNotFoundException(f"image {image!r:.80} has no version {number} of label {tag!r:.80}")
        return self._settling.content(image, row), json.loads(row.facts)

    def restore(self, image: str, tag: str, number: int, facts: Mapping[str, Any]) -> int:
        """Save the content of a version once more as the newest, and return the number that it has now.

        Raises:
            ImageNotFoundException, LabelNotFoundException, OSError, ValueError: see ``version``.
        """
        content, noted = self.version(image, tag, number)
        return self.save(image, tag, content, {**noted, **facts, "restored": number})
