"""Labels: every version as a file and a row, and the current one as a file under ``labels``.

A label is saved in this order: the version's file; its row, whose commit makes it the label; the current file. A writer
that is killed in between leaves a row marked "not placed", and the next access writes the current file.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from monailabel.interfaces.exception import ImageNotFoundException, LabelNotFoundException
from sqlalchemy import Connection, Row, select

from ...spine.geometry import transform_points
from ...spine.imaging.image_frame import ImageFrame
from ...spine.imaging.image_geometry import PIXELS, ImageGeometry
from ...spine.imaging.orientation import Orientation, orientation_of
from ...spine.labels.markups import from_markups, parse_json, stated_geometry
from ...spine.measurement.cobb import measure_curves
from ..filenames import check_tag, is_inside
from .images import Images
from .label_sync import Claim, LabelState, LabelSync, digest_of, is_whole, labeller
from .schema import GONE, images, labels, readings
from .store_context import StoreContext, merge_metadata
from .studies_folder import is_storable

logger = logging.getLogger(__name__)

ANGLE = "largest_angle_deg"
"""Metadata key of a label: its largest Cobb angle in degrees, ``None`` where it has none; only the server sets it."""


class CurrentLabel(NamedTuple):
    """A label as it is now: the number of its version, its content, and its metadata."""

    version: int
    content: bytes
    metadata: dict[str, Any]


class Labels:
    """The labels of a studies folder."""

    def __init__(self, context: StoreContext, images_: Images) -> None:
        self._context, self._folder, self._database = context, context.folder, context.database
        self._images, self._sync = images_, LabelSync(context, images_)

    def current(self, connection: Connection, image: str, tag: str) -> Row[Any] | None:
        """Row of the current version; ``None`` if the image has no label of the tag."""
        if not is_storable(image) or not is_storable(tag):
            return None
        query = select(labels).join(images, images.c.key == labels.c.image)
        query = query.where(images.c.store == self._context.key, images.c.id == image, images.c.state != GONE)
        return connection.execute(query.where(labels.c.tag == tag, labels.c.is_current)).one_or_none()

    def require(self, connection: Connection, image: str, tag: str) -> Row[Any]:
        """Row of the current version.

        Raises:
            LabelNotFoundException: there is no such label.
        """
        row = self.current(connection, image, tag)
        if row is None:
            raise LabelNotFoundException(f"image {image!r:.80} has no label {tag!r:.80}")
        return row

    def uri(self, image: str, tag: str) -> str:
        """Path of the current label; "" if the image has none of that tag."""
        with self._database.reading() as connection:
            row = self.current(connection, image, tag)
        if row is None:
            return ""
        if not row.is_placed:
            try:
                self.reconcile(image, tag)
            except (OSError, ValueError) as error:  # the next access tries again
                logger.warning("The current file of a label %r could not be written: %s", tag, type(error).__name__)
        path = self._folder.label(image, tag)
        if self._folder.entry(path):
            return str(path.resolve())
        self._folder.check_available()
        return ""

    def tags(self, image: str) -> list[str]:
        """Tags of the image's current labels."""
        with self._database.reading() as connection:
            row = self._images.find(connection, image)
            query = select(labels.c.tag).where(labels.c.image == (row and row.key), labels.c.is_current)
            return [] if row is None else list(connection.execute(query.order_by(labels.c.tag)).scalars())

    def read(self, image: str, tag: str) -> CurrentLabel:
        """The current label, with changes of its file from outside.

        Raises:
            LabelNotFoundException: there is no such label.
            OSError: its file is missing.
            ValueError: it is damaged.
        """
        with self._database.reading() as connection:
            row = self.require(connection, image, tag)
        if self.changed_files(tag, [image]):
            self.reconcile(image, tag)
            with self._database.reading() as connection:
                row = self.require(connection, image, tag)
        return CurrentLabel(row.version, self._sync.content(image, row), json.loads(row.facts))

    def metadata(self, image: str, tag: str) -> dict[str, Any]:
        """Metadata of the current version, with its number as ``version``; empty if there is no such label."""
        with self._database.reading() as connection:
            row = self.current(connection, image, tag)
        return {} if row is None else {**json.loads(row.facts), "version": row.version}

    def update_metadata(self, image: str, tag: str, metadata: Mapping[str, Any]) -> None:
        """Merge values into the metadata of the current version.

        Raises:
            LabelNotFoundException: there is no such label.
            ValueError: it becomes too long.
        """
        with self._database.writing() as connection:
            row = self.require(connection, image, tag)
            merge_metadata(connection, labels.c.facts, labels.c.key == row.key, metadata)

    def save(
        self,
        image: str,
        tag: str,
        content: bytes,
        metadata: Mapping[str, Any],
        base_version: int | None = None,
        claim: Claim | None = None,
    ) -> int:
        """Save a label as its new current version, and return its number.

        Args:
            image: its id.
            tag: of the label.
            content: of the file.
            metadata: of the version.
            base_version: the version that the writer has seen, 0 for none: no other one is replaced, unless it has the
                same content. That of the same user then is the one that the writer has saved before, and stays.
                ``None`` replaces any.
            claim: called in the transaction of the new version.

        Raises:
            SaveRefusedError: the claim has refused it.
            LabelConflictError: a version that the writer has not seen would be replaced.
            ValueError: the tag is no plain name, leads out of the folder, or differs from another in case only; the
                content is no JSON object; the metadata is too long; or there are too many tags.
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
            state = self._sync.preserve_external_edit(self._sync.state(image, tag))
            if base_version is not None and _is_saved(state, base_version, content, metadata):
                return state.last
            own = {"ts": int(self._database.now()), "name": path.name, ANGLE: self._largest_angle(image, content)}
            metadata = {**metadata, **own}
            number, row = self._sync.add_version(state, content, metadata, None, base_version=base_version, claim=claim)
            try:
                self._sync.write_current(row, path, content)
            except (OSError, ValueError) as error:  # it is saved; the next access writes the file
                logger.warning("A label %r is saved, but its current file is not: %s", tag, type(error).__name__)
        return number

    def _largest_angle(self, image: str, content: bytes) -> float | None:
        """Measured with the shape of pixels of the image, where somebody has read it."""
        header = self._images.header(image)
        return largest_angle_of(content, None if header is None else header.geometry)

    def measure_again(self, image: str, geometry: ImageGeometry) -> None:
        """Note the largest angles of all labels of an image, of every version, anew.

        Args:
            image: its id.
            geometry: of the image, with the shape of its pixels.
        """
        query = select(labels).join(images, images.c.key == labels.c.image)
        with self._database.reading() as connection:
            rows = connection.execute(query.where(images.c.store == self._context.key, images.c.id == image)).all()
        angles: dict[int, float | None] = {}
        for row in rows:
            with suppress(OSError, ValueError):  # missing or damaged: whoever asks for it is told
                angles[row.key] = largest_angle_of(self._sync.content(image, row), geometry)
        with self._database.writing(durable=False) as connection:
            for key, angle in angles.items():
                merge_metadata(connection, labels.c.facts, labels.c.key == key, {ANGLE: angle})

    def reconcile(
        self,
        image: str,
        tag: str,
        metadata: Mapping[str, Any] | None = None,
        durable: bool = True,
        may_repair: bool = False,
    ) -> None:
        """Make the row and the current file of a label agree; see ``LabelSync.reconcile``.

        Raises:
            OSError, ValueError: they cannot.
        """
        if not is_storable(tag):
            return
        with self._folder.lock(image), suppress(ImageNotFoundException):
            self._sync.reconcile(self._sync.state(image, tag), metadata, durable, may_repair)

    def placed_files(self, tag: str, only: Collection[str] | None = None) -> dict[str, tuple[bool, int, int]]:
        """By image id, whether the current file of the label was written, and its size and mtime then.

        Args:
            tag: of the labels.
            only: ids; ``None`` for all.
        """
        query = select(images.c.id, labels.c.is_placed, labels.c.size, labels.c.mtime_ns)
        query = query.join(labels, labels.c.image == images.c.key).where(images.c.store == self._context.key)
        query = query.where(images.c.state != GONE, labels.c.tag == tag, labels.c.is_current)
        if only is not None:
            query = query.where(images.c.id.in_([image for image in only if is_storable(image)]))
        with self._database.reading() as connection:
            return {row.id: tuple(row)[1:] for row in connection.execute(query)}

    def changed_files(self, tag: str, only: Collection[str]) -> list[str]:
        """Those of some images whose current file differs from its row, so that the label must be reconciled."""
        if not is_storable(tag):
            return []
        rows = self.placed_files(tag, only)
        entries = {image: self._folder.entry(self._folder.label(image, tag)) for image in only}
        now = {image: None if file is None else (True, file.size, file.mtime_ns) for image, file in entries.items()}
        return sorted(image for image in only if now[image] != rows.get(image))

    def remove(self, image: str, tag: str) -> None:
        """Remove the current label; its versions stay and can be restored.

        Raises:
            LabelNotFoundException: there is no such label.
        """
        with self._folder.lock(image):
            if is_storable(tag):
                with suppress(ImageNotFoundException):
                    self._sync.preserve_external_edit(self._sync.state(image, tag))
            with self._database.reading() as connection:
                self.require(connection, image, tag)
            self._remove_current(self._sync.state(image, tag))

    def detach(self, image: str) -> None:
        """Remove the current labels of a missing image before another one takes its id; the caller holds the lock.

        Raises:
            ImageNotFoundException: there never was such an image.
            OSError: a file cannot be removed.
        """
        with self._database.reading() as connection:
            key = self._images.require(connection, image, even_gone=True).key
            query = select(labels.c.tag).where(labels.c.image == key, labels.c.is_current)
            tags = list(connection.execute(query).scalars())
        with self._database.writing() as connection:  # first: else a reading would follow an adjudicated label
            connection.execute(readings.delete().where(readings.c.image == key))
        for tag in tags:
            self._remove_current(self._sync.preserve_external_edit(self._sync.state(image, tag, even_gone=True)))

    def _remove_current(self, state: LabelState) -> None:
        path = self._folder.label(state.image, state.tag)
        if is_inside(path.parent, self._folder.path):
            path.unlink(missing_ok=True)
        self._sync.clear_current(state)

    def history(self, image: str, tag: str) -> list[dict[str, Any]]:
        """All versions, oldest first: ``version``, ``digest``, ``info`` and ``is_current``."""
        with self._database.reading() as connection:
            row = self._images.find(connection, image) if is_storable(tag) else None
            if row is None:
                return []
            query = select(labels).where(labels.c.image == row.key, labels.c.tag == tag).order_by(labels.c.version)
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
        """Content and metadata of a version.

        Raises:
            ImageNotFoundException: there is no such image.
            LabelNotFoundException: there is no such version.
            OSError: its file is missing.
            ValueError: it is damaged.
        """
        with self._database.reading() as connection:
            key = self._images.require(connection, image).key
            at = labels.c.image == key, labels.c.tag == tag, labels.c.version == number
            row = connection.execute(select(labels).where(*at)).one_or_none() if is_storable(tag) else None
        if row is None:
            raise LabelNotFoundException(f"image {image!r:.80} has no version {number} of label {tag!r:.80}")
        return self._sync.content(image, row), json.loads(row.facts)

    def restore(self, image: str, tag: str, number: int, metadata: Mapping[str, Any]) -> int:
        """Save a copy of a version as the new current one, and return its number.

        Raises:
            ImageNotFoundException, LabelNotFoundException, OSError, ValueError: see ``version``.
        """
        content, original = self.version(image, tag, number)
        return self.save(image, tag, content, {**original, **metadata, "restored": number})


def largest_angle_of(content: bytes, image: ImageGeometry | None = None) -> float | None:
    """Largest Cobb angle of a label in degrees, rounded to tenths; ``None`` where the file has no curve to measure.

    Args:
        content: of a Markups file.
        image: geometry of its image; ``None`` where it is not known, and that counts which the file states. Without
            either the points are measured where they lie in Slicer's scene.
    """
    try:
        markups = parse_json(content)
        geometry = image or stated_geometry(markups, "label") or PIXELS
        xy = from_markups(markups, geometry).visible_xy
    except ValueError:
        return None
    mirrored = Orientation(is_mirrored=True)
    orientation = orientation_of(xy, 1, 1, mirrored)
    if orientation == mirrored:  # the points are not those of a mirrored raster that lies on its side
        orientation = orientation_of(xy, 1, 1)
    frame = ImageFrame(1, 1, pixel_aspect=geometry.pixel_aspect)
    curves = measure_curves(transform_points(frame.matrix(orientation), xy))
    return round(max(curve.angle_deg for curve in curves), 1) if curves else None


def _is_saved(state: LabelState, base_version: int, content: bytes, metadata: Mapping[str, Any]) -> bool:
    """Whether the same user has saved the content since the base version: a request that is repeated."""
    row = state.row
    if row is None or row.version == base_version or row.digest != digest_of(content):
        return False
    return labeller(json.loads(row.facts)) == labeller(metadata)
