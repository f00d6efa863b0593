"""Versions of labels that lie in the folder and that no row speaks of, since the database before is lost."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from sqlalchemy import select

from .images import FINAL, Images, set_state
from .label_files import digest_of, is_whole
from .schema import LABELLED, images, labels
from .store_context import Holding, to_text
from .studies_folder import StudiesFolder

logger = logging.getLogger(__name__)


def recover_versions(holding: Holding, images_: Images) -> int:
    """Begin rows of all whole versions, also of images that are away; facts about them are lost.

    Of the versions that say what the newest file does the last one is the label, or the last of all where that file is
    damaged. Where it is not there, the label may have been removed, and can be restored.

    Args:
        holding: whose images have rows.
        images_: of it.

    Returns:
        How many versions were found.
    """
    found = holding.folder.all_versions()
    images_.insert_gone(sorted({image for image, _ in found}))  # where there is no row
    query = select(images.c.id, images.c.key).where(images.c.store == holding.key)
    with holding.database.reading() as connection:
        keys = {row.id: row.key for row in connection.execute(query)}
    count = 0
    for (image, tag), numbers in found.items():
        rows = _rows(holding.folder, image, tag, numbers)
        if rows:
            count += len(rows)
            known = {"store": holding.key, "image": keys[image], "tag": tag}
            with holding.database.writing(durable=False) as connection:
                insert = holding.database.insert(labels).on_conflict_do_nothing()
                connection.execute(insert, [{**known, **row} for row in rows])
                if tag == FINAL and any(row["is_current"] for row in rows):
                    set_state(connection, keys[image], LABELLED)
    if count:
        logger.warning("%d versions of labels that the database did not know were found in the studies folder", count)
    return count


def _rows(folder: StudiesFolder, image: str, tag: str, numbers: list[int]) -> list[dict[str, Any]]:
    """What is noted about the versions of one label."""
    newest = folder.label(image, tag)
    placed = folder.look(newest)
    said = _content(newest) if placed else b""
    rows = []
    for number in numbers:
        path = folder.version(image, tag, number)
        content, changed = _content(path), folder.look(path)
        if changed is not None and is_whole(content):
            values = {
                "version": number,
                "digest": digest_of(content),
                "facts": to_text({"ts": changed.mtime_ns // 10**9, "name": newest.name}),
                "is_current": False,
                "is_placed": False,
                "size": 0,
                "mtime_ns": 0,
            }
            rows.append(values)
    last = next((row for row in reversed(rows) if row["digest"] == digest_of(said)), None)
    if last is not None and placed is not None:
        last.update(is_current=True, is_placed=True, size=placed.size, mtime_ns=placed.mtime_ns)
    elif rows and placed is not None and not is_whole(said):
        rows[-1]["is_current"] = True
    return rows


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:  # the others are found all the same
        logger.warning("A file of a label in the studies folder cannot be read: %s", error.strerror)
        return b""
