"""Reconciles a label's row with its file: external edits become versions; incomplete files are moved aside.

A current file that differs from its row was changed from outside, and becomes a version. One that is no complete JSON
object may still be being copied: it is left alone while it is new, and moved aside as ``.damaged`` afterwards.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import BindParameter, Connection, Row, Select, and_, bindparam, func, select

from ...spine.atomic_write import atomic_write
from ..filenames import is_inside
from .images import Images, not_found, note_label, saved_at_of
from .schema import GONE, images, labels, readings
from .store_context import StoreContext, metadata_json
from .studies_folder import TAGS, FileEntry, StudiesFolder, StudiesUnavailableError, is_storable, sync

logger = logging.getLogger(__name__)

MAX_TAGS = 100
"""Different label tags of one image, beside those that every folder has."""
ANONYMOUS = "anybody"
"""The user of a server without a login."""
MAX_TIMESTAMP = 1e11
"""In seconds since 1970, of times that are shown."""
WRITE_GRACE_S = 10.0
"""A file modified more recently may still be being written."""
Claim = Callable[[Connection, int], None]
"""Notes in a writing transaction where a label version, by its key, has come from."""


def _state_query() -> Select[Any]:
    """The image, if it is there, and the last version of its label, by ``store``, ``image`` and ``tag``."""
    of_last = labels.alias()
    tag: BindParameter[str] = bindparam("tag")
    newest = select(func.max(of_last.c.version)).where(of_last.c.image == images.c.key, of_last.c.tag == tag)
    last = and_(labels.c.image == images.c.key, labels.c.tag == tag, labels.c.version == newest.scalar_subquery())
    query = select(labels, images.c.key.label("of_image")).select_from(images).outerjoin(labels, last)
    return query.where(images.c.store == bindparam("store"), images.c.id == bindparam("image"))


_ANY_STATE = _state_query()
_STATE = _ANY_STATE.where(images.c.state != GONE)
"""Built once: that takes longer than to ask, and every save asks."""


def is_whole(content: bytes) -> bool:
    """Whether content is one complete JSON object."""
    try:
        return isinstance(json.loads(content), dict)
    except (ValueError, RecursionError):
        return False


def digest_of(content: bytes) -> str:
    """SHA-256 of a label, in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def write_atomically(path: Path, content: bytes) -> None:
    """Write or replace a file, whose folder is created.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


def quarantine_path(path: Path) -> Path:
    """A new name beside a damaged label, under which it is no label."""
    return path.with_name(f".{path.name[:60]}.{uuid.uuid4().hex[:12]}.damaged")


def labeller(metadata: Mapping[str, Any]) -> str:
    """Who saved a label: the name of the login; without one, the name that the annotator entered; "" if unknown."""
    named = (metadata.get("user"), metadata.get("annotator"))
    return next((name for name in named if isinstance(name, str) and name not in ("", ANONYMOUS)), "")


class SaveRefusedError(Exception):
    """A label was not saved; raised before the commit, so that the version's file is removed again."""


class LabelConflictError(SaveRefusedError):
    """A label would replace a newer one than that which its writer has seen; nothing was saved.

    Args:
        image: its id.
        tag: of the label.
        version: of the newer label.
        metadata: of the newer label.
    """

    def __init__(self, image: str, tag: str, version: int, metadata: Mapping[str, Any]) -> None:
        who, saved_at = labeller(metadata), metadata.get("ts")
        by, at = f" by {who:.80}" if who else "", ""
        if isinstance(saved_at, (int, float)) and 0 <= saved_at < MAX_TIMESTAMP:
            at = time.strftime(" on %Y-%m-%d at %H:%M UTC", time.gmtime(saved_at))
        super().__init__(
            f"image {image!r:.80} has a newer label {tag!r:.80}, version {version}, saved{by}{at}: nothing was replaced"
        )
        self.version = version


class LabelState(NamedTuple):
    """What the database says about a label.

    Attributes:
        key: of the image.
        image: its id.
        tag: of the label.
        newest: row of the last version, even if it was removed since; ``None`` if there is none.
        last: number of that version, 0 if there is none.
    """

    key: int
    image: str
    tag: str
    newest: Row[Any] | None
    last: int

    @property
    def row(self) -> Row[Any] | None:
        """Row of the current version; ``None`` if the image has no such label."""
        return self.newest if self.newest is not None and self.newest.is_current else None


class LabelSync:
    """Keeps rows, version files and current files of labels consistent. The caller holds the image's lock."""

    def __init__(self, context: StoreContext, images_: Images) -> None:
        self._context, self._folder, self._database = context, context.folder, context.database
        self._images = images_

    def state(self, image: str, tag: str, even_gone: bool = False) -> LabelState:
        """What the database says about a label.

        Args:
            image: id.
            tag: of the label.
            even_gone: also of an image whose file is missing.

        Raises:
            ImageNotFoundException: there is no such image.
        """
        with self._database.reading() as connection:  # one question: every save asks it
            row = None
            if is_storable(image):
                asked = {"store": self._context.key, "image": image, "tag": tag}
                row = connection.execute(_ANY_STATE if even_gone else _STATE, asked).one_or_none()
            if row is None:
                raise not_found(image)
        return LabelState(row.of_image, image, tag, None if row.key is None else row, row.version or 0)

    def add_version(
        self,
        state: LabelState,
        content: bytes,
        metadata: Mapping[str, Any],
        placed: FileEntry | None,
        durable: bool = True,
        base_version: int | None = None,
        number: int = 0,
        claim: Claim | None = None,
    ) -> tuple[int, int]:
        """Write the file and the row of a new current version; returns its number and the row's key.

        Args:
            state: of the label before.
            content: of the version.
            metadata: of the version.
            placed: the current file, where it has this content already.
            durable: the version survives a power loss.
            base_version: the version that the writer has seen, 0 for none; ``None`` where that does not matter.
            number: lowest number that it may have.
            claim: called in the transaction.

        Raises:
            LabelConflictError: the current version is another one, with other content.
            SaveRefusedError: the claim has refused it.
            ValueError: the metadata is too long, there are too many tags, or the tag differs from another in case only.
            OSError: the file cannot be written.
        """
        if not state.last and state.tag not in TAGS:
            self._check_new_tag(state)
        number = _next_version(self._folder, state.image, state.tag, max(state.last, number - 1))
        row = self._row(state, number, content, metadata, placed)
        self._write_version(state, number, content, durable)
        self._folder.check_available()  # else the file lies where a share is not mounted
        try:
            with self._database.writing(durable) as connection:
                present = self._locked(connection, state)
                if base_version is not None:
                    self._check_base(state, present, base_version, str(row["digest"]))
                self._end_current(connection, present)
                key = self._insert(connection, row, claim)
                note_label(connection, state.key, state.tag, saved_at_of(metadata), present.state)
        except SaveRefusedError:
            _version_path(self._folder, state.image, state.tag, number).unlink(missing_ok=True)
            raise
        return number, key

    def add_past(
        self, state: LabelState, number: int, content: bytes, metadata: Mapping[str, Any], claim: Claim
    ) -> None:
        """Write the file and the row of a version that is not the current one.

        Args:
            state: of the label.
            number: of the version, which has neither row nor file.
            content: of the version.
            metadata: of the version.
            claim: called in the transaction.

        Raises:
            ValueError: the metadata is too long.
            OSError: the file cannot be written.
        """
        row = {**self._row(state, number, content, metadata, None), "is_current": False}
        self._write_version(state, number, content, durable=True)
        with self._database.writing() as connection:
            self._insert(connection, row, claim)

    def _row(
        self, state: LabelState, number: int, content: bytes, metadata: Mapping[str, Any], placed: FileEntry | None
    ) -> dict[str, Any]:
        return {
            "store": self._context.key,
            "image": state.key,
            "tag": state.tag,
            "version": number,
            "digest": digest_of(content),
            "facts": metadata_json(metadata),
            "is_current": True,
            "is_placed": placed is not None,
            "size": placed.size if placed else 0,
            "mtime_ns": placed.mtime_ns if placed else 0,
        }

    @staticmethod
    def _insert(connection: Connection, row: Mapping[str, Any], claim: Claim | None) -> int:
        key = connection.execute(labels.insert().values(row)).inserted_primary_key
        assert key is not None
        if claim is not None:
            claim(connection, int(key[0]))
        return int(key[0])

    @staticmethod
    def _check_base(state: LabelState, row: Row[Any], base_version: int, digest: str) -> None:
        """Raise if a label that the writer has not seen would be replaced by one of other content."""
        if row.key is not None and row.version != base_version and row.digest != digest:
            raise LabelConflictError(state.image, state.tag, row.version, json.loads(row.facts))

    def _check_new_tag(self, state: LabelState) -> None:
        self._check_spelling(state.tag)
        tags = select(func.count(labels.c.tag.distinct())).where(labels.c.image == state.key)
        with self._database.reading() as connection:
            if connection.execute(tags).scalar_one() >= MAX_TAGS:
                raise ValueError(f"an image may have labels of {MAX_TAGS} tags at most")

    def _check_spelling(self, tag: str) -> None:
        other = self._folder.other_spelling(tag)
        if other is not None:
            raise ValueError(f"label tag {tag!r:.80} is the folder of {other!r:.80} on some disks: use that")

    def _write_version(self, state: LabelState, number: int, content: bytes, durable: bool) -> None:
        path = _version_path(self._folder, state.image, state.tag, number)
        is_new = not path.parent.is_dir()
        write_atomically(path, content)
        if durable:
            sync(path, path.parent, *([path.parent.parent, path.parent.parent.parent] if is_new else []))

    def content(self, image: str, row: Row[Any]) -> bytes:
        """Content of a version.

        Raises:
            OSError: its file is missing.
            ValueError: it is damaged, or lies outside the studies folder.
        """
        try:
            content = _version_path(self._folder, image, row.tag, row.version).read_bytes()
        except FileNotFoundError:
            self._folder.check_available()
            raise
        if digest_of(content) != row.digest:
            raise ValueError(f"version {row.version} of label {row.tag!r} is damaged on the disk")
        return content

    def write_current(self, key: int, path: Path, content: bytes) -> None:
        """Write the current file of a label to match its row.

        Raises:
            OSError: it cannot be written.
            ValueError: its folder leads out of the studies folder.
        """
        if not is_inside(path.parent, self._folder.path):
            raise ValueError(f"labels {path.parent.name!r:.80} lie outside the studies folder")
        write_atomically(path, content)
        entry = self._folder.entry(path)
        if entry is not None:
            self._record_placed(key, entry)

    def _record_placed(self, key: int, entry: FileEntry) -> None:
        self._update(key, {"is_placed": True, "size": entry.size, "mtime_ns": entry.mtime_ns})

    def _update(self, key: int, values: Mapping[str, Any]) -> None:
        self._database.update(labels.update().where(labels.c.key == key).values(values))

    def reconcile(
        self,
        state: LabelState,
        metadata: Mapping[str, Any] | None = None,
        durable: bool = True,
        may_repair: bool = False,
    ) -> bool:
        """Make the row and the current file of a label agree; returns whether anything had to be done.

        Args:
            state: of the label.
            metadata: of a label that has no row yet.
            durable: what becomes a version survives a power loss.
            may_repair: restore the current file where it is old and incomplete, or an earlier version that a power loss
                brought back.

        Raises:
            OSError: a file cannot be read or written.
            ValueError: the file of the version is damaged, or no version can be added; see ``add_version``.
        """
        path = self._folder.label(state.image, state.tag)
        entry, row = self._folder.entry(path), state.row
        if entry is None:
            if row is not None and row.is_placed:
                self._folder.check_available()  # else all labels would be taken for removed ones
                self.clear_current(state)
            elif row is not None:
                self.write_current(row.key, path, self.content(state.image, row))
            return row is not None
        if row is not None and row.is_placed and (row.size, row.mtime_ns) == (entry.size, entry.mtime_ns):
            return False
        content = path.read_bytes()
        digest = digest_of(content)
        if row is not None and digest == row.digest:
            self._record_placed(row.key, entry)
        elif not is_whole(content):
            self._reconcile_damaged(state, path, entry, may_repair)
        else:
            earlier = self._newest_with(state, digest)
            is_edit = row is None or earlier is None or (row.is_placed and _arrival_ns(path, entry) > row.mtime_ns)
            if is_edit:
                inherited = json.loads(earlier.facts) if earlier else metadata or {}
                metadata = {"ts": int(time.time()), **inherited, "name": path.name}
                self.add_version(state, content, metadata, entry, durable)
            elif row is not None and (may_repair or not row.is_placed):
                self.write_current(row.key, path, self.content(state.image, row))
        return True

    def _reconcile_damaged(self, state: LabelState, path: Path, entry: FileEntry, may_repair: bool) -> None:
        row = state.row
        if time.time() - entry.mtime_ns / 1e9 < WRITE_GRACE_S:
            return
        if row is not None and (may_repair or not row.is_placed):
            content = self.content(state.image, row)
            self._quarantine(state, path)
            self.write_current(row.key, path, content)
        elif row is None and may_repair:
            logger.warning("A file among the labels %r holds no JSON object and is no label", state.tag)

    def preserve_external_edit(self, state: LabelState) -> LabelState:
        """Save the content of the current file before it is replaced: as a version, or moved aside if damaged.

        Returns:
            The label's state then.

        Raises:
            ValueError: the tag is new, and differs from another in case only.
            OSError: the file can neither be read nor moved aside.
        """
        if not state.last and state.tag not in TAGS:
            self._check_spelling(state.tag)
        try:
            if not self.reconcile(state):
                return state
        except StudiesUnavailableError:
            raise
        except (OSError, ValueError) as error:
            logger.warning("A label %r could not be compared with its file: %s", state.tag, type(error).__name__)
        state = self.state(state.image, state.tag, even_gone=True)
        path = self._folder.label(state.image, state.tag)
        if self._folder.entry(path) is not None and not self._is_preserved(state, path):
            self._quarantine(state, path)
        return state

    def _is_preserved(self, state: LabelState, path: Path) -> bool:
        try:
            return self._newest_with(state, digest_of(path.read_bytes())) is not None
        except OSError:
            return False

    def _quarantine(self, state: LabelState, path: Path) -> None:
        if state.row is not None:
            self._update(state.row.key, {"is_placed": False})  # so that the label is not taken for removed
        path.replace(quarantine_path(path))
        logger.warning("A file among the labels %r is no complete label and was moved aside as .damaged", state.tag)

    def _newest_with(self, state: LabelState, digest: str) -> Row[Any] | None:
        """The newest version with this content."""
        at = labels.c.image == state.key, labels.c.tag == state.tag, labels.c.digest == digest
        with self._database.reading() as connection:
            query = select(labels).where(*at).order_by(labels.c.version.desc()).limit(1)
            return connection.execute(query).one_or_none()

    def clear_current(self, state: LabelState) -> None:
        """Leave the image without a current label of this tag, and without its reading; its versions stay.

        Where the label was adjudicated over a reading of the same tag, that reading becomes the label again.
        """
        if self._return_to_reading(state):
            return
        with self._database.writing() as connection:
            present = self._locked(connection, state)
            self._end_current(connection, present)
            note_label(connection, state.key, state.tag, None, present.state)
            numbers = select(func.min(readings.c.number)).where(
                readings.c.image == state.key, readings.c.tag == state.tag, readings.c.is_submitted
            )
            of_label = readings.c.image == state.key, readings.c.number == numbers.scalar_subquery()
            connection.execute(readings.delete().where(*of_label))  # the adjudication before what it was made of

    def _return_to_reading(self, state: LabelState) -> bool:
        """Replace an adjudicated label by the reading of its tag, in one commit; returns whether there is one."""
        at = readings.c.image == state.key, readings.c.tag == state.tag, readings.c.is_submitted
        of_tag = and_(labels.c.image == state.key, labels.c.tag == state.tag, labels.c.version == readings.c.version)
        query = select(labels, readings.c.key.label("reading")).join(readings, of_tag).where(*at)
        with self._database.reading() as connection:
            found: list[Any] = [*connection.execute(query.order_by(readings.c.number)), None, None]
        chosen, row = found[:2]
        if chosen is None or row is None:
            return False

        def claim(connection: Connection, label: int) -> None:
            version = select(labels.c.version).where(labels.c.key == label).scalar_subquery()
            connection.execute(readings.delete().where(readings.c.key == chosen.reading))
            connection.execute(readings.update().where(readings.c.key == row.reading).values(version=version))

        try:
            content = self.content(state.image, row)
        except (FileNotFoundError, ValueError) as error:
            logger.error("A reading that was to be the label again is damaged: %s", type(error).__name__)
            return False
        self.add_version(state, content, {**json.loads(row.facts), "restored": row.version}, None, claim=claim)
        return True  # the next access writes the current file

    @staticmethod
    def _locked(connection: Connection, state: LabelState) -> Row[Any]:
        """State of the image and row of its current label, after a commit that comes late, for a writer killed."""
        connection.execute(select(images.c.key).where(images.c.key == state.key).with_for_update())
        current = and_(labels.c.image == images.c.key, labels.c.tag == state.tag, labels.c.is_current)
        query = select(labels, images.c.state).select_from(images).outerjoin(labels, current)
        return connection.execute(query.where(images.c.key == state.key)).one()

    @staticmethod
    def _end_current(connection: Connection, present: Row[Any]) -> None:
        """Mark no version as current; the image is locked."""
        if present.key is not None:
            connection.execute(labels.update().where(labels.c.key == present.key).values(is_current=False))


def _next_version(folder: StudiesFolder, image: str, tag: str, last: int) -> int:
    """The first number after ``last`` without a file; a killed writer or a lost database may have left some."""
    number = last + 1
    while os.path.lexists(folder.version(image, tag, number)):
        number += 1
    return number


def _version_path(folder: StudiesFolder, image: str, tag: str, number: int) -> Path:
    path = folder.version(image, tag, number)
    if not is_inside(path, folder.path):
        raise ValueError(f"versions of the labels {tag!r:.80} lie outside the studies folder")
    return path


def _arrival_ns(path: Path, entry: FileEntry) -> int:
    """When a file appeared at its path, in ns; a copy that keeps the original's mtime arrived later than that."""
    try:
        return max(entry.mtime_ns, path.stat().st_ctime_ns)
    except OSError:  # removed meanwhile
        return entry.mtime_ns
