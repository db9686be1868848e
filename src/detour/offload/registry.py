"""The deployments that were registered at run time, in a file.

Invariant: when a method returns, its change is on disk, and survives `kill -9` and a power failure.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

from detour.database import Storage
from detour.mesh import Endpoint, OffloadedDeployment
from detour.offload.ownership import expect_owner

_MIGRATIONS = (
    """
    CREATE TABLE deployments (
        service TEXT NOT NULL,
        name TEXT NOT NULL,
        endpoints TEXT NOT NULL,  -- JSON list of ip:port
        owner TEXT NOT NULL,
        expires TEXT,             -- ISO 8601 in UTC with microseconds, so that text order is time order
        PRIMARY KEY (service, name)
    ) WITHOUT ROWID, STRICT
    """,
)
"""The steps from each version of the tables to the next; `user_version` of a file is the number of its steps."""

_Row = tuple[str, str, str, str, str | None]


class Registry(Storage):
    """Deployments registered at run time, in an SQLite file, which is created if it does not exist.

    Methods are short and block; any thread may call them.

    Raises:
        StorageError: From any method: the file cannot be opened, read or written, is damaged or not a registry, or
            was written by a newer version. The message is one line that names the file.
    """

    def __init__(self, path: Path) -> None:
        advice = "mend it, or move it away to begin with an empty one"
        super().__init__(str(path), "cannot be used as the registry of deployments", sqlite3.Error, advice)
        self._lock = Lock()
        with self._explained():
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        with self._opening():
            self._open()

    def add(self, deployment: OffloadedDeployment) -> None:
        """Register a deployment, or renew the owner's own with other endpoints and another expiry.

        Raises:
            OwnedByAnotherError: Another user has registered that name; nothing has changed.
        """
        with self._transaction() as database:
            found = database.execute(
                "SELECT owner FROM deployments WHERE service = ? AND name = ?", deployment.key
            ).fetchone()
            if found:
                expect_owner(replace(deployment, owner=found[0]), deployment.owner)
            database.execute("INSERT OR REPLACE INTO deployments VALUES (?, ?, ?, ?, ?)", _row(deployment))

    def remove(self, service: str, name: str) -> bool:
        """Remove a deployment; return whether it existed."""
        with self._transaction() as database:
            removed = database.execute("DELETE FROM deployments WHERE service = ? AND name = ?", (service, name))
            return removed.rowcount > 0

    def all(self) -> tuple[OffloadedDeployment, ...]:
        """Return all deployments, by service and name."""
        with self._transaction() as database:
            return _deployments(database.execute("SELECT * FROM deployments ORDER BY service, name"))

    def expired(self, now: datetime) -> tuple[OffloadedDeployment, ...]:
        """Return the deployments that have expired at `now` (timezone-aware)."""
        query = "SELECT * FROM deployments WHERE expires <= ?"
        with self._transaction() as database:
            return _deployments(database.execute(query, (_moment(now),)))

    def remove_expired(self, now: datetime) -> tuple[OffloadedDeployment, ...]:
        """Remove and return the expired deployments in one step: a deployment that is renewed meanwhile stays."""
        query = "DELETE FROM deployments WHERE expires <= ? RETURNING *"
        with self._transaction() as database:
            return _deployments(database.execute(query, (_moment(now),)))

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def _open(self) -> None:
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        with self._transaction() as database:
            self._check(database)
            self._migrate(database)

    def _check(self, database: sqlite3.Connection) -> None:
        (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)

    def _migrate(self, database: sqlite3.Connection) -> None:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version > len(_MIGRATIONS):
            raise self._newer(version, len(_MIGRATIONS), "file")
        for statement in _MIGRATIONS[version:]:
            database.execute(statement)
        database.execute(f"PRAGMA user_version = {len(_MIGRATIONS)}")

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Hold the lock and a transaction: committed at the end, rolled back on an error."""
        with self._lock, self._explained(), self._connection as database:
            database.execute("BEGIN IMMEDIATE")
            yield database


def _row(deployment: OffloadedDeployment) -> _Row:
    endpoints = json.dumps([str(endpoint) for endpoint in deployment.endpoints])
    expires = _moment(deployment.expires) if deployment.expires else None
    return deployment.service, deployment.name, endpoints, deployment.owner, expires


def _deployments(rows: sqlite3.Cursor) -> tuple[OffloadedDeployment, ...]:
    return tuple(_deployment(row) for row in rows)


def _deployment(row: _Row) -> OffloadedDeployment:
    service, name, endpoints, owner, expires = row
    return OffloadedDeployment(
        service,
        name,
        tuple(Endpoint.parse(text) for text in json.loads(endpoints)),
        owner,
        datetime.fromisoformat(expires) if expires else None,
    )


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
