"""Responses that a client has not settled yet."""

from detour.xds.in_flight import NAMES_MAX, RESPONSES_MAX, InFlight, Sent


def sent(*names: str, type_url: str = "cluster") -> Sent:
    """Return a response with these names."""
    return Sent(type_url, dict.fromkeys(names, "v1"))


def test_a_response_is_settled_once() -> None:
    """Under its own nonce and type; anything else says nothing."""
    flight = InFlight()
    first, second = flight.next_nonce(), flight.next_nonce()
    assert (first, second) == ("1", "2")
    assert list(flight.add(first, sent("a"))) == list(flight.add(second, sent("b", type_url="routes"))) == []
    assert (flight.has("cluster"), flight.has("routes"), flight.has("other"), len(flight)) == (True, True, False, 2)
    assert flight.settle(first, "routes") is flight.settle("3", "cluster") is flight.settle("", "cluster") is None
    assert flight.settle(first, "cluster") == sent("a")
    assert flight.settle(first, "cluster") is None
    assert (flight.has("cluster"), flight.has("routes"), len(flight)) == (False, True, 1)


def test_of_too_many_responses_the_oldest_are_given_up() -> None:
    """One for one, once there are more than may be."""
    flight = InFlight(responses_max=2)
    assert list(flight.add("1", sent("a"))) == list(flight.add("2", sent("b"))) == []
    assert list(flight.add("3", sent("c"))) == [sent("a")]
    assert flight.settle("1", "cluster") is None
    assert flight.settle("2", "cluster") == sent("b")
    assert list(flight.add("4", sent("d"))) == []


def test_of_too_many_names_the_oldest_are_given_up() -> None:
    """As many responses as have to; what was settled counts no longer, and the last one stays, however large."""
    flight = InFlight(names_max=4)
    assert list(flight.add("1", sent("a", "b"))) == list(flight.add("2", sent("c", "d"))) == []
    flight.settle("1", "cluster")
    assert list(flight.add("3", sent("e", "f"))) == []
    assert list(flight.add("4", sent("g"))) == [sent("c", "d")]
    assert list(flight.add("5", sent("1", "2", "3", "4", "5"))) == [sent("e", "f"), sent("g")]
    assert len(flight) == 1
    assert list(flight.add("6", sent())) == [sent("1", "2", "3", "4", "5")]


def test_the_usual_bounds() -> None:
    """Of each stream."""
    assert (RESPONSES_MAX, NAMES_MAX) == (1000, 50_000)
    flight = InFlight()
    assert (flight._responses_max, flight._names_max) == (1000, 50_000)
