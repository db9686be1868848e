"""What Alembic runs for every command: migrations, on the connection that it is handed."""

from alembic import context

from detour.database.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite changes a column by making the table anew.
    render_as_batch=True,
)
context.run_migrations()
