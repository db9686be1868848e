"""Opening a database, and the guarantees of its transactions."""

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from detour.database import ChangeLog, Database
from detour.database.log import note


def test_opening_creates_the_tables(database_url: str) -> None:
    """In an empty database; opening it again changes nothing."""
    for expected in (0, 1):
        with Database(database_url) as opened:
            log = ChangeLog(opened)
            assert log.revision() == expected
            log.add("ana", "created", "deployment", "users@pr-42")


def test_two_servers_open_it_at_once(database_url: str) -> None:
    """Replicas that start together create the tables once."""
    opening = "import sys; from detour.database import Database; Database(sys.argv[1]).close()"
    servers = [subprocess.Popen([sys.executable, "-c", opening, database_url]) for _ in range(3)]
    assert [one.wait() for one in servers] == [0, 0, 0]


def test_an_error_rolls_back(database: Database) -> None:
    """A transaction that an error leaves has no effect."""

    def failing() -> None:
        with database.writing() as connection:
            note(connection, "ana", "created", "deployment", subject="users@pr-42")
            raise KeyError

    with pytest.raises(KeyError):
        failing()
    assert ChangeLog(database).revision() == 0


@pytest.mark.parametrize(
    "statement", ["UPDATE schema_compatibility SET readable_since = '9999'", "DROP TABLE schema_compatibility"]
)
def test_a_newer_database_is_refused(database_url: str, statement: str) -> None:
    """A schema that this version cannot use is not changed, and the message says what to do."""
    with Database(database_url) as opened, opened.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        connection.execute(text(statement))
    with pytest.raises(OSError, match=r"newer version of Detour .* with schema 9999; .* upgrade Detour"):
        Database(database_url)


def test_a_newer_schema_that_this_version_can_use_is_used_as_it_is(database_url: str) -> None:
    """Servers can be rolled back, and replicas of two versions can run beside each other."""
    with Database(database_url) as opened, opened.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        connection.execute(text("UPDATE schema_compatibility SET readable_since = '0004'"))
    with Database(database_url) as opened:
        with opened.reading() as connection:
            assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == "9999"
        assert ChangeLog(opened).revision() == 0


def test_other_files_are_refused(tmp_path: Path) -> None:
    """The error names the file, and the file does not change."""
    path = tmp_path / "notes.txt"
    path.write_text("milk, eggs, and a good many other things that are not a database" * 100)
    with pytest.raises(OSError, match=r"notes\.txt.*file is not a database"):
        Database(f"sqlite:///{path}")
    assert path.read_text().startswith("milk")


@pytest.mark.parametrize("url", ["mysql://root@127.0.0.1/detour", "detour.db", "", "sqlite"])
def test_other_urls_are_refused(url: str) -> None:
    """The error says which URLs are valid."""
    with pytest.raises(ValueError, match="expected sqlite:///FILE or postgresql://"):
        Database(url)


def test_passwords_are_not_shown() -> None:
    """Neither in the error of a database that does not answer nor in its name."""
    with pytest.raises(OSError, match="postgresql") as raised:
        Database("postgresql://detour:s3cret@127.0.0.1:1/detour")
    assert "s3cret" not in str(raised.value)
