"""The tables of the database. Several studies folders may share one; every row says whose it is.

Images are known by ``key``, since their ids are long and several folders may have the same. A row of an image whose
file is gone stays, with its labels' versions, and wakes up when the file comes back.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    false,
    text,
)

GONE, OPEN, LABELLED, UNREADABLE = 0, 1, 2, 3
"""State of an image: its file is not there; it has no label ``final``; it has one; none, and it cannot be read."""

metadata = MetaData()

_Key = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up by itself in columns of this type only
_Name = Text().with_variant(Text(collation="C"), "postgresql")  # both databases sort by code points


def _store() -> Column[int]:
    return Column("store", Integer, ForeignKey("vl_stores.key"), nullable=False)


def _image() -> Column[int]:
    return Column("image", _Key, ForeignKey("vl_images.key", ondelete="CASCADE"), nullable=False)


stores = Table(
    "vl_stores",
    metadata,
    Column("key", Integer, primary_key=True),
    Column("identity", String(36), nullable=False, unique=True),  # noted in the folder too
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("host", Text, nullable=False),  # where it was when it was last opened
    Column("path", Text, nullable=False),
    Column("is_adopted", Boolean, nullable=False),  # what MONAI Label noted before was read
)

images = Table(
    "vl_images",
    metadata,
    Column("key", _Key, primary_key=True),
    _store(),
    Column("id", _Name, nullable=False),
    Column("folded", _Name, nullable=False),  # the same for all ids that are one on some disks
    Column("file", _Name, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("state", Integer, nullable=False),
    Column("draw", Float(53), nullable=False),  # place in the deck that random picks are dealt from
    Column("facts", Text, nullable=False),  # JSON
    Column("is_predicted", Boolean, nullable=False, server_default=false()),  # has a current label "original"
    Column("added_at", BigInteger, nullable=False, server_default=text("0")),  # seconds since 1970; 0: not noted yet
    Column("labelled_at", BigInteger, nullable=False, server_default=text("0")),  # the same; 0: no label "final"
    Column("patient", String(32), nullable=True),  # digest; "" where unknown, NULL where the file was not asked
    Column("taken_on", String(10), nullable=True),  # date in the file's header, ISO 8601; "" or NULL likewise
    Column("header", Text, nullable=True),  # JSON: size and geometry of the pixels, of the file that it names
    Index("vl_images_by_id", "store", "id", unique=True),
    Index("vl_images_folded", "store", "folded"),
    Index("vl_images_deck", "store", "state", "draw"),
    Index("vl_images_in_order", "store", "state", "id"),
    Index("vl_images_counted", "store", "state", "is_predicted"),
    Index("vl_images_by_name", "store", "folded", "id", "state", "is_predicted"),
    Index("vl_images_by_date", "store", "added_at", "folded", "id", "state", "is_predicted"),
    Index("vl_images_by_label", "store", "labelled_at", "folded", "id", "state", "is_predicted"),
    Index("vl_images_of_patient", "store", "patient"),
)

spares = Table(
    "vl_spares",
    metadata,
    Column("store", Integer, ForeignKey("vl_stores.key"), primary_key=True),
    Column("file", _Name, primary_key=True),  # an image that is not served, since another has its id
    Column("folded", _Name, nullable=False),
    Index("vl_spares_folded", "store", "folded"),
)

labels = Table(
    "vl_labels",
    metadata,
    Column("key", _Key, primary_key=True),
    _store(),
    _image(),
    Column("tag", _Name, nullable=False),
    Column("version", Integer, nullable=False),  # ascending by image and tag; skips numbers of files without a row
    Column("digest", String(64), nullable=False),  # SHA-256 of the file
    Column("facts", Text, nullable=False),  # JSON: who, when, seconds, edits, model version, and what else is noted
    Column("is_current", Boolean, nullable=False),
    Column("is_placed", Boolean, nullable=False),  # its content stands in the current file, which had then:
    Column("size", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Index("vl_labels_versions", "image", "tag", "version", unique=True),
    Index("vl_labels_current", "store", "is_current", "tag"),
)

scores = Table(
    "vl_scores",
    metadata,
    Column("image", _Key, ForeignKey("vl_images.key", ondelete="CASCADE"), primary_key=True),
    Column("strategy", _Name, primary_key=True),
    Column("model_version", _Name, primary_key=True),
    _store(),
    Column("value", Float(53), nullable=False),
    Column("scored_at", Float(53), nullable=False),  # seconds since 1970
    Column("is_open", Boolean, nullable=False),  # the image's state is OPEN
)
Index(
    "vl_scores_best",
    scores.c.store,
    scores.c.strategy,
    scores.c.model_version,
    scores.c.is_open,
    scores.c.value.desc(),
    scores.c.image,
)
Index("vl_scores_in_order", scores.c.store, scores.c.strategy, scores.c.model_version, scores.c.value, scores.c.image)

assignments = Table(
    "vl_assignments",
    metadata,
    Column("store", Integer, ForeignKey("vl_stores.key"), primary_key=True),
    Column("image", _Name, primary_key=True),  # its id: what was assigned may be gone again
    Column("assigned_at", Float(53), nullable=False),  # seconds since 1970
)

scored_versions = Table(
    "vl_scored_versions",
    metadata,
    Column("store", Integer, ForeignKey("vl_stores.key"), primary_key=True),
    Column("model_version", _Name, primary_key=True),  # of which all images have scores
    Column("number", Integer, nullable=False),  # the newest has the highest
)

tasks = Table(
    "vl_tasks",
    metadata,
    Column("store", Integer, ForeignKey("vl_stores.key"), primary_key=True),
    Column("server", _Name, primary_key=True),  # folder of the process that has the task, see worker_registry.py
    Column("kind", _Name, primary_key=True),
    Column("id", _Name, primary_key=True),
    Column("content", Text, nullable=False),  # JSON
    Column("process", Integer, nullable=True),  # that works on it
    Column("is_to_stop", Boolean, nullable=False),  # another process asks for its end
)

sessions = Table(
    "vl_sessions",
    metadata,
    Column("store", Integer, ForeignKey("vl_stores.key"), primary_key=True),
    Column("name", String(36), primary_key=True),
    Column("file", _Name, nullable=False),  # in a folder of the session's name
    Column("bytes", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),  # seconds since 1970
    Column("used_at", BigInteger, nullable=False),
    Column("expiry_s", BigInteger, nullable=False),  # after its last use
)

pacs_instances = Table(
    "vl_pacs_instances",
    metadata,
    Column("store", Integer, ForeignKey("vl_stores.key"), primary_key=True),
    Column("image", _Name, primary_key=True),  # its id, a keyed hash of the UID of the instance
    Column("study_uid", String(64), nullable=False),
    Column("series_uid", String(64), nullable=False),
    Column("instance_uid", String(64), nullable=False),
    Column("first_seen", BigInteger, nullable=False),  # seconds since 1970
    Column("is_gone", Boolean, nullable=False),  # it is no longer in the PACS, or no longer passes the filter
    Index("vl_pacs_instances_by_uid", "store", "instance_uid", unique=True),
)

outbox = Table(
    "vl_outbox",
    metadata,
    Column("label", _Key, ForeignKey("vl_labels.key", ondelete="CASCADE"), primary_key=True),  # a version
    Column("kind", Integer, primary_key=True),  # of what the PACS gets of it, in the order of sending
    _store(),
    Column("state", Integer, nullable=False),
    Column("series_uid", String(64), nullable=False),
    Column("instance_uid", String(64), nullable=False),
    Column("attempts", Integer, nullable=False),  # that have failed
    Column("due_at", Float(53), nullable=False),  # not to be tried before, seconds since 1970
    Column("tried_at", Float(53), nullable=False),
    Column("sentence", Text, nullable=False),  # why the last attempt has failed
    Index("vl_outbox_due", "store", "state", "due_at"),
    Index("vl_outbox_by_uid", "store", "instance_uid"),
)

pacs_reports = Table(
    "vl_pacs_reports",
    metadata,
    Column("store", Integer, ForeignKey("vl_stores.key"), primary_key=True),
    Column("instance_uid", String(64), primary_key=True),  # of a structured report of others that was read
)

presence = Table(
    "vl_presence",
    metadata,
    Column("store", Integer, ForeignKey("vl_stores.key"), primary_key=True),
    Column("image", _Name, primary_key=True),  # its id
    Column("client", String(36), primary_key=True),  # an open page
    Column("user", Text, nullable=False),
    Column("edits", Integer, nullable=False),  # that are not saved yet
    Column("seen_at", Float(53), nullable=False),  # seconds since 1970
)

readings = Table(
    "vl_readings",
    metadata,
    Column("key", _Key, primary_key=True),
    _store(),
    _image(),
    Column("number", Integer, nullable=False),  # in the image; 0: the adjudication
    Column("kind", String(16), nullable=False),
    Column("reader", _Name, nullable=False),
    Column("is_submitted", Boolean, nullable=False),
    Column("is_blind", Boolean, nullable=False),
    Column("uses_model", Boolean, nullable=False),
    Column("assigned_at", Float(53), nullable=False),  # seconds since 1970, as the next two
    Column("seen_at", Float(53), nullable=True),  # last sign of a client that gives any
    Column("submitted_at", Float(53), nullable=True),
    Column("tag", _Name, nullable=False),  # of its label
    Column("version", Integer, nullable=False),  # of that; 0 while under work
    Index("vl_readings_by_number", "image", "number", unique=True),
    Index("vl_readings_of_store", "store", "is_submitted", "reader"),
)

study_plans = Table(
    "vl_study_plans",
    metadata,
    Column("store", Integer, ForeignKey("vl_stores.key"), primary_key=True),
    Column("since", Float(53), primary_key=True),  # seconds since 1970; 0: before plans were noted
    Column("content", Text, nullable=False),  # JSON; "" where there was none
)

schema_version = Table(
    "vl_schema_version",
    metadata,
    Column("version", Integer, nullable=False),  # that an app must know at least
    Column("migrations", Integer, nullable=True),  # that were made; releases before 0.9 know no such column
)
