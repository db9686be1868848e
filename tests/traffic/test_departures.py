"""What is kept of requests that left the mesh with overrides: bounded, whatever Envoys report."""

import pytest
from envoy.data.accesslog.v3.accesslog_pb2 import HTTPAccessLogEntry

from detour.mesh import Endpoint, Mesh, Service
from detour.traffic.departures import DEPARTURES_MAX, KEPT_SECONDS, Departures
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


def test_other_entries_are_no_departures() -> None:
    """Such as those of a trial's hops."""
    assert not Departures().add(entry("users", ""), RIDES, MESH, 1.0)


def test_what_is_kept_is_bounded() -> None:
    """In number, in the length of its texts, and in time."""
    seen = Departures()
    for number in range(DEPARTURES_MAX + 1):
        many = ",".join(f"override.route.a{number}-{subject}=x" for subject in range(60))
        seen.add(entry(f"host-{number}." + "x" * 10_000, many), RIDES, MESH, float(number))
        seen.add(entry("always", many), RIDES, MESH, float(number))
    found = seen.recent(float(DEPARTURES_MAX))
    assert len(found) == DEPARTURES_MAX
    assert max(len(one.host) for one in found) == 260
    (always,) = [one for one in found if one.host == "always"]
    assert (always.requests, len(always.overridden)) == (DEPARTURES_MAX + 1, 64)
    assert seen.recent(DEPARTURES_MAX + KEPT_SECONDS + 1.0) == []
