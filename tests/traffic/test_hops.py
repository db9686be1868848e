"""Hops: reading them whatever an Envoy sends, and what came of what."""

import re
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
from detour.traffic.trials import TooManyTrialsError, Trials


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


def reported(**tags: str) -> HTTPAccessLogEntry:
    """Return an entry as a sidecar writes it, of a request that took 1.5 s and was answered by gRPC's status 5."""
    made = HTTPAccessLogEntry()
    common, request = made.common_properties, made.request
    common.custom_tags.update({"served_by": "users@pr-42", "cluster": "users:8080@pr-42", **tags})
    common.start_time.seconds, common.start_time.nanos = 1_700_000_000, 250_000_000
    common.duration.seconds, common.duration.nanos = 1, 500_000_000
    request.authority, request.path, request.request_method = "users:8080", "/users/7?x=1", 2
    made.response.response_code.value = 404
    made.response.response_headers["grpc-status"] = "5"
    return made


def test_what_an_entry_says():
    """Every field of it; the caller is who reports."""
    caller = Reporter("rides", "pr-7", "rides-1", "shop")
    assert hop_of(reported(), caller, Naming()) == Hop(
        caller="rides",
        caller_deployment="pr-7",
        caller_instance="rides-1",
        service="users",
        deployment="pr-42",
        served_by="users@pr-42",
        method="HEAD",
        path="/users/7?x=1",
        status=404,
        grpc_status=5,
        why="",
        start=1_700_000_000.25,
        seconds=1.5,
        by_edge=False,
    )
    assert hop_of(reported(), Reporter("edge", is_edge=True), Naming()).by_edge


def test_an_entry_that_says_next_to_nothing():
    """A request that nobody answered, sent by an Envoy that is about to go."""
    made = hop_of(HTTPAccessLogEntry(), Reporter("web"), Naming())
    assert (made.served_by, made.status, made.grpc_status, made.method, made.path) == (None, None, None, "?", "")
    assert (made.service, made.deployment, made.why, made.start, made.seconds) == ("", None, "", 0.0, 0.0)


@pytest.mark.parametrize(
    ("cluster", "served_by", "authority", "namespace", "service", "deployment"),
    [
        ("users:80", "users", "x", "", "users", None),
        ("users@pr-42", "", "x", "", "users", "pr-42"),
        ("", "", "users:80", "", "users", None),
        ("", "", "s3.example.test", "", "s3.example.test", None),
        ("", "", "not a host", "", "not a host", None),
        ("users", "", "x", "pay", "users.pay", None),
        # The baseline stood in for a deployment that is missing; or nobody did.
        ("users@pr-42,baseline", "users", "x", "", "users", None),
        ("users@pr-42,baseline", "users@pr-42", "x", "", "users", "pr-42"),
        ("users@pr-42,baseline", "", "x", "", "users", "pr-42"),
        ("users@pr-42", "users", "x", "", "users", "pr-42"),
    ],
)
def test_where_a_request_was_to_go(  # noqa: PLR0917
    cluster, served_by, authority, namespace, service, deployment
):
    """By its cluster, or by its host if it came to none."""
    entry = reported(cluster=cluster, served_by=served_by)
    entry.request.authority = authority
    naming = Naming("shop") if namespace else Naming()
    made = hop_of(entry, Reporter("web", namespace=namespace), naming)
    assert (made.service, made.deployment) == (service, deployment)


@pytest.mark.parametrize(
    ("trailers", "headers", "status"),
    [
        ({}, {}, None),
        ({"grpc-status": "0"}, {}, 0),
        ({}, {"grpc-status": "16"}, 16),
        ({"grpc-status": "14"}, {"grpc-status": "0"}, 14),
        ({"grpc-status": "17"}, {}, None),
        ({"grpc-status": "016"}, {}, None),
        ({"grpc-status": "-1"}, {}, None),
        ({"grpc-status": "٣"}, {}, None),
        ({"grpc-status": "²"}, {}, None),
    ],
)
def test_the_status_of_grpc(trailers, headers, status):
    """In trailers, or in headers where there is no body; from 0 to 16."""
    entry = HTTPAccessLogEntry()
    entry.response.response_trailers.update(trailers)
    entry.response.response_headers.update(headers)
    assert hop_of(entry, Reporter("web"), Naming()).grpc_status == status


@pytest.mark.parametrize(("number", "name"), [(0, "?"), (1, "GET"), (3, "POST"), (9, "PATCH"), (77, "?")])
def test_methods(number, name):
    """Those that Envoy knows."""
    entry = HTTPAccessLogEntry()
    entry.request.request_method = number
    assert hop_of(entry, Reporter("web"), Naming()).method == name


@pytest.mark.parametrize(("number", "status"), [(0, None), (1, 1), (999, 999), (1000, 999)])
def test_statuses(number, status):
    """Of three digits."""
    entry = HTTPAccessLogEntry()
    entry.response.response_code.value = number
    assert hop_of(entry, Reporter("web"), Naming()).status == status


@pytest.mark.parametrize(
    ("flag", "why"),
    [
        ("failed_local_healthcheck", "the instance failed its health check"),
        ("no_healthy_upstream", "there is no ready instance"),
        ("upstream_request_timeout", "the instance did not answer within its timeout"),
        ("local_reset", "Envoy ended the connection to the instance"),
        ("upstream_remote_reset", "the instance broke off its answer"),
        ("upstream_connection_failure", "no connection to the instance could be made"),
        ("upstream_connection_termination", "the instance closed the connection"),
        ("upstream_overflow", "more requests were under way than the deployment may have"),
        ("no_route_found", "the Envoy has no route for it"),
        ("delay_injected", "an override delayed it"),
        ("fault_injected", "an override made it fail"),
        ("downstream_connection_termination", "the caller closed the connection before the answer"),
        ("upstream_retry_limit_exceeded", "it failed, and so did all retries"),
        ("stream_idle_timeout", "nothing was sent for too long"),
        ("downstream_protocol_error", "the caller's request is no correct HTTP"),
        ("upstream_max_stream_duration_reached", "the instance did not answer within its timeout"),
        ("duration_timeout", "it took longer than a request may"),
        ("upstream_protocol_error", "the instance's answer is no correct HTTP"),
        ("no_cluster_found", "the control plane did not say in time where that is"),
        ("overload_manager", "the Envoy had too much to do"),
        ("dns_resolution_failure", "DNS does not know the host"),
        ("downstream_remote_reset", "the caller gave up before the answer"),
        ("rate_limited", "rate limited"),
    ],
)
def test_what_went_wrong(flag, why):
    """In words; a flag without any is its own name."""
    entry = HTTPAccessLogEntry()
    setattr(entry.common_properties.response_flags, flag, True)
    assert hop_of(entry, Reporter("web"), Naming()).why == why


def test_several_things_that_went_wrong():
    """Each once, though two flags mean the same; what has reasons of its own is left out."""
    entry = HTTPAccessLogEntry()
    flags = entry.common_properties.response_flags
    flags.upstream_request_timeout = flags.upstream_max_stream_duration_reached = flags.delay_injected = True
    flags.unauthorized_details.reason = 1
    made = hop_of(entry, Reporter("web"), Naming())
    assert made.why == "the instance did not answer within its timeout; an override delayed it"


def test_how_long_a_request_took():
    """Until its end, or until the last byte that its caller got."""
    entry = HTTPAccessLogEntry()
    entry.common_properties.time_to_last_downstream_tx_byte.nanos = 20_000_000
    assert hop_of(entry, Reporter("web"), Naming()).seconds == 0.02
    entry.common_properties.duration.nanos = 30_000_000
    assert hop_of(entry, Reporter("web"), Naming()).seconds == 0.03


def test_texts_are_cut():
    """At 253 letters of a name, and at 500 of anything else."""
    entry = reported(cluster="", served_by="s" * 501)
    entry.request.authority, entry.request.path = "h " * 200, "/" * 501
    made = hop_of(entry, Reporter("web"), Naming())
    assert made.service == ("h " * 200)[:253]
    assert (made.served_by, made.path) == ("s" * 500, "/" * 500)


@pytest.mark.parametrize(
    ("baggage", "trial"),
    [
        ("override.config.detour.try=abc", "abc"),
        ("a=1,override.config.detour.try=abc,override.config.other=x", "abc"),
        ("override.config.other=abc", None),
        ("", None),
    ],
)
def test_the_trial_that_a_request_is_part_of(baggage, trial):
    """Stands in its baggage."""
    entry = HTTPAccessLogEntry()
    if baggage:
        entry.request.request_headers["baggage"] = baggage
    assert trial_of(entry) == trial


def test_a_hop_knows_its_end_and_who_served_it():
    """The baseline has no name of its own; nor has a host outside."""
    made = hop("web", "users@pr-42", 10.0, 0.5)
    assert (made.end, made.served_deployment) == (10.5, "pr-42")
    assert hop("web", "users", 10.0, 0.5).served_deployment is None
    assert replace(made, served_by=None).served_deployment is None


def test_who_may_have_sent_a_hop():
    """An instance of the service and of the deployment that answered; never an edge."""
    served = hop("edge", "users@pr-42", 0.0, 1.0)
    assert hop("users@pr-42", "db", 0.1, 0.1).is_from(served)
    assert hop("users", "db", 0.1, 0.1).is_from(served)  # it did not say which it is
    assert not hop("users@pr-1", "db", 0.1, 0.1).is_from(served)
    assert not hop("rides@pr-42", "db", 0.1, 0.1).is_from(served)
    assert not replace(hop("users@pr-42", "db", 0.1, 0.1), by_edge=True).is_from(served)
    itself = hop("users", "users", 0.0, 1.0)
    assert not itself.is_from(itself)
    assert hop("users", "users", 0.0, 1.0).is_from(itself)


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
    """By five milliseconds at most: a call may seem to begin before the one that it came of, or end after it."""
    assert parents([hop("web", "users", 9.996, 0.1), hop("edge", "web", 10.0, 0.1)]) == [1, None]
    assert parents([hop("web", "users", 9.994, 0.1), hop("edge", "web", 10.0, 0.1)]) == [None, None]
    edge, other = hop("edge", "web", 10.0, 0.5), hop("edge", "web", 10.4, 0.002)
    assert parents([edge, other, hop("web", "users", 10.4, 0.104)]) == [None, None, 0]
    assert parents([edge, other, hop("web", "users", 10.4, 0.107)]) == [None, None, 1]


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
        for _ in range(307):
            trial.take(hop("edge", "web", 0.0, 1.0))
        assert (len(trial.hops), trial.dropped, len(heard)) == (300, 7, 307)
    assert trials.find(trial.id) is trials.find(None) is trials.find("x") is None
    begun = [trials.begun(heard.clear) for _ in range(50)]
    for one in begun:
        one.__enter__()
    with (
        pytest.raises(
            TooManyTrialsError, match=r"^50 requests are being tried out at this moment: try again soon$"
        ),
        trials.begun(heard.clear),
    ):
        pass
    begun[0].__exit__(None, None, None)
    with trials.begun(heard.clear):
        pass


def test_trials_are_told_apart():
    """By names that nobody guesses; each keeps its own hops, and ends also where something fails."""
    trials = Trials()
    with trials.begun(list) as one, trials.begun(list) as other:
        assert re.fullmatch("[0-9a-f]{24}", one.id)
        assert one.id != other.id
        one.take(hop("web", "users", 0.0, 1.0))
        assert (len(one.hops), other.hops) == (1, [])
        assert (trials.find(one.id), trials.find(other.id)) == (one, other)
    with pytest.raises(KeyError), trials.begun(list) as failing:
        raise KeyError
    assert trials.find(failing.id) is None


def test_a_trial_is_complete_when_its_edge_has_reported():
    """Which may come before other hops."""
    with Trials().begun(list) as trial:
        trial.take(hop("web", "users", 0.0, 1.0))
        assert not trial.has_edge
        trial.take(hop("edge", "web", 0.0, 1.0))
        trial.take(hop("users", "db", 0.0, 1.0))
        assert trial.has_edge
