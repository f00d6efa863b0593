"""A study moves to another folder, or its rows to another database."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.local_postgresql import OwnPostgresql
from lib.backup import move as move_module
from lib.backup.move import move
from lib.backup.study_source import open_source
from lib.server.models import FOLDER
from lib.server.store.datastore import StudiesDatastore
from lib.server.worker_registry import SESSIONS, UPLOADS, WorkerRegistry

from .conftest import Make, contents
from .test_backup import Killed, facts_of, kill_after, verified


def run(folder: Path, target: Path, url: str | None = None, to: str | None = None) -> None:
    with open_source(folder, url) as source:
        move(source, target, to)


def test_a_moved_study_is_the_same_and_the_folder_it_left_is_closed(
    database: str | None, study: Make, tmp_path: Path
) -> None:
    folder, target = study(database), tmp_path / "moved"
    expected = facts_of(folder, database)
    run(folder, target, database, database)
    assert verified(target, database).problems == []
    assert facts_of(target, database) == expected
    with pytest.raises(ValueError, match=r"this study was moved to .*moved: serve that folder"):
        StudiesDatastore(str(folder), database)


def test_rows_move_to_postgresql_and_back(
    postgresql: OwnPostgresql, monkeypatch: pytest.MonkeyPatch, study: Make, tmp_path: Path
) -> None:
    monkeypatch.setenv("PGPASSWORD", postgresql.password)
    folder, url = study(None), postgresql.url
    expected = facts_of(folder)
    run(folder, folder, to=url)
    assert facts_of(folder, url) == expected
    with pytest.raises(ValueError, match="are known in PostgreSQL"):
        StudiesDatastore(str(folder))
    with pytest.raises(ValueError, match="are in that database already"):
        run(folder, folder, url, url)
    run(folder, folder, url)
    assert facts_of(folder) == expected
    run(folder, folder, to=url)  # the rows that were left there are replaced
    assert verified(folder, url).problems == []
    run(folder, tmp_path / "moved", url)
    assert facts_of(tmp_path / "moved") == expected


def test_a_killed_move_leaves_the_study_where_it_was(
    study: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = study(None)
    before = contents(folder)
    with monkeypatch.context() as patch:
        kill_after(patch, move_module, 4, Killed())
        with pytest.raises(Killed):
            run(folder, tmp_path / "moved")
    assert contents(folder) == before
    assert verified(folder).problems == []
    with pytest.raises(ValueError, match="incomplete copy, which was interrupted"):
        StudiesDatastore(str(tmp_path / "moved"))


def test_nothing_moves_while_it_is_served_or_labelled(
    study: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = study(None)
    registry = WorkerRegistry(folder / UPLOADS, folder / FOLDER, (SESSIONS,))
    with pytest.raises(ValueError, match="is being served: stop its servers first"):
        run(folder, tmp_path / "moved")
    registry.close()
    with pytest.raises(ValueError, match="lies in the other"):
        run(folder, folder / "inside")
    states = iter([(1, 1), (2, 2), (2, 2)])
    monkeypatch.setattr(move_module, "last_label", lambda *_: next(states))
    with pytest.raises(ValueError, match="were saved meanwhile, and nothing was moved"):
        run(folder, tmp_path / "moved")
    monkeypatch.undo()
    assert verified(folder).problems == []
