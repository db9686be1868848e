"""The log of changes."""

import threading

from detour.database import ChangeLog, Database


def test_reading(database: Database) -> None:
    """Changes are read forwards and backwards, in pages."""
    log = ChangeLog(database)
    made = [log.add("ana", "created", "deployment", f"users@pr-{number}") for number in range(5)]
    assert [one.revision for one in made] == [1, 2, 3, 4, 5]
    assert list(log.since(0, 3)) == made[:3]
    assert list(log.since(3, 10)) == made[3:]
    assert list(log.before(None, 2)) == [made[4], made[3]]
    assert list(log.before(4, 10)) == [made[2], made[1], made[0]]


def test_concurrent_writers_have_one_order(database_url: str) -> None:
    """Revisions of simultaneous writers have no gaps, so readers of the log miss none."""
    databases = [Database(database_url) for _ in range(3)]
    seen: list[int] = []

    def writing(database: Database) -> None:
        log = ChangeLog(database)
        for _ in range(20):
            log.add("ana", "created", "deployment", "users@pr-42")

    threads = [threading.Thread(target=writing, args=(one,)) for one in databases]
    for one in threads:
        one.start()
    follower = ChangeLog(databases[0])
    while len(seen) < 60:
        seen += [one.revision for one in follower.since(seen[-1] if seen else 0, 100)]
    for one in threads:
        one.join()
    for one in databases:
        one.close()
    assert seen == list(range(1, 61))
