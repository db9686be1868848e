"""Transcripts of list and watch: what the API says, and what comes of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import convert

from detour.discovery.kubernetes.objects import Pod
from detour.discovery.kubernetes.reflector import Applied, ListFrom, Reflector, Removed, WatchFrom
from detour.kubernetes.objects import Metadata
from kubernetes_objects import pod


def one(name: str, version: int | str, address: str = "10.0.0.1") -> Pod:
    """Return a pod as it was at a version."""
    made = pod(name, address)
    made["metadata"]["resourceVersion"] = str(version)
    return convert(made, Pod)


def signs(changes) -> list[str]:
    """Return changes as text: + or -, name and version."""
    sign_of = {Applied: "+", Removed: "-"}
    metadata = [(sign_of[type(change)], change.object.metadata) for change in changes]
    return [f"{sign}{of.name}@{of.resource_version}" for sign, of in metadata]


@pytest.fixture
def watching() -> Reflector[Pod]:
    """Return a reflector that has listed two pods at version 10."""
    reflector = Reflector[Pod]()
    assert signs(reflector.page([one("a", 5), one("b", 7)], "10", "")) == ["+a@5", "+b@7"]
    return reflector


def test_a_list_comes_in_pages_and_counts_when_it_is_whole() -> None:
    """Then the watch begins at its version."""
    reflector = Reflector[Pod]()
    assert reflector.next() == ListFrom("")
    assert signs(reflector.page([one("a", 5)], "10", "more")) == []
    assert (reflector.next(), reflector.is_synced) == (ListFrom("more"), False)
    assert signs(reflector.page([one("b", 7)], "10", "")) == ["+a@5", "+b@7"]
    assert (reflector.next(), reflector.is_synced) == (WatchFrom("10"), True)


def test_each_event_counts_once(watching: Reflector[Pod]) -> None:
    """A watch that begins again may repeat events."""
    assert signs(watching.applied(one("a", 11))) == ["+a@11"]
    assert signs(watching.applied(one("a", 11))) == []
    assert signs(watching.removed(one("b", 12))) == ["-b@7"]
    assert signs(watching.removed(one("b", 12))) == []


def test_what_comes_late_changes_nothing(watching: Reflector[Pod]) -> None:
    """Neither what was changed nor what was removed since comes back."""
    assert signs(watching.applied(one("a", 13))) == ["+a@13"]
    assert signs(watching.applied(one("a", 11))) == []
    assert signs(watching.removed(one("a", 12))) == []
    assert signs(watching.removed(one("b", 14))) == ["-b@7"]
    assert signs(watching.applied(one("b", 12))) == []
    assert signs(watching.applied(one("b", 15))) == ["+b@15"]


def test_an_event_that_comes_out_of_order_counts_for_its_own_object(watching: Reflector[Pod]) -> None:
    """Versions are compared object by object."""
    assert signs(watching.applied(one("c", 20))) == ["+c@20"]
    assert signs(watching.applied(one("a", 15))) == ["+a@15"]
    assert watching.next() == WatchFrom("20")


def test_a_watch_goes_on_from_the_last_version_heard_of(watching: Reflector[Pod]) -> None:
    """Bookmarks are for that."""
    watching.applied(one("a", 11)).close()
    assert signs(watching.applied(one("a", 11))) == ["+a@11"]
    assert watching.next() == WatchFrom("11")
    watching.reached("30")
    watching.reached("20")
    assert watching.next() == WatchFrom("30")
    watching.refused(500)
    watching.refused(0)
    assert watching.next() == WatchFrom("30")


def test_where_the_api_has_forgotten_everything_is_listed_anew(watching: Reflector[Pod]) -> None:
    """Unchanged objects are not reported, missing ones are; nothing changes before the list is complete."""
    watching.refused(410)
    assert (watching.next(), watching.is_synced) == (ListFrom(""), True)
    assert signs(watching.page([one("a", 5)], "50", "more")) == []
    assert signs(watching.page([one("c", 40)], "50", "")) == ["+c@40", "-b@7"]
    assert watching.next() == WatchFrom("50")


def test_changes_during_an_interruption_are_reported_with_their_last_state(watching: Reflector[Pod]) -> None:
    """After a 410 an object of another version counts, whatever it is; so does one that came, went or came back."""
    list(watching.applied(one("c", 12)))
    list(watching.removed(one("b", 13)))
    watching.refused(410)
    moved, came, back = one("a", 20, "10.0.0.2"), one("d", 21), one("b", 22, "10.0.0.3")
    assert list(watching.page([moved, came, back], "50", "")) == [
        Applied(moved),
        Applied(came),
        Applied(back),
        Removed(one("c", 12)),
    ]
    assert watching.next() == WatchFrom("50")
    assert signs(watching.applied(one("a", 19))) == []
    assert list(watching.removed(one("a", 51))) == [Removed(moved)]
    assert list(watching.removed(one("b", 52))) == [Removed(back)]


def test_a_list_of_an_older_server_counts_too(watching: Reflector[Pod]) -> None:
    """A cluster that was restored from a backup has smaller versions; what it has is what there is."""
    watching.reached("90")
    watching.refused(410)
    assert signs(watching.page([one("a", 3)], "4", "")) == ["+a@3", "-b@7"]
    assert watching.next() == WatchFrom("4")


def test_bookmarks_count_like_changes(watching: Reflector[Pod]) -> None:
    """One that says what was known, or less, changes nothing; no object is reported because of one."""
    for version, reached in (("11", "11"), ("11", "11"), ("10", "11"), ("9", "11"), ("100", "100"), ("99", "100")):
        watching.reached(version)
        assert watching.next() == WatchFrom(reached)
    assert signs(watching.applied(one("a", 99))) == ["+a@99"]


def test_only_a_version_that_is_gone_means_to_list_again(watching: Reflector[Pod]) -> None:
    """Every other refusal means to try again."""
    for code in (0, 400, 401, 403, 404, 409, 411, 429, 500, 503, 504):
        watching.refused(code)
        assert watching.next() == WatchFrom("10")


def test_objects_of_one_name_in_several_namespaces_are_several(watching: Reflector[Pod]) -> None:
    """Where one watch is for all namespaces."""
    there = convert({"metadata": {"name": "a", "namespace": "pay", "resourceVersion": "8"}}, Pod)
    assert list(watching.applied(there)) == [Applied(there)]
    assert signs(watching.removed(one("a", 11))) == ["-a@5"]
    assert list(watching.applied(there)) == []


def test_removed_objects_are_remembered_within_bounds() -> None:
    """Of 10,001 the first is forgotten: an event about it that comes late would count."""
    reflector = Reflector[Pod]()
    list(reflector.page([], "1", ""))
    versions = [*range(2, 10_003)]
    for version in versions:
        gone = Pod(Metadata(name=f"p{version}", resource_version=str(version)))
        list(reflector.applied(gone))
        list(reflector.removed(gone))
    late = [list(reflector.applied(Pod(Metadata(name=f"p{v}", resource_version=str(v))))) for v in versions]
    assert [len(one) for one in late] == [1, *[0] * 10_000]


def test_a_page_that_is_refused_begins_the_list_again() -> None:
    """The token of a list lives for some minutes only."""
    reflector = Reflector[Pod]()
    assert signs(reflector.page([one("a", 5)], "10", "more")) == []
    reflector.refused(410)
    assert reflector.next() == ListFrom("")
    assert signs(reflector.page([one("b", 12)], "12", "")) == ["+b@12"]


def test_versions_that_are_no_numbers_are_believed_in_their_order() -> None:
    """Not every API is backed by etcd."""
    reflector = Reflector[Pod]()
    assert signs(reflector.page([one("a", "x1")], "x1", "")) == ["+a@x1"]
    assert signs(reflector.applied(one("a", "k2"))) == ["+a@k2"]
    assert signs(reflector.applied(one("a", "k2"))) == []
    assert reflector.next() == WatchFrom("k2")


STEPS = st.tuples(st.sampled_from("abc"), st.booleans(), st.lists(st.integers(0, 30), max_size=3))


@given(st.lists(STEPS, max_size=20))
def test_replays_lose_and_duplicate_nothing(steps: list[tuple[str, bool, list[int]]]) -> None:
    """Whatever is repeated, at any time, the known objects are the existing ones."""
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


def test_a_version_that_is_no_number_after_one_that_is(watching: Reflector[Pod]) -> None:
    """And the other way round: they differ, so the event counts."""
    assert signs(watching.applied(one("a", "x6"))) == ["+a@x6"]
    assert signs(watching.applied(one("a", 1))) == ["+a@1"]
