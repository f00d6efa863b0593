"""Files of earlier releases become rows once."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from lib.server.active_learning.assignments import Assignments
from lib.server.active_learning.scored_versions import ScoredVersions
from lib.server.store.folder_adoption import ASSIGNMENTS_FILE, SCORED_VERSIONS_FILE
from lib.server.store.schema import assignments

from .conftest import Open


def write(studies: Path, name: str, content: bytes | Any) -> Path:
    own = studies / ".vertebra_landmarks"
    own.mkdir(exist_ok=True)
    path = own / name
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def given(studies: Path, opened: Open) -> set[str]:
    context = opened(studies).context
    with context.database.reading() as connection:
        rows = connection.execute(assignments.select().where(assignments.c.store == context.key)).all()
    return {row.image for row in rows}


def test_what_files_say_is_taken_over_and_they_stay(studies: Path, opened: Open) -> None:
    now = time.time()
    files = [
        write(studies, ASSIGNMENTS_FILE, {"a": now - 5, "b": now - 10, "c": now - 9e5}),
        write(studies, SCORED_VERSIONS_FILE, ["2", "1"]),
    ]
    contents = [path.read_bytes() for path in files]
    store = opened(studies)
    assert ScoredVersions(store.context).complete() == ["2", "1"]
    passed_over: list[Any] = []
    Assignments(store.context).assign(lambda images: passed_over.append(images) or "c")  # type: ignore[func-returns-value]
    assert passed_over == [["a", "b"]]
    assert [path.read_bytes() for path in files] == contents


def test_files_count_once(studies: Path, opened: Open) -> None:
    write(studies, SCORED_VERSIONS_FILE, ["1"])
    ScoredVersions(opened(studies).context).add("2")
    assert ScoredVersions(opened(studies).context).add("3") == ["3", "2"]
    assert ScoredVersions(opened(studies).context).complete() == ["3", "2"]


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff", b"[" * 100_000, [1], {}, 5, None, {"a": None, "b": "soon", "c": True, "\ud800": 1, "d": 1e300}],
    ids=["empty", "bytes", "deep", "list", "nothing", "number", "null", "no times"],
)
def test_damaged_files_say_nothing(studies: Path, opened: Open, content: Any) -> None:
    write(studies, ASSIGNMENTS_FILE, content)
    write(studies, SCORED_VERSIONS_FILE, content if content != [1] else {"1": 2})
    assert given(studies, opened) == set()
    assert ScoredVersions(opened(studies).context).complete() == []


def test_folders_in_one_database_do_not_meet(studies: Path, opened: Open, tmp_path: Path) -> None:
    write(studies, SCORED_VERSIONS_FILE, ["1"])
    other = tmp_path / "other"
    other.mkdir()
    write(other, SCORED_VERSIONS_FILE, ["2"])
    assert ScoredVersions(opened(studies).context).complete() == ["1"]
    assert ScoredVersions(opened(other).context).complete() == ["2"]
