"""One database behind one interface: SQLite in the studies folder, or another one or PostgreSQL by URL."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, event, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError

from .migrations import bring_up_to_date

logger = logging.getLogger(__name__)

BUSY_MS = 60_000
"""How long a writer waits for the others."""
_POOL = {"pool_size": 8, "max_overflow": 12, "pool_timeout": BUSY_MS / 1000}  # a server has 100 for all processes
_POSTGRESQL = ("postgresql+psycopg", "postgresql", "postgres", "postgresql+psycopg2")
_SQLITE = ("sqlite", "sqlite+pysqlite")
"""Names of the two in URLs; the first is the one that is used."""
_HIDE = "better put it into the environment variable PGPASSWORD or the file that PGPASSFILE names"
_EXAMPLES = "postgresql://user@host/name or sqlite:////data/spines.db"
FOLDERS_OWN, OTHER_FILE, POSTGRESQL = "sqlite", "sqlite:///", "postgresql"
_DAMAGED = (
    "bring it back from a backup; or move it away, and the labels and their versions are found again by "
    "their files, without the facts about them"
)
_AGAIN_S = 0.01
_FRESH_S = 2.0
"""A connection that was used so lately is taken to be there; one that rested longer is asked first."""
_CREATION = 0x76657274  # key of PostgreSQL's advisory lock while tables are made


def checked_url(text_: str) -> URL:
    """The URL of a database, as ``--conf database`` names it; a SQLite file with its whole path.

    Raises:
        ValueError: it is no URL of PostgreSQL, nor of a SQLite file.
    """
    try:
        url = make_url(text_)
    except (ArgumentError, ValueError):  # whose words might hold a password
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
    """In what a folder's rows are: ``FOLDERS_OWN``, ``POSTGRESQL``, or the URL of another SQLite file.

    Args:
        url: as ``Database`` takes it.
        file: the folder's own database.

    Raises:
        ValueError: the URL is none that is taken.
    """
    place = checked_url(url) if url is not None else None
    if place is not None and place.drivername != _SQLITE[0]:
        return POSTGRESQL
    if place is None or (named := Path(str(place.database)).resolve()) == file.resolve():
        return FOLDERS_OWN
    return f"{OTHER_FILE}{named}".encode(errors="backslashreplace").decode()


class Database:
    """Transactions on the tables, which are made or brought up to date first.

    Args:
        url: of a PostgreSQL database or a SQLite file; ``None`` for the folder's own.
        file: the folder's own database, which is SQLite.

    Raises:
        ValueError: the URL is none that is taken, the tables are of a newer app, or SQLite cannot work in the folder.
        ConnectionError: the database cannot be reached.
    """

    def __init__(self, url: str | None, file: Path) -> None:
        place = URL.create(_SQLITE[0], database=str(file)) if url is None else checked_url(url)
        if place.password is not None or "password" in place.query:
            logger.warning("The database's password is in its URL, which logs and lists of processes show: %s", _HIDE)
        self._shown = place.set(query={}).render_as_string()
        self.is_sqlite = place.drivername == _SQLITE[0]
        self.is_folders_own = kind_of(url, file) == FOLDERS_OWN
        self._engine: Engine = create_engine(place, hide_parameters=True, **_POOL)
        self._looking = self._snapshot = self._engine
        if self.is_sqlite:
            event.listen(self._engine, "connect", _prepare_sqlite)
            event.listen(self._engine, "begin", _begin_sqlite)
        else:
            _ask_rested(self._engine)
            self._looking = self._engine.execution_options(isolation_level="AUTOCOMMIT")  # saves two round trips
            self._snapshot = self._engine.execution_options(isolation_level="REPEATABLE READ")
        try:
            with self.writing() as connection:
                if not self.is_sqlite:
                    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _CREATION})
                bring_up_to_date(connection)
        except DBAPIError as error:
            self.close()
            raise self.failure(error) from error
        except BaseException:
            self.close()
            raise

    def failure(self, error: DBAPIError) -> ConnectionError:
        """What the database said, and what to do, in a sentence."""
        said = str(error.orig).partition("\n")[0]
        if self.is_sqlite and ("malformed" in said or "not a database" in said):
            said += f"; {_DAMAGED}"
        return ConnectionError(f"the database {self._shown} cannot be used: {said}")

    @contextmanager
    def reading(self, snapshot: bool = False) -> Iterator[Connection]:
        """Statements that read, each of which sees one state of the database.

        Args:
            snapshot: all of them see the same state, and a result may be fetched in pieces.
        """
        with (self._snapshot if snapshot else self._looking).connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self, durable: bool = True) -> Iterator[Connection]:
        """A transaction that is committed when the block ends well, and undone otherwise.

        Args:
            durable: what was committed outlives a power cut; else it outlives the end of the process only.
        """
        with self._engine.connect() as connection:
            connection = connection.execution_options(sqlite_begin="IMMEDIATE", sqlite_durable=durable)
            with connection.begin():
                if not durable and not self.is_sqlite:
                    connection.execute(text("SET LOCAL synchronous_commit TO OFF"))
                yield connection

    def insert(self, table: Table) -> Any:
        """An ``INSERT`` that knows ``ON CONFLICT``."""
        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


def _ask_rested(engine: Engine) -> None:
    """Before a connection is used that rested for a while, see whether the database still answers there."""

    def lay_down(_: Any, record: Any) -> None:
        record.info["rests_since"] = time.monotonic()

    def take(connection: Any, record: Any, _: Any) -> None:
        if time.monotonic() - record.info.get("rests_since", time.monotonic()) > _FRESH_S:
            try:
                engine.dialect.do_ping(connection)
            except Exception as error:
                raise DisconnectionError("the connection was lost while it rested") from error  # another one is made

    event.listen(engine, "checkin", lay_down)
    event.listen(engine, "checkout", take)


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # transactions begin below, and not when the driver thinks so
    for pragma in (f"busy_timeout = {BUSY_MS}", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}").close()
    mode = _journal_mode(connection)
    if mode.lower() != "wal":
        raise ValueError(
            f"SQLite cannot keep a write-ahead log where its file is (its journal is {mode!r:.20}), which may be a "
            "network share: name a file on another disk or use PostgreSQL, with --conf database"
        )


def _journal_mode(connection: Any) -> str:
    """Have a write-ahead log kept; SQLite does not wait by itself where another process does the same."""
    end = time.monotonic() + BUSY_MS / 1000
    while True:
        try:
            return str(connection.execute("PRAGMA journal_mode = WAL").fetchone()[0])
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > end:
                raise
            time.sleep(_AGAIN_S)


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    connection.exec_driver_sql(f"PRAGMA synchronous = {'FULL' if options.get('sqlite_durable') else 'NORMAL'}")
    connection.exec_driver_sql(f"BEGIN {options.get('sqlite_begin', 'DEFERRED')}")
