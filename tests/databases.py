"""Empty databases for tests, of each kind that Detour works on."""

import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

import postgresql
from detour.database import Database

KINDS = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """Run a PostgreSQL, and give its URL."""
    if why := postgresql.why_not():
        pytest.skip(why)
    # Not below pytest's own folder: where tests run as root it is closed to PostgreSQL's user.
    with (
        tempfile.TemporaryDirectory(prefix="detour-postgresql-") as folder,
        postgresql.running(Path(folder)) as url,
    ):
        yield url


@pytest.fixture
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """Return what makes an empty database of a kind, and gives its URL."""

    def made(kind: str) -> str:
        if kind == "sqlite":
            return f"sqlite:///{tmp_path}/{uuid.uuid4().hex}.db"
        server = request.getfixturevalue("postgresql_server")
        name = f"test_{uuid.uuid4().hex}"
        with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return f"{server}/{name}"

    return made


@pytest.fixture(params=KINDS)
def database_url(request: pytest.FixtureRequest, new_url: Callable[[str], str]) -> str:
    """Return the URL of an empty database, once for each kind."""
    return new_url(request.param)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """Open an empty database, once for each kind."""
    with Database(database_url) as opened:
        yield opened
