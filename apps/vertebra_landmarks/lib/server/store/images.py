"""Images: one row per id, reconciled with files that appear, change or vanish."""

from __future__ import annotations

import json
import logging
import math
import random
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from monailabel.interfaces.exception import ImageNotFoundException
from sqlalchemy import Connection, Row, exists, func, or_, select

from ...learning.weights.weight_files import file_digest
from ...spine.imaging.image_frame import ImageFrame
from ...spine.imaging.image_geometry import ImageGeometry
from ...spine.imaging.orientation import Orientation
from ..filenames import casefold_key, check_image_id
from ..models import FileSignature, file_signature
from .schema import GONE, LABELLED, OPEN, UNREADABLE, images, labels, scores, spares
from .store_context import StoreContext, merge_metadata, metadata_json
from .studies_folder import (
    FileEntry,
    FileState,
    has_image_suffix,
    id_of,
    is_reserved,
    is_servable,
    is_storable,
    remove_files,
    sync,
)

logger = logging.getLogger(__name__)

FINAL, PREDICTED = "final", "original"
"""Tags of the labels of annotators and of predictions."""
MAX_TIME_S = 250_000_000_000
"""Seconds since 1970 from which on a number in metadata is no time: in the year 9892."""
REASON = "unreadable"
"""Metadata key: why an image cannot be read."""
SIDES = ("left", "right")
STATED_SIDE = "stated_side"
"""Metadata key, and key of a request of the app to its inference task: the ``StatedSide`` of an image."""
DIGEST_DIGITS = 32
"""Of the digest of an image's file."""
MAX_DIGESTS = 10_000
"""Files whose digests are cached."""


@dataclass(frozen=True)
class StatedSide:
    """The patient's side of an image as a person has stated it, since the file does not.

    Attributes:
        image_left_is: the patient's side at the left of the upright image, one of ``SIDES``.
        user: who stated it.
        ts: when, in seconds since 1970.
        digest: of the image file then; the statement does not hold for another file.

    Raises:
        ValueError: ``image_left_is`` is not one of ``SIDES``.
    """

    image_left_is: str
    user: str
    ts: int
    digest: str

    def __post_init__(self) -> None:
        if self.image_left_is not in SIDES:
            raise ValueError(f"image_left_is must be {' or '.join(SIDES)}, got {self.image_left_is!r:.40}")

    @classmethod
    def parse(cls, content: object) -> StatedSide | None:
        """Read it from the metadata of an image; ``None`` where there is none."""
        if not isinstance(content, Mapping):
            return None
        try:
            return cls(**content)
        except (TypeError, ValueError):
            return None


@dataclass(frozen=True)
class ImageHeader:
    """What must be known of an image to save points on it and to measure them, without its pixels.

    Attributes:
        width: of a row, in pixels.
        height: number of rows.
        geometry: where Slicer's reader places the pixels.
        frame: the size with shape of pixels, orientation and sides as the file states them.
        mm_per_px: width and height of a pixel in the patient; ``None`` where unknown.
    """

    width: int
    height: int
    geometry: ImageGeometry
    frame: ImageFrame
    mm_per_px: tuple[float, float] | None = None

    def to_json(self, file: FileState) -> str:
        """As it is noted for the file of that state."""
        frame = asdict(self.frame)
        return json.dumps([*file, self.width, self.height, self.geometry.as_dict(), frame, self.mm_per_px])

    @classmethod
    def parse(cls, text: str | None, file: FileState) -> ImageHeader | None:
        """Read it; ``None`` where none is noted, or only that of another file, or by an older server that saw less."""
        try:
            size, mtime_ns, width, height, geometry, noted, mm_per_px = json.loads(text or "[]")
            if (size, mtime_ns) != file:
                return None
            turn = noted["orientation"] and Orientation(**noted["orientation"])
            frame = ImageFrame(**{**noted, "orientation": turn, "pixel_aspect": float(noted["pixel_aspect"])})
            return cls(int(width), int(height), ImageGeometry.parse(geometry), frame, mm_per_px and tuple(mm_per_px))
        except (ValueError, TypeError, KeyError):
            return None


class Images:
    """The images of a studies folder."""

    def __init__(self, context: StoreContext) -> None:
        self._context, self._folder, self._database = context, context.folder, context.database
        self._source = context.source
        self._ours = images.c.store == context.key
        self._digests: dict[Path, tuple[FileSignature, str]] = {}
        self.on_gone: Callable[[str], object] = lambda _: None  # with the id of an image whose file has vanished

    def find(self, connection: Connection, image: str, even_gone: bool = False) -> Row[Any] | None:
        """Row of an image whose file exists, or existed if ``even_gone``."""
        if not is_storable(image):
            return None
        query = select(images).where(self._ours, images.c.id == image)
        return connection.execute(query if even_gone else query.where(images.c.state != GONE)).one_or_none()

    def require(self, connection: Connection, image: str, even_gone: bool = False) -> Row[Any]:
        """Row of an image.

        Raises:
            ImageNotFoundException: there is no such image.
        """
        row = self.find(connection, image, even_gone)
        if row is None:
            raise not_found(image)
        return row

    def uri(self, image: str) -> str:
        """Path of an image, which is fetched where necessary; "" if there is none of that id.

        An image whose file turns out to be missing is marked so.

        Raises:
            ImageUnavailableError: it cannot be fetched now.
        """
        with self._database.reading() as connection:
            row = self.find(connection, image)
        if row is None:
            return ""
        path = self._source.readable_path(row.file)
        if path is None:
            self.reconcile_image(image)
            return ""
        return str(path)

    def entry(self, image: str) -> FileEntry | None:
        """The file of an image as it is now, without fetching it; ``None`` if there is none of that id."""
        with self._database.reading() as connection:
            row = self.find(connection, image)
        return None if row is None else self._source.image_entry(row.file)

    def metadata(self, image: str) -> dict[str, Any]:
        """Metadata of an image, with its path; empty if there is no such image."""
        with self._database.reading() as connection:
            row = self.find(connection, image)
        return {} if row is None else {**json.loads(row.facts), "path": str(self._source.location(row.file))}

    def header(self, image: str) -> ImageHeader | None:
        """Header of the present file, where somebody has read it before.

        Raises:
            ImageNotFoundException: there is no such image.
        """
        with self._database.reading() as connection:
            row = self.require(connection, image)
        entry = None if row.header is None else self._source.image_entry(row.file)
        return None if entry is None else ImageHeader.parse(row.header, (entry.size, entry.mtime_ns))

    def note_header(self, image: str, header: ImageHeader, file: FileState) -> bool:
        """Note the header of an image for all servers; returns whether its labels took pixels for square until now.

        Args:
            image: id.
            header: of its file.
            file: its state before it was read.
        """
        at = self._ours, images.c.id == image
        with self._database.writing(durable=False) as connection:
            before = connection.execute(select(images.c.header).where(*at)).scalar_one_or_none()
            if before != (text := header.to_json(file)):
                connection.execute(images.update().where(*at).values(header=text))
        return header.frame.pixel_aspect != 1.0 and '"pixel_aspect"' not in (before or "")

    def digest(self, path: Path) -> str:
        """Digest of a file; of one that has not changed it is not calculated again.

        Raises:
            OSError: it cannot be read.
        """
        signature = file_signature(path)
        noted = self._digests.get(path)
        if noted is None or noted[0] != signature:
            if len(self._digests) >= MAX_DIGESTS:
                self._digests.clear()
            noted = self._digests[path] = signature, file_digest(path, DIGEST_DIGITS)
        return noted[1]

    def update_metadata(self, image: str, metadata: Mapping[str, Any]) -> None:
        """Merge values into the metadata of an image.

        Raises:
            ImageNotFoundException: there is no such image.
            ValueError: it becomes too long.
        """
        with self._database.writing() as connection:
            row = self.require(connection, image)
            merge_metadata(connection, images.c.facts, images.c.key == row.key, metadata)

    def stated_side(self, image: str) -> StatedSide | None:
        """The patient's side as stated by a person; ``None`` where nobody has, or for another file."""
        with self._database.reading() as connection:
            row = self.find(connection, image)
        stated = None if row is None else StatedSide.parse(json.loads(row.facts).get(STATED_SIDE))
        path = None if row is None or stated is None else self._source.readable_path(row.file)
        return stated if stated and path and stated.digest == self.digest(path) else None

    def state_side(self, image: str, image_left_is: str | None, user: str) -> None:
        """Store the patient's side at the left of the upright image; ``None`` withdraws the statement.

        Raises:
            ImageNotFoundException: there is no such image.
            ImageUnavailableError: its file cannot be fetched now.
            ValueError: it is not one of ``SIDES``.
        """
        with self._database.reading() as connection:
            file = self.require(connection, image).file
        stated = None
        if image_left_is is not None:
            path = self._source.readable_path(file) or self._source.location(file)
            stated = asdict(StatedSide(image_left_is, user, int(time.time()), self.digest(path)))
        self.update_metadata(image, {STATED_SIDE: stated})

    def note_unreadable(self, image: str, reason: str, file: FileState) -> None:
        """Mark an image without a label ``final`` as unreadable, until its file changes.

        Args:
            image: id.
            reason: a sentence.
            file: its state before it was read; nothing is marked if the row is of another one.
        """
        with self._database.writing(durable=False) as connection:
            row = self.find(connection, image)
            if row is not None and row.state == OPEN and (row.size, row.mtime_ns) == file:
                facts = metadata_json({**json.loads(row.facts), REASON: reason.removeprefix(f"{row.file}: ")})
                connection.execute(images.update().where(images.c.key == row.key).values(state=UNREADABLE, facts=facts))
                connection.execute(scores.update().where(scores.c.image == row.key).values(is_open=False))

    def check_new(self, image: str, file: Path) -> list[str]:
        """Make sure that a file can be added as an image.

        Returns:
            Colliding ids of missing images whose files were other ones.

        Raises:
            ValueError: the id is no plain name.
            FileExistsError: there is an image of that id, or a file of that name.
        """
        path = self._path(image, file)
        with self._database.reading() as connection:
            rows = connection.execute(select(images).where(self._ours, images.c.folded == casefold_key(image))).all()
        if path.is_symlink() or path.exists() or any(row.state != GONE for row in rows):
            raise FileExistsError(f"there is an image {image!r:.80} already; remove it first, or use another id")
        state = file.stat()
        return [row.id for row in rows if (row.size, row.mtime_ns) != (state.st_size, state.st_mtime_ns)]

    def _path(self, image: str, file: Path) -> Path:
        suffix = file.name[len(id_of(file.name)) :]
        name = check_image_id(image) + suffix
        if id_of(name) != image or is_reserved(name) or not has_image_suffix(name):
            raise ValueError(f"image id {image!r:.80} with {suffix} is not the name of an image")
        return self._folder.path / name

    def add(self, image: str, file: Path, metadata: Mapping[str, Any]) -> None:
        """Move a file into the folder under an id that was checked; the caller holds the image's lock.

        Raises:
            ValueError: the metadata is too long.
            OSError: the file cannot be moved there.
        """
        path, state = self._path(image, file), file.stat()
        text = metadata_json(metadata)
        sync(file)
        with self._database.writing() as connection:
            file.replace(path)
            sync(self._folder.path)
            gone = self._ours, images.c.id == image, images.c.state == GONE
            other = or_(images.c.size != state.st_size, images.c.mtime_ns != state.st_mtime_ns)
            now = int(time.time())
            fresh = {"facts": metadata_json({"ts": now, "name": path.name}), "added_at": now}
            connection.execute(images.update().where(*gone, other).values(fresh))  # the old ones were of another image
            self._reconcile(connection, image, [path.name])
            row = self.require(connection, image)
            merge_metadata(connection, images.c.facts, images.c.key == row.key, json.loads(text))

    def reconcile_files(self, names: Iterable[str]) -> list[str]:
        """Reconcile rows with files that appeared, changed or vanished; returns the ids that were not served before."""
        appeared = []
        for name in names:
            if is_servable(name) and (self._source.image_entry(name) is not None or self._is_known(name)):
                image = id_of(name)
                with self._folder.lock(image), self._database.writing(durable=False) as connection:
                    appeared += self._reconcile(connection, image, [name])
        return appeared

    def _is_known(self, name: str) -> bool:
        """Whether a file is or was an image; a name with an image suffix may be."""
        if is_reserved(name) or has_image_suffix(name):
            return not is_reserved(name)
        by_row = select(images.c.key).where(self._ours, images.c.folded == casefold_key(name), images.c.file == name)
        by_spare = select(spares.c.file).where(spares.c.store == self._context.key, spares.c.file == name)
        with self._database.reading() as connection:
            return any(connection.execute(query).first() is not None for query in (by_row, by_spare))

    def reconcile_image(self, image: str) -> None:
        """Reconcile the row of an image with its file."""
        with self._folder.lock(image), self._database.writing(durable=False) as connection:
            self._reconcile(connection, image, [])

    def _reconcile(self, connection: Connection, image: str, names: Iterable[str]) -> list[str]:
        """Reconcile rows and spares with the files of all colliding ids; one of the files is served.

        Args:
            connection: in a writing transaction.
            image: one of the colliding ids.
            names: of files that may be new.

        Returns:
            The served id, if it was not served before.
        """
        key = casefold_key(image)
        colliding = spares.c.store == self._context.key, spares.c.folded == key
        rows = list(connection.execute(select(images).where(self._ours, images.c.folded == key)))
        rows.sort(key=lambda row: (row.state == GONE, row.id != image, row.id))
        noted = connection.execute(select(spares.c.file).where(*colliding)).scalars()
        entries = [self._source.image_entry(name) for name in sorted({*noted, *names, *(row.file for row in rows)})]
        files = {file.name: file for file in entries if file is not None}
        served = next((files[row.file] for row in rows if row.file in files), None)
        if served is None:  # prefer a file with the id of the first row
            first = rows[0].id if rows else image
            served = min(files.values(), key=lambda file: (id_of(file.name) != first, file.name), default=None)
        now = None if served is None else id_of(served.name)
        row = next((row for row in rows if row.id == now), None)
        others = [other.key for other in rows if other.id != now and other.state != GONE]
        if others:
            self._folder.check_available()
            self.mark_gone(connection, others)
        if served is not None and row is None:
            self.insert(connection, [(id_of(served.name), served)], {})
        elif served is not None and row is not None:
            self._update(connection, row, served)
        connection.execute(spares.delete().where(*colliding))
        for name in files:
            if served is not None and name != served.name:
                values = {"store": self._context.key, "file": name, "folded": key}
                connection.execute(self._database.insert(spares).values(values).on_conflict_do_nothing())
        return [] if now is None or (row is not None and row.state != GONE) else [now]

    def insert_gone(self, ids: Iterable[str]) -> None:
        """Insert rows of images whose files are missing; the names of these files are unknown."""
        with self._database.writing(durable=False) as connection:
            self.insert(connection, [(image, FileEntry(f"{image}.png", 0, 0)) for image in ids], {}, GONE)

    def insert(
        self,
        connection: Connection,
        new: Iterable[tuple[str, FileEntry]],
        imported: Mapping[str, Mapping[str, Any]],
        state: int = OPEN,
    ) -> None:
        """Insert rows of images, with imported metadata by id; existing rows are kept."""
        first_draw = connection.execute(
            select(func.min(images.c.draw)).where(self._ours, images.c.state == OPEN)
        ).scalar_one_or_none()
        now, deck = int(time.time()), math.floor(first_draw or 0.0)
        rows = [
            {
                "store": self._context.key,
                "id": image,
                "folded": casefold_key(image),
                "file": file.name,
                "size": file.size,
                "mtime_ns": file.mtime_ns,
                "state": state,
                "draw": deck + random.random(),
                "facts": metadata_json(noted := {"ts": now, **imported.get(image, {}), "name": file.name}),
                "added_at": saved_at_of(noted),
            }
            for image, file in new
        ]
        if rows:
            connection.execute(self._database.insert(images).on_conflict_do_nothing(), rows)

    def mark_gone(self, connection: Connection, keys: Iterable[int]) -> None:
        """Mark images whose files are missing."""
        keys = list(keys)
        connection.execute(images.update().where(images.c.key.in_(keys)).values(state=GONE))
        connection.execute(scores.update().where(scores.c.image.in_(keys)).values(is_open=False))
        for image in connection.execute(select(images.c.id).where(images.c.key.in_(keys))).scalars():
            self.on_gone(image)

    def _update(self, connection: Connection, row: Row[Any], file: FileEntry) -> None:
        is_changed = (row.size, row.mtime_ns, row.file) != (file.size, file.mtime_ns, file.name)
        if is_changed:
            connection.execute(scores.delete().where(scores.c.image == row.key))  # of the old pixels
            values = {"file": file.name, "size": file.size, "mtime_ns": file.mtime_ns}
            unread = {"patient": None, "taken_on": None}
            connection.execute(images.update().where(images.c.key == row.key).values({**values, **unread}))
        state = row.state
        if state == UNREADABLE and is_changed:
            metadata = {name: value for name, value in json.loads(row.facts).items() if name != REASON}
            connection.execute(images.update().where(images.c.key == row.key).values(facts=metadata_json(metadata)))
        if state == GONE or (state == UNREADABLE and is_changed):
            final = select(labels.c.key).where(labels.c.image == row.key, labels.c.tag == FINAL, labels.c.is_current)
            state = LABELLED if connection.execute(select(exists(final))).scalar_one() else OPEN
            connection.execute(images.update().where(images.c.key == row.key).values(state=state))
            connection.execute(scores.update().where(scores.c.image == row.key).values(is_open=state == OPEN))
        if is_changed and state == LABELLED and row.mtime_ns:  # 0: nobody knows what the old file was
            logger.warning("The file of an image with a label %r has changed: the label may be of another image", FINAL)

    def remove(self, image: str, labels_: Iterable[Path]) -> None:
        """Remove an image with its labels and rows; a spare with its id is served instead. The caller holds the lock.

        Args:
            image: id.
            labels_: files of its current labels.

        Raises:
            ImageNotFoundException: there is no such image.
            OSError: its file cannot be removed; then nothing else is.
        """
        with self._database.writing() as connection:
            row = self.require(connection, image)
            (self._folder.path / row.file).unlink(missing_ok=True)
            remove_files(labels_)
            connection.execute(images.delete().where(images.c.key == row.key))
            self._reconcile(connection, image, [])


def not_found(image: str) -> ImageNotFoundException:
    """The error where there is no image of an id."""
    return ImageNotFoundException(f"there is no image {image!r:.80} in the studies folder")


def note_label(connection: Connection, key: int, tag: str, saved_at: int | None, known: int | None = None) -> None:
    """Note in the row of an image that it has, or no longer has, a current label of a tag.

    Args:
        connection: in a writing transaction.
        key: of the image.
        tag: of the label.
        saved_at: when it was saved, in seconds since 1970; ``None`` where it was removed.
        known: state of the image, whose row is locked; ``None`` where that is not known.
    """
    has_label = saved_at is not None
    if tag == PREDICTED:
        other = images.c.key == key, images.c.is_predicted != has_label
        connection.execute(images.update().where(*other).values(is_predicted=has_label))
    if tag == FINAL:
        state = LABELLED if has_label else OPEN
        ours, values = images.update().where(images.c.key == key), {"labelled_at": saved_at or 0}
        if known is None:
            known = connection.execute(select(images.c.state).where(images.c.key == key).with_for_update()).scalar_one()
        if known in (GONE, state):
            connection.execute(ours.values(values))
        else:
            connection.execute(ours.values(values | {"state": state}))
            connection.execute(scores.update().where(scores.c.image == key).values(is_open=state == OPEN))


def saved_at_of(metadata: Mapping[str, Any]) -> int:
    """When an image was added or a label saved, by its metadata: seconds since 1970, 1 where not stated."""
    ts = metadata.get("ts")
    is_time = isinstance(ts, (int, float)) and not isinstance(ts, bool) and 1 <= ts < MAX_TIME_S
    return int(ts) if is_time and ts is not None else 1
