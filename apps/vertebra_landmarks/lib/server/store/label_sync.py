"""Row and newest file of a label are made to agree, and what people put there by hand is kept.

A newest file that differs from its row's was changed by somebody else, and becomes a version. One that is no whole
label may be one that is being copied: it is left alone while it is new, and put aside under another name afterwards.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, func, select

from ..filenames import is_inside
from .images import FINAL, Images, set_state
from .label_files import aside_of, digest_of, is_whole, next_version, read_version, write_version, write_whole
from .schema import LABELLED, OPEN, images, labels
from .store_context import Holding, to_text
from .studies_folder import TAGS, Found

logger = logging.getLogger(__name__)

MOST_TAGS = 100
"""Different label tags of one image; those that every folder has can be added even then."""
WRITING_S = 10.0
"""A file that changed so lately may still be written."""


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


class Settling:
    """Rows and newest files of labels. Whoever calls holds the image's lock, so that nothing changes meanwhile."""

    def __init__(self, holding: Holding, images_: Images) -> None:
        self._holding, self._folder, self._database = holding, holding.folder, holding.database
        self._images = images_

    def known(self, image: str, tag: str, even_gone: bool = False) -> Known:
        """What the database says.

        Args:
            image: id.
            tag: of the label.
            even_gone: also of an image whose file is not there.

        Raises:
            ImageNotFoundException: there is no such image.
        """
        with self._database.reading() as connection:
            key = self._images.require(connection, image, even_gone).key
            query = select(labels).where(labels.c.image == key, labels.c.tag == tag)
            last = connection.execute(query.order_by(labels.c.version.desc()).limit(1)).one_or_none()
        return Known(key, image, tag, last, last.version if last is not None else 0)

    def append(
        self, known: Known, content: bytes, facts: Mapping[str, Any], placed: Found | None, durable: bool = True
    ) -> tuple[int, int]:
        """Write a version's file and row; returns its number and the row's key.

        Args:
            known: the label as it was.
            content: of the version.
            facts: about it.
            placed: the newest file, where it says this already.
            durable: the version outlives a power cut.

        Raises:
            ValueError: there are too many facts or tags, or the tag differs from another in case only.
            OSError: the file cannot be written.
        """
        if not known.last and known.tag not in TAGS:
            self._check_new_tag(known)
        number = next_version(self._folder, known.image, known.tag, known.last)
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
            self._end_current(connection, known)
            key = connection.execute(labels.insert().values(row)).inserted_primary_key
            if known.tag == FINAL:
                set_state(connection, known.key, LABELLED)
        assert key is not None
        return number, int(key[0])

    def _check_new_tag(self, known: Known) -> None:
        self._check_spelling(known.tag)
        tags = select(func.count(labels.c.tag.distinct())).where(labels.c.image == known.key)
        with self._database.reading() as connection:
            if connection.execute(tags).scalar_one() >= MOST_TAGS:
                raise ValueError(f"an image may have labels of {MOST_TAGS} tags at most")

    def _check_spelling(self, tag: str) -> None:
        other = self._folder.other_spelling(tag)
        if other is not None:
            raise ValueError(f"label tag {tag!r:.80} is the folder of {other!r:.80} on some disks: use that")

    def place(self, key: int, path: Path, content: bytes) -> None:
        """Make the newest file say what its row does.

        Raises:
            OSError: it cannot be written.
            ValueError: its folder leads out of the studies folder.
        """
        if not is_inside(path.parent, self._folder.path):
            raise ValueError(f"labels {path.parent.name!r:.80} lie outside the studies folder")
        write_whole(path, content)
        placed = self._folder.look(path)
        if placed is not None:
            self._note_placed(key, placed)

    def _note_placed(self, key: int, placed: Found) -> None:
        self._update(key, {"is_placed": True, "size": placed.size, "mtime_ns": placed.mtime_ns})

    def _update(self, key: int, values: Mapping[str, Any]) -> None:
        with self._database.writing(durable=False) as connection:
            connection.execute(labels.update().where(labels.c.key == key).values(values))

    def settle(
        self, known: Known, facts: Mapping[str, Any] | None = None, durable: bool = True, may_repair: bool = False
    ) -> bool:
        """Let row and newest file agree; returns whether anything had to be done.

        Args:
            known: the label.
            facts: of a label that has no row yet.
            durable: what becomes a version outlives a power cut.
            may_repair: put the label back where an old file is no whole label, or is an earlier version that a power
                cut brought back.

        Raises:
            OSError: a file cannot be read or written.
            ValueError: the file of the version is damaged, or no version can be made; see ``append``.
        """
        path = self._folder.label(known.image, known.tag)
        found, row = self._folder.look(path), known.row
        if found is None:
            if row is not None and row.is_placed:
                self.let_go(known)
            elif row is not None:
                self.place(row.key, path, self.content(known.image, row))
            return row is not None
        if row is not None and row.is_placed and (row.size, row.mtime_ns) == (found.size, found.mtime_ns):
            return False
        content = path.read_bytes()
        digest = digest_of(content)
        if row is not None and digest == row.digest:
            self._note_placed(row.key, found)
        elif not is_whole(content):
            self._settle_damaged(known, path, found, may_repair)
        else:
            earlier = self._earlier(known, digest)
            is_put_there = row is None or earlier is None or (row.is_placed and _came_at(path, found) > row.mtime_ns)
            if is_put_there:
                noted = json.loads(earlier.facts) if earlier else facts or {}
                self.append(known, content, {"ts": int(time.time()), **noted, "name": path.name}, found, durable)
            elif row is not None and (may_repair or not row.is_placed):
                self.place(row.key, path, self.content(known.image, row))
        return True

    def _settle_damaged(self, known: Known, path: Path, found: Found, may_repair: bool) -> None:
        row = known.row
        if time.time() - found.mtime_ns / 1e9 < WRITING_S:
            return
        if row is not None and (may_repair or not row.is_placed):
            content = self.content(known.image, row)
            self._put_aside(known, path)
            self.place(row.key, path, content)
        elif row is None and may_repair:
            logger.warning("A file among the labels %r holds no JSON object and is no label", known.tag)

    def make_way(self, known: Known) -> Known:
        """Keep what the newest file says before another takes its place: as a version, or under another name.

        Returns:
            The label as it is then.

        Raises:
            ValueError: the tag is new, and differs from another in case only.
            OSError: the file can neither be read nor put aside.
        """
        if not known.last and known.tag not in TAGS:
            self._check_spelling(known.tag)
        try:
            if not self.settle(known):
                return known
        except (OSError, ValueError) as error:
            logger.warning("A label %r could not be compared with its file: %s", known.tag, type(error).__name__)
        known = self.known(known.image, known.tag, even_gone=True)
        path = self._folder.label(known.image, known.tag)
        if self._folder.look(path) is not None and not self._is_kept(known, path):
            self._put_aside(known, path)
        return known

    def _is_kept(self, known: Known, path: Path) -> bool:
        try:
            return self._earlier(known, digest_of(path.read_bytes())) is not None
        except OSError:
            return False

    def _put_aside(self, known: Known, path: Path) -> None:
        if known.row is not None:
            self._update(known.row.key, {"is_placed": False})  # so that nobody takes the label for removed
        path.replace(aside_of(path))
        logger.warning("A file among the labels %r is no whole label and was put aside as .damaged", known.tag)

    def _earlier(self, known: Known, digest: str) -> Row[Any] | None:
        """The newest version of this content."""
        at = labels.c.image == known.key, labels.c.tag == known.tag, labels.c.digest == digest
        with self._database.reading() as connection:
            query = select(labels).where(*at).order_by(labels.c.version.desc()).limit(1)
            return connection.execute(query).one_or_none()

    def let_go(self, known: Known) -> None:
        """Let the image have no such label; its versions stay."""
        with self._database.writing() as connection:
            self._end_current(connection, known)
            if known.tag == FINAL:
                set_state(connection, known.key, OPEN)

    def _end_current(self, connection: Connection, known: Known) -> None:
        """Let no version be the newest one, also none of a writer who was killed while the database still committed."""
        connection.execute(select(images.c.key).where(images.c.key == known.key).with_for_update())  # waits for that
        at = labels.c.image == known.key, labels.c.tag == known.tag, labels.c.is_current
        connection.execute(labels.update().where(*at).values(is_current=False))

    def content(self, image: str, row: Row[Any]) -> bytes:
        """What a version says; see ``read_version``."""
        return read_version(self._folder, image, row.tag, row.version, row.digest)


def _came_at(path: Path, found: Found) -> int:
    """When a file came to its place, in ns: a copy that keeps the time of its original came later than that says."""
    try:
        return max(found.mtime_ns, path.stat().st_ctime_ns)
    except OSError:  # removed in this moment
        return found.mtime_ns
