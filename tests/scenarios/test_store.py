"""Scenarios in a database: one contract, on SQLite and on PostgreSQL."""

import threading
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from detour.database import ChangeLog, Database
from detour.overrides import parse_words
from detour.scenarios import (
    Draft,
    Filter,
    LifecycleState,
    NoScenarioError,
    OutdatedError,
    ScenarioExistsError,
    ScenarioStore,
)

NOW = datetime(2026, 11, 28, 12, 0, 0, 123456, tzinfo=UTC)


def draft(*words: str, **more: object) -> Draft:
    """Return a draft with overrides in the command line's notation."""
    return Draft(parse_words(words or ("users=pr-42",)), **more)


@pytest.fixture
def store(database: Database) -> ScenarioStore:
    """Return a store without scenarios."""
    return ScenarioStore(database)


def test_stored_values_are_unchanged(store: ScenarioStore) -> None:
    """In any alphabet, with times to the microsecond."""
    words = ("users=pr-42", "delay.payments=300ms", "config.new-checkout=ünï, \x00;=%")
    asked = draft(*words, owner="Äna", description="a new checkout,\nin two lines", expires=NOW)
    made, change = store.create("checkout-redesign", asked, "ana")
    assert (made.name, made.version, made.overrides) == ("checkout-redesign", 1, parse_words(words))
    assert (made.owner, made.description, made.expires) == ("Äna", "a new checkout,\nin two lines", NOW)
    assert (made.changed, made.changed_by, made.is_removed) == (change.at, "ana", False)
    assert store.get("checkout-redesign") == made


def test_times_in_other_zones(store: ScenarioStore) -> None:
    """Are stored as the same moment."""
    tokyo = NOW.astimezone(ZoneInfo("Asia/Tokyo"))
    store.create("a", draft(expires=tokyo), "ana")
    assert store.get("a").expires == NOW


def test_every_change_creates_a_version(store: ScenarioStore) -> None:
    """Numbers count up, and old versions stay readable and unchanged."""
    first, _ = store.create("a", draft("users=pr-1"), "ana")
    second, _ = store.change("a", draft("users=pr-2", owner="bo"), "bo", version=1)
    third, _ = store.change("a", draft("users=pr-3"), "ana", version=2)
    assert store.get("a") == third
    assert [store.version("a", number) for number in (1, 2, 3)] == [first, second, third]
    assert list(store.versions("a", None, 2)) == [third, second]
    assert list(store.versions("a", 2, 10)) == [first]


def test_an_existing_name_is_refused(store: ScenarioStore) -> None:
    """The error names the owner."""
    made, _ = store.create("a", draft(owner="ana"), "ana")
    with pytest.raises(
        ScenarioExistsError, match=r"^scenario a already exists, owned by ana: change it, or choose another name$"
    ):
        store.create("a", draft(), "bo")
    assert store.get("a") == made


def test_an_outdated_change_is_refused(store: ScenarioStore) -> None:
    """The error has the current version and its author; nothing is overwritten."""
    store.create("a", draft("users=pr-1"), "ana")
    second, _ = store.change("a", draft("users=pr-2"), "bo", version=1)
    with pytest.raises(OutdatedError, match="at version 2, by bo") as raised:
        store.change("a", draft("users=pr-3"), "ana", version=1)
    assert raised.value.current == second
    with pytest.raises(OutdatedError):
        store.remove("a", "ana", version=1)
    assert store.get("a") == second


def test_of_many_simultaneous_edits_one_wins(store: ScenarioStore, database_url: str) -> None:
    """Of writers on several servers with the same version, exactly one creates the next."""
    store.create("a", draft(), "ana")
    won: list[str] = []
    lost: list[str] = []

    def editing(who: str) -> None:
        with Database(database_url) as database:
            try:
                ScenarioStore(database).change("a", draft(f"users={who}"), who, version=1)
            except OutdatedError:
                lost.append(who)
            else:
                won.append(who)

    threads = [threading.Thread(target=editing, args=(f"pr-{number}",)) for number in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert (len(won), len(lost)) == (1, 5)
    assert (store.get("a").changed_by, store.get("a").version) == (won[0], 2)


def test_removed_scenarios_are_kept(store: ScenarioStore) -> None:
    """With their content and who removed them; a new one of the name continues the versions."""
    first, _ = store.create("a", draft(owner="ana"), "ana")
    store.remove("a", "bo", version=1)
    removed = store.get("a")
    assert (removed.state(NOW), removed.version, removed.changed_by) == (LifecycleState.REMOVED, 2, "bo")
    assert (removed.overrides, removed.owner) == (first.overrides, "ana")
    for attempt in (lambda: store.remove("a", "bo", 2), lambda: store.change("a", draft(), "bo", 2)):
        with pytest.raises(NoScenarioError, match=r"^scenario a was removed by bo$"):
            attempt()
    again, _ = store.create("a", draft("users=pr-7"), "cy")
    assert (again.version, again.state(NOW)) == (3, LifecycleState.LIVE)
    assert store.version("a", 1) == first


def test_unknown_names_and_versions(store: ScenarioStore) -> None:
    """Have different errors."""
    for attempt in (
        lambda: store.get("a"),
        lambda: store.version("a", 1),
        lambda: store.versions("a", None, 10),
        lambda: store.remove("a", "ana", 1),
        lambda: store.change("a", draft(), "ana", 1),
    ):
        with pytest.raises(NoScenarioError, match=r"^scenario a does not exist$"):
            attempt()
    store.create("a", draft(), "ana")
    with pytest.raises(NoScenarioError, match=r"^scenario a has no version 2; its last one is 1$"):
        store.version("a", 2)


def test_listing(store: ScenarioStore) -> None:
    """By name, state and owner, in pages."""
    for name in ("b-2", "a", "b", "c"):
        store.create(name, draft(owner="ana" if name < "c" else "bo"), "ana")
    store.create("gone", draft(), "ana")
    store.remove("gone", "ana", 1)
    store.create("old", draft(expires=NOW), "ana")
    store.create("new", draft(expires=NOW + timedelta(microseconds=1)), "ana")

    def names(after: str = "", limit: int = 100, **wanted: object) -> list[str]:
        return [one.name for one in store.all(Filter(NOW, **wanted), after, limit)]

    assert names() == ["a", "b", "b-2", "c", "new"]
    assert names(limit=2) == ["a", "b"]
    assert names(after="b", limit=2) == ["b-2", "c"]
    assert names(owner="bo") == ["c"]
    assert names(state=LifecycleState.EXPIRED) == ["old"]
    assert names(state=LifecycleState.REMOVED) == ["gone"]
    assert names(state=None) == ["a", "b", "b-2", "c", "gone", "new", "old"]


def test_the_log_has_every_change(store: ScenarioStore, database: Database) -> None:
    """With author, action, time and version; refused changes are not logged."""
    store.create("a", draft(), "ana")
    _, changed = store.change("a", draft("users=pr-2"), "bo", version=1)
    with pytest.raises(OutdatedError):
        store.change("a", draft(), "cy", version=1)
    removed = store.remove("a", "ana", version=2)
    log = list(ChangeLog(database).since(0, 10))
    assert [(one.revision, one.who, one.action, one.kind, one.subject, one.version) for one in log] == [
        (1, "ana", "created", "scenario", "a", 1),
        (2, "bo", "changed", "scenario", "a", 2),
        (3, "ana", "removed", "scenario", "a", 3),
    ]
    assert log[1:] == [changed, removed]


def test_scenarios_of_nobody(store: ScenarioStore) -> None:
    """The errors say so."""
    store.create("a", draft(), "ana")
    with pytest.raises(ScenarioExistsError, match=r"^scenario a already exists, without an owner: change it, or "):
        store.create("a", draft(owner="bo"), "bo")
    store.remove("a", "", version=1)
    with pytest.raises(NoScenarioError, match=r"^scenario a was removed by an unknown user$"):
        store.change("a", draft(), "bo", version=2)
