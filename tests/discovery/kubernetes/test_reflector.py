"""Transcripts of list and watch: what the API says, and what comes of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import convert

from detour.discovery.kubernetes.objects import Pod
from detour.discovery.kubernetes.reflector import Applied, ListFrom, Reflector, Removed, WatchFrom
from kubernetes_objects import pod


def one(name: str, version: int | str) -> Pod:
    """Return a pod as it was at a version."""
    made = pod(name, "10.0.0.1")
    made["metadata"]["resourceVersion"] = str(version)
    return convert(made, Pod)


def told(changes) -> list[str]:
    """Say what changes are: + or -, name and version."""
    signs = {Applied: "+", Removed: "-"}
    metadata = [(signs[type(change)], change.object.metadata) for change in changes]
    return [f"{sign}{of.name}@{of.resource_version}" for sign, of in metadata]


@pytest.fixture
def watching() -> Reflector[Pod]:
    """Return a reflector that has listed two pods at version 10."""
    reflector = Reflector[Pod]()
    assert told(reflector.page([one("a", 5), one("b", 7)], "10", "")) == ["+a@5", "+b@7"]
    return reflector


def test_a_list_comes_in_pages_and_counts_when_it_is_whole() -> None:
    """Then the watch begins at its version."""
    reflector = Reflector[Pod]()
    assert reflector.next() == ListFrom("")
    assert told(reflector.page([one("a", 5)], "10", "more")) == []
    assert (reflector.next(), reflector.is_synced) == (ListFrom("more"), False)
    assert told(reflector.page([one("b", 7)], "10", "")) == ["+a@5", "+b@7"]
    assert (reflector.next(), reflector.is_synced) == (WatchFrom("10"), True)


def test_each_event_counts_once(watching: Reflector[Pod]) -> None:
    """A watch that begins again may tell what was told before."""
    assert told(watching.applied(one("a", 11))) == ["+a@11"]
    assert told(watching.applied(one("a", 11))) == []
    assert told(watching.removed(one("b", 12))) == ["-b@7"]
    assert told(watching.removed(one("b", 12))) == []


def test_what_comes_late_changes_nothing(watching: Reflector[Pod]) -> None:
    """Neither what was changed nor what was removed since comes back."""
    assert told(watching.applied(one("a", 13))) == ["+a@13"]
    assert told(watching.applied(one("a", 11))) == []
    assert told(watching.removed(one("a", 12))) == []
    assert told(watching.removed(one("b", 14))) == ["-b@7"]
    assert told(watching.applied(one("b", 12))) == []
    assert told(watching.applied(one("b", 15))) == ["+b@15"]


def test_an_event_that_comes_out_of_order_counts_for_its_own_object(watching: Reflector[Pod]) -> None:
    """Versions are compared object by object."""
    assert told(watching.applied(one("c", 20))) == ["+c@20"]
    assert told(watching.applied(one("a", 15))) == ["+a@15"]
    assert watching.next() == WatchFrom("20")


def test_a_watch_goes_on_from_the_last_version_heard_of(watching: Reflector[Pod]) -> None:
    """Bookmarks are for that."""
    watching.applied(one("a", 11)).close()
    assert told(watching.applied(one("a", 11))) == ["+a@11"]
    assert watching.next() == WatchFrom("11")
    watching.reached("30")
    watching.reached("20")
    assert watching.next() == WatchFrom("30")
    watching.refused(500)
    watching.refused(0)
    assert watching.next() == WatchFrom("30")


def test_where_the_api_has_forgotten_everything_is_listed_anew(watching: Reflector[Pod]) -> None:
    """What is the same is not told; what has gone meanwhile is; nothing changes before the list is whole."""
    watching.refused(410)
    assert (watching.next(), watching.is_synced) == (ListFrom(""), True)
    assert told(watching.page([one("a", 5)], "50", "more")) == []
    assert told(watching.page([one("c", 40)], "50", "")) == ["+c@40", "-b@7"]
    assert watching.next() == WatchFrom("50")


def test_a_page_that_is_refused_begins_the_list_again() -> None:
    """The token of a list lives for some minutes only."""
    reflector = Reflector[Pod]()
    assert told(reflector.page([one("a", 5)], "10", "more")) == []
    reflector.refused(410)
    assert reflector.next() == ListFrom("")
    assert told(reflector.page([one("b", 12)], "12", "")) == ["+b@12"]


def test_versions_that_are_no_numbers_are_believed_in_their_order() -> None:
    """Not every API is backed by etcd."""
    reflector = Reflector[Pod]()
    assert told(reflector.page([one("a", "x1")], "x1", "")) == ["+a@x1"]
    assert told(reflector.applied(one("a", "k2"))) == ["+a@k2"]
    assert told(reflector.applied(one("a", "k2"))) == []
    assert reflector.next() == WatchFrom("k2")


STEPS = st.tuples(st.sampled_from("abc"), st.booleans(), st.lists(st.integers(0, 30), max_size=3))


@given(st.lists(STEPS, max_size=20))
def test_replays_lose_and_duplicate_nothing(steps: list[tuple[str, bool, list[int]]]) -> None:
    """Whatever is told again, at any time, what is known is what there is."""
    reflector, there, known, events = Reflector[Pod](), {}, {}, []
    list(reflector.page([], "0", ""))
    for version, (name, is_there, replays) in enumerate(steps, 1):
        if is_there:
            there[name] = version
        elif there.pop(name, None) is None:
            continue
        events.append((one(name, version), is_there))
        for event, was_there in [events[-1], *(events[number % len(events)] for number in replays)]:
            for change in reflector.applied(event) if was_there else reflector.removed(event):
                metadata = change.object.metadata
                if isinstance(change, Applied):
                    assert known.get(metadata.name, 0) < int(metadata.resource_version)
                    known[metadata.name] = int(metadata.resource_version)
                else:
                    del known[metadata.name]
        assert known == there
