"""What the first scan of a folder takes over: MONAI Label's ``datastore_v2.json``, and label versions without a row."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import bindparam, exists, select

from ...spine.labels.markups import SUFFIX
from .images import FINAL, PREDICTED, Images, note_label, saved_at_of
from .label_sync import digest_of, is_whole
from .schema import GONE, LABELLED, assignments, images, labels, scored_versions
from .store_context import MAX_METADATA_CHARACTERS, StoreContext, metadata_json
from .studies_folder import StudiesFolder, is_storable

logger = logging.getLogger(__name__)

DATASTORE = "datastore_v2.json"
"""Where MONAI Label, and early releases of this app, keep names, metadata and scores. It is read once and left as it
is."""
_RESERVED_CHARACTERS = 1_000  # for the app's own metadata of each image and label

Metadata = Mapping[str, Any]


class MonaiLabelMetadata:
    """Metadata of ``datastore_v2.json``.

    Attributes:
        images: metadata of the images, by id.
        labels: metadata of the labels, by id and tag.
        names: name and description of the folder, where set.
    """

    def __init__(self, content: Mapping[str, Any] | None = None) -> None:
        content = content or {}
        objects = content.get("objects")
        unsupported = 0
        self.images: dict[str, Metadata] = {}
        self.labels: dict[tuple[str, str], Metadata] = {}
        self.names = {name: content[name] for name in ("name", "description") if _is_text(content.get(name))}
        for image, entry in (objects if isinstance(objects, dict) else {}).items():
            self.images[image] = _info(entry, "image")
            by_tag = entry.get("labels") if isinstance(entry, dict) else None
            for tag, label in (by_tag if isinstance(by_tag, dict) else {}).items():
                self.labels[image, tag] = _info(by_tag, tag)
                unsupported += isinstance(label, dict) and label.get("ext", SUFFIX) != SUFFIX
        if unsupported:
            logger.warning("%d of MONAI Label's labels are no %s files and cannot be imported", unsupported, SUFFIX)


def _info(entry: Any, name: str) -> Metadata:
    part = entry.get(name) if isinstance(entry, dict) else None
    info = part.get("info") if isinstance(part, dict) else None
    return _fitting({key: value for key, value in info.items() if key != "path"}) if isinstance(info, dict) else {}


def _fitting(metadata: dict[str, Any]) -> Metadata:
    """Metadata without its largest values, where it is too long."""
    sizes = {key: len(json.dumps({key: value})) for key, value in metadata.items()}
    while sum(sizes.values()) > MAX_METADATA_CHARACTERS - _RESERVED_CHARACTERS:
        largest = max(sizes, key=sizes.__getitem__)
        logger.warning("The value %.40r of %s with %d characters is left out", largest, DATASTORE, sizes.pop(largest))
    return {key: metadata[key] for key in sizes}


def _is_text(value: object) -> bool:
    return isinstance(value, str) and is_storable(value)


def read_monai_label_metadata(folder: Path) -> MonaiLabelMetadata:
    """The content of the folder's ``datastore_v2.json``; empty if there is none.

    Raises:
        ValueError: the file is damaged; its content would be lost.
    """
    path = folder / DATASTORE
    if not path.is_file() or path.is_symlink():
        return MonaiLabelMetadata()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{DATASTORE} in the studies folder, where MONAI Label kept the metadata of images and labels, is "
            "damaged: repair it, or move it away to start without that metadata"
        ) from error
    return MonaiLabelMetadata(content if isinstance(content, dict) else None)


def recover_versions(context: StoreContext, images_: Images) -> int:
    """Create rows of all intact version files, also of images that are missing; their metadata are lost.

    The last version with the content of the newest file becomes the current one, or the last of all where that file is
    damaged. Where that file is missing, none does: the label may have been removed, and can be restored.

    Args:
        context: of the store; its images have rows.
        images_: of it.

    Returns:
        Number of recovered versions.
    """
    versions = context.folder.all_versions()
    images_.insert_gone(sorted({image for image, _ in versions}))  # those without a row
    query = select(images.c.id, images.c.key).where(images.c.store == context.key)
    with context.database.reading() as connection:
        keys = {row.id: row.key for row in connection.execute(query)}
    count = 0
    for (image, tag), numbers in versions.items():
        rows = _version_rows(context.folder, image, tag, numbers)
        if rows:
            count += len(rows)
            common = {"store": context.key, "image": keys[image], "tag": tag}
            with context.database.writing(durable=False) as connection:
                insert = context.database.insert(labels).on_conflict_do_nothing()
                connection.execute(insert, [{**common, **row} for row in rows])
                current = next((row for row in rows if row["is_current"]), None)
                if current is not None:
                    note_label(connection, keys[image], tag, saved_at_of(json.loads(current["facts"])))
    if count:
        logger.warning("%d label versions unknown to the database were recovered from the studies folder", count)
    return count


def _version_rows(folder: StudiesFolder, image: str, tag: str, numbers: list[int]) -> list[dict[str, Any]]:
    """Rows of the intact versions of one label."""
    current = folder.label(image, tag)
    entry = folder.entry(current)
    current_content = _content(current) if entry else b""
    rows = []
    for number in numbers:
        path = folder.version(image, tag, number)
        content, version_entry = _content(path), folder.entry(path)
        if version_entry is not None and is_whole(content):
            values = {
                "version": number,
                "digest": digest_of(content),
                "facts": metadata_json({"ts": version_entry.mtime_ns // 10**9, "name": current.name}),
                "is_current": False,
                "is_placed": False,
                "size": 0,
                "mtime_ns": 0,
            }
            rows.append(values)
    last = next((row for row in reversed(rows) if row["digest"] == digest_of(current_content)), None)
    if last is not None and entry is not None:
        last.update(is_current=True, is_placed=True, size=entry.size, mtime_ns=entry.mtime_ns)
    elif rows and entry is not None and not is_whole(current_content):
        rows[-1]["is_current"] = True
    return rows


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:  # the others are recovered all the same
        logger.warning("A label file in the studies folder cannot be read: %s", error.strerror)
        return b""


_BATCH = 1000
ASSIGNMENTS_FILE, SCORED_VERSIONS_FILE = "given.json", "scored.json"


def adopt_files(context: StoreContext) -> None:
    """Take over what these files say, where the tables say nothing about the folder yet; damaged ones say nothing."""
    times, versions = (_read(context.folder.app_folder / name) for name in (ASSIGNMENTS_FILE, SCORED_VERSIONS_FILE))
    if isinstance(times, dict):
        rows = [{"image": image, "assigned_at": float(time)} for image, time in times.items() if _is_time(time)]
        _add(context, assignments, [row for row in rows if is_storable(str(row["image"]))])
    if isinstance(versions, list):
        oldest_first = dict.fromkeys(str(version) for version in reversed(versions) if is_storable(str(version)))
        rows = [{"model_version": version, "number": number} for number, version in enumerate(oldest_first, 1)]
        _add(context, scored_versions, rows)


def _read(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def _is_time(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e12


def _add(context: StoreContext, table: Any, rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    with context.database.writing() as connection:
        if not connection.execute(select(exists().where(table.c.store == context.key))).scalar_one():
            row = context.database.insert(table).on_conflict_do_nothing()
            connection.execute(row, [{"store": context.key, **values} for values in rows])


def fill_columns(context: StoreContext) -> None:
    """Fill the columns that lists of images read, where another release of the app has written the rows."""
    ours = images.c.store == context.key
    predicted = select(labels.c.key).where(labels.c.image == images.c.key, labels.c.tag == PREDICTED)
    has_prediction = predicted.where(labels.c.is_current).exists()
    undated = select(images.c.key, images.c.added_at, images.c.facts).where(ours, images.c.added_at == 0)
    final = (labels.c.image == images.c.key) & (labels.c.tag == FINAL) & labels.c.is_current
    labelled = select(images.c.key, images.c.labelled_at, labels.c.facts).join(labels, final)
    labelled = labelled.where(ours, images.c.state == LABELLED)  # 0.9 replaces labels without noting when
    stale = ours, images.c.state.not_in((GONE, LABELLED)), images.c.labelled_at != 0
    with context.database.writing(durable=False) as connection:
        wrong = ours, images.c.is_predicted != has_prediction
        connection.execute(images.update().where(*wrong).values(is_predicted=has_prediction))
        connection.execute(images.update().where(*stale).values(labelled_at=0))
    _fill_times(context, undated, images.c.added_at)
    _fill_times(context, labelled, images.c.labelled_at)


def _fill_times(context: StoreContext, query: Any, column: Any) -> None:
    """Correct a column of images by metadata, where it is wrong.

    Args:
        context: the studies folder and its rows.
        query: key, value of the column, and metadata of images.
        column: times in seconds since 1970.
    """
    change = images.update().where(images.c.key == bindparam("of")).values({column.name: bindparam("time")})
    last, is_complete = 0, False
    while not is_complete:
        with context.database.writing(durable=False) as connection:
            batch = query.where(images.c.key > last).order_by(images.c.key).limit(_BATCH)
            rows = [(key, time, saved_at_of(json.loads(facts))) for key, time, facts in connection.execute(batch)]
            wrong = [{"of": key, "time": saved_at} for key, time, saved_at in rows if time != saved_at]
            if wrong:
                connection.execute(change, wrong)
        last, is_complete = rows[-1][0] if rows else last, len(rows) < _BATCH
