"""Sessions as rows and files that several servers share."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from fastapi import HTTPException
from PIL import Image

from lib.server.store.database import Database
from lib.server.store.schema import sessions as table
from lib.server.store.store_context import StoreContext
from lib.server.web import session_store
from lib.server.web.session_store import Session, SessionStore
from lib.server.web.uploads import Uploads

from ..store.conftest import Open, database, opened, postgresql  # noqa: F401

Make = Callable[..., SessionStore]


@pytest.fixture
def make(tmp_path: Path, opened: Open) -> Make:  # noqa: F811
    """Session stores of one folder, as each server has its own."""

    def make(max_bytes: int = 10**6, max_expiry_s: int = 60) -> SessionStore:
        number = len(list(tmp_path.glob("uploads*")))
        uploads = tmp_path / f"uploads{number}"
        uploads.mkdir()
        context = opened(tmp_path / "studies").context
        return SessionStore(context, tmp_path / "sessions", Uploads(uploads), max_bytes, max_expiry_s)

    return make


@pytest.fixture
def context(tmp_path: Path, opened: Open) -> StoreContext:  # noqa: F811
    return opened(tmp_path / "studies").context


def image() -> io.BytesIO:
    content = io.BytesIO()
    Image.fromarray(np.zeros((60, 40), np.uint8)).save(content, "PNG")
    return io.BytesIO(content.getvalue())


def add(sessions: SessionStore, expiry: int = 0) -> Session:
    return sessions.add(image(), "image.png", expiry)


def refused(act: Callable[[], object]) -> int:
    with pytest.raises(HTTPException) as raised:
        act()
    return raised.value.status_code


def test_a_session_of_one_server_can_be_read_and_deleted_by_another(make: Make, tmp_path: Path) -> None:
    first, second = make(), make()
    session = add(first)
    assert second.get(session.name, touch=False) == session
    assert session.path.read_bytes() == image().read()
    assert session.path.parent == tmp_path / "sessions" / session.name
    assert second.remove(session.name) == session
    assert refused(lambda: first.get(session.name, touch=False)) == 404
    assert not session.path.parent.exists()


def test_a_session_lasts_for_a_time_after_its_last_use(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions, now = make(), [1_000_000]
    monkeypatch.setattr(Database, "now", lambda _: now[0])
    short, long = add(sessions, 10), add(sessions, 10**9)
    assert (short.expiry, long.expiry) == (10, 60)
    now[0] += 9
    sessions.get(short.name, touch=True)
    now[0] += 9
    assert sessions.get(short.name, touch=False).last_access_ts == 1_000_009
    now[0] += 2
    assert refused(lambda: sessions.get(short.name, touch=True)) == 404
    assert sessions.remove_expired() == 1
    assert not short.path.exists()
    assert long.path.exists()


@pytest.mark.parametrize("name", ["", "..", "../x", "a" * 36, "\x00", "\ud800", "0" * 32])
def test_names_that_are_no_uuid_are_not_found(make: Make, name: str) -> None:
    assert refused(lambda: make().get(name, touch=True)) == 404


def test_number_and_bytes_of_sessions_are_limited(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(image().read())
    sessions = make(max_bytes=2 * size)
    add(sessions)
    last = add(sessions)
    assert refused(lambda: add(sessions)) == 503
    sessions.remove(last.name)
    add(sessions)
    monkeypatch.setattr(session_store, "MAX_SESSIONS", 2)
    assert refused(lambda: add(make())) == 503


def test_limits_hold_for_concurrent_requests(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_store, "MAX_SESSIONS", 5)
    servers = [make() for _ in range(3)]

    def ask(turn: int) -> int:
        try:
            add(servers[turn % 3])
        except HTTPException as error:
            return error.status_code
        return 200

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(ask, range(12)))
    assert (answers.count(200), answers.count(503)) == (5, 7)
    assert len(list((tmp_path / "sessions").iterdir())) == 5
    assert not [path for uploads in tmp_path.glob("uploads*") for path in uploads.iterdir()]


def test_a_file_that_is_no_image_makes_no_session(make: Make, tmp_path: Path) -> None:
    assert refused(lambda: make().add(io.BytesIO(b"text"), "image.png", 0)) == 415
    assert not (tmp_path / "sessions").exists()


def test_a_row_without_a_file_is_no_session(make: Make, context: StoreContext) -> None:
    """Files go with the last server, also where that was killed; rows with the next one."""
    sessions = make()
    session = add(sessions)
    session.path.unlink()
    assert refused(lambda: sessions.get(session.name, touch=False)) == 404
    make()
    with context.database.reading() as connection:
        assert connection.execute(table.select().where(table.c.store == context.key)).all() == []


def test_a_touch_is_written_once_a_second(make: Make) -> None:
    sessions = make()
    session = add(sessions)
    end = time.time() + 30
    while sessions.get(session.name, touch=True).last_access_ts == session.last_access_ts:
        assert time.time() < end
        time.sleep(0.1)
