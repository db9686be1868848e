"""What one client wants of one type, as transcripts of its state alone."""

from collections.abc import Iterable, Mapping

import pytest
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest

from detour.xds.subscription import Subscription


def request(
    subscribe: Iterable[str] = (), unsubscribe: Iterable[str] = (), held: Mapping[str, str] | None = None
) -> DeltaDiscoveryRequest:
    """Return a request."""
    return DeltaDiscoveryRequest(
        resource_names_subscribe=subscribe,
        resource_names_unsubscribe=unsubscribe,
        initial_resource_versions=held or {},
    )


def opened(*names: str) -> Subscription:
    """Return the subscription of a client that has opened with these names, and was answered."""
    made = Subscription()
    made.take(request(names))
    made.due.clear()
    made.owes_response = False
    return made


def test_a_new_subscription_wants_nothing() -> None:
    """And nothing is to be sent."""
    one = Subscription()
    assert (one.names, one.has_wildcard, one.covered, one.sent) == (set(), False, set(), {})
    assert (one.acknowledged, one.claims, list(one.due), list(one.removed)) == ({}, {}, [], [])
    assert (one.owes_response, one.is_due, one.wants("users")) == (False, False, False)


def test_the_first_request_is_answered_in_any_case() -> None:
    """What the client says that it has is looked at, what it names is sent, in this order."""
    one = Subscription()
    assert one.take(request(["users", "pay"], held={"web": "1", "users": "2"})) is False
    assert (one.claims, one.names) == ({"web": "1", "users": "2"}, {"users", "pay"})
    assert dict(one.due) == {"web": False, "users": True, "pay": True}
    assert one.owes_response is True


def test_later_requests_bring_no_versions() -> None:
    """And are answered for what they name only."""
    one = opened("users")
    assert one.take(request(["web"], held={"other": "1"})) is False
    assert (one.claims, dict(one.due), one.owes_response) == ({}, {"web": True}, False)


def test_who_opens_by_unsubscribing_waits_for_nothing() -> None:
    """There was nothing yet."""
    one = Subscription()
    assert one.take(request([], ["users"])) is False
    assert (one.owes_response, one.is_due, one.has_wildcard) == (False, False, False)


@pytest.mark.parametrize(
    ("requests", "answers", "has_wildcard"),
    [
        ([request()], [True], True),
        ([request(), request()], [True, False], True),
        ([request(["*"])], [True], True),
        ([request(["*"]), request(["*"])], [True, True], True),
        ([request(["users"]), request()], [False, False], False),
        ([request(["users"]), request(["*"])], [False, True], True),
        ([request(), request([], ["*"]), request()], [True, False, False], False),
        ([request(["*"], ["*"])], [False], False),
        ([request([], ["users"]), request()], [False, True], True),
    ],
)
def test_who_subscribes_to_everything(
    requests: list[DeltaDiscoveryRequest], answers: list[bool], has_wildcard: bool
) -> None:
    """By a star, or without ever having named anything."""
    one = Subscription()
    assert [one.take(each) for each in requests] == answers
    assert one.has_wildcard is has_wildcard
    assert "*" not in one.names | one.due.keys()


def test_a_star_is_answered_each_time() -> None:
    """An empty request later is none for everything, and is not."""
    one = opened()
    one.take(request(["*"]))
    assert one.owes_response is True
    one.owes_response = False
    one.take(request())
    assert (one.owes_response, one.is_due) == (False, False)


def test_what_a_star_stands_for() -> None:
    """Names that are new, and those that are wanted no longer; what is wanted by name stays."""
    one = opened("*", "web")
    assert one.cover(["users", "pay", "web"]) == (["pay", "users", "web"], [])
    assert [one.wants(name) for name in ("users", "web", "other")] == [True, True, False]
    assert one.cover(["users", "other"]) == (["other"], ["pay"])
    assert one.covered == {"users", "other"}
    one.take(request([], ["*"]))
    assert one.cover(["users"]) == ([], ["other", "users"])
    assert one.covered == set()
    assert opened("web").cover(["users"]) == ([], [])


def test_what_is_unsubscribed_from_has_to_be_answered() -> None:
    """Next to a star a client does not know whether it keeps it; what was never wanted is nothing."""
    one = opened("*", "users", "web")
    one.cover(["pay"])
    one.take(request([], ["users", "pay", "never"]))
    assert one.names == {"web"}
    assert dict(one.due) == {"users": True, "pay": True}
    assert one.take(request(["a"], ["a"])) is False
    assert (one.names, one.due["a"]) == ({"web"}, True)


def test_the_order_in_which_names_are_sent() -> None:
    """As they came; one that did not fit comes first, and one that has to be sent stays so."""
    one = opened("users")
    one.schedule("a")
    one.schedule_if_changed(["b", "a"])
    one.schedule_first("c")
    one.schedule_first("b")
    assert list(one.due.items()) == [("b", True), ("c", True), ("a", True)]


def test_when_there_is_something_to_send() -> None:
    """A name, a removal, or an answer that the client waits for."""
    one = opened("users")
    assert one.is_due is False
    one.removed["a"] = None
    assert one.is_due is True
    one.removed.clear()
    one.owes_response = True
    assert one.is_due is True
