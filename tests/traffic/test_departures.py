"""What is kept of requests that left the mesh with overrides: bounded, whatever Envoys report."""

import pytest
from envoy.data.accesslog.v3.accesslog_pb2 import HTTPAccessLogEntry

from detour.mesh import Endpoint, Mesh, Service
from detour.traffic.departures import Departure, Departures
from detour.traffic.reporter import Reporter

MESH = Mesh.of([Service("users.pay", (Endpoint("10.1.2.3", 80),))])
RIDES = Reporter("rides")


def entry(host: str, baggage: str = "override.route.users.pay=pr-42") -> HTTPAccessLogEntry:
    """Return an access log entry of a request to a host."""
    made = HTTPAccessLogEntry()
    made.request.authority = host
    if baggage:
        made.common_properties.custom_tags["left"] = baggage
    return made


@pytest.mark.parametrize(
    ("host", "suspected"),
    [
        ("users.internal", "users.pay"),
        ("USERS:8080", "users.pay"),
        ("10.1.2.3:80", "users.pay"),
        ("10.1.2.4:80", ""),
        ("s3.example.com", ""),
        ("", ""),
        ("[::1]:80", ""),
    ],
)
def test_a_host_that_looks_like_the_overridden_service_is_suspected(host: str, suspected: str) -> None:
    """By its first label, or by an instance's address."""
    seen = Departures()
    assert seen.add(entry(host), RIDES, MESH, 1.0)
    assert [one.suspected for one in seen.recent(1.0)] == [suspected]


def test_departures_differ_by_caller_and_host() -> None:
    """Each with all that its requests were for, how many there were, and when the last one was."""
    seen = Departures()
    deployment = Reporter("rides", "pr-7")
    for caller, host, baggage, at in (
        (RIDES, "users.internal:8080", "override.route.users.pay=pr-42,override.log.web=debug", 1.0),
        (
            RIDES,
            "Users.Internal:8080",
            "override.delay.db=3s,override.config.flag=on,override.missing=baseline",
            2.0,
        ),
        (RIDES, "s3.example.test", "override.abort.users.pay=503", 3.0),
        (deployment, "users.internal:8080", "override.route.web=pr-1,override.route.db=pr-1", 4.0),
    ):
        assert seen.add(entry(host, baggage), caller, MESH, at)
    assert seen.recent(5.0) == [
        Departure("rides", "s3.example.test", ("users.pay",), "", 1, 3.0),
        Departure("rides", "users.internal:8080", ("db", "users.pay"), "users.pay", 2, 2.0),
        Departure("rides@pr-7", "users.internal:8080", ("db", "web"), "", 1, 4.0),
    ]


@pytest.mark.parametrize(
    ("host", "subject", "suspected"),
    [
        ("[fd00::1]:80", "users.pay", "users.pay"),
        ("[fd00::1]", "users.pay", "users.pay"),
        ("10.1.2.3", "users.pay", "users.pay"),
        ("users.internal", "users.pay.eu", "users.pay.eu"),
        ("users.pay.internal", "users", "users"),
        ("users:http", "users", ""),
    ],
)
def test_notations_of_hosts(host: str, subject: str, suspected: str) -> None:
    """With and without ports; a service's name may have dots."""
    mesh = Mesh.of(
        [Service("users.pay", (Endpoint("10.9.9.9", 80), Endpoint("fd00::1", 80), Endpoint("10.1.2.3", 1)))]
    )
    seen = Departures()
    seen.add(entry(host, f"override.route.{subject}=pr-42"), RIDES, mesh, 1.0)
    assert [one.suspected for one in seen.recent(1.0)] == [suspected]


def test_other_entries_are_no_departures() -> None:
    """Such as those of a trial's hops."""
    assert not Departures().add(entry("users", ""), RIDES, MESH, 1.0)


def test_what_is_kept_is_bounded() -> None:
    """In number, in the length of its texts, and in time."""
    seen = Departures()
    for number in range(501):
        many = ",".join(f"override.route.a{number}-{subject}=x" for subject in range(60))
        seen.add(entry(f"host-{number}." + "x" * 10_000, many), RIDES, MESH, float(number))
        seen.add(entry("always", many), RIDES, MESH, float(number))
    found = seen.recent(500.0)
    assert len(found) == 500
    hosts = {one.host[:8].rstrip("x.") for one in found}
    assert "host-1" not in hosts  # the one that was silent longest
    assert {"host-2", "host-500", "always"} <= hosts
    assert max(len(one.host) for one in found) == 260
    (always,) = [one for one in found if one.host == "always"]
    assert (always.requests, len(always.overridden), always.overridden[0]) == (501, 64, "a0-0")
    assert [one.last for one in seen.recent(4099.9)] == [500.0, 500.0]
    assert seen.recent(4100.0) == []
