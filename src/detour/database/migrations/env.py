"""Alembic runs this for every command: it migrates on the connection in its configuration."""

from alembic import context

from detour.database.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite can change a column only by recreating the table.
    render_as_batch=True,
)
context.run_migrations()
