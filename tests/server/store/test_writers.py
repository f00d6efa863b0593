"""Writers that are killed lose nothing that they were told is kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from experiments.store_writers import Work, losses, make_studies, run_writers
from lib.server.store.datastore import StudiesDatastore

WRITERS, KILLS = 4, 10


@pytest.mark.integration
def test_killed_writers_lose_nothing(tmp_path: Path, database: str | None) -> None:
    studies = tmp_path / "place" / "studies"
    make_studies(studies, 5)
    work = Work(studies, database, tmp_path / "told", 25, 50, os.environ.get("PGPASSWORD", ""))
    StudiesDatastore(str(studies), database).close()
    assert run_writers(work, WRITERS, KILLS, seed=1, pause_s=0.3) == KILLS
    assert losses(work, WRITERS) == []
    assert [path.name for path in (tmp_path / "place").iterdir()] == ["studies"]
    assert all(path.suffix != ".png" or path.read_bytes() == b"not an image" for path in studies.iterdir())


def test_the_check_finds_what_is_lost(tmp_path: Path) -> None:
    studies = tmp_path / "studies"
    make_studies(studies, 2)
    work = Work(studies, None, tmp_path / "told", 5, 5)
    StudiesDatastore(str(studies), None).close()
    run_writers(work, 1, 0, seed=1)
    assert losses(work, 1) == []
    with (tmp_path / "told" / "0").open("a") as told:
        told.write('["save", "film_000000", "final", 99]\n["score", "film_000001", "", 99]\n')
    version = next((studies / ".vertebra_landmarks" / "versions").rglob("*.mrk.json"))
    version.with_name("x.json").write_text("{")
    assert sorted(sentence.split()[0] for sentence in losses(work, 1)) == ["label", "score", "x.json"]


def test_a_writer_that_fails_says_why(tmp_path: Path) -> None:
    (tmp_path / "studies").mkdir()
    work = Work(tmp_path / "studies", None, tmp_path / "told", 5, 5)
    StudiesDatastore(str(tmp_path / "studies"), None).close()
    with pytest.raises(RuntimeError, match=r"(?s)writer 0 ended with 1.*IndexError.*empty sequence"):
        run_writers(work, 1, 0, seed=1)
