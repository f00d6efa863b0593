"""Rows from files in which releases before 0.9 kept assignments and scored versions.

The files stay as they are: a release of then, which still opens the database, finds them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sqlalchemy import exists, select

from .schema import assignments, scored_versions
from .store_context import StoreContext
from .studies_folder import is_storable

ASSIGNMENTS_FILE, SCORED_VERSIONS_FILE = "given.json", "scored.json"


def adopt_files(context: StoreContext) -> None:
    """Take over what these files say, where the tables say nothing about the folder yet; damaged ones say nothing."""
    given, versions = (_read(context.folder.app_folder / name) for name in (ASSIGNMENTS_FILE, SCORED_VERSIONS_FILE))
    if isinstance(given, dict):
        rows = [{"image": image, "assigned_at": float(when)} for image, when in given.items() if _is_time(when)]
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
