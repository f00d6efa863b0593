"""Takes over label versions that were saved elsewhere, such as before the database was lost."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Connection, Row, select

from ...filenames import check_tag
from ...store.images import Images, note_label, saved_at_of
from ...store.label_sync import Claim, LabelState, LabelSync, digest_of, labeller
from ...store.schema import labels
from ...store.store_context import StoreContext, metadata_json

logger = logging.getLogger(__name__)

Origin = Callable[[Connection, int, "int | None"], None]
"""Notes in a writing transaction that a label version, by its key, has come from elsewhere; or that it is a copy of
another one, by the key of that."""


@dataclass(frozen=True)
class FoundVersion:
    """A label version that was saved elsewhere.

    Attributes:
        number: that it had there.
        digest: SHA-256 of its file there.
        content: of the file, written anew.
        metadata: of the version, with the time ``ts`` when it was saved.
    """

    number: int
    digest: str
    content: bytes
    metadata: Mapping[str, Any]


class LabelImport:
    """Takes over label versions of a store, older ones first.

    A version whose file is here gets its metadata back. Any other becomes a version of its own: it keeps its number
    where that is free and in order, and the newest by time is the current one afterwards.

    Args:
        context: of the store.
    """

    def __init__(self, context: StoreContext) -> None:
        self._context, self._folder, self._database = context, context.folder, context.database
        self._sync = LabelSync(context, Images(context))

    def take_over(
        self, image: str, tag: str, found: FoundVersion, is_known: Callable[[int], bool], note: Origin
    ) -> bool:
        """Take over one version.

        Args:
            image: id.
            tag: of the label.
            found: the version.
            is_known: whether a version here, by its key, is known to be another one.
            note: notes where it has come from.

        Returns:
            Whether it was not here before.

        Raises:
            ImageNotFoundException: there is no such image.
            ValueError: the tag is no plain name, or the metadata is too long.
            OSError: a file cannot be written.
        """
        check_tag(tag)
        with self._folder.lock(image):
            state = self._sync.preserve_external_edit(self._sync.state(image, tag))
            rows = self._rows(state)
            digests = {found.digest, digest_of(found.content)}
            same = [row for row in rows if row.digest in digests and _may_be(row, found) and not is_known(row.key)]
            if same:
                self._complete(min(same, key=lambda row: row.version != found.number), found, note)
                return False
            self._add(state, rows, found, note)
            return True

    def _rows(self, state: LabelState) -> Sequence[Row[Any]]:
        query = select(labels).where(labels.c.image == state.key, labels.c.tag == state.tag).order_by(labels.c.version)
        with self._database.reading() as connection:
            return connection.execute(query).all()

    def _complete(self, row: Row[Any], found: FoundVersion, note: Origin) -> None:
        facts = json.loads(row.facts)
        text = metadata_json({**facts, **found.metadata, "name": facts.get("name")})
        with self._database.writing() as connection:
            connection.execute(labels.update().where(labels.c.key == row.key).values(facts=text))
            if row.is_current:
                note_label(connection, row.image, row.tag, saved_at_of(found.metadata))
            note(connection, row.key, None)

    def _add(self, state: LabelState, rows: Sequence[Row[Any]], found: FoundVersion, note: Origin) -> None:
        metadata = {**found.metadata, "name": self._folder.label(state.image, state.tag).name}
        claim: Claim = partial(_noted, note, None)
        if not rows or saved_at_of(found.metadata) >= saved_at_of(json.loads(rows[-1].facts)):
            self._make_current(state, found.content, metadata, claim, found.number)
            return
        number = found.number if self._is_past(state, rows, found.number) else state.last + 1
        if number < state.last or state.row is None:
            self._sync.add_past(state, number, found.content, metadata, claim)
            return
        newer, facts = self._sync.content(state.image, state.row), json.loads(state.row.facts)
        self._make_current(state, found.content, metadata, claim)  # no number is free: a copy of the newer one follows
        copied = {**facts, "restored": state.row.version}
        again = self._sync.state(state.image, state.tag)
        self._make_current(again, newer, copied, partial(_noted, note, state.row.key))

    def _is_past(self, state: LabelState, rows: Sequence[Row[Any]], number: int) -> bool:
        """Whether a number is free and lower than the last one."""
        has_file = os.path.lexists(self._folder.version(state.image, state.tag, number))
        return number < state.last and not has_file and number not in {row.version for row in rows}

    def _make_current(
        self, state: LabelState, content: bytes, metadata: Mapping[str, Any], claim: Claim, number: int = 0
    ) -> None:
        _, key = self._sync.add_version(state, content, metadata, None, number=number, claim=claim)
        try:
            self._sync.write_current(key, self._folder.label(state.image, state.tag), content)
        except (OSError, ValueError) as error:  # it is saved; the next access writes the file
            logger.warning("A label %r is saved, but its current file is not: %s", state.tag, type(error).__name__)


def _noted(note: Origin, copied: int | None, connection: Connection, key: int) -> None:
    note(connection, key, copied)


def _may_be(row: Row[Any], found: FoundVersion) -> bool:
    """Whether a version of the same content may be the found one: nobody is named, or it was saved at that time."""
    facts = json.loads(row.facts)
    return not labeller(facts) or saved_at_of(facts) == saved_at_of(found.metadata)
