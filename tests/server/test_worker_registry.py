"""Liveness of the servers of one folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lib.server.worker_registry import ALIVE, WorkerRegistry

SHARED = ("together",)

BEGIN = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from lib.server.worker_registry import WorkerRegistry
studies = Path(sys.argv[2])
own = WorkerRegistry(studies / "own", studies / "store", ("together",))
print(own.folder, flush=True)
time.sleep(60)
"""
APP = Path(__file__).parents[2] / "apps" / "vertebra_landmarks"


def begin(studies: Path) -> WorkerRegistry:
    return WorkerRegistry(studies / "own", studies / "store", SHARED)


def test_servers_see_each_other_while_they_live(tmp_path: Path) -> None:
    first, second = begin(tmp_path), begin(tmp_path)
    assert first.others() == [second.folder]
    assert second.others() == [first.folder]
    (second.folder / "file").touch()
    second.close()
    assert not second.folder.exists()
    assert first.others() == []
    third = begin(tmp_path)
    assert (first.folder / ALIVE).exists()
    assert first.others() == [third.folder]


def test_what_is_shared_goes_with_the_last_one(tmp_path: Path) -> None:
    first, second = begin(tmp_path), begin(tmp_path)
    shared = tmp_path / "own" / SHARED[0]
    shared.mkdir()
    (shared / "file").touch()
    first.close()
    assert (shared / "file").exists()
    third = begin(tmp_path)
    second.close()
    assert (shared / "file").exists()
    third.close()
    assert not (tmp_path / "own").exists()


def test_a_killed_server_is_seen_as_dead_and_cleared_away(tmp_path: Path) -> None:
    own = begin(tmp_path)
    command = [sys.executable, "-c", BEGIN, str(APP), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        folder = Path(other.stdout.readline().strip())
        assert own.others() == [folder]
        other.kill()
    assert own.others() == []
    (tmp_path / "own" / "of_an_older_version").mkdir()
    begin(tmp_path)
    assert not folder.exists()
    assert not (tmp_path / "own" / "of_an_older_version").exists()
    assert own.folder.exists()


def test_what_a_killed_server_has_shared_goes_when_the_next_begins(tmp_path: Path) -> None:
    command = [sys.executable, "-c", BEGIN, str(APP), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline()
        (tmp_path / "own" / SHARED[0]).mkdir()
        other.kill()
    begin(tmp_path)
    assert not (tmp_path / "own" / SHARED[0]).exists()


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "store").touch()
    with pytest.raises(OSError, match="store"):
        begin(tmp_path)
