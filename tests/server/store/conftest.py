"""A studies folder on each of the databases."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.local_postgresql import OwnPostgresql, binaries, own_postgresql
from lib.server.annotation.readings.study import Study
from lib.server.store.datastore import StudiesDatastore

from .study_store import Clock, study_of

Open = Callable[..., StudiesDatastore]


def not_served(store: StudiesDatastore) -> list[str]:
    """Names of the files and folders that are not served as images."""
    return [entry["file"] for entry in store.status()["not_served"]]


def wait_until(holds: Callable[[], bool]) -> None:
    """The watch needs a moment; a machine that is busy, a long one."""
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end, "nobody noticed"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[OwnPostgresql]:
    """A PostgreSQL server on loopback, in a temporary directory."""
    if binaries() is None:
        pytest.skip("PostgreSQL is not installed: apt install postgresql")
    with own_postgresql("fsync=off") as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str | None:
    """Every database in turn: its URL, ``None`` for SQLite."""
    if request.param == "sqlite":
        return None
    server = request.getfixturevalue("postgresql")
    monkeypatch.setenv("PGPASSWORD", server.password)
    return str(server.url)


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    """A folder with the images a, b and c."""
    folder = tmp_path / "place" / "studies"
    folder.mkdir(parents=True)
    for name in "abc":
        (folder / f"{name}.png").write_bytes(b"no pixels")
    return folder


@pytest.fixture
def opened(database: str | None) -> Iterator[Open]:
    """Open stores on folders; they are closed in the end."""
    stores = []

    def open_store(folder: Path, **settings: Any) -> StudiesDatastore:
        stores.append(StudiesDatastore(str(folder), database, **settings))
        return stores[-1]

    yield open_store
    for store in stores:
        store.close()


@pytest.fixture
def label(tmp_path: Path) -> Callable[[int], str]:
    """The path of a label that says a number."""

    def write(number: int) -> str:
        path = tmp_path / "label.mrk.json"
        path.write_text(json.dumps({"number": number}))
        return str(path)

    return write


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def study(opened: Open, studies: Path, clock: Clock) -> Study:
    """The study of the folder, with a clock that the test moves."""
    return study_of(opened(studies), clock)
