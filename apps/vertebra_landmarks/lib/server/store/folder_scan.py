"""Full scan: reconciles the whole folder with the database at the start and on request; reads only new labels."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

from sqlalchemy import select

from ...spine.labels.markups import SUFFIX
from ..filenames import casefold_key
from ..log_privacy import redacted_traceback
from .folder_adoption import MonaiLabelMetadata, read_monai_label_metadata, recover_versions
from .images import Images
from .labels import Labels
from .schema import GONE, images, labels, spares, stores
from .store_context import StoreContext
from .studies_folder import FileEntry, StudiesUnavailableError, id_of, is_servable, is_storable

logger = logging.getLogger(__name__)

_BATCH = 2_000
_Item = TypeVar("_Item")


class FolderScan:
    """Reconciles all files of a studies folder with their rows.

    Files that appear or vanish meanwhile are left to the watcher or the next scan: no image is marked as missing whose
    file exists at the end, and nothing that other processes save meanwhile is touched.
    """

    def __init__(self, context: StoreContext, images_: Images, labels_: Labels) -> None:
        self._context, self._folder, self._database = context, context.folder, context.database
        self._images, self._labels, self._source = images_, labels_, context.source
        self._ours = images.c.store == context.key
        self._skipped_count = 0

    def run(self, unless_within_s: float = 0.0) -> None:
        """Scan; the first time, also import MONAI Label's metadata and recover versions without a row.

        Args:
            unless_within_s: do not, where any server of the folder has scanned it within this time.

        Raises:
            StudiesUnavailableError: the folder is not there.
            ValueError: MONAI Label's file is damaged.
        """
        at = stores.c.key == self._context.key
        with self._folder.scan_lock():
            if 0 <= time.time() - self._folder.scanned_at() < unless_within_s:
                return
            with self._database.reading() as connection:
                is_first = not connection.execute(select(stores.c.is_adopted).where(at)).scalar_one()
            imported = read_monai_label_metadata(self._folder.path) if is_first else MonaiLabelMetadata()
            self._scan_images(imported)
            if is_first:
                recover_versions(self._context, self._images)
            for tag in self._folder.tags():
                self.scan_labels(tag, imported)
            self._scan_removed_tags()
            if is_first:
                _sync_disks()
                with self._database.writing() as connection:
                    connection.execute(stores.update().where(at).values(is_adopted=True, **imported.names))
            self._folder.note_scanned()

    def _scan_images(self, imported: MonaiLabelMetadata) -> None:
        columns = images.c.key, images.c.folded, images.c.file, images.c.size, images.c.mtime_ns, images.c.state
        with self._database.reading(snapshot=True) as connection:
            rows = connection.execute(select(*columns).where(self._ours)).all()
            of_spare = select(spares.c.file).where(spares.c.store == self._context.key)
            spare_files = set(connection.execute(of_spare).scalars())
        entries = self._source.images(FileEntry(row.file, row.size, row.mtime_ns) for row in rows)
        files: dict[str, list[FileEntry]] = {}
        for file in entries:
            if is_servable(file.name):
                files.setdefault(casefold_key(id_of(file.name)), []).append(file)
        self._note_unservable([file.name for file in entries if not is_servable(file.name)])
        served: dict[str, FileEntry | None] = {}
        for row in rows:
            if row.state != GONE:
                served[row.folded] = None if row.folded in served else FileEntry(row.file, row.size, row.mtime_ns)
        with_row = {row.folded for row in rows}
        missing = [row for row in rows if row.state != GONE and row.folded not in files]
        new = [(id_of(group[0].name), group[0]) for key, group in files.items() if key not in with_row]
        for batch in _batches(new):
            with self._database.writing(durable=False) as connection:
                self._images.insert(connection, batch, imported.images)
        unchanged = {
            key
            for key, group in files.items()
            if len(group) == 1 and (key not in with_row or group[0] == served.get(key))
        }
        changed = [file.name for key, group in files.items() if key not in unchanged for file in group]
        vanished = [name for name in spare_files if casefold_key(id_of(name)) not in files]
        self._images.reconcile_files([*changed, *vanished])
        for absent in _batches(missing):
            keys = [row.key for row in absent if self._source.image_entry(row.file) is None]
            self._folder.check_available()  # else all would be missing
            with self._database.writing(durable=False) as connection:
                self._images.mark_gone(connection, keys)
        self._warn(len(entries) - len(files) + len(self._source.skipped()))

    def _warn(self, count: int) -> None:
        if count and count != self._skipped_count:
            message = "%d files and folders are not served as images; not_served in /info/ says which, and why"
            logger.warning(message, count)
        self._skipped_count = count

    def _note_unservable(self, names: list[str]) -> None:
        """Record the files that are not served since their names are no valid text or too long."""
        shown = [name.encode(errors="backslashreplace").decode().replace("\0", "") for name in names]
        of_none = spares.c.store == self._context.key, spares.c.folded == ""
        with self._database.reading() as connection:
            if sorted(connection.execute(select(spares.c.file).where(*of_none)).scalars()) == sorted(shown):
                return
        with self._database.writing(durable=False) as connection:
            connection.execute(spares.delete().where(*of_none))
            rows = [{"store": self._context.key, "file": name, "folded": ""} for name in shown]
            if rows:
                connection.execute(self._database.insert(spares).on_conflict_do_nothing(), rows)

    def scan_labels(self, tag: str, imported: MonaiLabelMetadata | None = None) -> None:
        """Reconcile the labels of a tag."""
        metadata = {} if imported is None else imported.labels
        try:
            files = self._folder.labels(tag)
        except StudiesUnavailableError:
            raise
        except OSError as error:
            logger.warning("The labels %r cannot be read: %s", tag, error.strerror)
            return
        by_image = {file.name.removesuffix(SUFFIX): file for file in files if is_storable(file.name)}
        rows = self._labels.placed_files(tag)
        unchanged = {image for image, file in by_image.items() if rows.get(image) == (True, file.size, file.mtime_ns)}
        for image in sorted({*by_image, *rows} - unchanged):
            try:
                self._labels.reconcile(image, tag, metadata.get((image, tag)), durable=False, may_repair=True)
            except StudiesUnavailableError:
                raise
            except (OSError, ValueError) as error:
                logger.warning("A label %r could not be compared with its file\n%s", tag, redacted_traceback(error))

    def _scan_removed_tags(self) -> None:
        """Reconcile the labels of tags whose folder is missing."""
        query = select(labels.c.tag).where(labels.c.store == self._context.key, labels.c.is_current).distinct()
        with self._database.reading() as connection:
            tags = set(connection.execute(query).scalars())
        for tag in sorted(tags - set(self._folder.tags())):
            self.scan_labels(tag)


def _batches(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    remaining = iter(items)
    while batch := list(islice(remaining, _BATCH)):
        yield batch


def _sync_disks() -> None:
    """Flush all writes to the disks, where the system offers that."""
    if hasattr(os, "sync"):
        os.sync()
