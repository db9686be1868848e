"""One database, SQLite or PostgreSQL, brought up to date when it is opened.

Invariant: what a `change` has left is on disk, and each is in the log. Nobody who reads waits for one who writes.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, Self

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from detour.database.migrations import NewerSchemaError, upgrade

_SQLITE: Final = "sqlite"
_POSTGRESQL: Final = "postgresql"
_BUSY_SECONDS: Final = 10
_WRITES: Final = "detour_writes"


class Database:
    """A database, made or migrated if need be.

    Methods block; any thread may call them.

    Args:
        url: `sqlite:///relative.db`, `sqlite:////absolute.db`, or `postgresql://user:password@host/database`.

    Raises:
        OSError: It can't be opened, or was written by a newer version. The message names it, without a password.
        ValueError: That is no such URL.
    """

    def __init__(self, url: str) -> None:
        parsed = _parsed(url)
        self.name: Final = parsed.render_as_string(hide_password=True)
        """What people call it; a password is not shown."""
        self._engine = _engine(parsed)
        # SQLite has one writer: threads wait for each other here, in turn, rather than for its lock, by chance.
        self._writing = threading.Lock()
        try:
            with self.writing() as connection:
                upgrade(connection)
        except NewerSchemaError as error:
            self.close()
            raise OSError(f"{self.name}: {error}") from error
        except BaseException:
            self.close()
            raise

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Hold a transaction that sees one state of everything.

        Raises:
            OSError: The database does not answer, or refuses.
        """
        with self._explained(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Hold a transaction that changes something: all of it, or nothing if an error leaves it.

        Raises:
            OSError: The database does not answer, or refuses.
        """
        with (
            self._writing,
            self._explained(),
            self._engine.connect().execution_options(**{_WRITES: True}) as connection,
            connection.begin(),
        ):
            yield connection

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            # SQLAlchemy adds the statement and its values, which are nobody's business.
            reason = " ".join(str(error.orig if isinstance(error, DBAPIError) else error).split())
            raise OSError(f"{self.name}: the database cannot be used: {reason}") from error


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        parsed = None
    kind = parsed.get_backend_name() if parsed else ""
    if parsed is None or kind not in (_SQLITE, _POSTGRESQL):
        raise ValueError(
            "that is no database: expected sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"
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
        # A connection that the other side has closed is noticed before it is used.
        return create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": _BUSY_SECONDS})
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise OSError("PostgreSQL needs psycopg: pip install 'detour-mesh[server]'") from error


def _set_up_sqlite(connection: Any, _record: object) -> None:
    # Python's module would begin transactions by itself, and too late (SQLAlchemy docs, "pysqlite").
    connection.isolation_level = None
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    """Take the writer's lock at once: one who reads first and writes then would be refused if another wrote."""
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
