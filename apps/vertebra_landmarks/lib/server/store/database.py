"""Transactions on SQLite, in the studies folder or elsewhere, or on PostgreSQL."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Executable, Table, create_engine, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError

from .migrations import bring_up_to_date

logger = logging.getLogger(__name__)

BUSY_TIMEOUT_MS = 60_000
"""How long a writer waits for others."""
_POOL = {"pool_size": 6, "max_overflow": 6, "pool_timeout": BUSY_TIMEOUT_MS / 1000}
_LAZY_POOL = {"pool_size": 2, "max_overflow": 6, "pool_timeout": BUSY_TIMEOUT_MS / 1000}
"""Twenty connections of a process at most; PostgreSQL allows 100 for all processes by default."""
_POSTGRESQL = ("postgresql+psycopg", "postgresql", "postgres", "postgresql+psycopg2")
_SQLITE = ("sqlite", "sqlite+pysqlite")
"""Accepted driver names in URLs; the first of each is used."""
_PASSWORD_ADVICE = "better put it into the environment variable PGPASSWORD or the file that PGPASSFILE names"
_EXAMPLES = "postgresql://user@host/name or sqlite:////data/spines.db"
IN_FOLDER, OTHER_FILE, POSTGRESQL = "sqlite", "sqlite:///", "postgresql"
_DAMAGED = (
    "restore it from a backup; or move it away, and the labels and their versions are recovered from their files, "
    "without their metadata"
)
_RETRY_INTERVAL_S = 0.01
_PING_AFTER_S = 2.0
"""Connections that were idle for longer are pinged before use."""
_ADVISORY_LOCK = 0x76657274  # of PostgreSQL, while tables are created
_KEEPALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
CONNECT_TIMEOUT_S = 10
"""For a connection to PostgreSQL; and about the time after which a machine that has died is given up."""
_SESSION = (
    "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; "
    "SET idle_in_transaction_session_timeout = '10min'"
)
"""Of each connection: the locks of a server whose machine has died are released within half a minute, not hours."""
_NOT_DURABLE = "SET synchronous_commit TO OFF"
CLOCK_INTERVAL_S = 60.0
"""How often the difference between this machine's clock and that of PostgreSQL is measured."""


def checked_url(text_: str) -> URL:
    """Validated URL of a database, as ``--conf database`` takes it; a SQLite path becomes absolute.

    Raises:
        ValueError: it is no URL of PostgreSQL or a SQLite file.
    """
    try:
        url = make_url(text_)
    except (ArgumentError, ValueError):  # their messages might hold a password
        raise ValueError(f"--conf database must be a URL like {_EXAMPLES}") from None
    if url.drivername in _POSTGRESQL:
        return url.set(drivername=_POSTGRESQL[0])
    if url.drivername not in _SQLITE:
        raise ValueError(
            f"--conf database must be a URL like {_EXAMPLES}, got one of {url.drivername!r:.40}; without it the "
            "database is a SQLite file in the studies folder"
        )
    if url.host or url.query or not url.database or url.database == ":memory:":
        raise ValueError("--conf database must name a SQLite file by its path alone, like sqlite:////data/spines.db")
    return url.set(drivername=_SQLITE[0], database=str(Path(url.database).absolute()))


def kind_of(url: str | None, file: Path) -> str:
    """Which database holds a folder's rows: ``IN_FOLDER``, ``POSTGRESQL``, or the URL of another SQLite file.

    Args:
        url: as ``Database`` takes it.
        file: the folder's own database.

    Raises:
        ValueError: the URL is not accepted.
    """
    parsed = checked_url(url) if url is not None else None
    if parsed is not None and parsed.drivername != _SQLITE[0]:
        return POSTGRESQL
    if parsed is None or (named := Path(str(parsed.database)).resolve()) == file.resolve():
        return IN_FOLDER
    return f"{OTHER_FILE}{named}".encode(errors="backslashreplace").decode()


class Database:
    """Transactions on the tables, which are created or migrated first.

    Args:
        url: of a PostgreSQL database or a SQLite file; ``None`` for the folder's own.
        file: the folder's own SQLite database.

    Attributes:
        commits: how many transactions this object has committed at least, so that caches notice changes.

    Raises:
        ValueError: the URL is not accepted, the tables are of a newer app, or SQLite cannot work in the folder.
        ConnectionError: the database cannot be reached.
    """

    def __init__(self, url: str | None, file: Path) -> None:
        parsed = URL.create(_SQLITE[0], database=str(file)) if url is None else checked_url(url)
        if parsed.password is not None or "password" in parsed.query:
            logger.warning(
                "The database's password is in its URL, which logs and lists of processes show: %s", _PASSWORD_ADVICE
            )
        self._shown = parsed.set(query={}).render_as_string()
        self.commits = 0
        self.is_sqlite = parsed.drivername == _SQLITE[0]
        self.is_in_folder = kind_of(url, file) == IN_FOLDER
        connect_args = {} if self.is_sqlite else {**_KEEPALIVE, "connect_timeout": CONNECT_TIMEOUT_S}
        self._engine: Engine = create_engine(parsed, hide_parameters=True, connect_args=connect_args, **_POOL)
        self._reading = self._snapshot = self._lazy = self._lazy_update = self._engine
        self._clock = Clock(self._seconds)
        if self.is_sqlite:
            event.listen(self._engine, "connect", _prepare_sqlite)
            event.listen(self._engine, "begin", _begin_sqlite)
        else:
            self._lazy = create_engine(parsed, hide_parameters=True, connect_args=connect_args, **_LAZY_POOL)
            for engine, settings in ((self._engine, _SESSION), (self._lazy, f"{_SESSION}; {_NOT_DURABLE}")):
                event.listen(engine, "connect", partial(_prepare_postgresql, settings))
                _ping_idle_connections(engine)
            self._lazy_update = self._lazy.execution_options(isolation_level="AUTOCOMMIT")
            self._reading = self._engine.execution_options(isolation_level="AUTOCOMMIT")  # saves two round trips
            self._snapshot = self._engine.execution_options(isolation_level="REPEATABLE READ")
        try:
            with self.writing() as connection:
                if not self.is_sqlite:
                    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
                bring_up_to_date(connection)
        except DBAPIError as error:
            self.close()
            raise self.failure(error) from error
        except BaseException:
            self.close()
            raise

    def is_same_as(self, url: str | None) -> bool:
        """Whether a URL names this database: the same host, port and name, or the same file, whoever the user is."""
        parsed = None if url is None else checked_url(url)
        ours = self._engine.url
        if parsed is None or parsed.drivername != ours.drivername:
            return False
        if self.is_sqlite:
            return Path(str(parsed.database)).resolve() == Path(str(ours.database)).resolve()
        return (parsed.host, parsed.port or 5432, parsed.database) == (ours.host, ours.port or 5432, ours.database)

    def failure(self, error: DBAPIError) -> ConnectionError:
        """The error to raise for a database error: its message, and what to do."""
        message = str(error.orig).partition("\n")[0]
        if self.is_sqlite and ("malformed" in message or "not a database" in message):
            message += f"; {_DAMAGED}"
        return ConnectionError(f"the database {self._shown} cannot be used: {message}")

    @contextmanager
    def reading(self, snapshot: bool = False) -> Iterator[Connection]:
        """A connection for reading; each statement sees one state of the database.

        Args:
            snapshot: all statements see the same state, and results may be fetched in pieces.
        """
        with (self._snapshot if snapshot else self._reading).connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self, durable: bool = True) -> Iterator[Connection]:
        """A transaction: committed when the block ends, rolled back when it raises.

        Args:
            durable: the commit survives a power loss; else only the end of the process.
        """
        with (self._engine if durable else self._lazy).connect() as connection:
            connection = connection.execution_options(sqlite_begin="IMMEDIATE", sqlite_durable=durable)
            with connection.begin():
                yield connection
            self.commits += 1

    def update(self, statement: Executable) -> None:
        """Commit one statement, which survives the end of the process, but perhaps not a power loss; one round trip."""
        if self.is_sqlite:
            with self.writing(durable=False) as connection:
                connection.execute(statement)
            return
        with self._lazy_update.connect() as connection:
            connection.execute(statement)
        self.commits += 1

    def now(self) -> float:
        """Seconds since 1970 by the clock that all servers share: PostgreSQL's, or that of this machine."""
        return time.time() if self.is_sqlite else self._clock.now()

    def _seconds(self) -> float:
        with self.reading() as connection:
            return float(connection.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one())

    def insert(self, table: Table) -> Any:
        """An ``INSERT`` with ``ON CONFLICT``."""
        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()
        self._lazy.dispose()


class Clock:
    """A clock of another machine, asked now and then; in between, this machine's own goes on from there.

    Args:
        ask: returns the other clock's seconds since 1970.
        interval_s: between two questions.
    """

    def __init__(self, ask: Callable[[], float], interval_s: float = CLOCK_INTERVAL_S) -> None:
        self._ask, self._interval_s = ask, interval_s
        self._noted: tuple[float, float] | None = None  # monotonic time, and the other clock's then

    def now(self) -> float:
        """Its seconds since 1970; where it cannot be asked, as it went on from the last answer.

        Raises:
            DBAPIError: it was never asked with success.
        """
        noted, asked_at = self._noted, time.monotonic()
        if noted is None or asked_at - noted[0] > self._interval_s:
            try:
                seconds = self._ask()
                answered_at = time.monotonic()
                self._noted = noted = (asked_at + answered_at) / 2, seconds
            except DBAPIError:
                if noted is None:
                    raise
        return noted[1] + time.monotonic() - noted[0]


def _prepare_postgresql(settings: str, connection: Any, _: Any) -> None:
    """Set up a session, whether it goes through a connection pooler or not."""
    connection.autocommit = True
    connection.execute(settings)
    connection.autocommit = False


def _ping_idle_connections(engine: Engine) -> None:
    """Ping connections that were idle for a while before they are used."""

    def on_checkin(_: Any, record: Any) -> None:
        record.info["idle_since"] = time.monotonic()

    def on_checkout(connection: Any, record: Any, _: Any) -> None:
        if time.monotonic() - record.info.get("idle_since", time.monotonic()) > _PING_AFTER_S:
            try:
                engine.dialect.do_ping(connection)
            except Exception as error:
                raise DisconnectionError("the connection was lost while idle") from error  # the pool makes another one

    event.listen(engine, "checkin", on_checkin)
    event.listen(engine, "checkout", on_checkout)


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # transactions begin in _begin_sqlite, not when the driver thinks so
    for pragma in (f"busy_timeout = {BUSY_TIMEOUT_MS}", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}").close()
    mode = _journal_mode(connection)
    if mode.lower() != "wal":
        raise ValueError(
            f"SQLite cannot keep a write-ahead log where its file is (its journal is {mode!r:.20}), which may be a "
            "network share: name a file on another disk or use PostgreSQL, with --conf database"
        )


def _journal_mode(connection: Any) -> str:
    """Switch to write-ahead logging; SQLite does not wait by itself where another process does the same."""
    end = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            return str(connection.execute("PRAGMA journal_mode = WAL").fetchone()[0])
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > end:
                raise
            time.sleep(_RETRY_INTERVAL_S)


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    connection.exec_driver_sql(f"PRAGMA synchronous = {'FULL' if options.get('sqlite_durable') else 'NORMAL'}")
    connection.exec_driver_sql(f"BEGIN {options.get('sqlite_begin', 'DEFERRED')}")
