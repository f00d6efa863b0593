"""Databases: URLs, failures, and several folders in one."""

from __future__ import annotations

import json
import secrets
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Connection, Engine, create_engine, event, func, inspect, make_url, select, text
from sqlalchemy.exc import DataError, DBAPIError, OperationalError

from harness.local_postgresql import OwnPostgresql
from lib.server.config import parse_conf
from lib.server.store import database as database_module
from lib.server.store import folder_adoption
from lib.server.store.database import Database, _prepare_sqlite, checked_url
from lib.server.store.datastore import DATABASE_FILE, StudiesDatastore
from lib.server.store.migrations import MIGRATIONS, Migration, bring_up_to_date
from lib.server.store.schema import (
    assignments,
    images,
    labels,
    metadata,
    outbox,
    pacs_instances,
    pacs_reports,
    presence,
    schema_version,
    scored_versions,
    scores,
    sessions,
    study_plans,
    tasks,
)
from lib.server.web.errors import add_error_handlers

Open = Callable[..., StudiesDatastore]
Label = Callable[[int], str]
LATER = (presence, pacs_instances, outbox, pacs_reports, study_plans)
"""Tables that came after 0.9."""


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://user:secret@host/name", "got one of 'mysql'"),
        ("postgresql+asyncpg://host/name", "asyncpg"),
        ("sqlite+aiosqlite:////data/x.db", "aiosqlite"),
        ("somewhere", "must be a URL"),
        ("postgresql://user:secret@host:port/name", "must be a URL"),
        ("sqlite://", "must name a SQLite file"),
        ("sqlite:///:memory:", "must name a SQLite file"),
        ("sqlite:////data/x.db?mode=ro", "must name a SQLite file"),
        ("sqlite://host/x.db", "must name a SQLite file"),
    ],
)
def test_other_databases_are_refused(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as raised:
        checked_url(url)
    assert "secret" not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg", "postgresql+psycopg2"])
def test_postgresql_has_many_names(scheme: str) -> None:
    assert str(checked_url(f"{scheme}://ada@host:5433/name")) == "postgresql+psycopg://ada@host:5433/name"


def test_a_password_in_the_url_is_used_and_never_shown(
    postgresql: OwnPostgresql, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    monkeypatch.delenv("PGPASSWORD", raising=False)
    url = make_url(postgresql.url).set(password=postgresql.password).render_as_string(hide_password=False)
    Database(url, tmp_path / "unused").close()
    assert "better put it into the environment variable PGPASSWORD" in caplog.text
    with pytest.raises(ConnectionError, match=r"tester:\*\*\*@127") as raised:
        Database(url + "_missing", tmp_path / "unused")
    assert postgresql.password not in str(raised.value) + caplog.text


def test_a_sqlite_file_may_lie_elsewhere_and_serve_many_folders(
    studies: Path, label: Label, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.png").write_bytes(b"x")
    mine = StudiesDatastore(str(studies), "sqlite:///here.db")
    other = StudiesDatastore(str(tmp_path / "other"), f"sqlite:///{tmp_path / 'here.db'}")
    mine.save_label("a", label(1), "final", {})
    assert (other.list_images(), other.status()["completed"], mine.status()["completed"]) == (["a"], 0, 1)
    assert (tmp_path / "here.db").is_file()
    assert not (studies / ".vertebra_landmarks" / DATABASE_FILE).exists()
    for store in (mine, other):
        store.close()
    for other_url in (None, "sqlite:///there.db"):
        with pytest.raises(ValueError, match=r"are known in sqlite:///.*here\.db: name it, .* if that file was moved"):
            StudiesDatastore(str(studies), other_url)
    assert not (tmp_path / "there.db").exists()
    shutil.copytree(studies, tmp_path / "copy")
    with pytest.raises(ValueError, match="this studies folder is a copy of"):
        StudiesDatastore(str(tmp_path / "copy"), "sqlite:///here.db")
    with pytest.raises(ConnectionError, match=r"sqlite.*missing/x\.db cannot be used: unable to open"):
        Database("sqlite:///missing/x.db", tmp_path / "unused")


def test_the_folders_own_file_may_be_named(studies: Path) -> None:
    StudiesDatastore(str(studies)).close()
    StudiesDatastore(str(studies), f"sqlite:///{studies / '.vertebra_landmarks' / DATABASE_FILE}").close()


def test_the_setting_is_checked_at_the_start() -> None:
    assert parse_conf({"database": "postgresql://ada@host/name"}).database == "postgresql://ada@host/name"
    with pytest.raises(ValueError, match="--conf database must be a URL"):
        parse_conf({"database": "oracle://host"})


@pytest.mark.parametrize(
    ("error", "said", "status", "words"),
    [
        (OperationalError, "patient", 503, "database does not answer"),
        (OperationalError, "patient: database or disk is full", 507, "disk is full"),
        (DataError, "patient", 500, "the server failed"),
    ],
)
def test_a_request_gets_503_while_the_database_is_away(
    error: type[DBAPIError], said: str, status: int, words: str
) -> None:
    api = FastAPI()
    add_error_handlers(api)

    @api.get("/")
    def fail() -> None:
        raise error("SELECT patient", {}, Exception(said))

    answer = TestClient(api, raise_server_exceptions=False).get("/")
    assert answer.status_code == status
    assert words in answer.json()["detail"]
    assert "patient" not in answer.text


def test_a_database_that_does_not_answer_is_named_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConnectionError, match=r"postgresql.*//ada@127\.0\.0\.1:1/x cannot be used: .*refused"):
        Database("postgresql://ada@127.0.0.1:1/x", tmp_path / "unused")


def test_a_damaged_database_is_named_in_a_sentence(studies: Path) -> None:
    StudiesDatastore(str(studies)).close()
    for path in (studies / ".vertebra_landmarks").glob("store.*"):
        path.unlink()
    (studies / ".vertebra_landmarks" / DATABASE_FILE).write_bytes(b"garbage" * 1000)
    with pytest.raises(ConnectionError, match="cannot be used: file is not a database; restore it"):
        StudiesDatastore(str(studies))


def test_a_partly_damaged_database_is_named_in_a_sentence_too(studies: Path, label: Callable[[int], str]) -> None:
    for number in range(300):
        (studies / f"image-{number:03d}.png").write_bytes(b"no pixels")
    with closing(StudiesDatastore(str(studies))) as store:
        store.save_label("a", label(1), "final", {"user": "ada"})
    file = studies / ".vertebra_landmarks" / DATABASE_FILE
    with file.open("r+b") as stream:
        stream.seek(3 * 4096)
        stream.write(b"garbage!" * ((file.stat().st_size - 4 * 4096) // 8))
    with pytest.raises(ConnectionError, match=r"malformed.*; restore it from a backup; or move it away"):
        StudiesDatastore(str(studies), auto_reload=True)
    file.rename(file.with_name("damaged"))
    with closing(StudiesDatastore(str(studies))) as store:
        assert json.loads(store.label_version("a", "final", 1)) == {"number": 1}
        assert store.get_labeled_images() == ["a"]


def test_a_database_without_permission_is_named_in_a_sentence(
    postgresql: OwnPostgresql, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PGPASSWORD", postgresql.password)
    url = make_url(postgresql.url).set(drivername="postgresql+psycopg")
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE ROLE poor LOGIN PASSWORD '{postgresql.password}'")
        connection.exec_driver_sql("CREATE DATABASE strange")
    engine.dispose()
    poor = url.set(username="poor", database="strange", drivername="postgresql").render_as_string()
    with pytest.raises(ConnectionError, match="strange cannot be used: permission denied"):
        Database(poor, tmp_path / "unused")


def test_a_disk_without_a_write_ahead_log_is_refused() -> None:
    words = pytest.raises(ValueError, match=r"'memory'\), .*network share: name a file")
    with closing(sqlite3.connect(":memory:")) as connection, words:  # where there is none either
        _prepare_sqlite(connection, None)


def test_a_process_has_few_connections(tmp_path: Path) -> None:
    database = Database(None, tmp_path / "x.sqlite3")
    assert database._engine.pool.size() + database._engine.pool._max_overflow <= 20
    database.close()


def test_folders_that_share_a_database_do_not_meet(studies: Path, opened: Open, label: Label, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.png").write_bytes(b"x")
    mine, other = opened(studies), opened(tmp_path / "other")
    mine.save_label("a", label(1), "final", {})
    mine.score_queries.set_scores("x", "1", {"b": 1.0})
    assert (other.list_images(), other.status()["completed"], other.status()["label_tags"]) == (["a"], 0, {})
    assert (other.label_versions("a", "final"), other.pick_by_score("x", "1")) == ([], None)
    other.remove_image("a")
    assert mine.get_labeled_images() == ["a"]


def test_a_folder_that_moved_keeps_its_rows(studies: Path, opened: Open, label: Label) -> None:
    store = opened(studies)
    store.save_label("a", label(1), "final", {"user": "ada"})
    store.close()
    moved = studies.rename(studies.with_name("moved"))
    assert opened(moved).get_label_info("a", "final")["user"] == "ada"


def test_labels_are_committed_so_that_they_outlive_a_power_cut(tmp_path: Path) -> None:
    database = Database(None, tmp_path / "x.sqlite3")
    with database.writing() as connection:
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2  # FULL
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
    with database.writing(durable=False) as connection:
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 1  # NORMAL
    database.close()


def test_the_same_of_postgresql(postgresql: OwnPostgresql, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PGPASSWORD", postgresql.password)
    database = Database(postgresql.url, tmp_path / "unused")
    for durable, said in ((True, "on"), (False, "off")):
        with database.writing(durable) as connection:
            assert connection.execute(text("SHOW synchronous_commit")).scalar() == said
    database.close()
    assert not (tmp_path / "unused").exists()


def test_picks_and_saves_use_indices(studies: Path, label: Label) -> None:
    store = StudiesDatastore(str(studies))
    store.score_queries.set_scores("x", "1", {"a": 1.0})
    asked: list[tuple[str, Any]] = []

    def note(connection: object, cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if statement.startswith(("SELECT", "UPDATE")):
            asked.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        for ask in (store.pick_random, store.pick_first, lambda: store.pick_by_score("x", "1")):
            ask()
        store.save_label("a", label(1), "final", {})
        store.save_label("a", label(2), "final", {})
        store.update_image_info("a", {"x": 1})
        store.remove_label("a", "final")
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    store.close()
    assert len(asked) > 10
    with sqlite3.connect(studies / ".vertebra_landmarks" / DATABASE_FILE) as connection:
        for statement, parameters in asked:
            plan = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters))
            assert "SCAN vl_" not in plan, (statement, plan)
            assert "TEMP B-TREE" not in plan, (statement, plan)


def test_tables_of_a_newer_app_are_refused(tmp_path: Path) -> None:
    Database(None, tmp_path / "x.sqlite3").close()
    with sqlite3.connect(tmp_path / "x.sqlite3") as connection:
        connection.execute("UPDATE vl_schema_version SET version = 99")
    with pytest.raises(ValueError, match=f"version 99, and this app knows them up to {1 + len(MIGRATIONS)}: update"):
        Database(None, tmp_path / "x.sqlite3")


def versions_of(connection: Connection) -> tuple[int, int]:
    """Version of the tables, and how many migrations were made."""
    row = connection.execute(schema_version.select()).one()
    return row.version, row.migrations


def added(name: str, is_additive: bool = False) -> Migration:
    return Migration(lambda c: c.exec_driver_sql(f"ALTER TABLE vl_stores ADD COLUMN {name} TEXT"), is_additive)


@pytest.fixture
def engine(database: str | None, tmp_path: Path) -> Iterator[Engine]:
    """An empty database of its own."""
    url = make_url(f"sqlite:///{tmp_path / 'x.sqlite3'}") if database is None else checked_url(database)
    if database is not None:
        own = f"migrations_{secrets.token_hex(4)}"
        server = create_engine(url, isolation_level="AUTOCOMMIT")
        with server.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {own}")
        server.dispose()
        url = url.set(database=own)
    engine = create_engine(url)
    yield engine
    engine.dispose()


def test_older_tables_are_changed_step_by_step(engine: Engine) -> None:
    with engine.begin() as connection:
        bring_up_to_date(connection)
    steps = [*MIGRATIONS, added("one"), added("two", is_additive=True), added("three")]
    known, needed = len(MIGRATIONS), {1: 2, 2: 2, 3: 4}
    for count in (1, 2, 2, 3):
        with engine.begin() as connection:
            bring_up_to_date(connection, steps[: known + count])
            assert versions_of(connection) == (known + needed[count], known + count)
    with engine.connect() as connection:
        assert {"one", "two", "three"} <= {column["name"] for column in inspect(connection).get_columns("vl_stores")}


def test_what_a_newer_release_has_added_is_left_alone(engine: Engine) -> None:
    newer = (*MIGRATIONS, added("one", is_additive=True))
    for migrations in (newer, MIGRATIONS):
        with engine.begin() as connection:
            bring_up_to_date(connection, migrations)
            assert versions_of(connection) == (1, len(newer))


def test_what_a_newer_release_has_changed_is_refused(engine: Engine) -> None:
    with engine.begin() as connection:
        bring_up_to_date(connection, (*MIGRATIONS, added("one"), added("two")))
    known = 1 + len(MIGRATIONS)
    with (
        pytest.raises(ValueError, match=f"version {known + 2}, and this app knows them up to {known}"),
        engine.begin() as connection,
    ):
        bring_up_to_date(connection)


def test_tables_of_version_1_get_the_tables_of_servers(engine: Engine) -> None:
    """As releases up to 0.8 have made them."""
    with engine.begin() as connection:
        metadata.create_all(connection)
        for table in (*LATER, assignments, scored_versions, sessions, tasks, schema_version):
            table.drop(connection)
        connection.exec_driver_sql("CREATE TABLE vl_schema_version (version INTEGER NOT NULL)")
        connection.exec_driver_sql("INSERT INTO vl_schema_version VALUES (1)")
    for _ in range(2):
        with engine.begin() as connection:
            bring_up_to_date(connection)
            assert versions_of(connection) == (1, len(MIGRATIONS))
            assert connection.execute(select(func.count()).select_from(sessions)).scalar_one() == 0
    with engine.begin() as connection:  # a release of before writes its version again
        assert connection.exec_driver_sql("SELECT version FROM vl_schema_version").scalar_one() == 1
        connection.exec_driver_sql("UPDATE vl_schema_version SET version = 1")
        bring_up_to_date(connection)
        assert versions_of(connection) == (1, len(MIGRATIONS))


def test_tables_of_0_9_get_those_of_the_browser_page_and_the_pacs(engine: Engine) -> None:
    with engine.begin() as connection:
        metadata.create_all(connection)
        for table in LATER:
            table.drop(connection)
        connection.execute(schema_version.insert().values(version=1, migrations=1))
        bring_up_to_date(connection)
        assert versions_of(connection) == (1, len(MIGRATIONS))
        for table in LATER:
            assert connection.execute(select(func.count()).select_from(table)).scalar_one() == 0


def test_older_tables_get_the_columns_that_lists_read(engine: Engine) -> None:
    names = ("is_predicted", "added_at", "labelled_at", "patient", "taken_on")
    with engine.begin() as connection:
        bring_up_to_date(connection)
        for index in ("counted", "by_name", "by_date", "by_label", "of_patient"):
            connection.exec_driver_sql(f"DROP INDEX vl_images_{index}")
        connection.exec_driver_sql("DROP INDEX vl_scores_in_order")
        for name in names:
            connection.exec_driver_sql(f"ALTER TABLE vl_images DROP COLUMN {name}")
        connection.exec_driver_sql("UPDATE vl_schema_version SET migrations = 2")
        connection.exec_driver_sql(
            "INSERT INTO vl_stores (key, identity, name, description, host, path, is_adopted) "
            "VALUES (1, 'x', '', '', '', '', TRUE)"
        )
        old = "INSERT INTO vl_images (store, id, folded, file, size, mtime_ns, state, draw, facts) VALUES "
        connection.exec_driver_sql(old + "(1, 'a', 'a', 'a.png', 1, 1, 1, 0.5, '{}')")
    for _ in range(2):
        with engine.begin() as connection:
            bring_up_to_date(connection)
            assert versions_of(connection) == (1, len(MIGRATIONS))
    with engine.begin() as connection:
        row = connection.execute(select(*(images.c[name] for name in names))).one()
        assert tuple(row) == (False, 0, 0, None, None)
        connection.exec_driver_sql(old + "(1, 'b', 'b', 'b.png', 1, 1, 1, 0.5, '{}')")  # by a release of before
        known = {
            index["name"] for table in ("vl_images", "vl_scores") for index in inspect(connection).get_indexes(table)
        }
    assert {index.name for table in (images, scores) for index in table.indexes} <= known


def test_rows_of_other_releases_are_completed_when_the_folder_is_opened(
    studies: Path, opened: Open, label: Label
) -> None:
    store = opened(studies)
    store.save_label("a", label(1), "final", {})
    store.save_label("b", label(1), "original", {})
    rows = select(images.c.id, images.c.is_predicted, images.c.labelled_at, images.c.added_at).order_by(images.c.id)
    rows = rows.where(images.c.store == store.context.key)
    with store._database.reading() as connection:
        before = connection.execute(rows).all()
    assert [(row.is_predicted, row.labelled_at > 1, row.added_at > 1) for row in before] == [
        (False, True, True),
        (True, False, True),
        (False, False, True),
    ]
    with store._database.writing() as connection:
        ours = images.update().where(images.c.store == store.context.key)
        connection.execute(ours.values(is_predicted=False, labelled_at=0, added_at=0))
        connection.execute(ours.where(images.c.id == "c").values(is_predicted=True, labelled_at=9))
    store.close()
    with opened(studies)._database.reading() as connection:
        assert connection.execute(rows).all() == before


def test_the_time_of_a_label_that_another_release_has_replaced_is_that_of_the_new_one(
    studies: Path, opened: Open, label: Label, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_adoption, "_BATCH", 2)
    store = opened(studies)
    for image in "abc":
        store.save_label(image, label(1), "final", {})
    times = select(images.c.labelled_at).where(images.c.store == store.context.key).order_by(images.c.id)
    with store._database.writing() as connection:
        before = connection.execute(times).scalars().all()
        older = images.update().values(labelled_at=images.c.labelled_at - 5000)
        connection.execute(older.where(images.c.id.in_(["a", "c"])))
        assert connection.execute(times).scalars().all() != before
    store.close()
    with opened(studies)._database.reading() as connection:
        assert connection.execute(times).scalars().all() == before


def test_many_may_begin_at_once(studies: Path, opened: Open) -> None:
    with ThreadPoolExecutor(6) as pool:
        stores = list(pool.map(lambda _: opened(studies), range(6)))
    assert [store.status()["total"] for store in stores] == [3] * 6


def test_connections_that_were_lost_while_idle_are_replaced(
    tmp_path: Path, postgresql: OwnPostgresql, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a restart of the database, or behind a firewall that forgets."""
    monkeypatch.setenv("PGPASSWORD", postgresql.password)
    monkeypatch.setattr(database_module, "_PING_AFTER_S", -1.0)
    mine, other = (Database(postgresql.url, tmp_path / "unused") for _ in range(2))
    own = select(func.pg_backend_pid())
    with mine.reading() as connection:
        lost = connection.execute(own).scalar_one()
    with other.writing() as connection:
        connection.execute(select(func.pg_terminate_backend(lost, 10_000)))
    for transaction in (mine.writing, mine.reading):
        with transaction() as connection:
            assert connection.execute(own).scalar_one() != lost
    mine.close()
    other.close()


def test_a_snapshot_sees_one_state(studies: Path, opened: Open, label: Label) -> None:
    store = opened(studies)
    count = select(func.count()).select_from(labels)
    before = select(labels.c.key).order_by(labels.c.key)
    with store._database.reading(snapshot=True) as connection:
        seen = connection.execute(before).all()
        number = connection.execute(count).scalar_one()
        store.save_label("a", label(1), "final", {})
        assert connection.execute(before).all() == seen
        assert connection.execute(count).scalar_one() == number
    with store._database.reading() as connection:
        assert connection.execute(count).scalar_one() == number + 1


def test_who_begins_a_database_waits_for_another_who_does(tmp_path: Path) -> None:
    """SQLite does not, where another process is about to write."""
    file = tmp_path / "store.sqlite3"
    with closing(sqlite3.connect(file, isolation_level=None)) as other, ThreadPoolExecutor(1) as pool:
        other.execute("CREATE TABLE x (y)")
        other.execute("BEGIN IMMEDIATE")
        begun = pool.submit(Database, None, file)
        time.sleep(0.5)
        assert not begun.done()
        other.execute("COMMIT")
        begun.result(30).close()
