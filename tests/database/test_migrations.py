"""The schema's history, up and down, on both kinds of database."""

from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from detour.database import ChangeLog, Database
from detour.database.migrations import configured
from detour.database.tables import metadata


def test_up_and_down(database: Database) -> None:
    """Every migration can be reverted, one by one, and applied again; the tables are then those of the code."""
    with database.writing() as connection:
        assert _differences(connection) == []
        config = configured(connection)
        scripts = list(ScriptDirectory.from_config(config).walk_revisions())
        for _ in scripts:
            command.downgrade(config, "-1")
        assert set(inspect(connection).get_table_names()) == {"alembic_version"}
        for _ in scripts:
            command.upgrade(config, "+1")
        assert _differences(connection) == []
    assert ChangeLog(database).revision() == 0


def _differences(connection: Connection) -> list[Any]:
    return list(compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata))
