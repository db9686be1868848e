"""One database, SQLite or PostgreSQL; opening it migrates its schema.

Invariant: a committed change is on disk and in the log. Readers never wait for writers.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from detour.database.migrations import NewerSchemaError, upgrade
from detour.database.storage import Storage, StorageError

_SQLITE: Final = "sqlite"
_POSTGRESQL: Final = "postgresql"
_BUSY_SECONDS: Final = 10
_WRITES: Final = "detour_writes"


class Database(Storage):
    """A database; opening it creates or migrates the tables if necessary.

    Methods block; any thread may call them.

    Args:
        url: `sqlite:///relative.db`, `sqlite:////absolute.db`, or `postgresql://user:password@host/database`.

    Raises:
        StorageError: It cannot be opened, or a newer version has written it.
        ValueError: The URL has another form.
    """

    def __init__(self, url: str) -> None:
        parsed = _parsed(url)
        super().__init__(
            parsed.render_as_string(hide_password=True), "the database cannot be used", SQLAlchemyError
        )
        self._engine = _engine(parsed)
        # SQLite allows one writer. Waiting here is fair; SQLite's own lock is polled, so a writer could starve.
        self._writing = threading.Lock()
        with self._opening(), self.writing() as connection:
            self._upgrade(connection)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Hold a transaction that sees a consistent snapshot.

        Raises:
            StorageError: The database does not answer, or refuses.
        """
        with self._explained(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Hold a transaction that writes; an error that leaves it rolls it back.

        Raises:
            StorageError: The database does not answer, or refuses.
        """
        with (
            # Before the database is asked: threads of this process wait for each other here, not for SQLite's
            # busy timeout.
            self._writing,
            self._explained(),
            self._engine.connect().execution_options(**{_WRITES: True}) as connection,
            connection.begin(),
        ):
            yield connection

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _upgrade(self, connection: Connection) -> None:
        try:
            upgrade(connection)
        except NewerSchemaError as error:
            raise self._newer(error.found, error.known, "database") from error

    def _reason(self, error: Exception) -> str:
        # SQLAlchemy's own text has the statement and its values, which may be secret.
        return str(error.orig if isinstance(error, DBAPIError) else error)


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        parsed = None
    kind = parsed.get_backend_name() if parsed else ""
    if parsed is None or kind not in (_SQLITE, _POSTGRESQL):
        raise ValueError(
            "not a database URL: expected sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"
            f"{f', got {kind}' if kind else ''}"
        )
    return parsed.set(drivername="postgresql+psycopg") if kind == _POSTGRESQL else parsed


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == _SQLITE:
        engine = create_engine(url, connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False})
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    try:
        # `pool_pre_ping` detects connections that the server has closed before they are used.
        return create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": _BUSY_SECONDS})
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise StorageError("PostgreSQL needs psycopg: pip install 'detour-mesh[server]'") from error


def _set_up_sqlite(connection: Any, _record: object) -> None:
    # Python's sqlite3 would begin transactions implicitly, and too late (SQLAlchemy docs, "pysqlite").
    connection.isolation_level = None
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    """Take the writer's lock at once: SQLite refuses to upgrade a reader to a writer if another has written."""
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
