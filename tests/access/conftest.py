"""What tests of this folder share."""

from databases import database, database_url, new_url, postgresql_server

__all__ = ["database", "database_url", "new_url", "postgresql_server"]
