"""The registry, on real files, with real processes that are killed and real threads that meet."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from detour.mesh import Endpoint, OffloadedDeployment
from detour.offload.ownership import OwnedByAnotherError
from detour.offload.registry import Registry

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
FULL = OffloadedDeployment("users", "pr-42", (Endpoint("127.0.0.1", 9101), Endpoint("::1", 9102)), "ana", NOON)
BARE = OffloadedDeployment("web", "next")

ADDS_FOR_EVER = """
import sys
from pathlib import Path
from detour.mesh import Endpoint, OffloadedDeployment
from detour.offload.registry import Registry

registry = Registry(Path(sys.argv[1]))
for number in range(1_000_000):
    registry.add(OffloadedDeployment("users", f"pr-{number}", (Endpoint("127.0.0.1", 80),), "ana"))
    print(f"pr-{number}", flush=True)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a registry may be made."""
    return tmp_path / "detour.db"


@pytest.fixture
def registry(path: Path) -> Iterator[Registry]:
    """Return an empty registry."""
    with Registry(path) as opened:
        yield opened


def test_what_was_added_is_there_after_reopening(path):
    """Every field survives, with and without owner, expiry and endpoints."""
    with Registry(path) as registry:
        registry.add(BARE)
        registry.add(FULL)
    with Registry(path) as registry:
        assert registry.all() == (FULL, BARE)


@pytest.mark.parametrize("answers", [1, 20])
def test_what_was_answered_survives_kill_9(path, answers):
    """A process killed at any moment has lost nothing that `add` returned for."""
    with subprocess.Popen(
        [sys.executable, "-c", ADDS_FOR_EVER, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            answered = [process.stdout.readline().strip() for _ in range(answers)]
        finally:
            os.kill(process.pid, signal.SIGKILL)
        answered += [line.strip() for line in process.stdout if line.endswith("\n")]
    with Registry(path) as registry:
        assert set(answered) <= {deployment.name for deployment in registry.all()}
    assert answered[0] == "pr-0"


def test_adding_again_renews_the_owners_own(registry):
    """New endpoints and a new expiry replace the old ones."""
    registry.add(FULL)
    renewed = OffloadedDeployment("users", "pr-42", (), "ana", NOON + timedelta(hours=1))
    registry.add(renewed)
    assert registry.all() == (renewed,)


@pytest.mark.parametrize(("owner", "named"), [("ana", "belongs to ana"), ("", "exists, without an owner")])
def test_the_name_of_another_owner_is_refused(registry, owner, named):
    """The message names the owner, and nothing changes."""
    first = OffloadedDeployment("users", "pr-42", owner=owner)
    registry.add(first)
    with pytest.raises(OwnedByAnotherError, match=rf"^users@pr-42 {named}: choose another name$"):
        registry.add(OffloadedDeployment("users", "pr-42", owner="bo"))
    assert registry.all() == (first,)


def test_one_name_may_be_used_for_two_services(registry):
    """A pull request that changes two services has one name."""
    registry.add(OffloadedDeployment("users", "pr-1", owner="ana"))
    registry.add(OffloadedDeployment("web", "pr-1", owner="bo"))
    assert [str(deployment) for deployment in registry.all()] == ["users@pr-1", "web@pr-1"]


def test_removing_says_whether_there_was_something(registry):
    """Removing twice is fine, and the second answer is different."""
    registry.add(BARE)
    assert registry.remove("web", "next")
    assert not registry.remove("web", "next")
    assert registry.all() == ()


def test_expired_are_those_whose_time_is_up(registry):
    """Up to and including the moment, in whatever zone and fraction it was written; never those without expiry."""
    for name, expires in {
        "before": NOON - timedelta(microseconds=1),
        "elsewhere": NOON.astimezone(timezone(timedelta(hours=-9))),
        "after": NOON + timedelta(microseconds=1),
        "never": None,
    }.items():
        registry.add(OffloadedDeployment("users", name, expires=expires))
    assert {deployment.name for deployment in registry.expired(NOON)} == {"before", "elsewhere"}
    assert len(registry.all()) == 4


def test_removing_the_expired_gives_them_and_leaves_the_rest(registry):
    """One step, so that a deployment renewed meanwhile is never removed."""
    registry.add(FULL)
    registry.add(BARE)
    assert registry.remove_expired(NOON) == (FULL,)
    assert registry.remove_expired(NOON) == ()
    assert registry.all() == (BARE,)


def test_threads_may_share_a_registry(registry):
    """Many at once add, list and remove; each sees its own doing."""

    def add_and_remove(number: int) -> bool:
        deployment = OffloadedDeployment("users", f"pr-{number}")
        registry.add(deployment)
        seen = deployment in registry.all()
        return seen and (number % 2 == 0 or registry.remove(*deployment.key))

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(add_and_remove, range(100)))
    assert len(registry.all()) == 50


def test_of_many_who_want_a_name_one_gets_it(path):
    """Also between two servers on one file: exactly one owner, whom the errors of the others name."""
    with Registry(path) as one, Registry(path) as other, ThreadPoolExecutor(8) as threads:

        def gets_it(number: int) -> bool:
            try:
                (one, other)[number % 2].add(OffloadedDeployment("users", "pr-1", owner=f"owner-{number}"))
            except OwnedByAnotherError:
                return False
            return True

        assert sum(threads.map(gets_it, range(16))) == 1


def test_a_write_waits_for_the_disk(registry):
    """`synchronous = FULL` in WAL mode: a commit is on disk when it is answered."""
    (mode,) = registry._connection.execute("PRAGMA journal_mode").fetchone()
    (synchronous,) = registry._connection.execute("PRAGMA synchronous").fetchone()
    assert (mode, synchronous) == ("wal", 2)


def test_a_newer_file_is_refused_and_left_alone(path):
    """A downgrade does not guess at tables that it does not know."""
    with Registry(path) as registry:
        registry.add(FULL)
        registry._connection.execute("PRAGMA user_version = 7")
    with pytest.raises(
        OSError, match=r"detour\.db: a newer version of Detour has written this, with schema 7; .* supports 1"
    ):
        Registry(path)
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT name FROM deployments").fetchall() == [("pr-42",)]
    database.close()


def damage_head(path: Path) -> None:
    """Make it no database at all."""
    path.write_bytes(b"this is not a database, whatever its name says\n" * 100)


def damage_middle(path: Path) -> None:
    """Leave the head as it is, and spoil a page of content."""
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 2000)


def put_a_directory(path: Path) -> None:
    """Put something in its place that cannot be opened."""
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [damage_head, damage_middle, put_a_directory])
def test_a_file_that_cannot_be_used_is_reported_in_one_line(path, damage):
    """Damaged at the head, in the middle, or no file at all: which file, what is wrong, what to do."""
    with Registry(path) as registry:
        registry.add(FULL)
    damage(path)
    with pytest.raises(OSError) as caught:
        Registry(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: cannot be used as the registry of deployments: ")
    assert message.endswith("; mend it, or move it away to begin with an empty one")
    assert "\n" not in message


def test_a_missing_directory_is_reported(tmp_path):
    """A registry makes its file, but no directories for a mistyped path."""
    with pytest.raises(OSError, match=r"gone/detour\.db: cannot be used .* unable to open database file"):
        Registry(tmp_path / "gone" / "detour.db")


def test_a_full_disk_is_reported_and_nothing_is_half_written(registry):
    """What cannot be stored is not answered as if it were."""
    registry.add(BARE)
    registry._connection.execute("PRAGMA max_page_count = 1")
    huge = OffloadedDeployment("users", "pr-1", owner="x" * 100_000)
    with pytest.raises(OSError, match="database or disk is full"):
        registry.add(huge)
    assert registry.all() == (BARE,)


def test_a_closed_registry_says_so(path):
    """Late calls while a server stops get an error, not a crash."""
    with Registry(path) as registry:
        pass
    with pytest.raises(OSError, match="closed database"):
        registry.all()
