"""The schema's history, for Alembic: each file in `versions/` migrates the tables of the one before.

Invariants: one server at a time migrates a database, in one transaction. A server that knows the schema
`READABLE_SINCE` can use the newest one, so that servers can be rolled back, and replicas of two versions can run
beside each other.
"""

import threading
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, select, text, update

from detour.database.tables import schema_compatibility

READABLE_SINCE: Final = "0004"
"""The oldest schema whose servers can use the newest schema.

A migration that only adds tables, or columns with defaults, leaves it as it is. Any other migration sets it to its
own revision; rolling back across it needs a backup, which the changelog must say."""

_LOCK: Final = 0x6465746F7572
"""PostgreSQL's advisory lock for migrations: `detour`, in ASCII."""

# Alembic's commands keep their state in global variables.
_migrating = threading.Lock()


class NewerSchemaError(Exception):
    """A newer version of Detour has migrated the database to a schema that this version does not know.

    Args:
        found: The database's schema.
        known: The newest schema that this version knows.
    """

    def __init__(self, found: str, known: str | None) -> None:
        super().__init__(found, known)
        self.found = found
        self.known = known


def upgrade(connection: Connection) -> None:
    """Migrate a database to the newest schema, within the connection's transaction.

    Raises:
        NewerSchemaError: Its schema is newer than this version, which cannot use it.
    """
    config = configured(connection)
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    found = MigrationContext.configure(connection).get_current_revision()
    script = ScriptDirectory.from_config(config)
    if found == script.get_current_head():
        return
    known = {one.revision for one in script.walk_revisions()}
    if found is not None and found not in known:
        if _readable_since(connection) in known:
            return
        raise NewerSchemaError(found, script.get_current_head())
    with _migrating:
        command.upgrade(config, "head")
    connection.execute(update(schema_compatibility).values(readable_since=READABLE_SINCE))


def _readable_since(connection: Connection) -> str | None:
    """Return what the version that migrated the database says; None if it says nothing."""
    if not inspect(connection).has_table(schema_compatibility.name):
        return None
    return connection.execute(select(schema_compatibility.c.readable_since)).scalar()


def configured(connection: Connection) -> Config:
    """Return Alembic's configuration for an open connection."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    return config
