"""Reading hops, whatever an Envoy sends."""

import pytest
from envoy.data.accesslog.v3.accesslog_pb2 import HTTPAccessLogEntry
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as some

from detour.mesh import Naming
from detour.traffic.access_log import hop_of, trial_of
from detour.traffic.hops import Hop
from detour.traffic.reporter import Reporter


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
    """A request without an answer, from an Envoy that is about to end."""
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
        # The baseline answered for a missing deployment; or no instance did.
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
    """In trailers, or in headers without a body; from 0 to 16."""
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
        ("no_healthy_upstream", "no instance is ready"),
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
        ("downstream_protocol_error", "the caller's request is not valid HTTP"),
        ("upstream_max_stream_duration_reached", "the instance did not answer within its timeout"),
        ("duration_timeout", "it took longer than a request may"),
        ("upstream_protocol_error", "the instance's answer is not valid HTTP"),
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


def test_moments_have_nanoseconds():
    """By the clock of the Envoy."""
    entry = HTTPAccessLogEntry()
    entry.common_properties.start_time.nanos = 250_000_000
    assert hop_of(entry, Reporter("web"), Naming()).start == 0.25


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
