"""How servers that share a database see each other's changes."""

import asyncio

from databases import database_url, new_url, postgresql_server
from detour.database import Database
from detour.overrides import parse_words
from detour.scenarios import Draft
from detour.server.followed_database import FollowedDatabase
from detour.server.scenario_book import ScenarioBook

__all__ = ["database_url", "new_url", "postgresql_server"]


def draft(word: str) -> Draft:
    """Return a draft of one override."""
    return Draft(parse_words([word]))


def _book(database: Database) -> ScenarioBook:
    return ScenarioBook(FollowedDatabase(database))


async def test_servers_see_each_others_changes(database_url):
    """In the order of the log; a server that starts later has read all of them."""
    with Database(database_url) as first_database, Database(database_url) as second_database:
        first, second = _book(first_database), _book(second_database)
        heard: list[int] = []
        caught_up = asyncio.Event()

        def listen(changes):
            heard.extend(one.revision for one in changes)
            if len(heard) == 4:
                caught_up.set()

        second.database.listen(listen)
        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            following = tasks.create_task(second.database.follow())
            await first.create("a", draft("users=pr-1"), "ana")
            await first.change("a", draft("users=pr-2"), "ana", 1)
            await first.create("b", draft("users=pr-3"), "ana")
            await first.remove("b", "bo", 1)
            await caught_up.wait()
            following.cancel()
        assert heard == [1, 2, 3, 4]
        third = await asyncio.to_thread(_book, second_database)
        assert first.rows == second.rows == third.rows
        assert (second.get("a").version, second.get("b").is_removed, third.database.revision) == (2, True, 4)


async def test_a_database_that_recovers(tmp_path, caplog):
    """While it does not answer, the failure is a current problem, logged once; then the server recovers."""
    path = tmp_path / "scenarios.db"
    with Database(f"sqlite:///{path}") as database:
        book = await asyncio.to_thread(_book, database)
        database.close()
        kept = path.read_bytes()
        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            following = tasks.create_task(book.database.follow())
            path.write_bytes(b"no database any more" * 1000)
            while not book.database.problems:
                await asyncio.sleep(0.01)
            assert "file is not a database" in book.database.problems[0]
            path.write_bytes(kept)
            while book.database.problems:
                await asyncio.sleep(0.01)
            following.cancel()
    assert len(caplog.records) == 1


async def test_a_cache_may_register_while_changes_are_read(tmp_path):
    """It receives the following changes, and does not disturb others."""
    with Database(f"sqlite:///{tmp_path}/scenarios.db") as database:
        records = await asyncio.to_thread(FollowedDatabase, database)
        heard: list[str] = []
        records.register_cache("first", lambda _: records.register_cache("second", heard.extend))
        for kind in ("first", "second"):
            await records.note("ana", "made", kind, f"one of the {kind}")
    assert (heard, records.revision) == (["one of the second"], 2)
