"""What a load balancer is told."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from anyio import CapacityLimiter
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from lib.server.store.database import Database
from lib.server.store.datastore import StudiesDatastore
from lib.server.store.studies_folder import StudiesFolder, StudiesUnavailableError
from lib.server.web.errors import BUSY_DATABASE, NO_DATABASE, add_error_handlers
from lib.server.web.routes import health


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    """A server of an empty folder, with a route that fails as it is told."""
    store = StudiesDatastore(str(tmp_path / "studies"))
    api = FastAPI()
    api.state.service = SimpleNamespace(app=SimpleNamespace(datastore=lambda: store), health_limiter=CapacityLimiter(4))
    api.include_router(health.router)
    add_error_handlers(api)

    @api.get("/fail")
    def fail() -> None:
        raise api.state.failure

    return TestClient(api, raise_server_exceptions=False)


def test_a_server_that_can_work_says_so(client: TestClient) -> None:
    answer = client.get("/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_a_server_without_its_folder_says_so_and_recovers(client: TestClient, tmp_path: Path) -> None:
    (tmp_path / "studies").rename(tmp_path / "away")
    answer = client.get("/health")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "studies folder cannot be reached" in answer.json()["detail"]
    (tmp_path / "away").rename(tmp_path / "studies")
    assert client.get("/health").status_code == 200


def test_a_server_without_its_database_says_so(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_: Database) -> None:
        raise OperationalError("SELECT 1", {}, Exception("server closed the connection unexpectedly"))

    monkeypatch.setattr(Database, "reading", away)
    assert client.get("/health").json() == {"detail": NO_DATABASE}


def test_a_disk_that_hangs_is_not_waited_for(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "CHECK_TIMEOUT_S", 0.05)
    monkeypatch.setattr(StudiesFolder, "check_available", lambda _: time.sleep(0.5))
    answer = client.get("/health")
    assert (answer.status_code, answer.json()["detail"]) == (503, health.SLOW)


@pytest.mark.parametrize(
    ("failure", "sentence"),
    [
        (PoolTimeoutError("QueuePool limit"), BUSY_DATABASE),
        (OperationalError("x", {}, Exception("terminating connection due to administrator command")), NO_DATABASE),
        (StudiesUnavailableError("the studies folder is away"), "the studies folder is away"),
        (OSError(5, "Input/output error"), "the studies folder cannot be used at the moment: Input/output error"),
    ],
)
def test_what_passes_by_itself_is_503_with_a_sentence(client: TestClient, failure: Exception, sentence: str) -> None:
    client.app.state.failure = failure  # type: ignore[attr-defined]
    answer = client.get("/fail")
    assert (answer.status_code, answer.json()["detail"], answer.headers["Retry-After"]) == (503, sentence, "5")


def test_a_file_that_is_missing_without_its_folder_is_503(client: TestClient, tmp_path: Path) -> None:
    client.app.state.failure = FileNotFoundError(2, "no such file")  # type: ignore[attr-defined]
    assert client.get("/fail").status_code == 500
    (tmp_path / "studies").rename(tmp_path / "away")
    assert client.get("/fail").status_code == 503
