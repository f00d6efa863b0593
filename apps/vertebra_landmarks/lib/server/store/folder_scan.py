"""The whole folder against the database: at the start, and when somebody asks. Contents are read only of new labels."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

from sqlalchemy import select

from ...spine.labels.markups import SUFFIX
from ..filenames import folded
from ..log_privacy import outline
from .adoption import Adopted, read_adopted
from .images import Images
from .labels import Labels
from .recovery import recover_versions
from .schema import GONE, images, labels, spares, stores
from .store_context import Holding
from .studies_folder import Found, id_of, is_servable, is_storable

logger = logging.getLogger(__name__)

_BATCH = 2_000
_Item = TypeVar("_Item")


class Scan:
    """Compares all files of a studies folder with their rows.

    Files that come or go meanwhile are left to who watches, or to the next scan: nothing is taken for gone whose file
    is there at the end, and nothing that other processes save meanwhile is touched.
    """

    def __init__(self, holding: Holding, images_: Images, labels_: Labels) -> None:
        self._holding, self._folder, self._database = holding, holding.folder, holding.database
        self._images, self._labels = images_, labels_
        self._ours = images.c.store == holding.key
        self._not_served = 0

    def run(self) -> None:
        """Compare everything; the first time, take over what MONAI Label noted, and versions without a row.

        Raises:
            ValueError: what it noted is damaged.
        """
        at = stores.c.key == self._holding.key
        with self._folder.scan_lock():
            with self._database.reading() as connection:
                is_first = not connection.execute(select(stores.c.is_adopted).where(at)).scalar_one()
            adopted = read_adopted(self._folder.path) if is_first else Adopted()
            self._scan_images(adopted)
            if is_first:
                recover_versions(self._holding, self._images)
            for tag in self._folder.tags():
                self.scan_labels(tag, adopted)
            self._let_go_of_tags()
            if is_first:
                _sync()
                with self._database.writing() as connection:
                    connection.execute(stores.update().where(at).values(is_adopted=True, **adopted.names))

    def _scan_images(self, adopted: Adopted) -> None:
        columns = images.c.key, images.c.folded, images.c.file, images.c.size, images.c.mtime_ns, images.c.state
        with self._database.reading(snapshot=True) as connection:
            rows = connection.execute(select(*columns).where(self._ours)).all()
            of_spare = select(spares.c.file).where(spares.c.store == self._holding.key)
            not_served = set(connection.execute(of_spare).scalars())
        found = self._folder.images(Found(row.file, row.size, row.mtime_ns) for row in rows)
        files: dict[str, list[Found]] = {}
        for file in found:
            if is_servable(file.name):
                files.setdefault(folded(id_of(file.name)), []).append(file)
        self._note_unservable([file.name for file in found if not is_servable(file.name)])
        served: dict[str, Found | None] = {}
        for row in rows:
            if row.state != GONE:
                served[row.folded] = None if row.folded in served else Found(row.file, row.size, row.mtime_ns)
        known = {row.folded for row in rows}
        missing = [row for row in rows if row.state != GONE and row.folded not in files]
        new = [(id_of(some[0].name), some[0]) for fold, some in files.items() if fold not in known]
        for batch in _batches(new):
            with self._database.writing(durable=False) as connection:
                self._images.insert(connection, batch, adopted.images)
        same = {
            fold
            for fold, some in files.items()
            if len(some) == 1 and (fold not in known or some[0] == served.get(fold))
        }
        differing = [file.name for fold, some in files.items() if fold not in same for file in some]
        self._images.look_at([*differing, *(name for name in not_served if folded(id_of(name)) not in files)])
        for absent in _batches(missing):
            keys = [row.key for row in absent if self._folder.look_at_image(row.file) is None]
            with self._database.writing(durable=False) as connection:
                self._images.mark_gone(connection, keys)
        self._warn(len(found) - len(files) + len(self._folder.others()))

    def _warn(self, not_served: int) -> None:
        if not_served and not_served != self._not_served:
            words = "%d files and folders are not served as images; not_served in /info/ says which, and why"
            logger.warning(words, not_served)
        self._not_served = not_served

    def _note_unservable(self, names: list[str]) -> None:
        """Files whose names are no text or too long: they are not served."""
        shown = [name.encode(errors="backslashreplace").decode().replace("\0", "") for name in names]
        of_none = spares.c.store == self._holding.key, spares.c.folded == ""
        with self._database.reading() as connection:
            if sorted(connection.execute(select(spares.c.file).where(*of_none)).scalars()) == sorted(shown):
                return
        with self._database.writing(durable=False) as connection:
            connection.execute(spares.delete().where(*of_none))
            rows = [{"store": self._holding.key, "file": name, "folded": ""} for name in shown]
            if rows:
                connection.execute(self._database.insert(spares).on_conflict_do_nothing(), rows)

    def scan_labels(self, tag: str, adopted: Adopted | None = None) -> None:
        """Compare the labels of a tag."""
        facts = {} if adopted is None else adopted.labels
        try:
            files = self._folder.labels(tag)
        except OSError as error:
            logger.warning("The labels %r cannot be read: %s", tag, error.strerror)
            return
        found = {file.name.removesuffix(SUFFIX): file for file in files if is_storable(file.name)}
        rows = self._labels.placed(tag)
        same = {image for image, file in found.items() if rows.get(image) == (True, file.size, file.mtime_ns)}
        for image in sorted({*found, *rows} - same):
            try:
                self._labels.look_at(image, tag, facts.get((image, tag)), durable=False, may_repair=True)
            except (OSError, ValueError) as error:
                logger.warning("A label %r could not be compared with its file\n%s", tag, outline(error))

    def _let_go_of_tags(self) -> None:
        """Compare the labels of tags that have no folder any more."""
        query = select(labels.c.tag).where(labels.c.store == self._holding.key, labels.c.is_current).distinct()
        with self._database.reading() as connection:
            tags = set(connection.execute(query).scalars())
        for tag in sorted(tags - set(self._folder.tags())):
            self.scan_labels(tag)


def _batches(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    remaining = iter(items)
    while batch := list(islice(remaining, _BATCH)):
        yield batch


def _sync() -> None:
    """Let everything written before outlive a power cut, where the system can do so at once."""
    if hasattr(os, "sync"):
        os.sync()
