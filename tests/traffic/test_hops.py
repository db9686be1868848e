"""Hops: reading them whatever an Envoy sends, and what came of what."""

from dataclasses import replace

import pytest
from envoy.config.core.v3.base_pb2 import Node
from envoy.data.accesslog.v3.accesslog_pb2 import HTTPAccessLogEntry
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as some

from detour.mesh import Naming
from detour.traffic.hops import Hop, hop_of, parents, trial_of
from detour.traffic.reporter import Reporter, reporter
from detour.traffic.trials import HOPS_MAX, TRIALS_MAX, TooManyTrialsError, Trials


def hop(caller: str, service: str, start: float, seconds: float, **more: object) -> Hop:
    """Return a hop that its service's baseline served, or what `more` says."""
    name, _, deployment = caller.partition("@")
    aim, _, chosen = service.partition("@")
    made = Hop(
        caller=name,
        caller_deployment=deployment or None,
        caller_instance=f"{name}-1",
        service=aim,
        deployment=chosen or None,
        served_by=service,
        method="GET",
        path="/",
        status=200,
        grpc_status=None,
        why="",
        start=start,
        seconds=seconds,
        by_edge=name == "edge",
    )
    return replace(made, **more)


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
    """The one in whose time it was, and the shorter of those; a deployment's is no baseline's."""
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
    """By some milliseconds: a call may seem to begin before the one that it came of."""
    assert parents([hop("web", "users", 9.998, 0.1), hop("edge", "web", 10.0, 0.1)]) == [1, None]


TIMES = some.floats(0, 10)
NAMES = some.sampled_from(["web", "users", "users@pr-42", "edge"])


@given(some.lists(some.builds(hop, NAMES, NAMES, TIMES, TIMES), max_size=12))
def test_nobody_is_his_own_ancestor(hops):
    """Whatever calls whom, itself included: what is told is a forest."""
    found = parents(hops)
    for place in range(len(hops)):
        seen, at = set(), place
        while at is not None:
            assert at not in seen, (hops, found)
            seen.add(at)
            at = found[at]


@given(some.binary(max_size=300))
def test_whatever_an_envoy_sends(data):
    """Is a hop, or no message at all; none of its texts is endless."""
    entry = HTTPAccessLogEntry()
    try:
        entry.ParseFromString(data)
    except DecodeError:
        return
    trial_of(entry)
    made = hop_of(entry, Reporter("web"), Naming("shop"))
    assert made.seconds >= 0


def test_absurd_entries():
    """Have an end."""
    entry = HTTPAccessLogEntry()
    entry.request.authority = entry.request.path = entry.common_properties.custom_tags["served_by"] = "@" * 100_000
    entry.common_properties.custom_tags["cluster"] = "\0@" * 100_000
    entry.request.request_headers["baggage"] = "override.config.detour.try=" + "%" * 100_000
    entry.request.request_method = 77
    entry.response.response_code.value = 2**32 - 1
    entry.response.response_trailers["grpc-status"] = "9" * 100_000
    entry.common_properties.start_time.seconds = 2**63 - 1
    entry.common_properties.duration.seconds = -(2**63)
    made = hop_of(entry, Reporter("web"), Naming())
    assert len(repr(made)) < 3000
    assert (made.method, made.status, made.grpc_status, made.seconds) == ("?", 999, None, 0)


def test_who_reports():
    """Is named as in the mesh; a certificate's namespace counts for more than what a node says."""
    node = Node(id="users-1", cluster="users")
    assert reporter(node, "", Naming()) == Reporter("users", None, "users-1")
    node.metadata.update({"role": "sidecar", "namespace": "shop", "deployment": "pr-42"})
    assert reporter(node, "pay", Naming("shop")) == Reporter("users.pay", "pr-42", "users-1", "pay")
    assert reporter(node, "", Naming("shop")) == Reporter("users", "pr-42", "users-1", "shop")
    node.metadata.update({"deployment": "<b>", "role": 7})
    assert reporter(node, "", Naming("shop")) == Reporter("users", None, "users-1", "shop")
    node.metadata.update({"role": "edge"})
    assert reporter(node, "", Naming("shop")) == Reporter("edge", None, "users-1", "", is_edge=True)
    for cluster, namespace in (("", ""), ("a b", ""), ("users", "\n")):
        assert reporter(Node(cluster=cluster), namespace, Naming("shop")) is None
    assert len(reporter(Node(id="a" * 10_000, cluster="a" * 10_000), "", Naming()).service) == 63


def test_trials_have_an_end():
    """So many at once, so many hops of each, and none of one that is over."""
    trials, heard = Trials(), []
    with trials.begun(lambda: heard.append(1)) as trial:
        assert trials.find(trial.id) is trial
        for _ in range(HOPS_MAX + 7):
            trial.take(hop("edge", "web", 0.0, 1.0))
        assert (len(trial.hops), trial.dropped, len(heard)) == (HOPS_MAX, 7, HOPS_MAX + 7)
    assert trials.find(trial.id) is trials.find(None) is trials.find("x") is None
    begun = [trials.begun(heard.clear) for _ in range(TRIALS_MAX)]
    for one in begun:
        one.__enter__()
    with pytest.raises(TooManyTrialsError), trials.begun(heard.clear):
        pass
    begun[0].__exit__(None, None, None)
    with trials.begun(heard.clear):
        pass
