"""The labels: every version in a file of its own and in a row, and the newest where people look for it.

A label is saved in this order: the file of its version; the row, whose commit makes it true; the newest file. Whoever
is killed in between leaves a row that says "not placed", and the next who looks puts the newest file in its place. A
newest file that differs from its row's was changed by somebody else, and becomes a version.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from monailabel.interfaces.exception import ImageNotFoundException, LabelNotFoundException
from sqlalchemy import Connection, Row, func, select

from ..names import check_tag, is_inside
from .folder import Found, is_storable
from .holding import Holding, add_facts, to_text
from .images import FINAL, Images, set_state
from .label_files import digest_of, is_whole, read_version, write_version, write_whole
from .tables import GONE, LABELLED, OPEN, images, labels

logger = logging.getLogger(__name__)

MOST_TAGS = 100
"""Different label tags of one image."""


class Known(NamedTuple):
    """What the database says about a label.

    Attributes:
        key: of the image.
        image: its id.
        tag: of the label.
        newest: the row of the last version, whether or not it was removed since; ``None`` if there is none.
        last: its number, 0 if there is none.
    """

    key: int
    image: str
    tag: str
    newest: Row[Any] | None
    last: int

    @property
    def row(self) -> Row[Any] | None:
        """The row of the label as it is now; ``None`` if there is none."""
        return self.newest if self.newest is not None and self.newest.is_current else None


class Labels:
    """The labels of a studies folder."""

    def __init__(self, holding: Holding, images_: Images) -> None:
        self._holding, self._folder, self._database = holding, holding.folder, holding.database
        self._images = images_

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
            self.look_at(image, tag)
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
                are too many facts or tags.
            ImageNotFoundException: there is no such image.
        """
        check_tag(tag)
        if not is_whole(content):
            raise ValueError("a label must be a JSON object")
        for folder in (self._folder.label_folder(tag), self._folder.version(image, tag, 1)):
            if not is_inside(folder, self._folder.path):
                raise ValueError(f"labels {tag!r} lie outside the studies folder")
        with self._folder.lock(image):
            known = self._known(image, tag)
            if self._settle(known, {}, is_quiet=False):  # what somebody put there by hand is kept too
                known = self._known(image, tag)
            path = self._folder.label(image, tag)
            noted = {**facts, "ts": int(time.time()), "name": path.name}
            number, row = self._append(known, content, noted, None)
            self._place(row, path, content)
        return number

    def _known(self, image: str, tag: str) -> Known:
        """What the database says; the image's lock is held, so that it stays true.

        Raises:
            ImageNotFoundException: there is no such image.
        """
        with self._database.reading() as connection:
            key = self._images.require(connection, image).key
            query = select(labels).where(labels.c.image == key, labels.c.tag == tag)
            last = connection.execute(query.order_by(labels.c.version.desc()).limit(1)).one_or_none()
        return Known(key, image, tag, last, last.version if last is not None else 0)

    def _append(
        self, known: Known, content: bytes, facts: Mapping[str, Any], placed: Found | None, durable: bool = True
    ) -> tuple[int, int]:
        """Write a version's file and row; returns its number and the row's key. ``placed``: the newest file has it."""
        number = known.last + 1
        if number == 1:
            self._check_tags(known.key)
        row = {
            "store": self._holding.key,
            "image": known.key,
            "tag": known.tag,
            "version": number,
            "digest": digest_of(content),
            "facts": to_text(facts),
            "is_current": True,
            "is_placed": placed is not None,
            "size": placed.size if placed else 0,
            "mtime_ns": placed.mtime_ns if placed else 0,
        }
        write_version(self._folder, known.image, known.tag, number, content, durable)
        with self._database.writing(durable) as connection:
            if known.row is not None:
                connection.execute(labels.update().where(labels.c.key == known.row.key).values(is_current=False))
            key = connection.execute(labels.insert().values(row)).inserted_primary_key
            if known.tag == FINAL:
                set_state(connection, known.key, LABELLED)
        assert key is not None
        return number, int(key[0])

    def _check_tags(self, image_key: int) -> None:
        tags = select(func.count(labels.c.tag.distinct())).where(labels.c.image == image_key)
        with self._database.reading() as connection:
            if connection.execute(tags).scalar_one() >= MOST_TAGS:
                raise ValueError(f"an image may have labels of {MOST_TAGS} tags at most")

    def _place(self, key: int, path: Path, content: bytes) -> None:
        write_whole(path, content)
        placed = self._folder.look(path)
        if placed is not None:
            self._note_placed(key, placed)

    def _note_placed(self, key: int, placed: Found) -> None:
        values = {"is_placed": True, "size": placed.size, "mtime_ns": placed.mtime_ns}
        with self._database.writing(durable=False) as connection:
            connection.execute(labels.update().where(labels.c.key == key).values(values))

    def look_at(self, image: str, tag: str, facts: Mapping[str, Any] | None = None, is_quiet: bool = False) -> None:
        """Let row and newest file of a label agree.

        Args:
            image: id.
            tag: of the label.
            facts: of a label that has no row yet.
            is_quiet: nobody is writing the file in this moment, so that one which is damaged will stay so.
        """
        if not is_storable(tag):
            return
        with self._folder.lock(image), suppress(ImageNotFoundException):
            self._settle(self._known(image, tag), facts or {}, is_quiet)

    def _settle(self, known: Known, facts: Mapping[str, Any], is_quiet: bool) -> bool:
        """Let row and newest file agree; returns whether anything had to be done."""
        path = self._folder.label(known.image, known.tag)
        found, row = self._folder.look(path), known.row
        if found is None:
            if row is not None and row.is_placed:
                self._let_go(known)
            elif row is not None:
                self._place(row.key, path, self._content(known.image, row))
            return row is not None
        if row is not None and row.is_placed and (row.size, row.mtime_ns) == (found.size, found.mtime_ns):
            return False
        self._settle_content(known, path, found, facts, is_quiet)
        return True

    def _settle_content(self, known: Known, path: Path, found: Found, facts: Mapping[str, Any], is_quiet: bool) -> None:
        content, row = path.read_bytes(), known.row
        digest = digest_of(content)
        earlier = self._earlier(known, digest)
        if row is not None and digest == row.digest:
            self._note_placed(row.key, found)
        elif is_whole(content) and (row is None or earlier is None):
            noted = {"ts": int(time.time()), **(json.loads(earlier.facts) if earlier else facts), "name": path.name}
            self._append(known, content, noted, found, durable=not is_quiet)
        elif row is not None and (is_quiet or not row.is_placed):
            if not is_whole(content):
                path.replace(path.with_name(f".{path.name}.damaged"))
            self._place(row.key, path, self._content(known.image, row))
        elif row is None and is_quiet:
            logger.warning("A file among the labels %r holds no JSON object and is no label", known.tag)

    def _earlier(self, known: Known, digest: str) -> Row[Any] | None:
        """The newest version of this content."""
        at = labels.c.image == known.key, labels.c.tag == known.tag, labels.c.digest == digest
        with self._database.reading() as connection:
            query = select(labels).where(*at).order_by(labels.c.version.desc()).limit(1)
            return connection.execute(query).one_or_none()

    def _let_go(self, known: Known) -> None:
        with self._database.writing() as connection:
            at = labels.c.image == known.key, labels.c.tag == known.tag
            connection.execute(labels.update().where(*at, labels.c.is_current).values(is_current=False))
            if known.tag == FINAL:
                set_state(connection, known.key, OPEN)

    def _content(self, image: str, row: Row[Any]) -> bytes:
        return read_version(self._folder, image, row.tag, row.version, row.digest)

    def remove(self, image: str, tag: str) -> None:
        """Remove the newest label; its versions stay, and can be restored.

        Raises:
            LabelNotFoundException: there is no such label.
        """
        self.look_at(image, tag)  # what somebody put there by hand is kept too
        with self._folder.lock(image):
            with self._database.reading() as connection:
                self.require(connection, image, tag)
            path = self._folder.label(image, tag)
            if is_inside(path.parent, self._folder.path):
                path.unlink(missing_ok=True)
            self._let_go(self._known(image, tag))

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
        return self._content(image, row), json.loads(row.facts)

    def restore(self, image: str, tag: str, number: int, facts: Mapping[str, Any]) -> int:
        """Save the content of a version once more as the newest, and return the number that it has now.

        Raises:
            ImageNotFoundException, LabelNotFoundException, OSError, ValueError: see ``version``.
        """
        content, noted = self.version(image, tag, number)
        return self.save(image, tag, content, {**noted, **facts, "restored": number})

    def files(self, image: str) -> list[Path]:
        """All files of an image's labels, versions included; its newest labels' only where they lie in the folder."""
        with self._database.reading() as connection:
            key = self._images.require(connection, image).key
            rows = connection.execute(select(labels.c.tag, labels.c.version).where(labels.c.image == key)).all()
        newest = {self._folder.label(image, row.tag) for row in rows}
        versions = {self._folder.version(image, row.tag, row.version) for row in rows}
        return sorted(path for path in newest | versions if is_inside(path.parent, self._folder.path))
