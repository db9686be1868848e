"""The parents of hops."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as some

from detour.traffic.hops import parents
from traffic.hops import hop


def test_a_hop_knows_its_end_and_who_served_it():
    """The baseline has no name of its own; nor has a host outside."""
    made = hop("web", "users@pr-42", 10.0, 0.5)
    assert (made.end, made.served_deployment) == (10.5, "pr-42")
    assert hop("web", "users", 10.0, 0.5).served_deployment is None
    assert replace(made, served_by=None).served_deployment is None


def test_who_may_have_sent_a_hop():
    """An instance of the service and of the deployment that answered; never an edge."""
    served = hop("edge", "users@pr-42", 0.0, 1.0)
    itself = hop("users", "users", 0.0, 1.0)
    for one, other, is_from in (
        (hop("users@pr-42", "db", 0.1, 0.1), served, True),
        (hop("users", "db", 0.1, 0.1), served, True),  # it did not say which it is
        (hop("users@pr-1", "db", 0.1, 0.1), served, False),
        (hop("rides@pr-42", "db", 0.1, 0.1), served, False),
        (replace(hop("users@pr-42", "db", 0.1, 0.1), by_edge=True), served, False),
        (itself, itself, False),
        (hop("users", "users", 0.0, 1.0), itself, True),
        (hop("users", "db", 0.1, 0.1), replace(served, served_by=None), True),
        (hop("users@pr-42", "db", 0.1, 0.1), replace(served, served_by=None), False),
    ):
        assert one.is_from(other) is is_from


def test_a_call_hangs_below_the_one_that_it_came_of():
    """Its caller is who served that one, within its time."""
    hops = [
        hop("edge", "web", 0.0, 1.0),
        hop("web", "rides", 0.1, 0.8),
        hop("rides", "users", 0.2, 0.1),
        hop("rides", "drivers@pr-7", 0.4, 0.4),
        hop("drivers@pr-7", "users", 0.5, 0.1),
    ]
    assert parents(hops) == [None, 0, 1, 1, 3]


def test_of_two_calls_of_one_service():
    """The one in whose time it was, and the shorter of those; a deployment's call is not the baseline's."""
    hops = [
        hop("edge", "web", 0.0, 1.0),
        hop("web", "users", 0.1, 0.2),
        hop("users", "db", 0.15, 0.1),
        hop("web", "users", 0.4, 0.5),
        hop("users", "db", 0.5, 0.1),
        hop("web", "users@pr-42", 0.45, 0.3),
        hop("users@pr-42", "db", 0.5, 0.1),
    ]
    assert parents(hops) == [None, 0, 1, 0, 3, 0, 5]
    # Who did not say which deployment it is may be any.
    unsaid = replace(hops[6], caller_deployment=None)
    assert parents([hops[0], hops[5], unsaid]) == [None, 0, 1]


def test_what_comes_after_the_answer():
    """Hangs below the last one before it; what nothing can have come of, below nothing."""
    hops = [
        hop("edge", "web", 0.0, 0.1),
        hop("web", "rides", 0.01, 0.05),
        hop("rides", "users", 0.5, 0.1),
        hop("receipts", "users", 0.6, 0.1),
    ]
    assert parents(hops) == [None, 0, 1, None]


def test_clocks_that_differ_a_little():
    """By five milliseconds at most: a call may seem to begin before the one that it came of, or end after it."""
    assert parents([hop("web", "users", 9.996, 0.1), hop("edge", "web", 10.0, 0.1)]) == [1, None]
    assert parents([hop("web", "users", 9.994, 0.1), hop("edge", "web", 10.0, 0.1)]) == [None, None]
    edge, other = hop("edge", "web", 10.0, 0.5), hop("edge", "web", 10.4, 0.002)
    assert parents([edge, other, hop("web", "users", 10.4, 0.104)]) == [None, None, 0]
    assert parents([edge, other, hop("web", "users", 10.4, 0.107)]) == [None, None, 1]


def test_clocks_that_differ_by_just_as_much():
    """Are still near enough, at the beginning and at the end."""
    assert parents([hop("web", "users", 0.0, 0.1), hop("edge", "web", 0.005, 1.0)]) == [1, None]
    longer, ended = hop("edge", "web", -9.0, 20.0), hop("edge", "web", 0.0, 0.0)
    assert parents([longer, ended, hop("web", "users", 0.0, 0.005)]) == [None, None, 1]
    assert parents([longer, ended, hop("web", "users", 0.0, 0.00501)]) == [None, None, 0]


def test_the_shortest_that_lasts_long_enough_is_it():
    """Though another one began later."""
    hops = [hop("edge", "web", 0.2, 1.0), hop("edge", "web", 0.1, 0.6), hop("web", "users", 0.3, 0.1)]
    assert parents(hops) == [None, None, 1]


def test_of_several_that_had_ended_the_last_is_it():
    """Not the shortest, nor the one that came first in the log."""
    hops = [
        hop("edge", "web", 3.0, 0.9),
        hop("edge", "web", 1.0, 0.1),
        hop("edge", "web", 2.0, 0.2),
        hop("web", "users", 5.0, 0.1),
    ]
    assert parents(hops) == [None, None, None, 0]


def test_who_did_not_say_its_deployment_is_rather_of_the_baseline():
    """Though the request to a deployment was shorter, or later."""
    for baseline, deployment in ((hop("edge", "web", 0.0, 1.0), hop("edge", "web@pr-1", 0.1, 0.5)),):
        assert parents([deployment, baseline, hop("web", "users", 0.2, 0.1)]) == [None, None, 1]
        assert parents([deployment, baseline, hop("web", "users", 3.0, 0.1)]) == [None, None, 1]


TIMES = some.floats(0, 10)
NAMES = some.sampled_from(["web", "users", "users@pr-42", "edge"])


@given(some.lists(some.builds(hop, NAMES, NAMES, TIMES, TIMES), max_size=12))
def test_no_hop_is_its_own_ancestor(hops):
    """Whatever calls what, itself included: the result is a forest."""
    found = parents(hops)
    for place in range(len(hops)):
        seen, at = set(), place
        while at is not None:
            assert at not in seen, (hops, found)
            seen.add(at)
            at = found[at]
