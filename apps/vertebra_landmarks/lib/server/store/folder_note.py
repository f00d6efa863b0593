"""What the studies folder itself says: what it is called in databases, and in which kind of database its rows are."""

from __future__ import annotations

import uuid
from pathlib import Path

from ...spine.atomic_write import atomic_write
from ..models import FOLDER
from .database import FOLDERS_OWN, OTHER_FILE, POSTGRESQL
from .studies_folder import StudiesFolder, sync

IDENTITY, DATABASE = "identity", "database"
BEGIN_ANEW = (
    f"to begin anew instead, with the labels and versions that are found as files, remove {FOLDER}/{DATABASE} there"
)
_NAME_IT = "name it, with --conf database of the server and --database of scripts"
_ADVICE = {
    FOLDERS_OWN: "in SQLite in the folder itself: leave out --conf database of the server and --database of scripts",
    OTHER_FILE: f"in {{noted}}: {_NAME_IT}, or, if that file was moved, write its URL into {{note}} there",
    POSTGRESQL: f"in PostgreSQL: {_NAME_IT}",
}


def identity_of(folder: StudiesFolder) -> str:
    """What the folder is called in databases; it is noted in the folder, and goes where that goes.

    Raises:
        ValueError: what is noted is damaged.
    """
    with folder.lock(IDENTITY):
        note = folder.own / IDENTITY
        if not note.exists():
            _write(note, str(uuid.uuid4()))
        identity = read_identity(folder.own)
    if identity is None:
        raise ValueError(
            f"{_shown(folder, IDENTITY)} in the studies folder, by which the database knows the folder, is damaged: "
            "bring it back from a backup, or remove it to begin with new rows; files of labels stay as they are"
        )
    return identity


def read_identity(own: Path) -> str | None:
    """The identity that is noted in a folder's own part; ``None`` if there is none."""
    try:
        return str(uuid.UUID((own / IDENTITY).read_text(encoding="ascii").strip()))
    except (OSError, ValueError):
        return None


def check_database(folder: StudiesFolder, kind: str) -> bool:
    """Make sure that the rows of a folder are in this kind of database, before a new one is begun beside it.

    Returns:
        Whether they are: the folder has been opened before.

    Raises:
        ValueError: they are in another kind, or the note is damaged.
    """
    note = folder.own / DATABASE
    if not note.exists():
        return False
    noted = note.read_text(encoding="utf-8", errors="replace").strip()
    known = OTHER_FILE if noted.startswith(OTHER_FILE) else noted
    if known not in _ADVICE:
        raise ValueError(f"{_shown(folder, DATABASE)} must say {' or '.join(_ADVICE)}, got {noted!r:.40}")
    if noted != kind:
        advice = _ADVICE[known].format(noted=noted, note=_shown(folder, DATABASE))
        raise ValueError(f"the versions of the labels in this studies folder are known {advice}; {BEGIN_ANEW}")
    return True


def note_database(folder: StudiesFolder, kind: str) -> None:
    """Note in which kind of database the rows of a folder are; what is noted stays.

    Raises:
        ValueError: another process has just noted another kind.
    """
    with folder.lock(DATABASE):
        if not check_database(folder, kind):
            _write(folder.own / DATABASE, kind)


def _write(note: Path, text: str) -> None:
    with atomic_write(note) as temporary:
        temporary.write_text(text, encoding="utf-8")
        sync(temporary)
    sync(note.parent)


def _shown(folder: StudiesFolder, name: str) -> str:
    return (folder.own / name).relative_to(folder.path).as_posix()
