"""Databases of both kinds."""

from collections.abc import Iterator

import pytest

from databases import database_url, new_url, postgresql_server
from detour.database import Database

__all__ = ["database_url", "new_url", "postgresql_server"]


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """Open an empty database."""
    with Database(database_url) as opened:
        yield opened
